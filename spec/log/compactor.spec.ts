/** Key compaction as users see it: on demand, by the sweep, and beside everything else. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import {
  ClosedError,
  InvalidRecordError,
  PolicyViolationError,
  ReadOnlyError,
  StorageError,
  UnknownTopicOrPartitionError,
} from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import { faultyFiles, type ManualClock, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import type { Log, OpenOptions, Topic, TopicConfig } from '../../lib/types.ts'

const compacted: TopicConfig = { cleanupPolicy: 'compact', segmentBytes: 2048 }
const hourMs = 3_600_000

interface Opened {
  readonly log: Log
  readonly clock: ManualClock
  readonly events: LogEvent[]
  reopen(options?: OpenOptions): Promise<Log>
}

async function open(test: TestContext, options: OpenOptions = {}): Promise<Opened> {
  const clock = manualClock(1_700_000_000_000)
  const files = memoryFiles()
  const events: LogEvent[] = []
  const shared = {
    files,
    clock,
    compactionBytesPerSecond: -1,
    onEvent: (event: LogEvent) => void events.push(event),
  }
  const logs: Log[] = []
  const reopen = async (more: OpenOptions = {}): Promise<Log> => {
    const log = await openLog('/log', { ...shared, ...options, ...more })
    logs.push(log)
    return log
  }
  test.after(() => Promise.all(logs.map(log => log.close())))
  return { log: await reopen(), clock, events, reopen }
}

/** Writes `count` values under each of `keys` keys, one batch a round. */
async function fill(topic: Topic, keys: number, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    const records = Array.from({ length: keys }, (_, key) => ({
      key: `k${key}`,
      value: `v${round}`,
    }))
    await topic.append(records)
  }
}

async function contentOf(topic: Topic): Promise<string[]> {
  const found: string[] = []
  for await (const { keyBytes, valueBytes } of topic.records())
    found.push(`${keyBytes}=${valueBytes}`)
  return found.sort()
}

/** Resolves when the log has told of so many compactions. */
async function whenCompacted(events: readonly LogEvent[], count: number): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (events.filter(({ type }) => type === 'compacted').length >= count) return
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.fail(`fewer than ${count} compactions`)
}

