/** Numbers as eight bytes, compared with Buffer's own bigint methods over the edges of both halves. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { readInt64, writeInt64 } from '../../lib/record/int64.ts'

const edges = [0, 1, 2 ** 31, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER]
const values = edges.flatMap(edge => [edge - 1, edge, edge + 1, -edge, 1 - edge, -1 - edge])

describe('int64', () => {
  for (const value of new Set(values.filter(Number.isSafeInteger))) {
    it(`${value} → the bytes of a big-endian int64, and back`, () => {
      const buffer = Buffer.alloc(10, 0xaa)
      const expected = Buffer.alloc(10, 0xaa)
      expected.writeBigInt64BE(BigInt(value), 1)
      writeInt64(buffer, 1, value)
      assert.deepEqual(buffer, expected)
      assert.equal(readInt64(buffer, 1), Number(BigInt(value)))
    })
  }

  it('a value beyond 2^53 → the nearest double', () => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64BE(-(2n ** 63n))
    assert.equal(readInt64(buffer, 0), -(2 ** 63))
  })
})
