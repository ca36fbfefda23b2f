/**
 * `npm run sim -- --seed=1 --seeds=1000 --ops=200`: simulated histories from `seed` on, of a log and of
 * consumers; ends with the first seed whose history broke a promise, and prints what replays it.
 * `--kind=retention`: of a log in which records go, by retention and compaction.
 */
import { parseArgs } from 'node:util'

import { runRetentionSeed } from './retention-run.ts'
import { runConsumerSeed } from './sim-consumers.ts'
import { runSeed } from './sim-run.ts'

/** What the histories came to, by what is counted. */
type Counts = Readonly<Record<string, number>>

const kinds: Readonly<Record<string, (seed: number, operations: number) => Promise<Counts>>> = {
  log: async (seed, operations) => {
    const { openings, crashes, promisedRecords } = await runSeed(seed, operations)
    const { finished } = await runConsumerSeed(seed, operations)
    return {
      openings,
      'power cuts': crashes,
      'records promised at the end': promisedRecords,
      'processed by groups': finished,
    }
  },
  retention: async (seed, operations) => {
    const summary = await runRetentionSeed(seed, operations)
    return {
      openings: summary.openings,
      'power cuts': summary.crashes,
      'records promised at the end': summary.keptRecords,
      'gone by the rules': summary.lostRecords,
    }
  },
}

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'log' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    ops: { type: 'string', default: '200' },
    all: { type: 'boolean', default: false },
  },
})
const run = kinds[values.kind]
if (run === undefined) throw new RangeError(`--kind is one of ${Object.keys(kinds).join(', ')}`)
const first = Number(values.seed)
const count = Number(values.seeds)
const startMs = performance.now()
const totals: Record<string, number> = {}
const failed: number[] = []
for (let seed = first; seed < first + count; seed++) {
  try {
    for (const [what, counted] of Object.entries(await run(seed, Number(values.ops)))) {
      totals[what] = (totals[what] ?? 0) + counted
    }
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
    const counts = Object.entries(totals).map(([what, total]) => `${total} ${what}`)
    console.log(`${done} seeds, ${perSeedMs} ms each: ${counts.join(', ')}`)
  }
}
if (failed.length > 0) console.error(`failed: ${failed.length}: ${failed.slice(0, 20).join(' ')}`)
