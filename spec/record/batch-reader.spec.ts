/** Records as readers hold them: what is decoded when, how long it lives, and how it shows itself. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'

import { DeserializationError } from '../../lib/errors.ts'
import { sealBatch } from '../../lib/record/batch-format.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import { serde } from '../../lib/record/serde.ts'
import type { LogRecord, RecordInput, Serde } from '../../lib/types.ts'
import {
  baseTimestamp,
  batchOf,
  contentOf,
  encodeBatch,
  hex,
  plainContext,
  readRecords,
  viewOf,
} from '../support/batches.ts'

function only(record: RecordInput): LogRecord {
  const read = readRecords(encodeBatch([record], { baseOffset: 8 }))[0]
  assert.ok(read)
  return read
}

/** A record whose values go through `value`. */
function withSerde<T>(value: Serde<T>, record: RecordInput): LogRecord<Buffer, T> {
  const batch = new BatchView<Buffer, T>(
    { ...plainContext, value },
    { buffer: encodeBatch([record], { baseOffset: 8 }), position: 0 },
  )
  const read = [...batch][0]
  assert.ok(read)
  return read
}

describe('BatchView', () => {
  const batch = encodeBatch([{ value: 'a' }, { value: 'b', timestamp: baseTimestamp + 1 }], {
    baseOffset: 2 ** 33,
    leaderEpoch: 4,
  })

  it('a batch → its header', () => {
    const view = viewOf(batch)
    assert.deepEqual(
      [view.topic, view.partition, view.baseOffset, view.nextOffset, view.recordCount],
      ['orders', 3, 2 ** 33, 2 ** 33 + 2, 2],
    )
    assert.deepEqual(
      [view.maxTimestamp, view.leaderEpoch, view.sizeBytes, view.compressionType, view.isControl],
      [baseTimestamp + 1, 4, batch.length, 'none', false],
    )
  })

  it('two loops over one batch → the same records, in objects of their own', () => {
    const view = viewOf(batch)
    const [first, second] = [[...view], [...view]]
    assert.deepEqual(first.map(contentOf), second.map(contentOf))
    assert.notEqual(first[0], second[0])
  })

  it('a loop that is left and an iterator at its end → no more records', () => {
    const iterator = viewOf(batch)[Symbol.iterator]()
    for (const record of viewOf(batch)) {
      assert.equal(record.offset, 2 ** 33)
      break
    }
    iterator.next()
    iterator.next()
    assert.equal(iterator.next().done, true)
    assert.equal(iterator.next().done, true)
  })

  it('a batch in the middle of a buffer → its records only', () => {
    const buffer = Buffer.concat([batch, batch, batch])
    const view = new BatchView(plainContext, { buffer, position: batch.length })
    assert.deepEqual([...view].map(contentOf), readRecords(batch).map(contentOf))
  })

  it('gaps that compaction left → the offsets that remain', () => {
    // Offset deltas 2 and 7 of a batch that ends at delta 9.
    const batch = batchOf(hex('0e 00 00 04 01 02 61 00  0e 00 00 0e 01 02 62 00'), 2)
    assert.deepEqual(
      readRecords(batch).map(record => [record.offset, record.valueBytes?.toString()]),
      [
        [2, 'a'],
        [7, 'b'],
      ],
    )
    assert.equal(viewOf(batch).nextOffset, 10)
  })

  it('a batch emptied by compaction → no records, and its offsets', () => {
    const batch = batchOf(Buffer.alloc(0), 0)
    batch.writeBigInt64BE(-1n, 27)
    sealBatch(batch, 0, batch.length)
    assert.deepEqual(readRecords(batch), [])
    assert.equal(viewOf(batch).nextOffset, 10)
  })

  it('a control batch emptied by compaction → no records', () => {
    const batch = batchOf(Buffer.alloc(0), 0)
    batch.writeInt16BE(0x30, 21)
    assert.deepEqual([...viewOf(batch)], [])
  })

  it('a compressed batch without its decompressed records → refused as misuse', () => {
    const compressed = Buffer.from(batch)
    compressed.writeInt16BE(1, 21)
    assert.throws(() => [...viewOf(compressed)], { name: 'AssertionError' })
  })

  it('toJSON → header facts and records', () => {
    const text = JSON.stringify(viewOf(batch))
    assert.deepEqual(JSON.parse(text), {
      topic: 'orders',
      partition: 3,
      baseOffset: 2 ** 33,
      nextOffset: 2 ** 33 + 2,
      recordCount: 2,
      maxTimestamp: baseTimestamp + 1,
      leaderEpoch: 4,
      sizeBytes: batch.length,
      compressionType: 'none',
      records: readRecords(batch).map(record => record.toJSON()),
    })
  })

  it('inspected → header facts without records', () => {
    const text = inspect(viewOf(batch))
    assert.match(text, /^RecordBatch \{.*baseOffset: 8589934592.*recordCount: 2/s)
    assert.doesNotMatch(text, /value/)
  })
})

describe('a record', () => {
  it('key, value and headers → views of the buffer that the batch lies in', () => {
    const buffer = encodeBatch([{ key: 'key', value: 'value', headers: { name: 'header' } }])
    const record = readRecords(buffer)[0]
    assert.ok(record)
    for (const bytes of [record.keyBytes, record.valueBytes, record.header('name')]) {
      assert.ok(Buffer.isBuffer(bytes))
      assert.equal(bytes.buffer, buffer.buffer)
    }
  })

  it('without serdes → key and value are their bytes', () => {
    const record = only({ key: 'k', value: 'v' })
    assert.deepEqual([record.key, record.value], [Buffer.from('k'), Buffer.from('v')])
    const empty = only({ value: null })
    assert.deepEqual([empty.key, empty.value], [null, null])
  })

  it('valueSizeBytes → the size, 0 for an empty value, -1 for none', () => {
    assert.equal(only({ value: 'é' }).valueSizeBytes, 2)
    assert.equal(only({ value: '' }).valueSizeBytes, 0)
    assert.equal(only({ value: null }).valueSizeBytes, -1)
  })

  it('header → the last one of that name, null for a null value, undefined for none', () => {
    const record = only({
      value: null,
      headers: [
        ['a', '1'],
        ['b', null],
        ['a', '2'],
      ],
    })
    assert.equal(record.header('a')?.toString(), '2')
    assert.equal(record.header('b'), null)
    assert.equal(record.header('c'), undefined)
  })

  it('detached → untouched by what happens to the batch, and holding on to none of it', () => {
    const buffer = encodeBatch([
      { value: Buffer.alloc(5000) },
      { key: 'k', value: 'v', headers: { a: 'b' }, timestamp: baseTimestamp - 9 },
    ])
    const record = readRecords(buffer)[1]
    assert.ok(record)
    const before = contentOf(record)
    const detached = record.detach()
    const detachedTwice = detached.detach()
    buffer.fill(0xff, 61)
    assert.deepEqual(contentOf(detached), before)
    assert.deepEqual(contentOf(detachedTwice), before)
    assert.ok((detached.valueBytes?.buffer.byteLength ?? 5000) < 50)
  })

  it('detached under append timestamps and a serde → timestamp and value as before', () => {
    const batch = new BatchView<Buffer, string>(
      { ...plainContext, value: serde.string },
      {
        buffer: encodeBatch([{ value: 'v' }], { timestampType: 'append', appendTimestamp: 77 }),
        position: 0,
      },
    )
    const detached = [...batch][0]?.detach()
    assert.deepEqual([detached?.timestamp, detached?.value], [77, 'v'])
  })

  it('a serde → decodes once, when the value is touched, and never null', () => {
    let calls = 0
    const counting: Serde<{ text: string }> = {
      serialize: ({ text }) => text,
      deserialize(bytes) {
        calls++
        return { text: bytes.toString() }
      },
    }
    const record = withSerde(counting, { value: 'v' })
    assert.equal(calls, 0)
    assert.equal(record.value, record.value)
    assert.deepEqual(record.value, { text: 'v' })
    assert.equal(calls, 1)
    assert.equal(withSerde(counting, { value: null }).value, null)
    assert.equal(calls, 1)
  })

  it('a serde that throws → DeserializationError where the value is touched, bytes still there', () => {
    const record = withSerde(serde.json(), { value: '{"broken' })
    assert.throws(
      () => record.value,
      (error: unknown) => {
        assert.ok(error instanceof DeserializationError)
        assert.deepEqual(
          [error.topic, error.partition, error.offset, error.bytes.toString()],
          ['orders', 3, 8, '{"broken'],
        )
        assert.ok(error.cause instanceof SyntaxError)
        return true
      },
    )
    assert.equal(record.valueBytes?.toString(), '{"broken')
    assert.equal(record.offset, 8)
  })

  it('toJSON → text where the bytes are UTF-8, else base64, nothing cut', () => {
    const long = 'é'.repeat(400)
    const record = only({ key: hex('fffe'), value: long, headers: [['h', null]] })
    assert.deepEqual(record.toJSON(), {
      topic: 'orders',
      partition: 3,
      offset: 8,
      timestamp: baseTimestamp,
      key: { base64: '//4=' },
      value: long,
      headers: [['h', null]],
    })
  })

  it('inspected → offset, timestamp and text, cut at 256 bytes between characters', () => {
    const text = inspect(only({ key: 'k', value: `a${'é'.repeat(400)}` }))
    assert.match(text, /^LogRecord \{.*offset: 8.*timestamp: 1700000000000.*key: 'k'/s)
    assert.match(text, /'aé{127}… \(801 bytes\)'/)
  })

  it('inspected with bytes that are no text → base64 of the first 256', () => {
    const text = inspect(only({ value: Buffer.alloc(300, 0xff) }), { breakLength: 1000 })
    assert.match(text, /base64: '\/{341}8?=*/)
    assert.match(text, /… \(300 bytes\)/)
  })
})
