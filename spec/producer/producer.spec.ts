/** A producer of a log in memory: what it takes, and what it refuses. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { type StandardSchema, serde } from '../../lib/record/serde.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log } from '../../lib/types.ts'
import { collect, numbered, valuesOf } from '../contracts/contract-helpers.ts'

/** Gives `body` a log of its own. */
async function withLog(body: (log: Log) => Promise<void>): Promise<void> {
  const log = await openLog(':memory:')
  try {
    await body(log)
  } finally {
    await log.close()
  }
}

const order: StandardSchema<{ id: number }> = {
  '~standard': {
    version: 1,
    vendor: 'spec',
    validate: value =>
      typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'number'
        ? { value: { id: value.id } }
        : { issues: [{ message: 'no number', path: ['id'] }] },
  },
}

describe('producer.send', () => {
  it('by the name of a topic -> the record is there, and where the result says', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer()
      const result = await producer.send('orders', { key: 'k', value: 'one', timestamp: 5 })
      const expected = { topic: 'orders', partition: 0, baseOffset: 0, nextOffset: 1 }
      assert.deepEqual(result, { ...expected, timestamp: 5, leaderEpoch: 0 })
      assert.deepEqual(await valuesOf(topic.records()), ['one'])
    }))

  it('by a handle -> its serdes apply', () =>
    withLog(async log => {
      const topic = await log.topic('orders', { key: serde.string, value: serde.json(order) })
      const producer = await log.producer()
      await producer.send(topic, { key: 'k', value: { id: 7 } })
      const [record] = await collect(topic.records())
      assert.deepEqual([record?.key, record?.value], ['k', { id: 7 }])
    }))

  it('by a handle whose schema refuses a value -> InvalidRecordError with the issue, nothing sent', () =>
    withLog(async log => {
      const topic = await log.topic('orders', { value: serde.json(order) })
      const producer = await log.producer()
      const bad = { id: 'seven' } as unknown as { id: number }
      await assert.rejects(producer.send(topic, [{ value: { id: 1 } }, { value: bad }]), {
        code: 'INVALID_RECORD',
        message: /id: no number/,
      })
      await producer.flush()
      assert.equal(topic.partition(0).logEndOffset, 0)
    }))

  it('by a handle with a partitioner -> that one chooses, unless the producer has its own', () =>
    withLog(async log => {
      const topic = await log.topic('orders', { partitions: 3, partitioner: () => 2 })
      const plain = await log.producer()
      assert.equal((await plain.send(topic, { value: '' })).partition, 2)
      const robin = await log.producer({ partitioner: 'round-robin' })
      const results = await robin.send(topic, numbered(4))
      assert.deepEqual(
        results.map(({ partition }) => partition),
        [0, 1, 2, 0],
      )
    }))

  it('an array -> one result for each record, in their order', () =>
    withLog(async log => {
      await log.topic('orders', { partitions: 2 })
      const producer = await log.producer({ partitioner: 'round-robin' })
      const results = await producer.send('orders', numbered(4))
      assert.deepEqual(
        results.map(({ partition, baseOffset }) => [partition, baseOffset]),
        [
          [0, 0],
          [1, 0],
          [0, 1],
          [1, 1],
        ],
      )
      assert.deepEqual(await producer.send('orders', []), [])
    }))

  it('several calls -> their records in the order of the calls, answered in that order', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer({ batchBytes: 200 })
      const answered: number[] = []
      const sent = numbered(40).map(record =>
        producer.send('orders', record).then(({ baseOffset }) => answered.push(baseOffset)),
      )
      await Promise.all(sent)
      assert.deepEqual(
        answered,
        sent.map((_, index) => index),
      )
      const values = await valuesOf(topic.records())
      assert.deepEqual(
        values,
        numbered(40).map(({ value }) => value),
      )
    }))

  it('buffers that are changed after the call -> the record is as it was', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer()
      const [key, value, header] = ['key', 'value', 'header'].map(text => Buffer.from(text))
      const sent = producer.send('orders', {
        key: key ?? null,
        value: value ?? null,
        headers: { h: header ?? null, none: null },
      })
      for (const buffer of [key, value, header]) buffer?.fill(0)
      await sent
      const [record] = await collect(topic.records())
      assert.deepEqual(
        [record?.key?.toString(), record?.value?.toString(), record?.header('h')?.toString()],
        ['key', 'value', 'header'],
      )
      assert.equal(record?.header('none'), null)
    }))

  it('a tombstone, and headers in pairs with a name twice -> as they are', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer()
      const headers = [
        ['a', '1'],
        ['a', Buffer.from('2')],
      ] as const
      await producer.send('orders', { key: '', value: null, headers })
      const [record] = await collect(topic.records())
      assert.deepEqual([record?.key?.length, record?.value], [0, null])
      assert.deepEqual(
        record?.headers.map(([name, bytes]) => [name, bytes?.toString()]),
        [
          ['a', '1'],
          ['a', '2'],
        ],
      )
    }))

  it('no timestamp -> that of the call, not of the batch', async () => {
    const clock = manualClock(1_700_000_000_000)
    const log = await openLog(':memory:', { clock })
    const topic = await log.topic('orders')
    const producer = await log.producer({ lingerMs: 100 })
    const first = producer.send('orders', { value: 'one' })
    clock.advance(40)
    const second = producer.send('orders', { value: 'two' })
    clock.advance(60)
    const results = await Promise.all([first, second])
    assert.deepEqual(
      results.map(({ timestamp }) => timestamp),
      [1_700_000_000_000, 1_700_000_000_040],
    )
    const records = await collect(topic.records())
    assert.deepEqual(
      records.map(({ timestamp }) => timestamp),
      [1_700_000_000_000, 1_700_000_000_040],
    )
    await log.close()
  })

  it('timestampType append -> the results have the time of the append', async () => {
    const clock = manualClock(1_700_000_000_000)
    const log = await openLog(':memory:', { clock })
    const topic = await log.topic('orders', { timestampType: 'append' })
    const producer = await log.producer({ lingerMs: 100 })
    const sent = producer.send('orders', [
      { value: '1', timestamp: 5 },
      { value: '2', timestamp: 6 },
    ])
    clock.advance(100)
    for (const { timestamp } of await sent) assert.equal(timestamp, 1_700_000_000_100)
    for (const { timestamp } of await collect(topic.records())) {
      assert.equal(timestamp, 1_700_000_000_100)
    }
    await log.close()
  })

  it('a record of the wrong shape -> TypeError, and nothing of the call is sent', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer()
      for (const bad of [null, 'text', {}, { value: undefined }, { value: 5 }, { value: {} }]) {
        const records = [{ value: 'good' }, bad] as never
        await assert.rejects(producer.send('orders', records), TypeError)
        await assert.rejects(producer.send('orders', bad as never), TypeError)
      }
      await producer.flush()
      assert.equal(topic.partition(0).logEndOffset, 0)
    }))

  it('a topic or partition that there is not -> refused, and no topic is made', () =>
    withLog(async log => {
      await log.topic('orders')
      const producer = await log.producer()
      const unknown = { code: 'UNKNOWN_TOPIC_OR_PARTITION' }
      await assert.rejects(producer.send('other', { value: '' }), unknown)
      await assert.rejects(producer.send('orders', { value: '', partition: 1 }), unknown)
      assert.deepEqual(await log.topics(), ['orders'])
    }))

  it('something else than a topic, or a topic of another log -> TypeError', () =>
    withLog(async log => {
      const producer = await log.producer()
      for (const bad of [undefined, null, 5, {}, { name: 'orders' }]) {
        await assert.rejects(producer.send(bad as never, { value: '' }), TypeError)
      }
      await withLog(async other => {
        const foreign = await other.topic('orders')
        await log.topic('orders')
        await assert.rejects(producer.send(foreign, { value: '' }), /of another one/)
      })
    }))

  it('a topic that the log keeps for itself -> InvalidTopicError', () =>
    withLog(async log => {
      await log.topic('orders')
      const consumer = await log.consumer({ group: 'g', topics: ['orders'] })
      const producer = await log.producer()
      for (const topic of ['__consumer_offsets', '__other']) {
        await assert.rejects(producer.send(topic, { value: '' }), { code: 'INVALID_TOPIC' })
      }
      await consumer.close()
    }))

  it('a timestamp that the topic refuses -> InvalidTimestampError', async () => {
    const clock = manualClock(1_700_000_000_000)
    const log = await openLog(':memory:', { clock })
    await log.topic('orders', { timestampAfterMaxMs: 1000, timestampAfterMaxAction: 'reject' })
    const producer = await log.producer()
    const ahead = { value: '', timestamp: 1_700_000_001_001 }
    await assert.rejects(producer.send('orders', ahead), { code: 'INVALID_TIMESTAMP' })
    await log.close()
  })

  it('a record without key for a compacted topic -> InvalidRecordError', () =>
    withLog(async log => {
      await log.topic('orders', { cleanupPolicy: 'compact' })
      const producer = await log.producer()
      await assert.rejects(producer.send('orders', { value: '' }), { code: 'INVALID_RECORD' })
      await producer.send('orders', { key: 'k', value: '' })
    }))

  it('a record above maxBatchBytes -> rejects that record and no other', () =>
    withLog(async log => {
      const topic = await log.topic('orders', { maxBatchBytes: 1000 })
      const producer = await log.producer()
      const large = { value: Buffer.alloc(2000) }
      const sent = [{ value: 'one' }, large, { value: 'two' }].map(record =>
        producer.send('orders', record),
      )
      const outcomes = await Promise.allSettled(sent)
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
      )
      await assert.rejects(sent[1] as Promise<unknown>, { code: 'RECORD_TOO_LARGE' })
      assert.deepEqual(await valuesOf(topic.records()), ['one', 'two'])
    }))
})

