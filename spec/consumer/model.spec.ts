/**
 * Random histories of groups against what must hold of them: every record is processed, none by two
 * members at once under an assignment that was not lost, records of a key in order, and nothing committed
 * passes work that is not finished. `npm run sim` runs more of them.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { seeds } from '../support/random.ts'
import { runConsumerSeed } from '../support/sim-consumers.ts'

describe('groups whose members come, go, fail and are killed', () => {
  it('every promise is kept, over many histories', async () => {
    const total = { finished: 0, redelivered: 0, revoked: 0, lost: 0, openings: 0 }
    const all = seeds(40)
    for (const seed of all) {
      const summary = await runConsumerSeed(seed, 150)
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += summary[name]
    }
    if (all.length === 1) return
    for (const [name, count] of Object.entries(total)) assert.ok(count > 20, `${name}: ${count}`)
  })
})