describe('topic.compact', () => {
  it('many values of few keys -> the last of each, at its offset, and a report of what went', async t => {
    const { log, events } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 100)
    const report = await topic.compact()
    assert.deepEqual(await contentOf(topic), ['k0=v99', 'k1=v99', 'k2=v99'])
    const [partition] = report.partitions
    assert.ok(partition !== undefined && partition.bytesAfter < partition.bytesBefore / 2)
    assert.deepEqual([partition.keptRecords, partition.droppedRecords], [3, 297])
    assert.deepEqual(
      [partition.firstDirtyOffset, partition.passes, partition.skipped],
      [300, 1, null],
    )
    const told = events.find(event => event.type === 'compacted')
    assert.ok(told !== undefined && told.droppedRecords === 297 && told.topic === 'table')
    assert.ok(events.some(({ type }) => type === 'compactionProgress'))
    assert.equal(topic.partition(0).logEndOffset, 300)
  })

  it('read from an offset that is gone -> goes on with the next record; { last } counts offsets', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 100)
    await topic.compact()
    for (const from of [0, 1, 150, 296]) {
      const offsets: number[] = []
      for await (const { offset } of topic.records({ from })) offsets.push(offset)
      assert.deepEqual(offsets, [297, 298, 299])
    }
    const last: number[] = []
    for await (const { offset } of topic.records({ from: { last: 2 } })) last.push(offset)
    assert.deepEqual(last, [298, 299])
    const batches: number[] = []
    for await (const { baseOffset } of topic.batches()) batches.push(baseOffset)
    assert.deepEqual(batches, [297])
  })

  it('several partitions and a topic beside it -> all of its own, and nothing of the other', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', { ...compacted, partitions: 3 })
    const other = await log.topic('other', { segmentBytes: 2048 })
    await fill(topic, 9, 40)
    await fill(other, 2, 40)
    const { partitions } = await topic.compact()
    assert.deepEqual(
      partitions.map(({ partition }) => partition),
      [0, 1, 2],
    )
    assert.equal((await contentOf(topic)).length, 9)
    assert.equal((await contentOf(other)).length, 80)
  })

  it('a topic that is not compacted -> PolicyViolationError', async t => {
    const { log } = await open(t)
    const topic = await log.topic('plain')
    await assert.rejects(topic.compact(), PolicyViolationError)
  })

  it('a log that was opened for reading -> ReadOnlyError', async t => {
    const { log, reopen } = await open(t)
    await log.topic('table', compacted)
    const reader = await reopen({ readOnly: true })
    await assert.rejects((await reader.topic('table')).compact(), ReadOnlyError)
  })

  it('any call to the files fails -> StorageError, or the report when it can do without', async t => {
    let failures = 0
    for (let operation = 1; ; operation++) {
      const files = faultyFiles({ seed: operation })
      const { log } = await open(t, { files })
      const topic = await log.createTopic('states', compacted)
      await fill(topic, 3, 40)
      files.failAt({ operation, kind: 'EIO' })
      const armedAt = files.operations
      try {
        await topic.compact()
      } catch (error) {
        assert.ok(error instanceof StorageError, String(error))
        failures++
      }
      const isOver = files.operations < armedAt + operation
      files.clearFaults()
      await log.close()
      if (isOver) break
    }
    assert.ok(failures > 20, `${failures} calls failed`)
  })

  it('the log is closed meanwhile -> ClosedError, and what is there is complete', async t => {
    const { log, reopen } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 300)
    const compacting = assert.rejects(topic.compact(), ClosedError)
    await new Promise(resolve => setImmediate(resolve))
    await log.close()
    await compacting
    const again = await (await reopen()).topic('table')
    const latest = new Map((await contentOf(again)).map(entry => [entry.slice(0, 2), entry]))
    assert.equal(latest.size, 3)
    assert.ok((await contentOf(again)).includes('k0=v299'))
  })

  it('the topic is deleted meanwhile -> UnknownTopicOrPartitionError, and the name can be used again', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 300)
    const compacting = assert.rejects(topic.compact(), UnknownTopicOrPartitionError)
    await new Promise(resolve => setImmediate(resolve))
    await log.deleteTopic('table')
    await compacting
    const next = await log.topic('table', compacted)
    await fill(next, 2, 50)
    await next.compact()
    assert.deepEqual(await contentOf(next), ['k0=v49', 'k1=v49'])
  })

  it('appends go on beside it -> none is lost, and none is held up until it is over', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 5, 200)
    let isOver = false
    const compacting = topic.compact().then(() => {
      isOver = true
    })
    let during = 0
    for (let count = 0; count < 200; count++) {
      await topic.append({ key: `new${count % 10}`, value: `${count}` })
      if (!isOver) during++
    }
    await compacting
    assert.ok(during > 5, 'appends end before the compaction does')
    const content = await contentOf(topic)
    for (let key = 0; key < 10; key++) assert.ok(content.includes(`new${key}=${190 + key}`))
    for (let key = 0; key < 5; key++) assert.ok(content.includes(`k${key}=v199`))
  })

  it('opened again -> the same records, and the next one begins where the last ended', async t => {
    const { log, reopen, events } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 100)
    await topic.compact()
    await log.close()
    const second = await reopen()
    assert.equal(second.recovery.clean, true)
    const again = await second.topic('table')
    assert.deepEqual(await contentOf(again), ['k0=v99', 'k1=v99', 'k2=v99'])
    events.length = 0
    const { partitions } = await again.compact()
    assert.equal(partitions[0]?.droppedRecords, 0)
    assert.equal(partitions[0]?.firstDirtyOffset, 300)
  })
})

describe('A reader in another process', () => {
  it('segments are replaced under it -> it goes on, from every offset, and finds no damage', async t => {
    const { log, reopen, events, clock } = await open(t)
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 100)
    const other = await (await reopen({ readOnly: true })).topic('table')
    const partition = other.partition(0)
    // It has read of every segment, and keeps handles and indexes of the old ones.
    for (let from = 0; from < 300; from += 10) await partition.read({ from, maxBytes: 1 })
    await topic.compact()
    for (let from = 290; from >= 0; from -= 10) {
      const { nextOffset } = await partition.read({ from, maxBytes: 1 })
      assert.ok(nextOffset > from)
    }
    await fill(topic, 3, 100)
    await topic.compact()
    await other.describe()
    // Files are looked at once a second, and a reader may show the old ones until then.
    clock.advance(1000)
    const found: string[] = []
    for await (const { keyBytes, valueBytes } of other.records())
      found.push(`${keyBytes}=${valueBytes}`)
    assert.deepEqual(found.sort(), ['k0=v99', 'k1=v99', 'k2=v99'])
    assert.equal(partition.state, 'ok')
    assert.ok(!events.some(({ type }) => type === 'corruption'))
  })
})

describe('log.verify', () => {
  it('a partition that was compacted -> nothing is found', async t => {
    const { log, clock } = await open(t)
    const topic = await log.topic('table', { ...compacted, deleteRetentionMs: 10 })
    for (let round = 0; round < 3; round++) {
      await fill(topic, 5, 50)
      await topic.append([
        { key: 'k1', value: null },
        { key: 'k2', value: null },
      ])
      await topic.compact()
      clock.advance(100)
      const report = await log.verify({ deep: true, maxBytesPerSecond: -1 })
      assert.deepEqual(report.findings, [])
    }
  })
})

