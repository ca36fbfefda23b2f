/**
 * What topic and partition handles add to an append: they serialize, choose partitions and refuse.
 * What reaches the partition is noted by scripted partitions.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ClosedError,
  InvalidTimestampError,
  UnknownTopicOrPartitionError,
} from '../../lib/errors.ts'
import { TopicHandle } from '../../lib/log/topic.ts'
import { partitionForKey } from '../../lib/record/murmur2.ts'
import type { AppendOptions, RecordInput, Topic } from '../../lib/types.ts'
import { ScriptedTopic } from '../support/scripted-topic.ts'

interface Scene {
  readonly topic: ScriptedTopic
  readonly handle: Topic
}

function sceneOf(partitions = 1): Scene {
  const topic = new ScriptedTopic(partitions)
  return { topic, handle: new TopicHandle(topic) }
}

function appendCount(topic: ScriptedTopic): number {
  return topic.partitions.reduce((sum, partition) => sum + partition.appends.length, 0)
}

const number = {
  serialize: (value: number) => `n${value}`,
  deserialize: (bytes: Buffer) => Number(bytes.toString().slice(1)),
}

describe('an append to the only partition without options', () => {
  it('hands the very record on, and one request for all', () => {
    const { topic, handle } = sceneOf()
    const records: RecordInput[] = [{ value: 'a' }, { key: 'k', value: 'b' }]
    for (const record of records) void handle.append(record)
    const [first, second] = topic.at(0).appends
    assert.equal(first?.records, records[0])
    assert.equal(second?.records, records[1])
    assert.equal(first?.request, second?.request)
  })

  it('hands the very array on', () => {
    const { topic, handle } = sceneOf()
    const records: RecordInput[] = [{ value: 'a' }, { key: 'k', value: 'b' }]
    void handle.append(records)
    void handle.partition(0).append(records)
    assert.equal(topic.at(0).appends[0]?.records, records)
    assert.equal(topic.at(0).appends[1]?.records, records)
  })

  it('takes a changed configuration into account', () => {
    const { topic, handle } = sceneOf()
    void handle.append({ value: 'a' })
    topic.config = { ...topic.config, acks: 'queued' }
    void handle.append({ value: 'b' })
    const acks = topic.at(0).appends.map(append => append.request.acks)
    assert.deepEqual(acks, ['durable', 'queued'])
  })
})

describe('an append to several partitions', () => {
  it('sends each record where its key says, in the order of the array', async () => {
    const { topic, handle } = sceneOf(4)
    const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)
    const results = await handle.append(keys.map(key => ({ key, value: 'v' })))
    for (const { identity, appends } of topic.partitions) {
      const expected = keys.filter(
        key => partitionForKey(Buffer.from(key), 4) === identity.partition,
      )
      const records = appends.flatMap(append => append.records)
      assert.deepEqual(
        records.map(record => record.key),
        expected,
      )
      assert.equal(appends.length, 1)
    }
    assert.deepEqual(
      results.map(result => result.partition),
      [0, 1, 2, 3],
    )
  })

  it('gives no result for a partition that it did not touch', async () => {
    const results = await sceneOf(4).handle.append([
      { value: 'a', partition: 3 },
      { value: 'b', partition: 1 },
    ])
    assert.deepEqual(
      results.map(({ partition }) => partition),
      [1, 3],
    )
  })

  it('of one record gives one result', async () => {
    const result = await sceneOf(4).handle.append({ value: 'a', partition: 2 })
    assert.equal(result.partition, 2)
  })

  it('with a bad record among good ones appends nothing', async () => {
    const { topic, handle } = sceneOf(2)
    const records = [
      { value: 'a', partition: 0 },
      { value: 7 as never, partition: 1 },
    ]
    await assert.rejects(handle.append(records), TypeError)
    assert.equal(appendCount(topic), 0)
  })

  it('rejects with the first failure after all have settled', async () => {
    const { topic, handle } = sceneOf(2)
    topic.at(0).appendFailure = new Error('no disk')
    topic.at(1).holdsAppends = true
    let isOver = false
    const run = handle
      .append([
        { value: 'a', partition: 0 },
        { value: 'b', partition: 1 },
      ])
      .finally(() => {
        isOver = true
      })
    run.catch(() => {})
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(isOver, false)
    topic.at(1).held[0]?.()
    await assert.rejects(run, { message: 'no disk' })
  })
})

describe('an empty array', () => {
  it('to a topic → no results', async () => {
    assert.deepEqual(await sceneOf(2).handle.append([]), [])
    assert.deepEqual(await sceneOf(1).handle.append([]), [])
  })
  it('to a partition → TypeError: there are no offsets to give', async () => {
    await assert.rejects(sceneOf().handle.partition(0).append([]), TypeError)
  })
})

describe('serdes of a handle', () => {
  it('serialize key and value, of one record and of several', async () => {
    const topic = new ScriptedTopic()
    const handle = new TopicHandle(topic, { key: number, value: number })
    await handle.append({ key: 1, value: 2 })
    await handle.append([{ key: 3, value: 4 }])
    await handle.partition(0).append({ key: 5, value: 6 })
    const records = topic.at(0).appends.flatMap(append => append.records)
    assert.deepEqual(
      records.map(({ key, value }) => [key, value]),
      [
        ['n1', 'n2'],
        ['n3', 'n4'],
        ['n5', 'n6'],
      ],
    )
  })

  it('never see a tombstone or an absent key', async () => {
    const topic = new ScriptedTopic()
    const handle = new TopicHandle(topic, { key: number, value: number })
    await handle.append({ value: null })
    await handle.append({ key: null, value: null })
    const records = topic.at(0).appends.flatMap(append => append.records)
    assert.deepEqual(
      records.map(record => record.value),
      [null, null],
    )
  })

  it('keep headers, timestamp and partition', async () => {
    const topic = new ScriptedTopic(2)
    const handle = new TopicHandle(topic, { value: number })
    await handle.append({ value: 1, headers: { a: 'b' }, timestamp: 5, partition: 1 })
    const record = topic.at(1).appends.flatMap(append => append.records)[0]
    assert.deepEqual([record?.headers, record?.timestamp], [{ a: 'b' }, 5])
  })

  for (const given of [null, undefined, 5, {}]) {
    it(`that give ${JSON.stringify(given)} → TypeError, nothing appended`, async () => {
      const topic = new ScriptedTopic()
      const value = { serialize: () => given as never, deserialize: () => 0 }
      await assert.rejects(new TopicHandle(topic, { value }).append({ value: 1 }), TypeError)
      assert.equal(appendCount(topic), 0)
    })
  }

  it('that throw → the append rejects with that error', async () => {
    const value = {
      serialize(): string {
        throw new Error('mine')
      },
      deserialize: () => 0,
    }
    const handle = new TopicHandle(new ScriptedTopic(), { value })
    await assert.rejects(handle.append({ value: 1 }), { message: 'mine' })
    await assert.rejects(handle.append([{ value: 1 }]), { message: 'mine' })
  })

  it('decode the records that the handle reads', async () => {
    const handle = new TopicHandle(new ScriptedTopic(), { key: number, value: number })
    await handle.append({ key: 1, value: 2 })
    const step = await handle.records().next()
    assert.deepEqual([step.value?.key, step.value?.value], [1, 2])
  })
})

describe('wrong options of an append', () => {
  const wrong: readonly [unknown, typeof TypeError | typeof RangeError][] = [
    [{ ack: 'durable' }, TypeError],
    [{ acks: 1 }, TypeError],
    [{ acks: 'all' }, RangeError],
    [{ maxBlockMs: '1' }, TypeError],
    [{ maxBlockMs: -2 }, RangeError],
    [{ maxBlockMs: 1.5 }, RangeError],
    [{ maxBlockMs: Number.NaN }, RangeError],
    [{ signal: 'abort' }, TypeError],
    [{ expectedOffset: 1 }, TypeError],
    [null, TypeError],
    ['durable', TypeError],
  ]
  for (const [options, error] of wrong) {
    it(`${JSON.stringify(options)} → ${error.name}, nothing appended`, async () => {
      const { topic, handle } = sceneOf()
      await assert.rejects(handle.append({ value: 'v' }, options as AppendOptions), error)
      await assert.rejects(handle.append([{ value: 'v' }], options as AppendOptions), error)
      await assert.rejects(handle.append([], options as AppendOptions), error)
      await assert.rejects(handle.appendFrom([{ value: 'v' }], options as AppendOptions), error)
      assert.equal(appendCount(topic), 0)
    })
  }
  for (const expectedOffset of [-1, 0.5, Number.NaN]) {
    it(`expectedOffset: ${expectedOffset} of a partition → RangeError`, async () => {
      const { handle } = sceneOf()
      const run = handle.partition(0).append({ value: 'v' }, { expectedOffset })
      await assert.rejects(run, RangeError)
    })
  }
  it('a signal that has aborted → its reason, nothing appended', async () => {
    const { topic, handle } = sceneOf()
    const signal = AbortSignal.abort(new Error('too late'))
    await assert.rejects(handle.append({ value: 'v' }, { signal }), { message: 'too late' })
    assert.equal(appendCount(topic), 0)
  })
})

describe('`partition` in a record', () => {
  it('that the topic does not have → UnknownTopicOrPartitionError', async () => {
    for (const count of [1, 2]) {
      const { topic, handle } = sceneOf(count)
      const record = { value: 'v', partition: 2 }
      await assert.rejects(handle.append(record), UnknownTopicOrPartitionError)
      await assert.rejects(handle.append([record]), UnknownTopicOrPartitionError)
      assert.equal(appendCount(topic), 0)
    }
  })

  it('that names another partition than the one appended to → TypeError', async () => {
    const { topic, handle } = sceneOf(2)
    const record = { value: 'v', partition: 0 }
    await assert.rejects(handle.partition(1).append(record), TypeError)
    await assert.rejects(handle.partition(1).append([record]), TypeError)
    assert.equal(appendCount(topic), 0)
  })
})

describe('timestampAfterMaxMs', () => {
  function limited(): Scene {
    const scene = sceneOf()
    scene.topic.config = {
      ...scene.topic.config,
      timestampAfterMaxMs: 1000,
      timestampAfterMaxAction: 'reject',
    }
    return scene
  }

  it('refuses a record that lies further ahead, whichever way it comes', async () => {
    const { topic, handle } = limited()
    const record = { value: 'v', timestamp: topic.time.nowMs() + 1001 }
    await assert.rejects(handle.append(record), InvalidTimestampError)
    await assert.rejects(handle.append([{ value: 'w' }, record]), InvalidTimestampError)
    await assert.rejects(handle.partition(0).append(record), InvalidTimestampError)
    await assert.rejects(handle.appendFrom([record]), InvalidTimestampError)
    await assert.rejects(
      handle.append({ value: 'v', timestamp: new Date(record.timestamp) }),
      InvalidTimestampError,
    )
    assert.equal(appendCount(topic), 0)
  })

  it('lets one through that lies as far ahead as allowed, or has no timestamp', async () => {
    const { topic, handle } = limited()
    await handle.append({ value: 'v', timestamp: topic.time.nowMs() + 1000 })
    await handle.append({ value: 'v' })
    assert.equal(appendCount(topic), 2)
  })

  it("does not matter under timestampType 'append'", async () => {
    const { topic, handle } = limited()
    topic.config = { ...topic.config, timestampType: 'append' }
    await handle.append({ value: 'v', timestamp: topic.time.nowMs() + 9999 })
    assert.equal(appendCount(topic), 1)
  })
})

describe('partition(id)', () => {
  it('is the same handle each time, and the one in partitions', () => {
    const { topic, handle } = sceneOf(2)
    const first = handle.partition(1)
    topic.grow(3)
    assert.equal(handle.partition(1), first)
    assert.equal(handle.partitions[1], first)
    assert.equal(handle.partitions.length, 3)
  })
  for (const id of [2, -1, 0.5, Number.NaN]) {
    it(`${id} of two → UnknownTopicOrPartitionError`, () => {
      assert.throws(() => sceneOf(2).handle.partition(id), UnknownTopicOrPartitionError)
    })
  }
  it("'0' → TypeError", () => {
    assert.throws(() => sceneOf(2).handle.partition('0' as never), TypeError)
  })
})

describe('a handle of a closed log', () => {
  it('rejects everything with ClosedError', async () => {
    const { topic, handle } = sceneOf(1)
    topic.close()
    const partition = handle.partition(0)
    const calls: readonly (() => Promise<unknown>)[] = [
      () => handle.append({ value: 'v' }),
      () => handle.append([{ value: 'v' }]),
      () => handle.append([]),
      () => handle.appendFrom([]),
      () => handle.configure({ acks: 'written' }),
      () => handle.addPartitions(2),
      () => handle.describe(),
      () => handle.flush(),
      () => handle.records().next(),
      () => partition.append({ value: 'v' }),
      () => partition.read({ from: 0 }),
      () => partition.offsetForTimestamp(0),
      () => partition.flush(),
      () => partition.recover(),
    ]
    for (const call of calls) await assert.rejects(call(), ClosedError, call.toString())
    assert.equal(appendCount(topic), 0)
  })
})
