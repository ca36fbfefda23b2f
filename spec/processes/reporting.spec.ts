/**
 * What a log tells about itself: every type of event is made to happen and brings the facts of what was
 * done, and the metrics count exactly that.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import type { Fault } from '../../lib/files/fault-plan.ts'
import { openLog } from '../../lib/open.ts'
import { type FaultyFiles, faultyFiles, memoryFiles } from '../../lib/testing/index.ts'
import type { Log, Topic } from '../../lib/types.ts'

type Type = LogEvent['type']

/** An event without what differs from run to run: errors by their code, paths by their last part. */
type Facts = Readonly<Record<string, unknown>>

function factsOf(event: LogEvent): Facts {
  const facts: Record<string, unknown> = { ...event }
  const { error, path, id } = facts
  if (error !== undefined) facts['error'] = (error as { code?: string }).code
  if (path !== undefined) facts['path'] = String(path).split('/').at(-1)
  if ('durationMs' in facts) facts['durationMs'] = typeof facts['durationMs']
  if (id !== undefined) facts['id'] = String(id).length
  return facts
}

/** A log on files that fail on demand, and all that is heard of it. */
interface Heard {
  readonly files: FaultyFiles
  readonly log: Log
  readonly topic: Topic
  readonly events: LogEvent[]
}

async function openHeard(files = faultyFiles({ seed: 1 })): Promise<Heard> {
  const events: LogEvent[] = []
  const log = await openLog('/log', { files, onEvent: event => events.push(event) })
  const topic = await log.topic('orders', { segmentBytes: 1024 })
  return { files, log, topic, events }
}

/** Appends under a fault that strikes the partition's segment file, and recovers from it. */
async function failingAppend({ files, topic }: Heard, fault: Omit<Fault, 'operation'>) {
  await topic.append({ value: 'before' })
  files.failAt({ operation: 1, path: /\.log$/, ...fault })
  await assert.rejects(topic.append({ value: 'during' }))
  files.clearFaults()
}

/** Overwrites bytes of the segment that begins at 0, behind the back of the log. */
function damageSegment(files: FaultyFiles, position: number): Promise<void> {
  const file = files.open(join('/log', 'orders-0', '00000000000000000000.log'), 'write')
  file.writeSync(Buffer.from('bad'), position)
  return file.syncData().then(() => file.close())
}

/** Two records of one key, of which the first goes. */
async function compactTwice(heard: Heard): Promise<Heard> {
  await heard.topic.configure({ cleanupPolicy: 'compact' })
  await heard.topic.append({ key: 'k', value: 'a' })
  await heard.topic.append({ key: 'k', value: 'b' })
  await heard.topic.compact()
  return heard
}

const of = { topic: 'orders', partition: 0 }

