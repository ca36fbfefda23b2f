/**
 * `npm run sim -- --seed=1 --seeds=1000 --ops=200`: simulated histories from `seed` on, of a log and of
 * consumers; ends with the first seed whose history broke a promise, and prints what replays it.
 */
import { parseArgs } from 'node:util'

import { runConsumerSeed } from './sim-consumers.ts'
import { runSeed } from './sim-run.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    ops: { type: 'string', default: '200' },
    all: { type: 'boolean', default: false },
  },
})
const first = Number(values.seed)
const count = Number(values.seeds)
const startMs = performance.now()
let openings = 0
let crashes = 0
let promisedRecords = 0
let processedRecords = 0
const failed: number[] = []
for (let seed = first; seed < first + count; seed++) {
  try {
    const summary = await runSeed(seed, Number(values.ops))
    openings += summary.openings
    crashes += summary.crashes
    promisedRecords += summary.promisedRecords
    processedRecords += (await runConsumerSeed(seed, Number(values.ops))).finished
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.exitCode = 1
    failed.push(seed)
    if (!values.all) {
      console.error(message)
      break
    }
    console.error(`${seed}: ${message.split('\n')[1]}`)
  }
  const done = seed - first + 1
  if (done % 1000 === 0 || done === count) {
    const perSeedMs = ((performance.now() - startMs) / done).toFixed(1)
    console.log(
      `${done} seeds, ${perSeedMs} ms each: ${openings} openings, ${crashes} power cuts, ${promisedRecords} records promised at the end, ${processedRecords} processed by groups`,
    )
  }
}
if (failed.length > 0) console.error(`failed: ${failed.length}: ${failed.slice(0, 20).join(' ')}`)
