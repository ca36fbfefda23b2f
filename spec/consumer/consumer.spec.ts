/** Where a consumer begins, polling and iterating, on a log in memory whose clock stands still. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { openLog, serde } from '../../lib/index.ts'
import { appendNumbers, drain, openConsuming, settle, valuesOf } from '../support/consuming.ts'

describe('a consumer without a group', () => {
  it('polls -> everything from the earliest record on, then nothing', async () => {
    const { log, topic } = await openConsuming({ partitions: 3 })
    for (const partition of [0, 1, 2]) {
      await appendNumbers(topic, 2, { from: 10 * partition, partition })
    }
    const consumer = await log.consumer({ topics: 'orders' })
    assert.deepEqual((await drain(consumer)).sort(), ['0', '1', '10', '11', '20', '21'])
    assert.deepEqual(
      consumer.position().map(({ offset }) => offset),
      [2, 2, 2],
    )
    await log.close()
  })

  it('two of them -> each reads everything', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 3)
    for (const consumer of [
      await log.consumer({ topics: topic }),
      await log.consumer({ topics: topic }),
    ]) {
      assert.deepEqual(await drain(consumer), ['0', '1', '2'])
    }
    assert.deepEqual(await log.groups(), [])
    await log.close()
  })

  it('from its own position -> goes on there; a partition that is not in it from the beginning', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 3)
    const first = await log.consumer({ topics: topic })
    await settle()
    await first.poll()
    const position = first.position()
    await first.close()
    await appendNumbers(topic, 1, { from: 3 })
    await topic.addPartitions(2)
    await appendNumbers(topic, 1, { from: 100, partition: 1 })
    const second = await log.consumer({ topics: topic, from: position })
    assert.deepEqual((await drain(second)).sort(), ['100', '3'])
    await log.close()
  })

  it('commits -> TypeError', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const consumer = await log.consumer({ topics: topic })
    await settle()
    const [batch] = await consumer.poll()
    assert.ok(batch !== undefined)
    await assert.rejects(consumer.commit(batch), TypeError)
    await log.close()
  })

  it('of a read-only log -> reads and follows; a group is refused', async () => {
    const { files, log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const reader = await openLog('/log', { files, readOnly: true })
    await assert.rejects(reader.consumer({ topics: 'orders', group: 'g' }), { code: 'READ_ONLY' })
    await assert.rejects(reader.group('g').delete(), { code: 'READ_ONLY' })
    const consumer = await reader.consumer({ topics: /./ })
    const iterator = consumer[Symbol.asyncIterator]()
    assert.equal((await iterator.next()).value?.nextOffset, 1)
    const next = iterator.next()
    const payments = await log.topic('payments')
    await payments.append({ value: 'new' })
    assert.equal((await next).value?.topic, 'payments')
    await reader.close()
    await log.close()
  })
})

describe('where a consumer begins', () => {
  for (const [name, from, expected] of [
    ['earliest', 'earliest', ['0', '1', '2', '3']],
    ['latest', 'latest', []],
    ['the last two', { last: 2 }, ['2', '3']],
    ['a list', [{ topic: 'orders', partition: 0, offset: 1 }], ['1', '2', '3']],
  ] as const) {
    it(`${name} -> the records from there on`, async () => {
      const { log, topic } = await openConsuming()
      await appendNumbers(topic, 4)
      const consumer = await log.consumer({ topics: topic, from })
      assert.deepEqual(await drain(consumer), expected)
      await log.close()
    })
  }

  it('a timestamp -> the first record at or after it', async () => {
    const { log, topic } = await openConsuming()
    for (const timestamp of [1000, 2000, 3000]) {
      await topic.append({ value: String(timestamp), timestamp })
    }
    const consumer = await log.consumer({ topics: topic, from: { timestamp: 1500 } })
    assert.deepEqual(await drain(consumer), ['2000', '3000'])
    await log.close()
  })

  it('a bare offset -> TypeError that says what to give', async () => {
    const { log } = await openConsuming()
    const from = 3 as unknown as 'earliest'
    await assert.rejects(log.consumer({ topics: 'orders', from }), {
      name: 'TypeError',
      message: /which partition/,
    })
    await log.close()
  })

  it('latest, in a group that ends before it commits -> the next member misses nothing', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const first = await log.consumer({ topics: topic, group: 'g', from: 'latest' })
    await first.close()
    await appendNumbers(topic, 2, { from: 2 })
    const second = await log.consumer({ topics: topic, group: 'g', from: 'latest' })
    assert.deepEqual(await drain(second), ['2', '3'])
    await log.close()
  })

  it('latest -> topics and partitions that come later are read from their beginning', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const consumer = await log.consumer({ topics: /^(orders|new)$/, from: 'latest' })
    await topic.addPartitions(2)
    await topic.append({ value: 'other partition', partition: 1 })
    await (await log.topic('new')).append({ value: 'other topic' })
    await (await log.topic('unrelated')).append({ value: 'unrelated' })
    assert.deepEqual((await drain(consumer)).sort(), ['other partition', 'other topic'])
    await log.close()
  })
})

describe('what a consumer reads', () => {
  it('a handle with serdes -> its types; a name -> Buffers', async () => {
    const { log } = await openConsuming()
    const typed = await log.topic('typed', { value: serde.json<{ n: number }>() })
    await typed.append({ value: { n: 7 } })
    const byHandle = await log.consumer({ topics: typed })
    await settle()
    const [batch] = await byHandle.poll()
    assert.equal([...(batch ?? [])][0]?.value?.n, 7)
    const byName = await log.consumer({ topics: 'typed' })
    assert.deepEqual(await drain(byName), ['{"n":7}'])
    await log.close()
  })

  it('a name of no topic -> UnknownTopicOrPartitionError', async () => {
    const { log } = await openConsuming()
    await assert.rejects(log.consumer({ topics: ['orders', 'nothing'] }), {
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    await log.close()
  })

  for (const topics of [[], 7, [null], {}]) {
    it(`topics ${JSON.stringify(topics)} -> TypeError`, async () => {
      const { log } = await openConsuming()
      await assert.rejects(log.consumer({ topics: topics as unknown as string }), TypeError)
      await log.close()
    })
  }

  it('a topic deleted and made again -> read again by name, not by handle', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const byName = await log.consumer({ topics: 'orders' })
    const byHandle = await log.consumer({ topics: topic })
    await drain(byName)
    await log.deleteTopic('orders')
    assert.deepEqual(byName.assignment, [])
    const again = await log.topic('orders')
    await again.append({ value: 'again' })
    assert.deepEqual(await drain(byName), ['again'])
    assert.deepEqual(byHandle.assignment, [])
    await log.close()
  })

  it('maxRecords -> batches are cut, and nothing is lost or given twice', async () => {
    const { log, topic } = await openConsuming()
    await topic.append(['a', 'b', 'c', 'd', 'e'].map(value => ({ value })))
    const consumer = await log.consumer({ topics: topic, maxRecords: 2 })
    const polls: string[][] = []
    for (let poll = 0; poll < 3; poll++) {
      await settle()
      const batches = await consumer.poll()
      assert.ok(batches.every(batch => batch.recordCount === [...batch].length))
      polls.push(valuesOf(batches))
    }
    assert.deepEqual(polls, [['a', 'b'], ['c', 'd'], ['e']])
    await log.close()
  })

  it('a position within a batch -> what is left of it', async () => {
    const { log, topic } = await openConsuming()
    await topic.append(['a', 'b', 'c'].map(value => ({ value })))
    const from = [{ topic: 'orders', partition: 0, offset: 1 }]
    const consumer = await log.consumer({ topics: topic, from })
    await settle()
    const [batch] = await consumer.poll()
    assert.deepEqual([batch?.baseOffset, batch?.nextOffset, batch?.recordCount], [1, 3, 2])
    assert.deepEqual(valuesOf([batch as NonNullable<typeof batch>]), ['b', 'c'])
    await log.close()
  })
})

describe('the name of a group', () => {
  for (const [group, error] of [
    ['', RangeError],
    ['a\nb', RangeError],
    ['x'.repeat(256), RangeError],
    [5, TypeError],
  ] as const) {
    it(`${JSON.stringify(group).slice(0, 10)} -> ${error.name} that names the option`, async () => {
      const { log } = await openConsuming()
      const options = { topics: 'orders', group: group as string }
      await assert.rejects(log.consumer(options), { name: error.name, message: /`group`/ })
      await log.close()
    })
  }
})

describe('poll', () => {
  it('nothing there -> waits as long as it is told, and gives none', async () => {
    const { clock, log } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders' })
    await settle()
    let batches: readonly unknown[] | null = null
    const polling = consumer.poll({ maxWaitMs: 100 }).then(given => {
      batches = given
    })
    await settle()
    clock.advance(99)
    await settle()
    assert.equal(batches, null)
    clock.advance(1)
    await polling
    assert.deepEqual(batches, [])
    await log.close()
  })

  it('something comes while it waits -> given at once', async () => {
    const { log, topic } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders', maxWaitMs: -1 })
    const polling = consumer.poll()
    await settle()
    await appendNumbers(topic, 1)
    assert.deepEqual(valuesOf(await polling), ['0'])
    await log.close()
  })

  it('its signal fires -> rejects with the reason, and the consumer goes on', async () => {
    const { log, topic } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders' })
    const abort = new AbortController()
    const polling = consumer.poll({ maxWaitMs: -1, signal: abort.signal })
    await settle()
    abort.abort(new Error('enough'))
    await assert.rejects(polling, /enough/)
    await appendNumbers(topic, 1)
    assert.deepEqual(await drain(consumer), ['0'])
    await log.close()
  })

  it('the consumer is closed, or the log -> none; later ones are refused', async () => {
    const { log } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders' })
    const polling = consumer.poll({ maxWaitMs: -1 })
    await settle()
    await consumer.close()
    assert.deepEqual(await polling, [])
    await assert.rejects(consumer.poll(), { code: 'LOG_CLOSED' })
    const other = await log.consumer({ topics: 'orders' })
    const pending = other.poll({ maxWaitMs: -1 })
    await settle()
    await log.close()
    assert.deepEqual(await pending, [])
  })

  it('used in two ways at once -> TypeError, and the first goes on', async () => {
    const { log, topic } = await openConsuming()
    const consumer = await log.consumer({ topics: 'orders' })
    const polling = consumer.poll({ maxWaitMs: -1 })
    await assert.rejects(
      consumer.run(() => {}),
      { name: 'TypeError', message: /used by poll\(\)/ },
    )
    assert.throws(() => consumer[Symbol.asyncIterator](), TypeError)
    await appendNumbers(topic, 1)
    assert.deepEqual(valuesOf(await polling), ['0'])
    await log.close()
  })
})

describe('iterating', () => {
  it('batch after batch until it is left, then on from there', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 4)
    const consumer = await log.consumer({ topics: 'orders' })
    const seen: string[] = []
    for await (const batch of consumer) {
      seen.push(...valuesOf([batch]))
      if (seen.length === 2) break
    }
    for await (const batch of consumer) {
      seen.push(...valuesOf([batch]))
      if (seen.length === 4) break
    }
    assert.deepEqual(seen, ['0', '1', '2', '3'])
    await log.close()
  })

  it('the log is closed -> ends; the signal of the consumer fires -> rejects with its reason', async () => {
    const { log } = await openConsuming()
    const abort = new AbortController()
    const ending = await log.consumer({ topics: 'orders' })
    const aborted = await log.consumer({ topics: 'orders', signal: abort.signal })
    const one = ending[Symbol.asyncIterator]().next()
    const other = aborted[Symbol.asyncIterator]().next()
    await settle()
    abort.abort(new Error('enough'))
    await assert.rejects(other, /enough/)
    await log.close()
    assert.equal((await one).done, true)
  })
})