/** How each type comes about, and what it then says. */
const causes: {
  readonly [T in Type]: { readonly cause: (heard: Heard) => Promise<Heard>; readonly says: Facts[] }
} = {
  recovered: {
    cause: async ({ log, files }) => {
      await log.close()
      const again = await openHeard(files)
      const [first] = again.events
      assert(first?.type === 'recovered')
      assert.equal(first.report, again.log.recovery)
      again.events[0] = { ...first, report: { ...first.report, durationMs: 0 } }
      return again
    },
    says: [
      {
        type: 'recovered',
        report: {
          clean: true,
          durationMs: 0,
          partitions: [],
          adoptedTopics: [],
          strayDirectories: [],
        },
      },
    ],
  },
  topicCreated: {
    cause: async heard => heard,
    says: [{ type: 'topicCreated', topic: 'orders', id: 22, partitions: 1 }],
  },
  topicDeleted: {
    cause: async heard => {
      await heard.log.deleteTopic('orders')
      return heard
    },
    says: [{ type: 'topicDeleted', topic: 'orders', id: 22 }],
  },
  partitionsAdded: {
    cause: async heard => {
      await heard.topic.addPartitions(3)
      return heard
    },
    says: [{ type: 'partitionsAdded', topic: 'orders', partitions: 3 }],
  },
  partitionsAssigned: {
    cause: async heard => {
      await heard.log.consumer({ group: 'billing', topics: 'orders' })
      return heard
    },
    says: [{ type: 'partitionsAssigned', group: 'billing', member: 'billing-1', partitions: [of] }],
  },
  partitionsRevoked: {
    cause: async heard => {
      const consumer = await heard.log.consumer({ topics: 'orders' })
      await consumer.close()
      return heard
    },
    says: [{ type: 'partitionsRevoked', group: null, member: 'consumer-1', partitions: [of] }],
  },
  partitionsLost: {
    cause: async heard => {
      await heard.log.consumer({ topics: /.*/ })
      await heard.log.deleteTopic('orders')
      return heard
    },
    says: [{ type: 'partitionsLost', group: null, member: 'consumer-1', partitions: [of] }],
  },
  configured: {
    cause: async heard => {
      await heard.topic.configure({ segmentBytes: 2048, flushMs: null, acks: 'written' })
      return heard
    },
    says: [{ type: 'configured', topic: 'orders', keys: ['acks', 'flushMs', 'segmentBytes'] }],
  },
  segmentSealed: {
    cause: async heard => {
      for (let batch = 0; batch < 3; batch++) {
        await heard.topic.append([{ value: Buffer.alloc(427) }])
      }
      await heard.log.close()
      return heard
    },
    // 61 bytes of header and 436 of a record, twice; the third did not fit.
    says: [{ type: 'segmentSealed', ...of, baseOffset: 0, nextOffset: 2, sizeBytes: 994 }],
  },
  segmentDeleted: {
    cause: async heard => {
      for (let batch = 0; batch < 3; batch++) {
        await heard.topic.append([{ value: Buffer.alloc(427) }])
      }
      await heard.topic.configure({ retentionRecords: 1 })
      await heard.log.sweep()
      return heard
    },
    says: [
      {
        type: 'segmentDeleted',
        ...of,
        baseOffset: 0,
        nextOffset: 2,
        sizeBytes: 994,
        reason: 'records',
        gaps: [],
      },
    ],
  },
  implausibleTimestamp: {
    cause: async heard => {
      await heard.topic.append([
        { value: 'a', timestamp: 9e15 },
        { value: 'b', timestamp: 8e15 },
      ])
      await heard.topic.append([{ value: 'c', timestamp: 8e15 }])
      await heard.topic.append([{ value: 'd' }])
      await heard.log.sweep()
      await heard.log.sweep()
      return heard
    },
    says: [{ type: 'implausibleTimestamp', ...of, batchCount: 2, furthest: 9e15 }],
  },
  flushFailed: {
    cause: async heard => {
      await failingAppend(heard, { kind: 'EIO', on: 'sync' })
      return heard
    },
    says: [{ type: 'flushFailed', ...of, error: 'EIO' }],
  },
  diskFull: {
    cause: async heard => {
      await failingAppend(heard, { kind: 'ENOSPC', on: 'write' })
      return heard
    },
    says: [{ type: 'diskFull', ...of, error: 'DISK_FULL' }],
  },
  partitionStateChanged: {
    cause: async heard => {
      await failingAppend(heard, { kind: 'EIO', on: 'write' })
      assert.equal(heard.topic.partition(0).state, 'failed')
      await heard.topic.partition(0).recover()
      return heard
    },
    says: [
      { type: 'partitionStateChanged', ...of, state: 'failed', error: 'STORAGE_FAILED' },
      { type: 'partitionStateChanged', ...of, state: 'ok' },
    ],
  },
  stateChanged: {
    cause: async heard => {
      await heard.log.close()
      return heard
    },
    says: [{ type: 'stateChanged', state: 'closed' }],
  },
  corruption: {
    cause: async heard => {
      for (let batch = 0; batch < 3; batch++) await heard.topic.append([{ value: 'abcd' }])
      await damageSegment(heard.files, 139)
      const [partition] = heard.topic.partitions
      assert.equal((await partition?.read({ from: 0 }))?.nextOffset, 1)
      for (let attempt = 0; attempt < 2; attempt++) {
        await assert.rejects(async () => partition?.read({ from: 1 }), { code: 'CORRUPT_RECORD' })
      }
      assert.equal(partition?.state, 'damaged')
      return heard
    },
    // The second batch of three; each takes 61 bytes and a record of 11.
    says: [
      {
        type: 'corruption',
        ...of,
        from: 1,
        to: 2,
        path: '00000000000000000000.log',
        position: 72,
        reason: 'crc',
      },
    ],
  },
  tailCut: {
    cause: async heard => {
      await heard.topic.append([{ value: 'abcd' }])
      heard.files.killProcess()
      const path = '/log/orders-0/00000000000000000000.log'
      const file = heard.files.open(path, 'write')
      file.writeSync(Buffer.from('garbage'), file.sizeBytes())
      file.close()
      return await openHeard(heard.files)
    },
    says: [
      { type: 'tailCut', ...of, cutBytes: 7, quarantinedBytes: 7, cutBatches: 0, from: 1, to: 1 },
    ],
  },
  compacted: {
    cause: compactTwice,
    says: [
      {
        type: 'compacted',
        ...of,
        segmentsBefore: 2,
        segmentsAfter: 2,
        bytesBefore: 2 * 70,
        bytesAfter: 61 + 70,
        keptRecords: 1,
        droppedRecords: 1,
        passes: 1,
        durationMs: 'number',
        firstDirtyOffset: 2,
        skipped: null,
      },
    ],
  },
  compactionProgress: {
    cause: compactTwice,
    says: [{ type: 'compactionProgress', ...of, pass: 1, doneBytes: 140, totalBytes: 140 }],
  },
  compactionSkipped: {
    cause: async heard => {
      await heard.topic.configure({ cleanupPolicy: 'compact' })
      await heard.topic.append({ key: 'k', value: 'damaged' })
      await damageSegment(heard.files, 65)
      await heard.topic.compact()
      await heard.topic.compact()
      return heard
    },
    says: [{ type: 'compactionSkipped', ...of, reason: 'damage' }],
  },
  backgroundFailed: {
    cause: async heard => {
      const path = /visible\.slots$/
      heard.files.failAt({ operation: 1, kind: 'EIO', on: 'write', path })
      await heard.topic.append({ value: 'still acknowledged' })
      return heard
    },
    says: [
      {
        type: 'backgroundFailed',
        what: 'writing a slot for read-only processes',
        error: 'EIO',
      },
    ],
  },
}

