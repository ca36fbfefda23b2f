/**
 * When a producer closes a batch, by the clock and by size, and what the batch is on the disk. The
 * clock is moved by hand; the batches are read from the segment files.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import type { ProducerOptions } from '../../lib/producing.ts'
import { batchHeaderBytes } from '../../lib/record/batch-format.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { TopicConfig } from '../../lib/types.ts'
import { numbered, valuesOf } from '../contracts/contract-helpers.ts'
import { batchHeaders } from '../support/batch-headers.ts'

async function scene(options: ProducerOptions = {}, config: TopicConfig = {}) {
  const files = memoryFiles()
  const clock = manualClock()
  const log = await openLog('/data', { files, clock })
  const topic = await log.topic('orders', config)
  const producer = await log.producer(options)
  const [partition] = topic.partitions
  assert.ok(partition !== undefined)
  const headers = () => batchHeaders(files, '/data/orders-0')
  const counts = () => headers().map(({ recordCount }) => recordCount)
  return { log, clock, topic, partition, producer, headers, counts }
}

/** Long enough for a turn of the event loop to have ended. */
async function turn(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise(resolve => setImmediate(resolve))
}

describe('lingerMs 0', () => {
  it('sends of one turn -> one batch', async () => {
    const { log, producer, counts } = await scene()
    await Promise.all(numbered(5).map(record => producer.send('orders', record)))
    await Promise.all(numbered(3).map(record => producer.send('orders', record)))
    assert.deepEqual(counts(), [5, 3])
    await log.close()
  })
})

describe('lingerMs above 0', () => {
  it('nothing but time -> the batch goes when it has waited that long, not before', async () => {
    const { log, clock, partition, producer, counts } = await scene({ lingerMs: 20 })
    const first = producer.send('orders', { value: 'one' })
    await turn()
    clock.advance(19)
    const second = producer.send('orders', { value: 'two' })
    await turn()
    assert.equal(partition.logEndOffset, 0)
    clock.advance(1)
    await Promise.all([first, second])
    assert.deepEqual(counts(), [2])
    await log.close()
  })

  it('the next batch -> has its own time', async () => {
    const { log, clock, partition, producer, counts } = await scene({ lingerMs: 20 })
    const first = producer.send('orders', { value: 'one' })
    clock.advance(20)
    await first
    const second = producer.send('orders', { value: 'two' })
    clock.advance(19)
    await turn()
    assert.equal(partition.logEndOffset, 1)
    clock.advance(1)
    await second
    assert.deepEqual(counts(), [1, 1])
    await log.close()
  })

  it('a batch that is full -> goes at once', async () => {
    const { log, producer, counts } = await scene({ lingerMs: 1e6, batchBytes: 1000 })
    const records = Array.from({ length: 9 }, () => ({ value: Buffer.alloc(275) }))
    const sent = producer.send('orders', records)
    await turn()
    assert.deepEqual(counts(), [3, 3])
    await producer.flush()
    assert.deepEqual(counts(), [3, 3, 3])
    await sent
    await log.close()
  })

  it('everything in the batch is taken back -> nothing goes', async () => {
    const { log, clock, partition, producer } = await scene({ lingerMs: 20 })
    const stop = new AbortController()
    const sent = producer.send('orders', { value: 'one' }, { signal: stop.signal })
    stop.abort(new Error('stop'))
    await assert.rejects(sent, /stop/)
    clock.advance(20)
    await producer.flush()
    assert.equal(partition.logEndOffset, 0)
    await log.close()
  })
})

