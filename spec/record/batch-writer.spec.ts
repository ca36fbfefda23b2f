/** What may be appended, how much room it takes, and the bytes of records that are not plain. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'

import { checkBatch, decodeBatchHeader } from '../../lib/record/batch-format.ts'
import { BatchWriter, recordSizeBound } from '../../lib/record/batch-writer.ts'
import type { RecordInput } from '../../lib/types.ts'
import { baseTimestamp, contentOf, encodeBatch, readRecords } from '../support/batches.ts'

/** A call with what TypeScript would not let through. */
function bound(record: unknown): number {
  return recordSizeBound(record as RecordInput)
}

function firstRecord(record: RecordInput) {
  const read = readRecords(encodeBatch([record]))[0]
  assert.ok(read)
  return read
}

describe('recordSizeBound', () => {
  const accepted: readonly (readonly [string, RecordInput, number])[] = [
    ['a tombstone', { value: null }, 21 + 3],
    ['100 bytes', { value: Buffer.alloc(100) }, 21 + 1 + 102 + 1],
    ['a Uint8Array', { value: new Uint8Array(3) }, 21 + 1 + 4 + 1],
    ['a string, at three bytes a unit', { value: 'abc' }, 21 + 1 + 10 + 1],
    ['a key', { key: Buffer.alloc(2), value: null }, 21 + 3 + 1 + 1],
    ['a header', { value: null, headers: { a: Buffer.alloc(2) } }, 21 + 1 + 1 + 1 + 4 + 3],
    ['a header without value', { value: null, headers: [['a', null]] }, 21 + 1 + 1 + 1 + 4 + 1],
    ['a timestamp', { value: null, timestamp: 0 }, 21 + 3],
    ['a Date', { value: null, timestamp: new Date(5) }, 21 + 3],
    ['an undefined key', { key: undefined, value: null }, 21 + 3],
  ]
  for (const [name, record, expected] of accepted) {
    it(`${name} → ${expected} bytes`, () => {
      assert.equal(recordSizeBound(record), expected)
    })
  }

  it('bytes of another realm → accepted as bytes', () => {
    const value: unknown = runInNewContext('new Uint8Array([1, 2])')
    assert.equal(bound({ value }), 21 + 1 + 3 + 1)
  })

  it('keys that nobody knows → ignored', () => {
    assert.equal(bound({ value: null, offset: 5, topic: 'x' }), 21 + 3)
  })

  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ['a string for a record', 'text', /expected a record to be an object, got "text"/],
    ['null for a record', null, /expected a record to be an object, got null/],
    ['no value', { key: 'k' }, /`value`.*null is a tombstone/],
    ['an undefined value', { value: undefined }, /`value`.*null is a tombstone/],
    ['a number as value', { value: 5 }, /`value`.*got "5" \(number\).*serde\.json/],
    ['an object as value', { value: { a: 1 } }, /`value`.*got Object.*serde\.json/],
    ['a boolean as key', { key: true, value: null }, /`key`.*serde\.json/],
    ['other typed arrays as value', { value: new Uint16Array(2) }, /`value`.*Uint16Array/],
    [
      'an undefined header',
      { value: null, headers: { a: undefined } },
      /headers\["a"\].*undefined/,
    ],
    ['a number in a header', { value: null, headers: { a: 1 } }, /headers\["a"\].*serde\.json/],
    ['null headers', { value: null, headers: null }, /`headers`.*null/],
    ['headers in a Map', { value: null, headers: new Map([['a', 'b']]) }, /`headers`.*Map/],
    ['a pair of three', { value: null, headers: [['a', 'b', 'c']] }, /pair/],
    ['a numeric header name', { value: null, headers: [[1, 'b']] }, /name to be a string/],
    ['a negative timestamp', { value: null, timestamp: -1 }, /`timestamp`.*got "-1"/],
    ['a broken timestamp', { value: null, timestamp: 1.5 }, /`timestamp`/],
    ['an invalid Date', { value: null, timestamp: new Date(Number.NaN) }, /`timestamp`.*Date/],
    ['a bigint timestamp', { value: null, timestamp: 5n }, /`timestamp`.*bigint/],
  ]
  for (const [name, record, message] of refused) {
    it(`${name} → TypeError`, () => {
      assert.throws(() => bound(record), { name: 'TypeError', message })
    })
  }
})

