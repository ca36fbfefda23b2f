/** Known values of CRC-32 (IEEE), and that a CRC can be carried on from part to part. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { crc32 } from '../../lib/storage/crc32.ts'

describe('crc32', () => {
  for (const [text, crc] of [
    ['', 0x00000000],
    ['a', 0xe8b7be43],
    ['123456789', 0xcbf43926],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ] as const) {
    it(`${JSON.stringify(text)} → ${crc.toString(16)}`, () => {
      assert.equal(crc32(Buffer.from(text)), crc)
    })
  }

  it('two parts, the second carrying on the first → the CRC of the whole', () => {
    const whole = Buffer.from('The quick brown fox jumps over the lazy dog')
    for (let cut = 0; cut <= whole.length; cut++) {
      assert.equal(crc32(whole.subarray(cut), crc32(whole.subarray(0, cut))), 0x414fa339)
    }
  })
})
