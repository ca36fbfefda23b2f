/** The histogram of flushes: percentiles are upper bounds, near, and never above the largest seen. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Counters } from '../../lib/storage/counters.ts'

function countersOf(...ms: readonly number[]): Counters {
  const counters = new Counters()
  for (const each of ms) counters.noteFlush(each)
  return counters
}

describe('Counters.flushMs', () => {
  it('no flush -> zeros', () => {
    assert.deepEqual(new Counters().flushMs(), { p50: 0, p99: 0, max: 0 })
  })

  it('one flush -> all three are its time', () => {
    assert.deepEqual(countersOf(3.3).flushMs(), { p50: 3.3, p99: 3.3, max: 3.3 })
  })

  for (const ms of [0.01, 0.5, 1, 7.7, 120, 60_000]) {
    it(`half of the flushes took ${ms} ms, half longer -> p50 at most 19 % above`, () => {
      const { p50 } = countersOf(ms, ms, 100_000, 100_000).flushMs()
      assert.ok(p50 >= ms * 0.999_999 && p50 <= ms * 1.19, `p50 is ${p50}`)
    })
  }

  it('one flush in a hundred is slow -> p50 and p99 do not show it, max does', () => {
    const fast = Array.from({ length: 99 }, () => 1)
    const { p50, p99, max } = countersOf(...fast, 500).flushMs()
    assert.ok(p50 <= 1.19 && p99 <= 1.19)
    assert.equal(max, 500)
  })

  it('two in a hundred are slow -> p99 shows them', () => {
    const fast = Array.from({ length: 98 }, () => 1)
    assert.ok(countersOf(...fast, 500, 500).flushMs().p99 >= 499)
  })

  it('no time at all, and longer than any bucket -> counted at the ends', () => {
    const counters = countersOf(0, 10_000_000)
    assert.equal(counters.flushes, 2)
    assert.equal(counters.flushMs().max, 10_000_000)
    assert.equal(counters.flushMs().p50, 0.01)
  })
})
