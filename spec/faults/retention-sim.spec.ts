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
const seedCount = 400
const operations = 80
/** Histories of one test. */
const seedsPerTest = 100

/**
 * Histories that broke a promise while a bug was there, or had been put there, and which. A change of the
 * calls that the log makes gives a seed another history: then put the bug back and look for one that
 * finds it again.
 */
const regressions: readonly (readonly [seed: number, what: string])[] = [
  [13, 'a compaction rejected with an error that no one had documented'],
  [1, 'compaction kept the older of two records'],
  [1, 'tombstones went with the first compaction'],
  [1, 'offsets began anew in a partition that had been emptied'],
  [3, 'age was that of the timestamps, whatever retentionBy said'],
  [8, 'files went before the log start was durable'],
  [33, 'a clean close forgot when the active segment was appended to'],
]

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

  for (const [seed, what] of regressions) {
    it(`the history in which ${what} → only what a rule lets go is gone`, async () => {
      assert.ok((await runRetentionSeed(seed, operations)).openings > 0)
    })
  }

  it('a seed run twice → the same history', async () => {
    const first = await runRetentionSeed(42, operations)
    assert.deepEqual(await runRetentionSeed(42, operations), first)
  })
})
