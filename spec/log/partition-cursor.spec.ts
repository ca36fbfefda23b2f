/** What a reader does about damage and compression: what is thrown, what is passed over, what is reported. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CorruptRecordError } from '../../lib/errors.ts'
import { compressBatch } from '../../lib/record/codecs.ts'
import type { RecordBatch } from '../../lib/types.ts'
import { batchOf, encodeBatch } from '../support/batches.ts'
import { nextOffsetOf, offsetsOf, sceneOf } from '../support/scripted-topic.ts'

function corrupt(from: number, to: number): CorruptRecordError {
  return new CorruptRecordError({ path: '0.log', position: 7, from, to }, 'crc')
}

describe('damage', () => {
  it('is thrown by default, after what lies before it', async () => {
    const { topic, partition } = sceneOf(2, 2, 2)
    topic.at(0).failures.set(2, corrupt(2, 4))
    const reader = partition.records()
    assert.equal(await nextOffsetOf(reader), 0)
    assert.equal(await nextOffsetOf(reader), 1)
    await assert.rejects(reader.next(), CorruptRecordError)
    assert.deepEqual(topic.corruptions, [])
  })

  it("with onCorruption 'skip' is reported as an event and passed over", async () => {
    const { topic, partition } = sceneOf(2, 2, 2)
    topic.at(0).failures.set(2, corrupt(2, 4))
    assert.deepEqual(await offsetsOf(partition.records({ onCorruption: 'skip' })), [0, 1, 4, 5])
    assert.deepEqual(topic.corruptions, [
      { partition: 0, damage: { from: 2, to: 4, path: '0.log', position: 7, reason: 'crc' } },
    ])
  })

  it('that names no way on does not hold a skipping reader for ever', async () => {
    const { topic, partition } = sceneOf(1, 1)
    topic.at(0).failures.set(0, corrupt(0, 0))
    assert.deepEqual(await offsetsOf(partition.records({ onCorruption: 'skip' })), [1])
  })

  it('inside a batch is passed over to the next batch', async () => {
    const { topic, partition } = sceneOf()
    topic.at(0).store(1, () => batchOf(Buffer.from([0x7f, 0, 0, 0]), 1, 0))
    topic.at(0).store(1)
    assert.deepEqual(await offsetsOf(partition.records({ onCorruption: 'skip' })), [1])
    assert.equal(topic.corruptions[0]?.damage.reason, 'record')
  })

  it('inside a batch is thrown by default', async () => {
    const { topic, partition } = sceneOf()
    topic.at(0).store(1, () => batchOf(Buffer.from([0x7f, 0, 0, 0]), 1, 0))
    await assert.rejects(partition.records().next(), CorruptRecordError)
  })
})

describe('compressed batches', () => {
  it('are decompressed before they are yielded', async () => {
    const records = Array.from({ length: 50 }, (_, index) => ({ value: `${index}`.repeat(50) }))
    const compressed = await compressBatch(encodeBatch(records), 'gzip')
    const { topic, partition } = sceneOf()
    topic.at(0).storeRecords(records, () => compressed)
    const batch: RecordBatch | undefined = (await partition.batches().next()).value
    assert.equal(batch?.compressionType, 'gzip')
    assert.deepEqual(
      Array.from(batch, record => record.valueBytes?.toString()),
      records.map(record => record.value),
    )
  })

  it('that do not decompress are reported after what lies before them', async () => {
    const { topic, partition } = sceneOf(2)
    const records = Array.from({ length: 50 }, () => ({ value: 'x'.repeat(50) }))
    const broken = await compressBatch(encodeBatch(records, { baseOffset: 2 }), 'gzip')
    broken.fill(0xff, 80, 100)
    topic.at(0).storeRecords(records, () => broken)
    topic.at(0).store(1)
    const reader = partition.records()
    assert.equal(await nextOffsetOf(reader), 0)
    assert.equal(await nextOffsetOf(reader), 1)
    await assert.rejects(reader.next(), CorruptRecordError)
    const skipping = partition.records({ onCorruption: 'skip' })
    assert.deepEqual(await offsetsOf(skipping), [0, 1, 52])
  })
})

describe('control batches', () => {
  it('are not shown, and a reader goes on behind them', async () => {
    const { topic, partition } = sceneOf(2)
    const marker = encodeBatch([{ value: 'marker' }], { baseOffset: 2, isControl: true })
    topic.at(0).storeRecords([{ value: 'marker' }], () => marker)
    topic.at(0).store(1)
    assert.deepEqual(await offsetsOf(partition.records({ maxBytes: 1 })), [0, 1, 3])
    const { batches, nextOffset } = await partition.read({ from: 2, maxBytes: 1 })
    assert.deepEqual([batches.length, nextOffset], [0, 3])
    const ranges: number[] = []
    for await (const batch of partition.batches()) ranges.push(batch.baseOffset)
    assert.deepEqual(ranges, [0, 3])
  })
})
