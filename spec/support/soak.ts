/**
 * `npm run soak -- --minutes=60`: the long versions of the fault specs, one after the other, until
 * they are through or the time is over. `--only=sim` (or every-call, tail-cut, bit-flips, kill,
 * memory) runs one. `--seed=1 --seeds=1000000 --ops=200` say which histories are simulated, `--cycles=10000`
 * how often a writer is killed, `--mb=5000` how much is appended and read for the memory's sake.
 */
import { parseArgs } from 'node:util'

import { flipSegment, flipSideFiles } from './bit-flips.ts'
import { soakKills } from './processes/kill-cycles.ts'
import { runSeed } from './sim-run.ts'
import { strikeEach } from './sim-workload.ts'
import { soakMemory } from './soak-memory.ts'
import { cutBelowRecoveryPoint, cutEverySideFile, cutTails } from './tail-cuts.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1000000' },
    ops: { type: 'string', default: '200' },
    cycles: { type: 'string', default: '10000' },
    mb: { type: 'string', default: '5000' },
  },
})

const everyBit = [0, 1, 2, 3, 4, 5, 6, 7]
const startMs = performance.now()
const limitMs = Number(values.minutes) * 60_000

/** Each says how many cases it went through. */
const parts: Readonly<Record<string, () => Promise<number>>> = {
  'every-call': async () => {
    let count = 0
    for (const ending of ['crash', 'kill'] as const) {
      for (const sticky of [false, true]) {
        for (const kind of ['EIO', 'ENOSPC', 'short'] as const) {
          if (!isOver()) count += await strikeEach({ kind, sticky }, [ending])
        }
        if (!isOver()) count += await strikeEach({ kind: 'EMFILE', on: 'open', sticky }, [ending])
      }
    }
    return isOver() ? count : count + (await strikeEach({ kind: 'crash' }))
  },
  'tail-cut': async () => {
    let count = await cutTails({ denseBytes: Number.POSITIVE_INFINITY, step: 1 })
    if (!isOver()) count += await cutBelowRecoveryPoint(1)
    if (!isOver()) count += (await cutEverySideFile('clean')) + (await cutEverySideFile('crashed'))
    return count
  },
  'bit-flips': async () => {
    let count = 0
    for (const left of ['clean', 'flushed', 'unflushed'] as const) {
      if (!isOver()) count += await flipSegment(left, { sizeBytes: 4096, bits: everyBit, step: 1 })
    }
    // A long segment has more places where one batch ends and another begins.
    if (!isOver()) count += await flipSegment('clean', { sizeBytes: 65_536, bits: [0], step: 1 })
    for (const kind of ['clean', 'crashed'] as const) {
      if (!isOver()) count += (await flipSideFiles(kind, everyBit)).flips
    }
    return count
  },
  kill: () =>
    soakKills({
      cycles: Number(values.cycles),
      seed: Number(values.seed),
      isOver,
      onRound: text => report(`kill: ${text}`),
    }),
  memory: async () => {
    const lines = await soakMemory(Number(values.mb))
    for (const line of lines) report(`memory: ${line}`)
    return lines.length
  },
  sim: async () => {
    const first = Number(values.seed)
    let count = 0
    while (count < Number(values.seeds) && !isOver()) {
      await runSeed(first + count, Number(values.ops))
      count++
      if (count % 500 === 0) report(`sim: ${count} histories, up to seed ${first + count - 1}`)
    }
    return count
  },
}

await runAll()

async function runAll(): Promise<void> {
  const names = Object.keys(parts).filter(name => name.includes(values.only))
  if (names.length === 0) throw new Error(`there is no part ${values.only}`)
  for (const name of names) {
    if (isOver()) {
      report(`${name}: not begun, the time is over`)
      continue
    }
    report(`${name}: begins`)
    const count = await parts[name]?.()
    report(`${name}: ${count} cases${isOver() ? ', stopped by the time' : ', done'}`)
  }
}

function isOver(): boolean {
  return performance.now() - startMs > limitMs
}

function report(text: string): void {
  console.log(`${((performance.now() - startMs) / 1000).toFixed(0)} s: ${text}`)
}
