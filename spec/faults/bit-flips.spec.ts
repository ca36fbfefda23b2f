/**
 * Single bits flipped in a segment of 4 KiB, each of them where it was closed and two of every byte
 * where it was not, and in every file beside it, one of every byte; `npm run soak` flips all.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { flipSegment, flipSideFiles } from '../support/bit-flips.ts'

const everyBit = [0, 1, 2, 3, 4, 5, 6, 7]
const twoBits = [2, 7]

describe('a bit flipped in a segment', () => {
  it('of a log that was closed → only its batch is missing, and reported', async () => {
    const flips = await flipSegment('clean', { sizeBytes: 4000, bits: everyBit, step: 1 })
    assert.ok(flips >= 32_000, `${flips} flips`)
  })

  it('below the recovery point, after a crash → only its batch is missing, and reported', async () => {
    const flips = await flipSegment('flushed', { sizeBytes: 4000, bits: twoBits, step: 1 })
    assert.ok(flips >= 8000, `${flips} flips`)
  })

  it('above the recovery point, after a crash → the log ends before its batch', async () => {
    const flips = await flipSegment('unflushed', { sizeBytes: 4000, bits: twoBits, step: 1 })
    assert.ok(flips >= 8000, `${flips} flips`)
  })
})

describe('a bit flipped in a file beside the segments', () => {
  it('of a log that was closed → every record is there, or the format is refused', async () => {
    const { flips } = await flipSideFiles('clean', [0])
    assert.ok(flips > 800, `${flips} flips`)
  })

  it('after a crash → every record is there, or the format is refused', async () => {
    const { flips } = await flipSideFiles('crashed', [4])
    assert.ok(flips > 800, `${flips} flips`)
  })

  it('with complete indexes and no clean marker → every record is there, or the format is refused', async () => {
    const { flips } = await flipSideFiles('unmarked', [1])
    assert.ok(flips > 700, `${flips} flips`)
  })
})
