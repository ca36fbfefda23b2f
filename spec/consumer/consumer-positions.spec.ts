/** Committing and moving about: where a consumer stands, and where its group goes on. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { NotAssignedError } from '../../lib/errors.ts'
import { openLog } from '../../lib/index.ts'
import {
  appendNumbers,
  committedOf,
  drain,
  openConsuming,
  settle,
  until,
} from '../support/consuming.ts'

describe('committing', () => {
  it('a record, a batch, a list -> what is to be read next, with metadata', async () => {
    const { log, topic } = await openConsuming()
    await topic.append(['a', 'b', 'c'].map(value => ({ value })))
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    await settle()
    const [batch] = await consumer.poll()
    assert.ok(batch !== undefined)
    const [first] = batch
    assert.ok(first !== undefined)
    await consumer.commit(first)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    await consumer.commit(batch)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@3'])
    await consumer.commit([{ topic: 'orders', partition: 0, offset: 2, metadata: 'why' }])
    const { offsets } = await log.group('g').describe()
    assert.deepEqual([offsets[0]?.offset, offsets[0]?.metadata, offsets[0]?.lag], [2, 'why', 1])
    await log.close()
  })

  it('above the high watermark -> RangeError, nothing committed', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    await assert.rejects(
      consumer.commit([{ topic: 'orders', partition: 0, offset: 3 }]),
      RangeError,
    )
    assert.deepEqual(await committedOf(log, 'g'), [])
    await log.close()
  })

  it('metadata larger than Kafka takes -> RangeError', async () => {
    const { log } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders', group: 'g' })
    const metadata = 'x'.repeat(4097)
    await assert.rejects(
      consumer.commit([{ topic: 'orders', partition: 0, offset: 0, metadata }]),
      RangeError,
    )
    await log.close()
  })

  it('a partition that another member has -> NotAssignedError', async () => {
    const { log } = await openConsuming({ partitions: 2 })
    const first = await log.consumer({ topics: 'orders', group: 'g' })
    const second = await log.consumer({ topics: 'orders', group: 'g' })
    await until(() => second.assignment.length === 1)
    const [of] = second.assignment
    assert.ok(of !== undefined)
    await assert.rejects(first.commit([{ ...of, offset: 0 }]), NotAssignedError)
    await log.close()
  })

  it('many that are not awaited -> few appends, the last one holds', async () => {
    const { log, topic } = await openConsuming()
    await topic.append(Array.from({ length: 1000 }, (_, index) => ({ value: String(index) })))
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    await consumer.commit([{ topic: 'orders', partition: 0, offset: 0 }])
    const before = log.metrics().appendedRecords
    const commits = Array.from({ length: 1000 }, (_, index) =>
      consumer.commit([{ topic: 'orders', partition: 0, offset: index + 1 }]),
    )
    await Promise.all(commits)
    assert.ok(log.metrics().appendedRecords - before < 10)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1000'])
    await log.close()
  })

  it('closed and opened again -> the group goes on where it committed', async () => {
    const { files, log, topic } = await openConsuming()
    await appendNumbers(topic, 3)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    await consumer.commit([{ topic: 'orders', partition: 0, offset: 2 }])
    await log.close()
    const again = await openLog('/log', { files })
    const next = await again.consumer({ topics: 'orders', group: 'g' })
    assert.deepEqual(await drain(next), ['2'])
    await again.close()
  })
})

describe('moving about', () => {
  it('seek -> goes on from there, what was read before is forgotten', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 5)
    const consumer = await log.consumer({ topics: topic })
    assert.equal((await drain(consumer)).length, 5)
    await consumer.seek(3)
    assert.deepEqual(await drain(consumer), ['3', '4'])
    await consumer.seek('earliest')
    assert.equal((await drain(consumer)).length, 5)
    await consumer.seek({ last: 1 })
    assert.deepEqual(await drain(consumer), ['4'])
    await consumer.seek('latest')
    assert.deepEqual(await drain(consumer), [])
    await log.close()
  })

  it('seek to an offset with several partitions -> TypeError, unless one is named', async () => {
    const { log, topic } = await openConsuming({ partitions: 2 })
    await appendNumbers(topic, 3, { partition: 1 })
    const consumer = await log.consumer({ topics: topic })
    await assert.rejects(consumer.seek(1), TypeError)
    await consumer.seek(1, [{ topic: 'orders', partition: 1 }])
    assert.deepEqual(await drain(consumer), ['1', '2'])
    await log.close()
  })

  it('seek to what is no place -> the message calls it `to`', async () => {
    const { log, topic } = await openConsuming()
    const consumer = await log.consumer({ topics: topic })
    await assert.rejects(consumer.seek(-1), { name: 'RangeError', message: /expected `to`/ })
    await assert.rejects(consumer.seek({ last: -1 }), { name: 'RangeError', message: /`to.last`/ })
    await log.close()
  })

  it('seek to undefined -> TypeError, and goes on where it was', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const consumer = await log.consumer({ topics: topic })
    await drain(consumer)
    await assert.rejects(consumer.seek(undefined as unknown as 'earliest'), TypeError)
    assert.deepEqual(await drain(consumer), [])
    await log.close()
  })

  it('seek outside the log -> the next poll says so, or jumps where it may', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const strict = await log.consumer({ topics: topic })
    await strict.seek(9)
    await assert.rejects(strict.poll(), { code: 'OFFSET_OUT_OF_RANGE' })
    const lenient = await log.consumer({ topics: topic, onOutOfRange: 'earliest' })
    await lenient.seek(9)
    assert.deepEqual(await drain(lenient), ['0', '1'])
    await log.close()
  })

  it('paused -> gives nothing of that partition until it is resumed', async () => {
    const { log, topic } = await openConsuming({ partitions: 2 })
    await appendNumbers(topic, 1, { from: 10, partition: 0 })
    await appendNumbers(topic, 1, { from: 20, partition: 1 })
    const consumer = await log.consumer({ topics: topic })
    const of = [{ topic: 'orders', partition: 0 }]
    consumer.pause(of)
    assert.deepEqual(await drain(consumer), ['20'])
    consumer.resume(of)
    assert.deepEqual(await drain(consumer), ['10'])
    await log.close()
  })

  it('lag -> records, bytes and seconds behind the end', async () => {
    const { clock, log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    clock.advance(3000)
    await appendNumbers(topic, 2, { from: 2 })
    clock.advance(2000)
    const consumer = await log.consumer({ topics: topic })
    await settle()
    const sizeBytes = (await topic.describe()).partitions[0]?.sizeBytes ?? 0
    const of = { topic: 'orders', partition: 0 }
    assert.deepEqual(await consumer.lag(), [{ ...of, records: 4, bytes: sizeBytes, seconds: 5 }])
    await consumer.seek(2)
    assert.deepEqual(await consumer.lag(), [
      { ...of, records: 2, bytes: sizeBytes / 2, seconds: 2 },
    ])
    await consumer.seek('latest')
    assert.deepEqual(await consumer.lag(), [{ ...of, records: 0, bytes: 0, seconds: 0 }])
    await log.close()
  })
})
