/** Zig-zag varints against known bytes, against bigint arithmetic, and against bytes that are none. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  VarintCursor,
  varintSize,
  varlongSize,
  writeVarint,
  writeVarlong,
} from '../../lib/record/varint.ts'

const known: readonly (readonly [number, string])[] = [
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [-2, '03'],
  [63, '7e'],
  [-64, '7f'],
  [64, '8001'],
  [-65, '8101'],
  [300, 'd804'],
  [2147483647, 'feffffff0f'],
  [-2147483648, 'ffffffff0f'],
]

function written(write: typeof writeVarint, value: number): string {
  const buffer = Buffer.alloc(12)
  return buffer.toString('hex', 1, write(buffer, 1, value))
}

/** The definition, in bigint. */
function referenceBytes(value: number): string {
  const signed = BigInt(value)
  let bits = signed < 0n ? -2n * signed - 1n : 2n * signed
  const bytes: number[] = []
  for (; bits > 0x7fn; bits >>= 7n) bytes.push(Number(bits & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(bits)]).toString('hex')
}

describe('varint', () => {
  for (const [value, bytes] of known) {
    it(`${value} → ${bytes}, also as a varlong, and back`, () => {
      assert.equal(written(writeVarint, value), bytes)
      assert.equal(written(writeVarlong, value), bytes)
      assert.equal(varintSize(value), bytes.length / 2)
      assert.equal(varlongSize(value), bytes.length / 2)
      const cursor = new VarintCursor(Buffer.from(`${bytes}${bytes}`, 'hex'), 0)
      assert.equal(cursor.readVarint(), value)
      assert.equal(cursor.readVarlong(), value)
      assert.equal(cursor.position, bytes.length)
    })
  }

  it('a longer form than needed → the same value', () => {
    const cursor = new VarintCursor(Buffer.from('828000', 'hex'), 0)
    assert.equal(cursor.readVarint(), 1)
    assert.equal(cursor.position, 3)
  })

  const refused = ['', '80', 'ffffffff', 'ffffffff1f', 'ffffffffff00']
  for (const bytes of refused) {
    it(`"${bytes}" → a position beyond every end`, () => {
      const cursor = new VarintCursor(Buffer.from(bytes, 'hex'), 0)
      cursor.readVarint()
      assert.equal(cursor.position, Number.MAX_SAFE_INTEGER)
    })
  }
})

describe('varlong', () => {
  for (let power = 30; power < 53; power++) {
    it(`values around ±2^${power} → as the definition has them, and back`, () => {
      for (const value of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
        for (const signed of [value, -value]) {
          const bytes = written(writeVarlong, signed)
          assert.equal(bytes, referenceBytes(signed))
          assert.equal(varlongSize(signed), bytes.length / 2)
          const cursor = new VarintCursor(Buffer.from(bytes, 'hex'), 0)
          assert.equal(cursor.readVarlong(), signed)
          assert.equal(cursor.position, bytes.length / 2)
        }
      }
    })
  }

  it('the largest and smallest safe integers → and back', () => {
    for (const value of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      const bytes = written(writeVarlong, value)
      assert.equal(bytes, referenceBytes(value))
      assert.equal(varlongSize(value), bytes.length / 2)
      assert.equal(new VarintCursor(Buffer.from(bytes, 'hex'), 0).readVarlong(), value)
    }
  })

  it('the smallest int64, in ten bytes → the nearest double', () => {
    const cursor = new VarintCursor(Buffer.from('ffffffffffffffffff01', 'hex'), 0)
    assert.equal(cursor.readVarlong(), -(2 ** 63))
    assert.equal(cursor.position, 10)
  })

  for (const bytes of ['ffffffffffffffffff02', 'ffffffffffffffffffff00', 'ffffffffff']) {
    it(`"${bytes}" → a position beyond every end`, () => {
      const cursor = new VarintCursor(Buffer.from(bytes, 'hex'), 0)
      cursor.readVarlong()
      assert.equal(cursor.position, Number.MAX_SAFE_INTEGER)
    })
  }
})
