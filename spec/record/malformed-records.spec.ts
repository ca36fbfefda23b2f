/**
 * Records sections that contradict themselves under a right checksum, as a broken or hostile writer
 * would leave them: reading ends in `CorruptRecordError` before the section's end is believed, and
 * never in a crash, an endless loop or a record made of foreign bytes.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CorruptRecordError } from '../../lib/errors.ts'
import { checkBatch, sealBatch } from '../../lib/record/batch-format.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import { RecordsCheck } from '../../lib/record/records-check.ts'
import {
  batchOf,
  contentOf,
  encodeBatch,
  hex,
  plainContext,
  readRecords,
  viewOf,
} from '../support/batches.ts'

/** `0e 00 00 00 01 02 61 00` is a sound record: seven bytes, no key, value `a`, no headers. */
const malformed: readonly (readonly [string, string, number])[] = [
  ['nothing where a record should be', '', 1],
  ['one record of two', '0e 00 00 00 01 02 61 00', 2],
  ['a byte behind the last record', '0e 00 00 00 01 02 61 00 00', 1],
  ['a byte where there are no records', '00', 0],
  ['an empty record', '00', 1],
  ['a negative length', '01 00 00 00 01 02 61 00', 1],
  ['a length beyond the section', '10 00 00 00 01 02 61 00', 1],
  ['a length short of its parts', '0c 00 00 00 01 02 61 00', 1],
  ['a length past its parts', '10 00 00 00 01 02 61 00 00', 1],
  ['a length of 2^31 - 1', 'feffffff0f 00 00 00 01 02 61 00', 1],
  ['a length that does not end', 'ffffffffffff', 1],
  ['a section that ends in a length', '0e 00 00 00 01 02 61 00 80', 2],
  ['a key that goes past the record', '0e 00 00 00 10 02 61 00', 1],
  ['a key of 2^31 - 1 bytes', '16 00 00 00 feffffff0f 02 61 00', 1],
  ['a key of -2 bytes', '0e 00 00 00 03 02 61 00', 1],
  ['a value that goes past the record', '0e 00 00 00 01 10 61 00', 1],
  ['a value of -2 bytes', '0c 00 00 00 01 03 00', 1],
  ['no header count', '0c 00 00 00 01 02 61', 1],
  ['a negative header count', '0e 00 00 00 01 02 61 01', 1],
  ['one header of two', '16 00 00 00 01 02 61 04 02 68 01', 1],
  ['2^31 - 1 headers', '16 00 00 00 01 02 61 feffffff0f', 1],
  ['a null header name', '12 00 00 00 01 02 61 02 01 01', 1],
  ['a null header name, and the same byte for its value', '10 00 00 00 01 02 61 02 01', 1],
  ['a header name that goes past the record', '14 00 00 00 01 02 61 02 20 68', 1],
  ['a header value that goes past the record', '16 00 00 00 01 02 61 02 02 68 20', 1],
  ['a timestamp delta that does not end', '1c 00 ffffffffffffffffffff 01 02 61', 1],
  ['an offset delta of more than 32 bits', '16 00 00 ffffffff7f 01 02 61 00', 1],
  ['a negative offset delta', '0e 00 00 01 01 02 61 00', 1],
  ['an offset twice', '0e 00 00 02 01 02 61 00 0e 00 00 02 01 02 61 00', 2],
  ['offsets that go back', '0e 00 00 04 01 02 61 00 0e 00 00 02 01 02 61 00', 2],
  ["an offset behind the batch's last one", '0e 00 00 14 01 02 61 00', 1],
]

describe('a malformed records section', () => {
  for (const [name, bytes, recordCount] of malformed) {
    it(`${name} → CorruptRecordError`, () => {
      const batch = batchOf(hex(bytes), recordCount)
      assert.equal(checkBatch(batch, 0, { end: batch.length, checkCrc: true }), 'ok')
      assert.throws(() => readRecords(batch), { code: 'CORRUPT_RECORD', reason: 'record' })
    })

    it(`${name} → a check of the records says so`, () => {
      const batch = batchOf(hex(bytes), recordCount)
      for (const atOnce of [1, 100]) {
        const check = new RecordsCheck(batch, hex(bytes))
        let step = check.step(atOnce)
        for (let count = 0; step.kind === 'more'; count++) {
          assert.ok(count < 10)
          step = check.step(atOnce)
        }
        assert.equal(step.kind, 'damage')
      }
    })
  }

  it('foreign bytes behind the batch → never taken for a part of it', () => {
    for (const [, bytes, recordCount] of malformed) {
      const batch = batchOf(hex(bytes), recordCount)
      const buffer = Buffer.concat([batch, hex('0e 00 00 00 01 02 61 00 0e 00 00 02 01 02 61 00')])
      const view = new BatchView(plainContext, { buffer, position: 0 })
      assert.throws(() => [...view], { code: 'CORRUPT_RECORD' })
    }
  })

  it('a record that ends in foreign bytes → the error instead of the record', () => {
    const buffer = Buffer.concat([batchOf(hex('0e 00 00 00 01 02 61'), 2), hex('00 0e 00')])
    const view = new BatchView(plainContext, { buffer, position: 0 })
    assert.throws(() => view[Symbol.iterator]().next(), { code: 'CORRUPT_RECORD' })
  })

  it('a byte behind the last record → the error instead of that record', () => {
    const batch = batchOf(hex('0e 00 00 00 01 02 61 00  0e 00 00 02 01 02 62 00  00'), 2)
    const iterator = viewOf(batch)[Symbol.iterator]()
    assert.equal(iterator.next().value?.offset, 0)
    assert.throws(() => iterator.next(), { code: 'CORRUPT_RECORD' })
  })

  it('the error → file, position and offsets of the batch', () => {
    const batch = batchOf(hex('00'), 1)
    batch.writeInt32BE(500, 4)
    const buffer = Buffer.concat([Buffer.alloc(30), batch])
    const view = new BatchView({ ...plainContext, path: 'x.log' }, { buffer, position: 30 })
    assert.throws(
      () => [...view],
      (error: unknown) => {
        assert.ok(error instanceof CorruptRecordError)
        assert.deepEqual(
          [error.path, error.position, error.from, error.to],
          ['x.log', 30, 500, 510],
        )
        return true
      },
    )
  })

  it('without a path → the error names topic and partition', () => {
    assert.throws(() => readRecords(batchOf(hex('00'), 1)), { path: 'orders-3' })
  })

  it('after the error → the iterator is at its end', () => {
    const view = new BatchView(plainContext, { buffer: batchOf(hex('00'), 1), position: 0 })
    const iterator = view[Symbol.iterator]()
    assert.throws(() => iterator.next())
    assert.equal(iterator.next().done, true)
  })

  it('any byte of a section set to any value → sound records, or CorruptRecordError', () => {
    const batch = encodeBatch([
      { key: 'key', value: 'value', headers: { a: 'b', c: null } },
      { value: null },
      { value: 'x'.repeat(70) },
    ])
    const sizes: number[] = []
    for (let position = 61; position < batch.length; position++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(batch)
        changed[position] = byte
        sealBatch(changed, 0, changed.length)
        try {
          sizes.push(readRecords(changed).map(contentOf).length)
        } catch (error) {
          assert.ok(error instanceof CorruptRecordError, `position ${position}, byte ${byte}`)
        }
      }
    }
    assert.ok(sizes.length > 1000)
    assert.ok(sizes.every(size => size === 3))
  })
})
