/**
 * Deleting topics, with the power cut and errors at every single call. Whatever happens a topic is
 * there with all that was acknowledged, or gone with all that it had, and nobody inherits from it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { setAsideName } from '../../lib/log/directory-layout.ts'
import { openLog } from '../../lib/open.ts'
import {
  type FaultKind,
  type FaultyFiles,
  type FaultyOperation,
  faultyFiles,
  memoryFiles,
} from '../../lib/testing/index.ts'
import type { Log } from '../../lib/types.ts'
import { type Image, imageOf, layImage } from '../support/log-image.ts'

async function values(log: Log, name: string): Promise<string[]> {
  const found: string[] = []
  for await (const record of (await log.topic(name, { create: false })).records()) {
    found.push(String(record.value))
  }
  return found
}

/** As little as will do is kept for times of need. */
const ballastBytes = 4096

/** A log with `orders`, two partitions with a record each, and `other` with one. */
async function closedLog(): Promise<Image> {
  const files = memoryFiles()
  const log = await openLog('/log', { files, ballastBytes })
  const orders = await log.createTopic('orders', { partitions: 2 })
  await orders.append([0, 1].map(partition => ({ value: 'old', partition })))
  await (await log.createTopic('other')).append({ value: 'kept' })
  await log.close()
  return imageOf(files)
}

/** Deletes `orders`, creates it again and appends; says how far it came. */
async function deleteAndReuse(files: FaultyFiles): Promise<'untouched' | 'deleted' | 'reused'> {
  let reached: 'untouched' | 'deleted' | 'reused' = 'untouched'
  let log: Log | undefined
  try {
    log = await openLog('/log', { files: files.currentProcess(), ballastBytes })
    await log.deleteTopic('orders')
    reached = 'deleted'
    const topic = await log.createTopic('orders')
    await topic.append({ value: 'new' })
    reached = 'reused'
    await log.close()
  } catch {
    await log?.close().catch(() => undefined)
  }
  return reached
}

async function check(files: FaultyFiles, reached: string, at: string): Promise<void> {
  const log = await openLog('/log', { files, ballastBytes })
  assert.deepEqual(await values(log, 'other'), ['kept'], at)
  const names = await log.topics()
  const found = names.includes('orders') ? await values(log, 'orders') : null
  const allowed: Record<string, readonly unknown[]> = {
    untouched: [['old', 'old'], null],
    deleted: [null, [], ['new']],
    reused: [['new']],
  }
  const isAllowed = allowed[reached]?.some(it => JSON.stringify(it) === JSON.stringify(found))
  assert.ok(isAllowed, `${at}: ${reached}, found ${JSON.stringify(found)}`)
  const { topics } = await log.describe()
  const states = topics.flatMap(topic => topic.partitions.map(partition => partition.state))
  assert.ok(
    states.every(state => state === 'ok'),
    `${at}: ${states}`,
  )
  await log.close()
}

/** Strikes each of the calls in turn, or each of those that `on` admits; says how many there were. */
async function atEveryCall(kind: FaultKind, on?: readonly FaultyOperation[]): Promise<number> {
  const image = await closedLog()
  for (let operation = 1; ; operation++) {
    const files = faultyFiles({ seed: operation })
    await layImage(files, image)
    const armedAt = files.operations
    files.failAt({ operation, kind, on })
    const reached = await deleteAndReuse(files)
    const hasStruck = files.trace.some(call => call.endsWith(`-> ${kind}`))
    assert.ok(files.operations - armedAt <= files.trace.length, 'the trace has all calls')
    files.clearFaults()
    await check(files, reached, `${kind} at call ${operation}`)
    // Found what it needed twice in a row: the deletion that was interrupted is finished.
    await check(files, reached, `${kind} at call ${operation}, opened again`)
    const names = files.list('/log').map(entry => entry.name)
    assert.deepEqual(
      names.filter(name => name.endsWith('-delete')),
      [],
      `call ${operation}`,
    )
    if (!hasStruck) return operation - 1
  }
}

describe('deleteTopic', () => {
  it('the power goes at any call → all of the topic or nothing of it', async () => {
    assert.ok((await atEveryCall('crash')) > 60)
  })

  it('any call fails → all of the topic or nothing of it', async () => {
    assert.ok((await atEveryCall('EIO')) > 60)
  })

  it('any call finds no room → all of the topic or nothing of it', async () => {
    const on = [
      'open',
      'write',
      'sync',
      'truncate',
      'makeDirectory',
      'rename',
      'syncDirectory',
    ] as const
    assert.ok((await atEveryCall('ENOSPC', on)) > 60)
  })

  it('the name is used again at once → another id, no records, no directory left', async () => {
    const files = memoryFiles()
    const log = await openLog('/log', { files })
    const first = await log.createTopic('orders')
    await first.append({ value: 'old' })
    const deleted = log.deleteTopic('orders')
    const again = log.createTopic('orders')
    await deleted
    const second = await again
    assert.notEqual(second.id, first.id)
    assert.deepEqual(await values(log, 'orders'), [])
    await log.close()
    await (await openLog('/log', { files })).close()
    const dirs = files.list('/log').filter(entry => entry.isDirectory)
    assert.deepEqual(
      dirs.map(entry => entry.name),
      ['orders-0'],
    )
  })

  it('handles, live readers and pending appends of the topic → UnknownTopicOrPartitionError', async () => {
    const log = await openLog(':memory:')
    const topic = await log.createTopic('orders', { flushRecords: 1000 })
    const pending = topic.append({ value: 'x' })
    const code = { code: 'UNKNOWN_TOPIC_OR_PARTITION' }
    const notWritten = { ...code, outcome: 'not-written' }
    const refused = assert.rejects(pending, notWritten)
    const told = assert.rejects(topic.records({ live: true }).next(), code)
    await log.deleteTopic('orders')
    await refused
    await told
    await assert.rejects(topic.append({ value: 'y' }), notWritten)
    await assert.rejects(log.deleteTopic('orders'), code)
    await assert.rejects(log.topic('orders', { create: false }), code)
    await log.close()
  })

  it('a directory with -delete that the catalog does not name → left alone, and reported', async () => {
    const files = memoryFiles()
    await (await openLog('/log', { files })).close()
    const name = setAsideName({ topic: 'a', partition: 0 }, 'AAECAwQFRgeICQoLDA0ODw', 'delete')
    files.makeDirectory(`/log/${name}`)
    const log = await openLog('/log', { files })
    assert.deepEqual(log.recovery.strayDirectories, [name])
    await log.close()
    assert.ok(files.stat(`/log/${name}`)?.isDirectory)
  })
})

describe('setAsideName', () => {
  it('the longest topic name → 255 characters, partition and id whole', () => {
    const at = { topic: 'x'.repeat(249), partition: 12 }
    const name = setAsideName(at, 'AAECAwQFRgeICQoLDA0ODw', 'delete')
    assert.equal(name.length, 255)
    assert.match(name, /^x+-12\.000102030405460788090a0b0c0d0e0f-delete$/)
  })
})
