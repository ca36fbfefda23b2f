/**
 * Simulated histories in which records go, by retention, `deleteRecords` and compaction, on a disk that
 * fails and a clock that jumps. `npm run sim -- --kind=retention --seed=1 --seeds=10000` runs more of
 * them, SEED=n one alone.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { seeds } from '../support/random.ts'
import { runRetentionSeed } from '../support/retention-run.ts'

/** How many histories, and how long they are. */
const seedCount = 300
const operations = 80
/** Histories of one test. */
const seedsPerTest = 50

describe('a simulated log in which records go', () => {
  const all = [...seeds(seedCount)]
  for (let first = 0; first < all.length; first += seedsPerTest) {
    const some = all.slice(first, first + seedsPerTest)
    it(`random histories from seed ${some[0]} on → only what a rule lets go is gone`, async () => {
      let lostRecords = 0
      for (const seed of some) {
        lostRecords += (await runRetentionSeed(seed, operations)).lostRecords
      }
      assert.ok(some.length === 1 || lostRecords > some.length)
    })
  }

  it('a seed run twice → the same history', async () => {
    const first = await runRetentionSeed(42, operations)
    assert.deepEqual(await runRetentionSeed(42, operations), first)
  })
})
