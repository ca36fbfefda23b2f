/** Hashes and partitions as Kafka's Java client has them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { murmur2, partitionForKey } from '../../lib/record/murmur2.ts'

const vectors: readonly (readonly [string | Buffer, number])[] = [
  ['', 275646681],
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
  ['key', -1079937367],
  [Buffer.from('fffefd', 'hex'), 998637092],
  ['é', 186971271],
]

describe('murmur2', () => {
  for (const [key, expected] of vectors) {
    it(`${JSON.stringify(key.toString())} → ${expected}`, () => {
      assert.equal(murmur2(Buffer.from(key)), expected)
    })
  }
})

describe('partitionForKey', () => {
  for (const [key, partition] of [
    ['foobar', 6],
    ['abc', 3],
    ['key', 1],
  ] as const) {
    it(`${key} of 12 partitions → ${partition}`, () => {
      assert.equal(partitionForKey(Buffer.from(key), 12), partition)
    })
  }
})