describe('BatchWriter', () => {
  it('texts of every width and length → read back, within the bound', () => {
    for (const character of ['a', 'é', '語', '😀']) {
      for (const count of [0, 1, 20, 21, 24, 25, 31, 32, 62, 63, 64, 65, 2000, 5461, 8191, 8192]) {
        const text = character.repeat(count)
        const record = { key: text, value: text, headers: { [text]: text } }
        const batch = encodeBatch([record])
        assert.ok(batch.length <= 61 + recordSizeBound(record))
        const read = readRecords(batch)[0]
        assert.ok(read)
        assert.equal(read.keyBytes?.toString(), text)
        assert.equal(read.valueBytes?.toString(), text)
        assert.deepEqual(read.headers, [[text, Buffer.from(text)]])
      }
    }
  })

  it('a record whose size is guessed wrong → the same bytes as one guessed right', () => {
    const value = Buffer.alloc(60)
    const headers = { name: 'value' }
    const first = encodeBatch([{ value, headers }])
    const both = encodeBatch([
      { value, headers },
      { value, headers },
    ])
    assert.equal(both.length, 61 + 2 * (first.length - 61))
    assert.deepEqual(both.subarray(61, first.length), first.subarray(61))
  })

  it('lone surrogates → U+FFFD, as Buffer.from writes them', () => {
    for (const text of ['\ud800', 'a\udc00b', `${'x'.repeat(40)}\ud83d`]) {
      assert.deepEqual(firstRecord({ value: text }).valueBytes, Buffer.from(text))
    }
  })

  it('headers as pairs → order, repeated names and null values kept', () => {
    const headers = [
      ['b', '1'],
      ['a', null],
      ['b', Buffer.from('2')],
    ] as const
    assert.deepEqual(firstRecord({ value: null, headers }).headers, [
      ['b', Buffer.from('1')],
      ['a', null],
      ['b', Buffer.from('2')],
    ])
  })

  it('records with and without timestamps → their own, or the one that add is given', () => {
    const batch = encodeBatch([
      { value: 'a' },
      { value: 'b', timestamp: baseTimestamp - 1000 },
      { value: 'c', timestamp: new Date(baseTimestamp + 7) },
      { value: 'd', timestamp: 0 },
    ])
    assert.deepEqual(
      readRecords(batch).map(record => record.timestamp),
      [baseTimestamp, baseTimestamp - 1000, baseTimestamp + 7, 0],
    )
    assert.equal(decodeBatchHeader(batch, 0).baseTimestamp, baseTimestamp)
    assert.equal(decodeBatchHeader(batch, 0).maxTimestamp, baseTimestamp + 7)
  })

  it('append timestamps → every record has the time of the append', () => {
    const batch = encodeBatch(
      [
        { value: 'a', timestamp: 1 },
        { value: 'b', timestamp: 2 },
      ],
      {
        timestampType: 'append',
        appendTimestamp: 99,
      },
    )
    const header = decodeBatchHeader(batch, 0)
    assert.equal(header.timestampType, 'append')
    assert.equal(header.maxTimestamp, 99)
    assert.deepEqual(
      readRecords(batch).map(record => record.timestamp),
      [99, 99],
    )
  })

  it('an open batch → count, end and timestamps follow each record', () => {
    const target = Buffer.alloc(300)
    const writer = new BatchWriter()
    writer.begin(target, 100)
    assert.deepEqual(
      [writer.recordCount, writer.endPosition, writer.firstTimestamp, writer.maxTimestamp],
      [0, 161, -1, -1],
    )
    writer.add({ value: null, timestamp: 9 }, 1)
    writer.add({ value: null }, 5)
    assert.deepEqual(
      [writer.recordCount, writer.endPosition, writer.firstTimestamp, writer.maxTimestamp],
      [2, 175, 9, 9],
    )
    const sizeBytes = writer.finish({ baseOffset: 4, leaderEpoch: 2 })
    assert.equal(sizeBytes, 75)
    assert.equal(checkBatch(target, 100, { end: 175, checkCrc: true }), 'ok')
    assert.deepEqual(target.subarray(0, 100), Buffer.alloc(100))
    assert.deepEqual(target.subarray(175), Buffer.alloc(125))
  })

  it('one writer, one batch after the other → nothing of the first in the second', () => {
    const target = Buffer.alloc(400)
    const writer = new BatchWriter()
    for (const position of [0, 200]) {
      writer.begin(target, position)
      assert.deepEqual([writer.firstTimestamp, writer.maxTimestamp], [-1, -1])
      writer.add({ value: 'same' }, baseTimestamp)
      writer.finish({ baseOffset: 0, leaderEpoch: 0 })
    }
    assert.deepEqual(target.subarray(0, 200), target.subarray(200))
  })

  it('a record that cannot be added → the batch stays as it was', () => {
    const target = Buffer.alloc(200)
    const writer = new BatchWriter()
    writer.begin(target, 0)
    writer.add({ value: 'kept' }, baseTimestamp)
    const end = writer.endPosition
    assert.throws(() => writer.add({ value: Buffer.alloc(500) }, baseTimestamp))
    assert.equal(writer.endPosition, end)
    const batch = target.subarray(0, writer.finish({ baseOffset: 0, leaderEpoch: 0 }))
    assert.deepEqual(readRecords(batch).map(contentOf), [
      { offset: 0, timestamp: baseTimestamp, key: null, value: 'kept', headers: [] },
    ])
  })

  it('all at once → count, end and timestamps follow', () => {
    const writer = new BatchWriter()
    writer.begin(Buffer.alloc(300), 100)
    writer.addAll([], 9)
    assert.deepEqual([writer.recordCount, writer.firstTimestamp], [0, -1])
    writer.addAll([{ value: null }, { value: Buffer.alloc(20) }], 5)
    assert.deepEqual(
      [writer.recordCount, writer.endPosition, writer.firstTimestamp, writer.maxTimestamp],
      [2, 195, 5, 5],
    )
    writer.addAll([{ value: Buffer.alloc(1), timestamp: 7 }, { value: Buffer.alloc(1) }], 6)
    assert.deepEqual([writer.recordCount, writer.firstTimestamp, writer.maxTimestamp], [4, 5, 7])
  })

  for (const value of [Buffer.alloc(10), 'a text of ten', new Uint8Array(100)]) {
    it(`no room for ${value.length} bytes of ${typeof value} → TypeError or RangeError, the batch stays as it was`, () => {
      const writer = new BatchWriter()
      writer.begin(Buffer.alloc(76), 0)
      writer.add({ value: null }, baseTimestamp)
      const end = writer.endPosition
      assert.throws(() => writer.add({ value }, baseTimestamp), /TypeError|RangeError/)
      assert.throws(() => writer.addAll([{ value }], baseTimestamp), /TypeError|RangeError/)
      assert.deepEqual([writer.recordCount, writer.endPosition], [1, end])
    })
  }

  const ofAllKinds: readonly (readonly [string, RecordInput])[] = [
    ['bytes', { key: Buffer.from('k'), value: Buffer.alloc(40) }],
    ['a tombstone', { value: null }],
    ['a string', { value: 'of characters' }],
    ['headers', { value: Buffer.alloc(3), headers: { a: 'b' } }],
    ['a timestamp', { value: Buffer.alloc(3), timestamp: baseTimestamp + 1 }],
  ]
  for (const [what, last] of ofAllKinds) {
    it(`up to a limit, ${what} at the end → added where its bound fits, and a byte less is too little`, () => {
      const given = [{ value: Buffer.alloc(20) }, last]
      const writer = new BatchWriter()
      writer.begin(Buffer.alloc(500), 0)
      writer.addAll(given.slice(0, 1), baseTimestamp)
      const limit = writer.endPosition + recordSizeBound(last)
      for (const [limitPosition, count] of [
        [limit, 2],
        [limit - 1, 1],
      ] as const) {
        writer.begin(Buffer.alloc(500), 0)
        assert.equal(writer.addAll(given, baseTimestamp, limitPosition), count === 2)
        assert.equal(writer.recordCount, count)
        assert.ok(writer.endPosition <= limitPosition)
      }
    })
  }

  const unfit: readonly unknown[] = [
    null,
    undefined,
    'text',
    {},
    { value: 5 },
    { key: 1, value: '' },
  ]
  for (const record of unfit) {
    it(`up to a limit, ${JSON.stringify(record)} among others → TypeError with what is expected`, () => {
      const writer = new BatchWriter()
      writer.begin(Buffer.alloc(500), 0)
      const given = [{ value: Buffer.alloc(20) }, record as RecordInput, { value: null }]
      assert.throws(() => writer.addAll(given, baseTimestamp, 500), {
        name: 'TypeError',
        message: /^expected /,
      })
    })
  }

  it('what was added → copied', () => {
    const value = Buffer.from('before')
    const batch = encodeBatch([{ value }])
    value.fill(0)
    assert.equal(readRecords(batch)[0]?.valueBytes?.toString(), 'before')
  })

  it('producer, sequence, transaction → in the header', () => {
    const header = decodeBatchHeader(
      encodeBatch([{ value: null }], {
        producerId: 2 ** 40,
        producerEpoch: 5,
        baseSequence: 77,
        isTransactional: true,
      }),
      0,
    )
    assert.deepEqual(
      [header.producerId, header.producerEpoch, header.baseSequence, header.isTransactional],
      [2 ** 40, 5, 77, true],
    )
  })
})
