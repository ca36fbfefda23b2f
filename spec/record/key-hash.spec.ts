/** The hash of keys against the published vectors of HalfSipHash-2-4, and its two halves. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { KeyHash } from '../../lib/record/key-hash.ts'
import { forEachSeed } from '../support/random.ts'

const counting = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => i))

function hashOf(hash: KeyHash, bytes: Buffer, start = 0, end = bytes.length): string {
  hash.hash(bytes, start, end)
  const result = Buffer.alloc(16)
  for (const [index, word] of hash.words.entries()) result.writeInt32LE(word, index * 4)
  return result.toString('hex')
}

describe('KeyHash', () => {
  it('the inputs of the reference implementation -> its 64-bit results', () => {
    const hash = new KeyHash(counting(16))
    const expected = ['218d1f59b9b83cc8', 'be552412f8387315', '064f39ef7c50eb57']
    for (const [length, half] of expected.entries()) {
      assert.equal(hashOf(hash, counting(length)).slice(0, 16), half)
    }
  })

  it('the second half -> the hash under the second half of the secret', () => {
    const hash = new KeyHash(counting(16))
    const swapped = new KeyHash(Buffer.concat([counting(16).subarray(8), counting(8)]))
    for (const length of [0, 3, 4, 17]) {
      const [a, b] = [hashOf(hash, counting(length)), hashOf(swapped, counting(length))]
      assert.equal(a.slice(16), b.slice(0, 16))
      assert.equal(a.slice(0, 16), b.slice(16))
    }
  })

  it('the same bytes at another place -> the same hash', async () => {
    await forEachSeed(50, random => {
      const hash = new KeyHash()
      const bytes = Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)))
      const inside = Buffer.concat([Buffer.alloc(3, 7), bytes, Buffer.alloc(5, 9)])
      assert.equal(hashOf(hash, inside, 3, 3 + bytes.length), hashOf(hash, bytes))
    })
  })

  it('two secrets -> two hashes', () => {
    assert.notEqual(hashOf(new KeyHash(), counting(8)), hashOf(new KeyHash(), counting(8)))
  })
})