describe('batchBytes', () => {
  it('records of several sizes -> no batch is larger, none could take the next record too', async () => {
    const batchBytes = 1200
    const { log, topic, producer, headers } = await scene({ batchBytes })
    const values = Array.from({ length: 60 }, (_, index) => 'v'.repeat((index * 37) % 400))
    await producer.send(
      'orders',
      values.map(value => ({ value })),
    )
    const found = headers()
    assert.ok(found.length > 5)
    for (const [index, { sizeBytes }] of found.entries()) {
      assert.ok(sizeBytes <= batchBytes)
      const next = found[index + 1]
      // The bound of a record is at most 25 bytes above what it takes.
      const slack = 25 * ((next?.recordCount ?? 0) + (found[index]?.recordCount ?? 0))
      const nextBytes = (next?.sizeBytes ?? 0) - batchHeaderBytes
      if (next !== undefined) assert.ok(sizeBytes + nextBytes + slack > batchBytes)
    }
    assert.deepEqual(await valuesOf(topic.records()), values)
    await log.close()
  })

  it('one record that is larger -> a batch of its own', async () => {
    // What is not compressed by its own rule, and alone, may join others in the log.
    const { log, producer, counts } = await scene({ batchBytes: 500, compressionType: 'none' })
    const sizes = [10, 10, 2000, 10]
    await producer.send(
      'orders',
      sizes.map(size => ({ value: Buffer.alloc(size) })),
    )
    assert.deepEqual(counts(), [2, 1, 1])
    await log.close()
  })

  it('above the maxBatchBytes of the topic -> that one cuts', async () => {
    const { log, producer, headers } = await scene({ batchBytes: 1 << 20 }, { maxBatchBytes: 900 })
    const records = Array.from({ length: 40 }, () => ({ key: 'k', value: Buffer.alloc(100) }))
    await producer.send('orders', records)
    const found = headers()
    assert.equal(found.length, 7)
    for (const { sizeBytes } of found) assert.ok(sizeBytes <= 900)
    await log.close()
  })
})

describe('compressionType', () => {
  const text = { value: 'all the same '.repeat(50) }

  it('gzip on a topic without compression -> batches are gzip, and read as they were', async () => {
    const { log, topic, producer, headers } = await scene({ compressionType: 'gzip' })
    await producer.send('orders', [text, text, text])
    const [header] = headers()
    assert.equal(header?.compressionType, 'gzip')
    assert.ok((header?.sizeBytes ?? 0) < 300)
    assert.deepEqual(await valuesOf(topic.records()), [text.value, text.value, text.value])
    await log.close()
  })

  it('a single record -> compressed as well', async () => {
    const { log, producer, headers } = await scene({ compressionType: 'gzip' })
    await producer.send('orders', text)
    assert.equal(headers()[0]?.compressionType, 'gzip')
    await log.close()
  })

  it('none on a topic with gzip -> batches are not compressed', async () => {
    const { log, topic, producer, headers } = await scene(
      { compressionType: 'none' },
      { compressionType: 'gzip' },
    )
    await producer.send('orders', [text, text])
    await producer.send('orders', text)
    await topic.append(text)
    assert.deepEqual(
      headers().map(({ compressionType }) => compressionType),
      ['none', 'none', 'gzip'],
    )
    await log.close()
  })

  it('not given -> what the topic has', async () => {
    const { log, producer, headers } = await scene({}, { compressionType: 'gzip' })
    await producer.send('orders', [text, text])
    assert.equal(headers()[0]?.compressionType, 'gzip')
    await log.close()
  })

  it('beside appends of the topic in one turn -> nobody shares a batch with the producer', async () => {
    const { log, topic, producer, headers } = await scene({ compressionType: 'gzip' })
    const sent = producer.send('orders', text)
    await Promise.all([topic.append(text), topic.append(text), sent])
    assert.deepEqual(
      headers()
        .map(({ compressionType, recordCount }) => `${compressionType} ${recordCount}`)
        .sort(),
      ['gzip 1', 'none 2'],
    )
    await log.close()
  })
})

describe('compressionType none beside appends of a topic with gzip', () => {
  it('in one turn -> nobody shares a batch with the producer', async () => {
    const text = { value: 'all the same '.repeat(50) }
    const { log, topic, producer, headers } = await scene(
      { compressionType: 'none' },
      { compressionType: 'gzip' },
    )
    const sent = producer.send('orders', text)
    await Promise.all([topic.append(text), topic.append(text), sent])
    assert.deepEqual(
      headers()
        .map(({ compressionType, recordCount }) => `${compressionType} ${recordCount}`)
        .sort(),
      ['gzip 2', 'none 1'],
    )
    await log.close()
  })
})

describe('acks', () => {
  it('queued -> answered before anything is flushed', async () => {
    const { log, partition, producer } = await scene({ acks: 'queued' }, { flushRecords: 1000 })
    const { nextOffset } = await producer.send('orders', { value: 'one' })
    assert.deepEqual([nextOffset, partition.recoveryPoint], [1, 0])
    await log.close()
  })

  it('not given -> what the topic has', async () => {
    const { log, partition, producer } = await scene({}, { acks: 'written', flushRecords: 1000 })
    await producer.send('orders', { value: 'one' })
    assert.deepEqual([partition.writtenOffset, partition.recoveryPoint], [1, 0])
    await log.close()
  })
})
