/**
 * Opening: what it makes, what it refuses, whom it waits for, and what it finds in a directory that was
 * left in any state. Most of it in memory; the disk where the disk matters.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

import type { LogEvent } from '../../lib/events.ts'
import type { Files } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import { replaceFile, withChecksum } from '../../lib/storage/checkpoint-file.ts'
import { faultyFiles, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import type { Log, OpenOptions } from '../../lib/types.ts'
import { tempDir } from '../support/temp-dir.ts'

async function values(log: Log, topic: string): Promise<string[]> {
  const found: string[] = []
  for await (const record of (await log.topic(topic, { create: false })).records()) {
    found.push(String(record.value))
  }
  return found
}

async function leave(files: Files, write: (log: Log) => Promise<unknown>): Promise<void> {
  const log = await openLog('/log', { files })
  await write(log)
  await log.close()
}

const topicId = 'AAECAwQFRgeICQoLDA0ODw'

describe('openLog', () => {
  it('a directory that is not there, by path and by URL → made, with those above it', async t => {
    const root = tempDir(t)
    const byPath = await openLog(join(root, 'a', 'b'))
    await byPath.close()
    const byUrl = await openLog(pathToFileURL(join(root, 'c')))
    assert.equal(byUrl.dir, join(root, 'c'))
    await byUrl.close()
    assert.ok(existsSync(join(root, 'a', 'b', 'topics.catalog')))
  })

  it(':memory: twice → two logs that share nothing', async () => {
    const first = await openLog(':memory:')
    const second = await openLog(':memory:')
    await first.createTopic('orders')
    assert.deepEqual(await second.topics(), [])
    await Promise.all([first.close(), second.close()])
  })

  it('closed and opened again on disk → the records, and nothing recovered', async t => {
    const dir = tempDir(t)
    const log = await openLog(dir)
    const topic = await log.topic('orders', { segmentBytes: 4096, partitions: 2 })
    await topic.append({ value: 'one', partition: 1 })
    await log.close()
    assert.ok(readdirSync(dir).includes('.kafka_cleanshutdown'))
    const again = await openLog(dir)
    assert.equal(readdirSync(dir).includes('.kafka_cleanshutdown'), false)
    assert.equal(again.recovery.clean, true)
    assert.deepEqual(await values(again, 'orders'), ['one'])
    const { config } = await (await again.topic('orders')).describe()
    assert.deepEqual(config.segmentBytes, { value: 4096, source: 'topic' })
    await again.close()
  })

  it('a directory with other things in it → NotALogError that names them, and nothing is written', async t => {
    const dir = tempDir(t)
    writeFileSync(join(dir, 'package.json'), '{}')
    mkdirSync(join(dir, 'photos-1'))
    writeFileSync(join(dir, 'photos-1', 'cat.jpg'), 'cat')
    await assert.rejects(openLog(dir), { code: 'NOT_A_LOG', message: /package\.json, photos-1/ })
    assert.deepEqual(readdirSync(dir).sort(), ['package.json', 'photos-1'])
  })

  it('a file in the place of the directory → StorageError with path and operation', async t => {
    const path = join(tempDir(t), 'file')
    writeFileSync(path, 'x')
    await assert.rejects(openLog(path), { code: 'STORAGE_FAILED', path, operation: 'list' })
  })

  it('a catalog of a newer format → UnsupportedFormatError, and the lock is free again', async () => {
    const files = memoryFiles()
    files.makeDirectory('/log')
    await replaceFile(files, '/log/topics.catalog', withChecksum('varve catalog 2\n'))
    await assert.rejects(openLog('/log', { files }), { code: 'UNSUPPORTED_FORMAT', found: '2' })
    const lock = await files.lock('/log')
    await lock.release()
  })

  const refused: readonly [string, unknown, unknown][] = [
    ['an empty path', '', undefined],
    ['a number', 7, undefined],
    ['an unknown option', ':memory:', { readonly: true }],
    ['options that are no object', ':memory:', 7],
    ['nothing to read with readOnly', ':memory:', { readOnly: true }],
  ]
  for (const [what, dir, options] of refused) {
    it(`${what} → TypeError`, async () => {
      await assert.rejects(openLog(dir as string, options as OpenOptions), TypeError)
    })
  }

  it('a signal that has aborted → its reason, and nothing is made', async t => {
    const dir = join(tempDir(t), 'log')
    const reason = new Error('not today')
    await assert.rejects(openLog(dir, { signal: AbortSignal.abort(reason) }), reason)
    assert.equal(existsSync(dir), false)
  })
})

describe('the lock', () => {
  it('a second writer in the same process → LockedError that says so', async t => {
    const dir = tempDir(t)
    const log = await openLog(dir)
    await assert.rejects(openLog(dir), { code: 'LOG_LOCKED', sameProcess: true })
    await log.close()
  })

  it('released while lockWaitMs runs → the waiter gets it', async () => {
    const [files, clock] = [memoryFiles(), manualClock()]
    const first = await openLog('/log', { files, clock })
    const second = openLog('/log', { files, clock, lockWaitMs: 1000 })
    await turns()
    clock.advance(60)
    await first.close()
    await turns()
    clock.advance(60)
    await (await second).close()
  })

  it('held longer than lockWaitMs → LockedError', async () => {
    const [files, clock] = [memoryFiles(), manualClock()]
    const first = await openLog('/log', { files, clock })
    const second = assert.rejects(openLog('/log', { files, clock, lockWaitMs: 120 }), {
      code: 'LOG_LOCKED',
    })
    for (let step = 0; step < 4; step++) {
      await turns()
      clock.advance(50)
    }
    await second
    await first.close()
  })

  it('the signal aborts while waiting → its reason at once', async () => {
    const [files, clock] = [memoryFiles(), manualClock()]
    const first = await openLog('/log', { files, clock })
    const abort = new AbortController()
    const options = { files, clock, lockWaitMs: -1, signal: abort.signal }
    const second = assert.rejects(openLog('/log', options), /enough/)
    await turns()
    abort.abort(new Error('enough'))
    await second
    await first.close()
  })
})

describe('opening after a crash', () => {
  it('any call of opening fails → it rejects, and the next opening has everything', async () => {
    for (let operation = 1; ; operation++) {
      const files = faultyFiles({ seed: operation })
      await leave(files, async log => {
        await (await log.topic('orders')).append({ value: 'kept' })
        await log.createTopic('empty')
      })
      files.failAt({ operation, kind: 'EIO' })
      const failed = await openLog('/log', { files }).then(
        log => log,
        () => null,
      )
      files.clearFaults()
      await failed?.close().catch(() => undefined)
      const log = await openLog('/log', { files })
      assert.deepEqual(await log.topics(), ['empty', 'orders'], `operation ${operation}`)
      assert.deepEqual(await values(log, 'orders'), ['kept'], `operation ${operation}`)
      await log.close()
      if (failed !== null && operation > 60) break
    }
  })

  it('its last write fails → nothing of it writes later, beside the log that opens next', async () => {
    const files = faultyFiles({ seed: 1 })
    const clock = manualClock()
    await leave(files, async log => (await log.topic('orders')).append({ value: 'kept' }))
    files.failAt({ operation: 1, kind: 'EIO', on: 'rename', path: /recovery-point/ })
    // What is there says the same, and would not be written again.
    await files.remove('/log/recovery-point-offset-checkpoint')
    await assert.rejects(openLog('/log', { files, clock }), { code: 'STORAGE_FAILED' })
    const before = files.operations
    clock.advance(600_000)
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
    assert.equal(files.operations, before)
    const log = await openLog('/log', { files })
    assert.deepEqual(await values(log, 'orders'), ['kept'])
    await log.close()
  })

  it('the power goes at any call of creating, appending or closing → what was acknowledged is there', async () => {
    for (let operation = 1, isOver = false; !isOver; operation++) {
      const files = faultyFiles({ seed: operation })
      await (await openLog('/log', { files })).close()
      files.failAt({ operation, kind: 'crash' })
      const acknowledged: string[] = []
      const before = files.crashes
      try {
        const log = await openLog('/log', { files: files.currentProcess() })
        const topic = await log.createTopic('orders')
        for (const value of ['a', 'b', 'c']) {
          await topic.append({ value })
          acknowledged.push(value)
        }
        await log.close()
      } catch (error) {
        assert.ok(files.crashes > before, `operation ${operation}: ${String(error)}`)
      }
      isOver = files.crashes === before
      files.clearFaults()
      const log = await openLog('/log', { files })
      const found = await log.topics()
      if (acknowledged.length > 0) {
        const kept = await values(log, 'orders')
        assert.deepEqual(kept.slice(0, acknowledged.length), acknowledged, `operation ${operation}`)
      } else {
        assert.ok(found.length <= 1)
      }
      await log.close()
    }
  })
})

describe('directories and the catalog', () => {
  const breakages: readonly [string, (files: Files) => Promise<void>][] = [
    ['lost', files => files.remove('/log/topics.catalog')],
    [
      'damaged',
      files => replaceFile(files, '/log/topics.catalog', 'varve catalog 1\ncrc32 00000000\n'),
    ],
  ]
  for (const [what, breakCatalog] of breakages) {
    it(`the catalog is ${what} → topics are adopted with their ids and records, and reported`, async () => {
      const files = memoryFiles()
      let id = ''
      await leave(files, async log => {
        const topic = await log.topic('orders', { partitions: 3 })
        id = topic.id
        await topic.append({ value: 'kept', partition: 1 })
      })
      await breakCatalog(files)
      const events: LogEvent[] = []
      const log = await openLog('/log', { files, onEvent: event => events.push(event) })
      assert.deepEqual(log.recovery.adoptedTopics, ['orders'])
      assert.equal(log.recovery.clean, false)
      const topic = await log.topic('orders')
      assert.deepEqual([topic.id, topic.partitions.length], [id, 3])
      assert.deepEqual(await values(log, 'orders'), ['kept'])
      assert.ok(events.some(event => event.type === 'recovered' && event.report === log.recovery))
      await log.close()
    })
  }

  it('a partition’s directory with another id → set aside as stray with its files, and made anew', async () => {
    const files = memoryFiles()
    await leave(files, async log => (await log.topic('orders')).append({ value: 'gone' }))
    const metadata = `version: 0\ntopic_id: ${topicId}`
    await replaceFile(files, '/log/orders-0/partition.metadata', metadata)
    const log = await openLog('/log', { files })
    const stray = 'orders-0.00010203040546078809' + '0a0b0c0d0e0f-stray'
    assert.deepEqual(log.recovery.strayDirectories, ['orders-0'])
    assert.ok((files.stat(`/log/${stray}/00000000000000000000.log`)?.sizeBytes ?? 0) > 0)
    await log.close()
  })

  it('a partition’s directory is gone → made again, and the loss is damage, not silence', async () => {
    const files = memoryFiles()
    await leave(files, async log => (await log.topic('orders')).append({ value: 'gone' }))
    files.rename('/log/orders-0', '/elsewhere')
    const log = await openLog('/log', { files })
    const { partitions } = await (await log.topic('orders')).describe()
    assert.deepEqual([partitions[0]?.state, partitions[0]?.logEndOffset], ['damaged', 1])
    await assert.rejects(values(log, 'orders'), { code: 'CORRUPT_RECORD', from: 0, to: 1 })
    await log.close()
  })

  it('partition.metadata is unreadable → written again', async () => {
    const files = memoryFiles()
    await leave(files, async log => (await log.topic('orders')).append({ value: 'kept' }))
    await replaceFile(files, '/log/orders-0/partition.metadata', 'garbage')
    const log = await openLog('/log', { files })
    const topic = await log.topic('orders')
    const text = files.readFile('/log/orders-0/partition.metadata')?.toString()
    assert.equal(text, `version: 0\ntopic_id: ${topic.id}`)
    assert.deepEqual(await values(log, 'orders'), ['kept'])
    await log.close()
  })
})

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
}
