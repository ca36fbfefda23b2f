/** Records taken out of batches: what stays is as it was, and readers accept what is left. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  BatchFilter,
  emptiedBatch,
  gapBatch,
  hasDeleteHorizon,
} from '../../lib/record/batch-filter.ts'
import { batchHeaderBytes, checkBatch, decodeBatchHeader } from '../../lib/record/batch-format.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import { BatchWriter, type BatchWriterHeader } from '../../lib/record/batch-writer.ts'
import type { RecordInput } from '../../lib/types.ts'
import { forEachSeed } from '../support/random.ts'

const allocate = (sizeBytes: number): Buffer => Buffer.alloc(sizeBytes)

const context = { topic: 't', partition: 0, key: null, value: null }

function encode(records: readonly RecordInput[], header: Partial<BatchWriterHeader> = {}): Buffer {
  const target = Buffer.alloc(batchHeaderBytes + records.length * 400)
  const writer = new BatchWriter()
  writer.begin(target, 0)
  for (const record of records) writer.add(record, 5000)
  const sizeBytes = writer.finish({ baseOffset: 100, leaderEpoch: 3, ...header })
  return target.subarray(0, sizeBytes)
}

function filterOf(batch: Buffer, position = 0, sizeBytes = batch.length): BatchFilter {
  const section = { bytes: batch, start: position + batchHeaderBytes, end: position + sizeBytes }
  return new BatchFilter(batch, position, section)
}

function shown(batch: Buffer): object[] {
  assert.equal(checkBatch(batch, 0, { end: batch.length, checkCrc: true }), 'ok')
  return Array.from(new BatchView(context, { buffer: batch, position: 0 }), record => ({
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.keyBytes?.toString(),
    value: record.valueBytes?.toString(),
    headers: record.headers.map(([name, value]) => `${name}=${value}`),
  }))
}

function runHorizon(filter: BatchFilter, horizonMs: number, count = 1000): Buffer {
  const steps = filter.encodeWithHorizon(horizonMs, { count, allocate })
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

const records: RecordInput[] = [
  { key: 'a', value: 'one', timestamp: 7000 },
  { key: 'b', value: null, timestamp: 9000, headers: { h: 'x' } },
  { key: null, value: 'keyless', timestamp: 2000 },
  { key: 'c', value: 'four', timestamp: 8000 },
]
const producer = { producerId: 12, producerEpoch: 4, baseSequence: 77 }

describe('BatchFilter', () => {
  it('records of any kind, some of them dropped -> the others as they were', async () => {
    await forEachSeed(200, random => {
      const some = Array.from({ length: 1 + random.below(40) }, (_, i) => ({
        key: random.chance(0.2) ? null : 'k'.repeat(random.below(200)),
        value: random.chance(0.2) ? null : `${i}${'v'.repeat(random.below(150))}`,
        timestamp: 1_700_000_000_000 + random.below(2 ** 40) - 2 ** 39,
        headers: random.chance(0.5) ? {} : { name: 'value', none: null },
      }))
      const batch = encode(some, producer)
      const before = Buffer.concat([Buffer.from('before'), batch])
      const filter = filterOf(before, 6, batch.length)
      const isKept = some.map(() => random.chance(0.5))
      isKept[random.below(some.length)] = true
      const slice = 1 + random.below(10)
      while (filter.judge(slice, record => isKept[record.offsetDelta] === true) === 'more');
      const expected = shown(batch).filter((_, index) => isKept[index] === true)
      assert.equal(filter.keptCount, expected.length)
      assert.equal(filter.droppedCount, some.length - expected.length)
      assert.deepEqual(shown(filter.encode(allocate)), expected)
      const horizonMs = 1_700_000_000_000 + random.below(2 ** 41)
      const marked = runHorizon(filter, horizonMs, slice)
      assert.deepEqual(shown(marked), expected)
      assert.equal(decodeBatchHeader(marked, 0).baseTimestamp, horizonMs)
    })
  })

  it('some dropped -> base offset, last offset, epoch, producer and sequence as before', () => {
    const batch = encode(records, { ...producer, isTransactional: true })
    const filter = filterOf(batch)
    assert.equal(
      filter.judge(99, ({ offsetDelta }) => offsetDelta === 2),
      'done',
    )
    const { crc, sizeBytes, recordCount, maxTimestamp, ...kept } = decodeBatchHeader(
      filter.encode(allocate),
      0,
    )
    const before = decodeBatchHeader(batch, 0)
    const { crc: _, sizeBytes: largest, recordCount: all, maxTimestamp: latest, ...rest } = before
    assert.deepEqual(kept, rest)
    assert.ok(crc !== before.crc && sizeBytes < largest && latest === 9000)
    assert.deepEqual([recordCount, all, maxTimestamp], [1, 4, 2000])
  })

  it('timestamps of the append -> the one of all records stays', () => {
    const batch = encode(records, { timestampType: 'append', appendTimestamp: 6000 })
    const filter = filterOf(batch)
    filter.judge(99, ({ offsetDelta }) => offsetDelta > 1)
    for (const made of [filter.encode(allocate), runHorizon(filter, 123_456)]) {
      assert.equal(decodeBatchHeader(made, 0).maxTimestamp, 6000)
      assert.deepEqual(shown(made), shown(batch).slice(2))
    }
  })

  it('tombstones -> those with a key that are kept are counted', () => {
    const batch = encode([...records, { key: null, value: null }, { key: 'd', value: null }])
    const filter = filterOf(batch)
    filter.judge(99, ({ offsetDelta }) => offsetDelta !== 5)
    assert.equal(filter.tombstoneCount, 1)
  })

  it('a horizon is set again in a batch that has one -> records show the same timestamps', () => {
    const filter = filterOf(encode(records))
    filter.judge(99, () => true)
    const marked = runHorizon(filter, 1_000_000)
    assert.ok(hasDeleteHorizon(marked, 0))
    const again = filterOf(marked)
    again.judge(99, ({ offsetDelta }) => offsetDelta > 0)
    assert.deepEqual(shown(again.encode(allocate)), shown(marked).slice(1))
    assert.ok(hasDeleteHorizon(again.encode(allocate), 0))
  })

  const wrong: readonly [string, (batch: Buffer) => void][] = [
    ['more records than there are', batch => batch.writeInt32BE(5, 57)],
    ['fewer records than there are', batch => batch.writeInt32BE(3, 57)],
    ['a length that goes past the end', batch => batch.writeUInt8(0x7e, batchHeaderBytes)],
    ['a length that ends too early', batch => batch.writeUInt8(0x04, batchHeaderBytes)],
  ]
  for (const [title, damage] of wrong) {
    it(`${title} -> malformed`, () => {
      const batch = encode(records)
      damage(batch)
      assert.equal(
        filterOf(batch).judge(99, () => true),
        'malformed',
      )
    })
  }
})

describe('Batches without records', () => {
  it('a gap -> a sound batch of no producer with those offsets and no records', () => {
    const gap = gapBatch({ baseOffset: 1000, nextOffset: 1000 + 2 ** 31, leaderEpoch: 6 })
    assert.deepEqual(shown(gap), [])
    const { baseOffset, nextOffset, leaderEpoch, producerId, recordCount, maxTimestamp } =
      decodeBatchHeader(gap, 0)
    assert.deepEqual([baseOffset, nextOffset, leaderEpoch], [1000, 1000 + 2 ** 31, 6])
    assert.deepEqual([producerId, recordCount, maxTimestamp], [-1, 0, -1])
  })

  it('an emptied batch -> producer, sequence, offsets and largest timestamp stay', () => {
    const batch = encode(records, producer)
    const emptied = emptiedBatch(Buffer.concat([Buffer.alloc(9), batch]), 9)
    assert.deepEqual(shown(emptied), [])
    const { baseOffset, lastOffset, maxTimestamp, recordCount, ...header } = decodeBatchHeader(
      emptied,
      0,
    )
    assert.deepEqual([baseOffset, lastOffset, maxTimestamp, recordCount], [100, 103, 9000, 0])
    const { producerId, producerEpoch, baseSequence } = header
    assert.deepEqual({ producerId, producerEpoch, baseSequence }, producer)
  })
})
