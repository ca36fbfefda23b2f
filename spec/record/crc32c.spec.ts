/** Published vectors, and both implementations against each other over every alignment and length. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { crc32c, crc32cByTables, crc32cKind } from '../../lib/record/crc32c.ts'

const vectors: readonly (readonly [string, Buffer, number])[] = [
  ['no bytes', Buffer.alloc(0), 0],
  ['"123456789"', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 times ff', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, byte) => byte)), 0x46dd794e],
]

describe('crc32c', () => {
  for (const [name, bytes, expected] of vectors) {
    it(`${name} → ${expected.toString(16)}`, () => {
      assert.equal(crc32c(bytes, 0, bytes.length), expected)
      assert.equal(crc32cByTables(bytes, 0, bytes.length), expected)
    })
  }

  it('the native package is installed → it serves long inputs', () => {
    assert.equal(crc32cKind(), 'native')
  })

  it('any start and length → native and tables agree', () => {
    const bytes = Buffer.from(Array.from({ length: 2048 }, (_, index) => (index * 193) >>> 3))
    for (let start = 0; start < 16; start++) {
      for (const sizeBytes of [0, 1, 7, 8, 9, 100, 255, 256, 257, 1000, 2000]) {
        const end = start + sizeBytes
        assert.equal(crc32c(bytes, start, end), crc32cByTables(bytes, start, end))
      }
    }
  })

  it('bytes outside the range → do not count', () => {
    const bytes = Buffer.from('xx123456789yy')
    assert.equal(crc32c(bytes, 2, 11), 0xe3069283)
  })
})
