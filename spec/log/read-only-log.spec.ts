/**
 * Reading beside a writer: in a process of its own on disk, and in memory for what does not depend on
 * that.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Files, OpenMode } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import type { Log, Reader } from '../../lib/types.ts'
import { tempDir } from '../support/temp-dir.ts'

const child = fileURLToPath(new URL('../support/follow-writer.ts', import.meta.url))

async function pair(): Promise<{ files: Files; writer: Log; reader: Log }> {
  const files = memoryFiles()
  const writer = await openLog('/log', { files })
  await (await writer.createTopic('orders')).append({ value: 'first' })
  return { files, writer, reader: await openLog('/log', { files, readOnly: true }) }
}

async function take(reader: Reader<{ value: Buffer | null }>, count: number): Promise<string[]> {
  const found: string[] = []
  while (found.length < count) {
    const { value, done } = await reader.next()
    if (done === true) break
    found.push(String(value.value))
  }
  return found
}

describe('a read-only log in another process', () => {
  it('follows its writer across rolls, and into a topic that is created meanwhile', {
    timeout: 30_000,
  }, async t => {
    const dir = tempDir(t)
    const writer = await openLog(dir)
    const first = await writer.createTopic('first', { segmentBytes: 1024 })
    const reader = spawn(process.execPath, ['--import', 'tsx', child, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => reader.kill('SIGKILL'))
    const lines = createInterface({ input: reader.stdout })
    const heard: string[] = []
    const exited = once(reader, 'exit')
    const ready = once(lines, 'line')
    await ready
    lines.on('line', line => heard.push(line))
    const expected: string[] = []
    for (let index = 0; index < 60; index++) {
      const { baseOffset } = await first.append({ value: `${index}`.padEnd(200, '.') })
      expected.push(`first ${baseOffset} ${`${index}`.padEnd(200, '.')}`)
    }
    const second = await writer.createTopic('second')
    await second.append({ value: 'end' })
    await first.append({ value: 'end' })
    const [code] = await exited
    assert.equal(code, 0)
    expected.push('first 60 end')
    assert.deepEqual(
      heard.filter(line => line.startsWith('first')),
      expected,
    )
    assert.deepEqual(
      heard.filter(line => line.startsWith('second')),
      ['second 0 end'],
    )
    const { partitions } = await first.describe()
    assert.ok((partitions[0]?.segmentCount ?? 0) > 5)
    await writer.close()
  })
})

describe('a read-only log', () => {
  it('beside a writer → its records, and no lock', async () => {
    const { writer, reader } = await pair()
    assert.deepEqual(await take((await reader.topic('orders')).records(), 2), ['first'])
    assert.equal(reader.lockKind, 'none')
    assert.equal((await reader.describe()).readOnly, true)
    await Promise.all([writer.close(), reader.close()])
  })

  it('records that the writer has not flushed → not seen', async () => {
    const { writer, reader } = await pair()
    const topic = await writer.topic('orders', { flushRecords: 100, acks: 'written' })
    await topic.append({ value: 'not yet' })
    const found = await reader.topic('orders')
    assert.equal(found.partition(0).highWatermark, 1)
    await topic.flush()
    await reader.topics()
    assert.equal(found.partition(0).highWatermark, 2)
    await Promise.all([writer.close(), reader.close()])
  })

  it('a live reader that waits → woken by the writer’s flush', async () => {
    const { writer, reader } = await pair()
    const records = (await reader.topic('orders')).records({ live: true })
    assert.deepEqual(await take(records, 1), ['first'])
    const next = take(records, 1)
    await (await writer.topic('orders')).append({ value: 'second' })
    assert.deepEqual(await next, ['second'])
    await Promise.all([writer.close(), reader.close()])
  })

  it('the directory cannot be watched → the live reader is woken all the same', async () => {
    const { files, writer } = await pair()
    const unwatched: Files = new Proxy(files, {
      get(target, key) {
        if (key === 'watch')
          return () => {
            throw new Error('no watch here')
          }
        const value = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const reader = await openLog('/log', { files: unwatched, readOnly: true })
    const records = (await reader.topic('orders')).records({ live: true, from: 1 })
    const next = take(records, 1)
    await (await writer.topic('orders')).append({ value: 'second' })
    assert.deepEqual(await next, ['second'])
    await Promise.all([writer.close(), reader.close()])
  })

  it('close → a live reader that waits ends normally, later calls reject with ClosedError', async () => {
    const { writer, reader } = await pair()
    const topic = await reader.topic('orders')
    const next = take(topic.records({ live: true, from: 1 }), 1)
    await assert.rejects(reader.close(null as unknown as { timeoutMs?: number }), TypeError)
    await reader.close()
    assert.deepEqual(await next, [])
    await assert.rejects(reader.topics(), { code: 'LOG_CLOSED' })
    await writer.close()
  })

  it('every call that would change something → ReadOnlyError', async () => {
    const { writer, reader } = await pair()
    const topic = await reader.topic('orders')
    const refused = { code: 'READ_ONLY' }
    await assert.rejects(topic.append({ value: 'x' }), refused)
    await assert.rejects(topic.configure({ flushMs: 5 }), refused)
    await assert.rejects(topic.addPartitions(2), refused)
    await assert.rejects(reader.createTopic('new'), refused)
    await assert.rejects(reader.deleteTopic('orders'), refused)
    await assert.rejects(reader.topic('orders', { flushMs: 5 }), refused)
    await assert.rejects(reader.topic('new'), { code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await Promise.all([writer.close(), reader.close()])
  })

  it('the writer deletes a topic → its live reader is told, the topic is not there', async () => {
    const { writer, reader } = await pair()
    const topic = await reader.topic('orders')
    const next = take(topic.records({ live: true, from: 1 }), 1)
    const told = assert.rejects(next, { code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await writer.deleteTopic('orders')
    assert.deepEqual(await reader.topics(), [])
    await told
    await Promise.all([writer.close(), reader.close()])
  })

  it('no slots and no writer → everything up to the checkpoint', async () => {
    const { files, writer, reader } = await pair()
    await Promise.all([writer.close(), reader.close()])
    await files.remove('/log/visible.slots')
    const again = await openLog('/log', { files, readOnly: true })
    assert.deepEqual(await take((await again.topic('orders')).records(), 2), ['first'])
    await again.close()
  })

  it('opens, reads and closes → not one call that writes', async () => {
    const { files, writer } = await pair()
    const allowed = new Set(['readFile', 'list', 'stat', 'watch', 'kind'])
    const reading: Files = new Proxy(files, {
      get(target, key) {
        const name = String(key)
        if (name === 'open') {
          return (path: string, mode: OpenMode) => {
            assert.equal(mode, 'read')
            return target.open(path, mode)
          }
        }
        const value = Reflect.get(target, key)
        if (typeof value !== 'function' || allowed.has(name)) {
          return typeof value === 'function' ? value.bind(target) : value
        }
        return () => assert.fail(name)
      },
    })
    const reader = await openLog('/log', { files: reading, readOnly: true })
    assert.deepEqual(await take((await reader.topic('orders')).records(), 2), ['first'])
    await Promise.all([writer.close(), reader.close()])
  })

  it('a directory that is not there → StorageError, and it is not made', async t => {
    const dir = join(tempDir(t), 'log')
    await assert.rejects(openLog(dir, { readOnly: true }), { code: 'STORAGE_FAILED', path: dir })
    assert.equal(existsSync(dir), false)
  })

  it('a directory with other things in it → NotALogError', async () => {
    const files = memoryFiles()
    files.makeDirectory('/log')
    files.makeDirectory('/log/photos')
    await assert.rejects(openLog('/log', { files, readOnly: true }), { code: 'NOT_A_LOG' })
  })

  it('beside a writer on disk → leaves no file behind', async t => {
    const dir = tempDir(t)
    const writer = await openLog(dir)
    const before = readdirSync(dir).sort()
    await (await openLog(dir, { readOnly: true })).close()
    assert.deepEqual(readdirSync(dir).sort(), before)
    await writer.close()
  })
})