describe('A record without a key', () => {
  it('of a compacted topic -> InvalidRecordError, whichever way it comes', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', { ...compacted, partitions: 1 })
    const keyless = { value: 'v' }
    await assert.rejects(topic.append(keyless), InvalidRecordError)
    await assert.rejects(topic.append([{ key: 'k', value: 'v' }, keyless]), InvalidRecordError)
    await assert.rejects(topic.append({ key: null, value: 'v' }), InvalidRecordError)
    await assert.rejects(topic.partition(0).append(keyless), InvalidRecordError)
    await assert.rejects(topic.partition(0).append([keyless]), InvalidRecordError)
    await assert.rejects(topic.appendFrom([keyless]), InvalidRecordError)
    assert.equal(topic.partition(0).logEndOffset, 0)
    await topic.append({ key: '', value: 'an empty key is one' })
  })

  it('from before the topic was compacted -> it stays', async t => {
    const { log } = await open(t)
    const topic = await log.topic('table', { segmentBytes: 2048 })
    await topic.append({ value: 'keyless' })
    await fill(topic, 1, 50)
    await topic.configure({ cleanupPolicy: 'compact' })
    await topic.compact()
    assert.deepEqual(await contentOf(topic), ['k0=v49', 'null=keyless'])
    await assert.rejects(topic.append({ value: 'one more' }), InvalidRecordError)
  })
})

describe('The sweep', () => {
  it('a dirty share above the least -> compacted in the background; below -> not', async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: 1000 })
    const topic = await log.topic('table', compacted)
    await fill(topic, 3, 200)
    clock.advance(1000)
    await whenCompacted(events, 1)
    const { sizeBytes } = (await topic.describe()).partitions[0] ?? { sizeBytes: 0 }
    assert.ok(sizeBytes < 4096)
    clock.advance(1000)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(events.filter(({ type }) => type === 'compacted').length, 1)
  })

  it('a topic that is not compacted -> left alone', async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: 1000 })
    const topic = await log.topic('plain', { segmentBytes: 2048 })
    await fill(topic, 3, 200)
    clock.advance(1000)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.ok(!events.some(({ type }) => type === 'compacted'))
    assert.equal((await contentOf(topic)).length, 600)
  })

  it('records as old as they may get, in an idle active segment -> rolled, then compacted', async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: hourMs })
    const topic = await log.topic('table', { ...compacted, maxCompactionLagMs: hourMs })
    await fill(topic, 2, 5)
    clock.advance(hourMs)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    clock.advance(hourMs)
    await whenCompacted(events, 1)
    assert.deepEqual(await contentOf(topic), ['k0=v4', 'k1=v4'])
  })

  it('records younger than they must be -> not compacted before', async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: 1000 })
    const topic = await log.topic('table', { ...compacted, minCompactionLagMs: hourMs })
    await fill(topic, 3, 200)
    clock.advance(1000)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.ok(!events.some(({ type }) => type === 'compacted'))
    clock.advance(hourMs)
    await whenCompacted(events, 1)
  })

  it("'compact,delete' -> compacted, and what is too old goes all the same", async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: -1 })
    const topic = await log.topic('table', {
      ...compacted,
      cleanupPolicy: 'compact,delete',
      retentionMs: hourMs,
    })
    await fill(topic, 3, 200)
    await topic.compact()
    await topic.append({ key: 'later', value: 'v' })
    assert.equal((await contentOf(topic)).length, 4)
    clock.advance(hourMs - 1)
    await topic.append({ key: 'last', value: 'v' })
    await log.sweep()
    assert.equal((await contentOf(topic)).length, 5)
    clock.advance(2)
    await log.sweep()
    // What compaction made of the segments is as old as they were.
    assert.deepEqual(await contentOf(topic), ['last=v', 'later=v'])
    assert.ok(events.some(event => event.type === 'segmentDeleted' && event.reason === 'time'))
    assert.equal(topic.partition(0).state, 'ok')
  })

  it('two topics that are due -> the one with the larger dirty share first', async t => {
    const { log, clock, events } = await open(t, { sweepIntervalMs: 1000 })
    const half = await log.topic('half', { ...compacted, minCleanableDirtyRatio: 0.1 })
    for (let key = 0; key < 100; key++) await half.append({ key: `${key}`, value: 'x'.repeat(40) })
    await half.compact()
    events.length = 0
    await fill(half, 3, 60)
    await fill(await log.topic('fresh', compacted), 3, 60)
    clock.advance(1000)
    await whenCompacted(events, 2)
    const order = events.flatMap(event => (event.type === 'compacted' ? [event.topic] : []))
    assert.deepEqual(order, ['fresh', 'half'])
  })
})
