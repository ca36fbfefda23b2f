/**
 * Any records that may be appended come back as they were, plain and compressed. Replay a failure
 * with the seed that it prints: SEED=… node --import tsx --test spec/record/round-trip.spec.ts
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { batchHeaderBytes, checkBatch, decodeBatchHeader } from '../../lib/record/batch-format.ts'
import { BatchWriter, recordSizeBound } from '../../lib/record/batch-writer.ts'
import { compressBatch, decompressRecords } from '../../lib/record/codecs.ts'
import type { Bytes, RecordInput } from '../../lib/types.ts'
import { baseTimestamp, encodeAgain, encodeBatch, readRecords } from '../support/batches.ts'

const seed = process.env['SEED']
const runs = { numRuns: 100, ...(seed === undefined ? {} : { seed: Number(seed) }) }

// Every UTF-16 unit, lone surrogates included, around the lengths at which varints grow.
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit)) }),
)
const bytes: fc.Arbitrary<Bytes | null> = fc.oneof(
  fc.constant(null),
  text,
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ minLength: 8100, maxLength: 8300 }).map(array => Buffer.from(array)),
)
const headers = fc.oneof(
  fc.array(fc.tuple(text, bytes), { maxLength: 5 }),
  fc.dictionary(text, bytes, { maxKeys: 5 }),
)
const timestamp = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map(delta => baseTimestamp + delta),
  fc.maxSafeNat(),
  fc.date({ min: new Date(0), noInvalidDate: true }),
)
const record: fc.Arbitrary<RecordInput> = fc.record(
  { key: bytes, value: bytes, headers, timestamp },
  { requiredKeys: ['value'] },
)
const records = fc.array(record, { minLength: 1, maxLength: 20 })
/** Mostly of the kind that `addAll` has a way of its own for. */
const mostlyBytes = fc.array(
  fc.oneof(
    {
      arbitrary: fc.record({ key: fc.option(fc.uint8Array()), value: fc.uint8Array() }),
      weight: 5,
    },
    { arbitrary: record, weight: 1 },
  ),
  { maxLength: 200 },
)

/** What must come back: the model is Buffer.from and the order of keys in an object. */
function expectedContent(given: readonly RecordInput[]): unknown[] {
  const toBytes = (value: Bytes | null | undefined) =>
    value === null || value === undefined ? null : Buffer.from(value as string)
  return given.map(({ key, value, headers = [], timestamp = baseTimestamp }, index) => ({
    offset: index,
    timestamp: Number(timestamp),
    key: toBytes(key),
    value: toBytes(value),
    headers: (Array.isArray(headers) ? headers : Object.entries(headers)).map(([name, value]) => [
      Buffer.from(name).toString(),
      toBytes(value),
    ]),
  }))
}

function contentOf(batch: Buffer, section?: Buffer): unknown[] {
  return readRecords(batch, section).map(record => ({
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.keyBytes,
    value: record.valueBytes,
    headers: record.headers,
  }))
}

describe('any records', () => {
  it('encoded and read → the same records, in a sound batch within its bound', () => {
    fc.assert(
      fc.property(records, given => {
        const batch = encodeBatch(given)
        assert.equal(checkBatch(batch, 0, { end: batch.length, checkCrc: true }), 'ok')
        assert.deepEqual(contentOf(batch), expectedContent(given))
        const bound = given.reduce((sum, one) => sum + recordSizeBound(one), batchHeaderBytes)
        assert.ok(batch.length <= bound)
      }),
      runs,
    )
  })

  it('added all at once → the bytes that adding one after the other makes', () => {
    fc.assert(
      fc.property(records, mostlyBytes, fc.nat(3), (first, second, apartCount) => {
        const given = [...first, ...second]
        const target = Buffer.alloc(given.reduce((sum, one) => sum + recordSizeBound(one), 61))
        const writer = new BatchWriter()
        writer.begin(target, 0)
        for (const one of given.slice(0, apartCount)) writer.add(one, baseTimestamp)
        writer.addAll(given.slice(apartCount), baseTimestamp)
        const batch = target.subarray(0, writer.finish({ baseOffset: 0, leaderEpoch: 0 }))
        assert.deepEqual(batch, encodeBatch(given))
      }),
      runs,
    )
  })

  it('added all at once up to a limit → the bytes of as many as have room there', () => {
    fc.assert(
      fc.property(
        records,
        mostlyBytes,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (first, second, share) => {
          const given = [...first, ...second]
          const bounds = given.map(recordSizeBound)
          const boundBytes = bounds.reduce((sum, bound) => sum + bound, batchHeaderBytes)
          const limit = Math.round(boundBytes * share)
          const target = Buffer.alloc(boundBytes, 0xff)
          const writer = new BatchWriter()
          writer.begin(target, 0)
          const isAll = writer.addAll(given, baseTimestamp, limit)
          const { recordCount, endPosition } = writer
          assert.equal(isAll, recordCount === given.length)
          assert.ok(isAll || endPosition + (bounds[recordCount] as number) > limit)
          // Up to the limit a record may have lain higher for a moment: its length was guessed first.
          assert.ok(target.subarray(limit).every(byte => byte === 0xff))
          if (recordCount === 0) return
          assert.ok(endPosition <= limit)
          const batch = target.subarray(0, writer.finish({ baseOffset: 0, leaderEpoch: 0 }))
          assert.deepEqual(batch, encodeBatch(given.slice(0, recordCount)))
        },
      ),
      runs,
    )
  })

  it('read and encoded again → the same bytes', () => {
    fc.assert(
      fc.property(records, given => {
        const batch = encodeBatch(given, { baseOffset: 123, leaderEpoch: 4 })
        assert.deepEqual(encodeAgain(batch), batch)
      }),
      runs,
    )
  })

  for (const type of ['gzip', 'snappy', 'lz4'] as const) {
    it(`compressed with ${type} and decompressed → the same records`, async () => {
      await fc.assert(
        fc.asyncProperty(records, async given => {
          const batch = encodeBatch([...given, { value: 'compressible '.repeat(50) }])
          const compressed = await compressBatch(batch, type)
          const { sizeBytes } = decodeBatchHeader(compressed, 0)
          assert.equal(sizeBytes, compressed.length)
          assert.equal(checkBatch(compressed, 0, { end: sizeBytes, checkCrc: true }), 'ok')
          const section = await decompressRecords(compressed, { maxBytes: 2 ** 24 })
          assert.deepEqual(contentOf(compressed, section), contentOf(batch))
        }),
        { ...runs, numRuns: 20 },
      )
    })
  }
})