describe('topics that change under a producer', () => {
  it('partitions are added -> records go there', () =>
    withLog(async log => {
      const topic = await log.topic('orders', { partitions: 1 })
      const producer = await log.producer({ partitioner: 'round-robin' })
      await producer.send(topic, numbered(2))
      await topic.addPartitions(2)
      const results = await producer.send(topic, numbered(2))
      assert.deepEqual(
        results.map(({ partition }) => partition),
        [0, 1],
      )
    }))

  for (const idempotent of [false, true]) {
    it(`deleted and made again, idempotent ${idempotent} -> the name leads to the new one, the handle nowhere`, () =>
      withLog(async log => {
        const old = await log.topic('orders')
        const producer = await log.producer({ idempotent, lingerMs: 1e6 })
        void producer.send('orders', { value: 'oldest' })
        await producer.flush()
        const sent = producer.send(old, [{ value: 'old' }, { value: 'older' }])
        const refused = assert.rejects(sent, { code: 'UNKNOWN_TOPIC_OR_PARTITION' })
        await log.deleteTopic('orders')
        const again = await log.topic('orders')
        await assert.rejects(producer.send(old, { value: 'late' }), {
          code: 'UNKNOWN_TOPIC_OR_PARTITION',
        })
        const result = producer.send('orders', { value: 'new' })
        await producer.flush().catch(() => undefined)
        await refused
        assert.equal((await result).baseOffset, 0)
        assert.deepEqual(await valuesOf(again.records()), ['new'])
        await producer.close()
      }))
  }
})

describe('log.producer', () => {
  for (const idempotent of [false, true]) {
    it(`of a read-only log, idempotent ${idempotent} -> ReadOnlyError`, async () => {
      const files = memoryFiles()
      const writer = await openLog('/data', { files })
      const reader = await openLog('/data', { files, readOnly: true })
      await assert.rejects(reader.producer({ idempotent }), { code: 'READ_ONLY' })
      await reader.close()
      await writer.close()
    })
  }

  it('of a closed log -> ClosedError', async () => {
    const log = await openLog(':memory:')
    await log.close()
    await assert.rejects(log.producer(), { code: 'LOG_CLOSED' })
  })

  it('the log is closed meanwhile -> ClosedError', async () => {
    const log = await openLog(':memory:')
    const refused = assert.rejects(log.producer({ idempotent: true }), { code: 'LOG_CLOSED' })
    await log.close()
    await refused
  })
})
