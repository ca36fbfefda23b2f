/** Sequence numbers, around the place where they begin again. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isBefore, sequenceAfter } from '../../lib/producer/sequences.ts'

const largest = 2 ** 31 - 1

describe('sequenceAfter', () => {
  it('up to the largest -> counted on; behind it -> from 0', () => {
    assert.equal(sequenceAfter(5, 3), 8)
    assert.equal(sequenceAfter(largest - 1, 1), largest)
    assert.equal(sequenceAfter(largest, 1), 0)
    assert.equal(sequenceAfter(largest - 1, 10), 8)
  })
})

describe('isBefore', () => {
  for (const [sequence, other, expected] of [
    [5, 6, true],
    [6, 5, false],
    [5, 5, false],
    [largest, 0, true],
    [0, largest, false],
    [largest - 100, 100, true],
  ] as const) {
    it(`${sequence}, ${other} -> ${expected}`, () => {
      assert.equal(isBefore(sequence, other), expected)
    })
  }
})
