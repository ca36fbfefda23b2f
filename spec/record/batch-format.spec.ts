/**
 * The header, and what `checkBatch` says of damaged batches: every bit flipped, every length cut.
 * A checksum that covers everything behind it finds each flip there; base offset and leader epoch
 * lie outside it by design, and the length is judged by itself.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  baseOffsetAt,
  batchSizeAt,
  checkBatch,
  decodeBatchHeader,
  leaderEpochAt,
  maxTimestampAt,
  nextOffsetAt,
  recordCountAt,
  sealBatch,
  stampBatch,
} from '../../lib/record/batch-format.ts'
import { baseTimestamp, encodeBatch } from '../support/batches.ts'

const batch = encodeBatch(
  [
    { key: 'k1', value: 'v1', headers: { h: 'x' } },
    { value: 'value-2', timestamp: baseTimestamp + 5 },
  ],
  { baseOffset: 41, leaderEpoch: 6 },
)

function check(bytes: Buffer, end = bytes.length): string {
  return checkBatch(bytes, 0, { end, checkCrc: true })
}

/** The batch with some bytes overwritten and the checksum made right again. */
function changed(position: number, bytesInHex: string): Buffer {
  const copy = Buffer.from(batch)
  copy.write(bytesInHex, position, 'hex')
  sealBatch(copy, 0, copy.length)
  return copy
}

function flippedBits(first: number, end: number): Buffer[] {
  return Array.from({ length: (end - first) * 8 }, (_, bit) => {
    const copy = Buffer.from(batch)
    const position = first + (bit >>> 3)
    copy.writeUInt8(copy.readUInt8(position) ^ (1 << (bit & 7)), position)
    return copy
  })
}

describe('decodeBatchHeader', () => {
  it('a batch as written → its fields', () => {
    assert.deepEqual(decodeBatchHeader(batch, 0), {
      baseOffset: 41,
      sizeBytes: batch.length,
      leaderEpoch: 6,
      crc: batch.readUInt32BE(17),
      attributes: 0,
      compressionType: 'none',
      timestampType: 'create',
      isTransactional: false,
      isControl: false,
      lastOffset: 42,
      nextOffset: 43,
      baseTimestamp,
      maxTimestamp: baseTimestamp + 5,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordCount: 2,
    })
  })

  it('every attribute set → read as such', () => {
    const header = decodeBatchHeader(changed(21, '003c'), 0)
    assert.equal(header.compressionType, 'zstd')
    assert.equal(header.timestampType, 'append')
    assert.equal(header.isTransactional, true)
    assert.equal(header.isControl, true)
  })

  it('a batch in the middle of a buffer → the peeks agree with the header', () => {
    const buffer = Buffer.concat([Buffer.alloc(7, 0xee), batch])
    const header = decodeBatchHeader(buffer, 7)
    assert.equal(baseOffsetAt(buffer, 7), header.baseOffset)
    assert.equal(batchSizeAt(buffer, 7), header.sizeBytes)
    assert.equal(leaderEpochAt(buffer, 7), header.leaderEpoch)
    assert.equal(maxTimestampAt(buffer, 7), header.maxTimestamp)
    assert.equal(nextOffsetAt(buffer, 7), header.nextOffset)
    assert.equal(recordCountAt(buffer, 7), header.recordCount)
  })
})

describe('stampBatch', () => {
  it('another base offset and leader epoch → the checksum still holds', () => {
    const copy = Buffer.from(batch)
    stampBatch(copy, 0, { baseOffset: 2 ** 40, leaderEpoch: 9 })
    assert.equal(check(copy), 'ok')
    const header = decodeBatchHeader(copy, 0)
    assert.equal(header.baseOffset, 2 ** 40)
    assert.equal(header.lastOffset, 2 ** 40 + 1)
    assert.equal(header.leaderEpoch, 9)
  })
})

describe('checkBatch', () => {
  it('a batch as written → ok', () => {
    assert.equal(check(batch), 'ok')
  })

  it('a batch between other bytes → judged alone', () => {
    const buffer = Buffer.concat([Buffer.alloc(5, 0xff), batch, Buffer.alloc(5, 0xff)])
    const end = 5 + batch.length
    assert.equal(checkBatch(buffer, 5, { end, checkCrc: true }), 'ok')
    assert.equal(checkBatch(buffer, 5, { end: buffer.length, checkCrc: true }), 'ok')
  })

  it('cut at any byte → incomplete', () => {
    for (let end = 0; end < batch.length; end++) assert.equal(check(batch, end), 'incomplete')
  })

  it('any bit flipped in the magic → magic', () => {
    for (const damaged of flippedBits(16, 17)) assert.equal(check(damaged), 'magic')
  })

  it('any bit flipped in the checksum or behind it → crc', () => {
    for (const damaged of flippedBits(17, batch.length)) assert.equal(check(damaged), 'crc')
  })

  it('any bit flipped in the length → never ok', () => {
    for (const damaged of flippedBits(8, 12)) {
      assert.match(check(damaged), /^(incomplete|length|crc)$/)
    }
  })

  it('a bit flipped in the leader epoch, outside the checksum → ok, with that epoch', () => {
    for (const damaged of flippedBits(12, 16)) {
      assert.equal(check(damaged), 'ok')
      assert.notEqual(leaderEpochAt(damaged, 0), 6)
    }
  })

  it('a bit flipped in the base offset, outside the checksum → another offset, or record', () => {
    for (const damaged of flippedBits(0, 8)) {
      const isPossible = Number.isSafeInteger(baseOffsetAt(damaged, 0)) && damaged[0] === 0
      assert.equal(check(damaged), isPossible ? 'ok' : 'record')
      assert.notEqual(baseOffsetAt(damaged, 0), 41)
    }
  })

  it('zeros → length', () => {
    for (const sizeBytes of [12, 16, 17, 61, 4096]) {
      assert.equal(check(Buffer.alloc(sizeBytes)), 'length')
    }
  })

  for (const [name, length] of [
    ['48', 48],
    ['-1', -1],
    ['-2^31', -(2 ** 31)],
  ] as const) {
    it(`a length of ${name} → length`, () => {
      const copy = Buffer.from(batch)
      copy.writeInt32BE(length, 8)
      assert.equal(check(copy), 'length')
    })
  }

  it('the largest length and nothing behind → incomplete', () => {
    const copy = Buffer.from(batch)
    copy.writeInt32BE(2 ** 31 - 1, 8)
    assert.equal(check(copy), 'incomplete')
  })

  it('a wrong checksum that nobody asks about → ok', () => {
    const copy = Buffer.from(batch)
    copy.writeUInt32BE(0, 17)
    assert.equal(checkBatch(copy, 0, { end: copy.length, checkCrc: false }), 'ok')
  })

  const contradictions: readonly (readonly [string, number, string])[] = [
    ['a negative base offset', 0, 'ffffffffffffffff'],
    ['offsets beyond 2^53', 0, '001fffffffffffff'],
    ['a negative last offset delta', 23, 'ffffffff'],
    ['no offsets and no records', 23, `ffffffff${batch.toString('hex', 27, 57)}00000000`],
    ['a negative record count', 57, 'ffffffff'],
    ['more records than offsets', 57, '00000003'],
    ['codec 5', 21, '0005'],
    ['codec 7', 21, '0007'],
  ]
  for (const [name, position, bytes] of contradictions) {
    it(`${name}, under a right checksum → record`, () => {
      assert.equal(check(changed(position, bytes)), 'record')
    })
  }

  it('fewer records than offsets, as compaction leaves them → ok', () => {
    assert.equal(check(changed(57, '00000001')), 'ok')
  })
})