describe('events', () => {
  for (const [type, { cause, says }] of Object.entries(causes)) {
    it(`${type} -> told once for each time that it happened, with the facts`, async () => {
      const { log, events } = await cause(await openHeard())
      const told = events.filter(event => event.type === type)
      const withoutUndefined = JSON.parse(JSON.stringify(told.map(factsOf)))
      assert.deepEqual(withoutUndefined, says)
      await log.close().catch(() => undefined)
    })
  }
})

describe('metrics', () => {
  it('of a log that did nothing yet -> what it holds, and zeros', async () => {
    const log = await openLog('/log', { files: memoryFiles() })
    await log.topic('orders', { partitions: 3 })
    const { topics, partitions, state, ...counters } = log.metrics()
    assert.deepEqual([topics, partitions, state], [1, 3, 'ok'])
    const { flushMs, ...zeros } = counters
    assert.deepEqual(flushMs, { p50: 0, p99: 0, max: 0 })
    for (const [name, value] of Object.entries(zeros)) assert.equal(value, 0, name)
    await log.close()
    assert.equal(log.metrics().state, 'closed')
  })

  it('appends, rolls, reads and refusals -> counted, and agree with what lies on the disk', async () => {
    const log = await openLog('/log', { files: memoryFiles() })
    const topic = await log.topic('orders', { segmentBytes: 1024, maxBatchBytes: 900 })
    for (let batch = 0; batch < 10; batch++) {
      await topic.append([{ value: Buffer.alloc(200) }, { value: Buffer.alloc(200) }])
    }
    await assert.rejects(topic.append({ value: Buffer.alloc(1000) }))
    const before = log.metrics()
    const [partition] = (await topic.describe()).partitions
    assert.equal(before.appendedRecords, 20)
    assert.equal(before.rejectedAppends, 1)
    assert.equal(before.appendedBytes, partition?.sizeBytes)
    assert.equal(before.writtenBytes, partition?.sizeBytes)
    assert.equal(before.writes, 10)
    assert(before.flushes >= 10)
    assert(before.flushMs.max > 0 && before.flushMs.p50 <= before.flushMs.p99)
    assert.equal(before.segmentsRolled, (partition?.segmentCount ?? 0) - 1)
    assert.deepEqual([before.queuedBytes, before.unflushedBytes, before.waitingBytes], [0, 0, 0])
    for await (const _record of topic.records()) {
    }
    const after = log.metrics()
    assert(after.reads > before.reads)
    assert(after.readBytes - before.readBytes >= before.writtenBytes)
    assert(after.openFiles > 0)
    await log.close()
  })

  it('records that a policy leaves un-flushed -> shown as such until the flush', async () => {
    const log = await openLog('/log', { files: memoryFiles() })
    const topic = await log.topic('orders', { flushRecords: -1, flushMs: -1, acks: 'written' })
    await topic.append({ value: 'x' })
    const { unflushedBytes, writtenBytes, flushes } = log.metrics()
    assert.deepEqual([unflushedBytes, flushes], [writtenBytes, 0])
    await log.flush()
    assert.deepEqual([log.metrics().unflushedBytes, log.metrics().flushes], [0, 1])
    await log.close()
  })

  it('a partition fails and is recovered -> counted while it has failed', async () => {
    const heard = await openHeard()
    await failingAppend(heard, { kind: 'EIO', on: 'sync' })
    const { failedFlushes, failedPartitions, rejectedAppends } = heard.log.metrics()
    assert.deepEqual([failedFlushes, failedPartitions, rejectedAppends], [1, 1, 1])
    await heard.topic.partition(0).recover()
    assert.equal(heard.log.metrics().failedPartitions, 0)
    // Its caller was told, and the partition is back: closing has nothing to add.
    await heard.log.close()
  })
})
