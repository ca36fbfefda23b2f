/** The part of the log contract about topics: making, finding, changing and deleting them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ClosedError,
  InvalidTopicError,
  TopicExistsError,
  TopicMismatchError,
  UnknownTopicOrPartitionError,
} from '../../lib/errors.ts'
import { numbered, valuesOf, withLog } from './contract-helpers.ts'
import type { OpenEmptyLog } from './log-contract.ts'

/** Runs the part. */
export function topicContract(open: OpenEmptyLog): void {
  describe('topics', () => {
    existenceContract(open)
    partitionsContract(open)
    configurationContract(open)
    closeContract(open)
  })
}

function existenceContract(open: OpenEmptyLog): void {
  it('topic() creates one with one partition, and opens it the next time', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append({ value: 'v' })
      const again = await log.topic('orders')
      assert.equal(again.id, topic.id)
      assert.match(again.id, /^[\w-]{22}$/)
      assert.equal(again.partitions.length, 1)
      assert.deepEqual(await valuesOf(again.records()), ['v'])
      assert.deepEqual(await log.topics(), ['orders'])
    })
  })

  it('topic() with create: false → UnknownTopicOrPartitionError when there is none', async () => {
    await withLog(open, async log => {
      await assert.rejects(log.topic('orders', { create: false }), UnknownTopicOrPartitionError)
      assert.deepEqual(await log.topics(), [])
    })
  })

  it('createTopic() refuses a name that is taken, or collides', async () => {
    await withLog(open, async log => {
      await log.createTopic('my.orders')
      await assert.rejects(log.createTopic('my.orders'), TopicExistsError)
      await assert.rejects(log.createTopic('my_orders'), TopicExistsError)
    })
  })

  for (const name of ['', '.', '..', 'a/b', 'a b', 'x'.repeat(250), 'é']) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 10))}`, async () => {
      await withLog(open, async log => {
        await assert.rejects(log.topic(name), InvalidTopicError)
      })
    })
  }

  it('deleteTopic() takes the records with it; the name can be used at once', async () => {
    await withLog(open, async log => {
      const before = await log.topic('orders')
      await before.append(numbered(10))
      await log.deleteTopic('orders')
      assert.deepEqual(await log.topics(), [])
      await assert.rejects(before.append({ value: 'v' }), UnknownTopicOrPartitionError)
      const after = await log.topic('orders')
      assert.notEqual(after.id, before.id)
      assert.deepEqual(await valuesOf(after.records()), [])
      await assert.rejects(before.append({ value: 'v' }), UnknownTopicOrPartitionError)
    })
  })

  it('deleteTopic() of none → UnknownTopicOrPartitionError', async () => {
    await withLog(open, async log => {
      await assert.rejects(log.deleteTopic('orders'), UnknownTopicOrPartitionError)
    })
  })

  it('topics() is sorted', async () => {
    await withLog(open, async log => {
      await Promise.all(['c', 'a', 'b'].map(name => log.topic(name)))
      assert.deepEqual(await log.topics(), ['a', 'b', 'c'])
    })
  })
}

function partitionsContract(open: OpenEmptyLog): void {
  it('gives one result per partition touched, in partition order', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { partitions: 4 })
      const results = await topic.append([
        { value: 'a', partition: 3 },
        { value: 'b', partition: 1 },
        { value: 'c', partition: 3 },
      ])
      assert.deepEqual(
        results.map(({ partition, baseOffset, nextOffset }) => [partition, baseOffset, nextOffset]),
        [
          [1, 0, 1],
          [3, 0, 2],
        ],
      )
      assert.deepEqual(await valuesOf(topic.partition(3).records()), ['a', 'c'])
    })
  })

  it('keeps the order of the records of one key', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { partitions: 5 })
      for (let round = 0; round < 3; round++) {
        await topic.append(numbered(20).map(({ value }) => ({ key: value, value: `${round}` })))
      }
      const rounds = new Map<string | undefined, string>()
      for await (const record of topic.records()) {
        const key = record.keyBytes?.toString()
        rounds.set(key, `${rounds.get(key) ?? ''}${record.valueBytes?.toString()}`)
      }
      assert.equal(rounds.size, 20)
      assert.deepEqual(new Set(rounds.values()), new Set(['012']))
    })
  })

  it('refuses a partition that is not there', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { partitions: 2 })
      assert.throws(() => topic.partition(2), UnknownTopicOrPartitionError)
      const append = topic.append({ value: 'v', partition: 2 })
      await assert.rejects(append, UnknownTopicOrPartitionError)
    })
  })

  it('topic() with another number of partitions → TopicMismatchError', async () => {
    await withLog(open, async log => {
      await log.topic('orders', { partitions: 2 })
      await assert.rejects(log.topic('orders', { partitions: 3 }), TopicMismatchError)
      assert.equal((await log.topic('orders')).partitions.length, 2)
    })
  })

  it('addPartitions() takes the total, and every handle sees them', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const other = await log.topic('orders')
      await topic.addPartitions(3)
      assert.equal(other.partitions.length, 3)
      await other.append({ value: 'v', partition: 2 })
      assert.deepEqual(await valuesOf(topic.partition(2).records()), ['v'])
    })
  })
}

function configurationContract(open: OpenEmptyLog): void {
  it('configure() changes what describe() shows, null takes it back', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { segmentBytes: 4096 })
      await topic.configure({ acks: 'written', segmentBytes: null })
      const { config } = await topic.describe()
      assert.deepEqual(config.acks, { value: 'written', source: 'topic' })
      assert.equal(config.segmentBytes.source, 'default')
    })
  })

  it('configure() holds for the next append', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.configure({ maxBatchBytes: 200 })
      const append = topic.append({ value: 'x'.repeat(300) })
      await assert.rejects(append, { code: 'RECORD_TOO_LARGE' })
    })
  })

  it('configure() refuses unknown names and wrong values, and changes nothing', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await assert.rejects(topic.configure({ segmentByte: 1 } as object), TypeError)
      await assert.rejects(topic.configure({ segmentBytes: 1 }), RangeError)
      await assert.rejects(topic.configure({ acks: 'written', flushMs: Number.NaN }), RangeError)
      assert.equal((await topic.describe()).config.acks.source, 'default')
    })
  })

  it('configuration given to topic() is applied to one that exists', async () => {
    await withLog(open, async log => {
      await log.topic('orders', { flushMs: 5 })
      const topic = await log.topic('orders', { acks: 'written' })
      const { config } = await topic.describe()
      assert.deepEqual([config.acks.value, config.flushMs.value], ['written', 5])
    })
  })
}

function closeContract(open: OpenEmptyLog): void {
  it('close() may be called again, and everything later is ClosedError', async () => {
    const log = await open()
    await log.close()
    await log.close()
    assert.equal(log.state, 'closed')
    await assert.rejects(log.topic('orders'), ClosedError)
    await assert.rejects(log.topics(), ClosedError)
    await assert.rejects(log.deleteTopic('orders'), ClosedError)
  })

  it('close() flushes what was accepted', async () => {
    const log = await open()
    const topic = await log.topic('orders', { acks: 'queued' })
    const appends = numbered(100).map(record => topic.append(record))
    await log.close()
    const results = await Promise.all(appends)
    assert.equal(results.at(-1)?.nextOffset, 100)
    assert.equal(topic.partition(0).recoveryPoint, 100)
  })
}
