/** A bit flipped in every byte of a segment of 64 KiB, where many batches and index entries lie. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { flipSegment } from '../support/bit-flips.ts'

const sizeBytes = 64 << 10

describe('a bit flipped in a long segment', () => {
  it('in any byte of it → only its batch is missing, and reported', async () => {
    const flips = await flipSegment('clean', { sizeBytes, valueBytes: 600, bits: [0], step: 1 })
    assert.ok(flips >= sizeBytes, `${flips} flips`)
  })
})
