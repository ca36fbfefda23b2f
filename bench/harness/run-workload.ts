/** One workload from start to end: the sides take turns, round by round, and leave nothing behind. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { formatCount } from '../report/format.ts'
import type { Job } from './child.ts'
import type { Children } from './children.ts'
import { isComplete } from './targets.ts'
import type { Outcome, Outcomes, Variant, Workload } from './workload.ts'

/** Peers are compared by factors: they need fewer rounds, and are slow. */
const peerRounds = 3

/** How the rounds go. */
export interface RoundOptions {
  readonly rounds: number
  readonly isSmoke: boolean
  readonly withPeers: boolean
  /** A directory for the runs. */
  readonly dataDir: string
  /** Where profiles of varve's sides go; null without. */
  readonly profileDir: string | null
}

/** A variant with what came of it. */
export interface VariantResult {
  readonly variant: Variant
  readonly outcomes: Outcomes
  /** Sides that could not run here, with the reason. */
  readonly skipped: Readonly<Record<string, string>>
  /** What went wrong: a side that failed, or an outcome with figures missing. */
  readonly failures: readonly string[]
}

/** Runs every variant; `onProgress` hears a line for each run. */
export async function runWorkload(
  children: Children,
  workload: Workload,
  options: RoundOptions & { readonly onProgress: (line: string) => void },
): Promise<readonly VariantResult[]> {
  const results: VariantResult[] = []
  for (const variant of workload.variants) {
    results.push(await runVariant(children, { workload, variant }, options))
  }
  await children.end()
  return results
}

async function runVariant(
  children: Children,
  of: { readonly workload: Workload; readonly variant: Variant },
  options: RoundOptions & { readonly onProgress: (line: string) => void },
): Promise<VariantResult> {
  const { workload, variant } = of
  const outcomes: { [side: string]: Outcome[] } = {}
  const skipped: { [side: string]: string } = {}
  const failures: string[] = []
  const job: Job = {
    workload: workload.name,
    variant: variant.name,
    side: null,
    dir: join(options.dataDir, 'run'),
    preparedDir: join(options.dataDir, 'prepared'),
    isSmoke: options.isSmoke,
  }
  const title = `${workload.name}, ${variant.name}`
  const runSide = async (name: string, round: number): Promise<void> => {
    const result = await children.run({ ...job, side: name }, profileOf(of, name, options))
    rmSync(job.dir, { recursive: true, force: true })
    if (result.kind === 'skipped') skipped[name] = result.reason
    if (result.kind === 'failed') failures.push(`${title}, ${name}: ${result.reason}`)
    if (result.kind === 'skipped' || result.kind === 'failed') {
      options.onProgress(`${title}, ${name}: ${result.kind}, ${result.reason.split('\n')[0]}`)
    }
    if (result.kind !== 'outcome') return
    const { beside, ...own } = result.outcome
    for (const [side, outcome] of Object.entries({ [name]: own, ...beside })) {
      if (!isComplete(outcome)) {
        failures.push(`${title}, ${side}: figures are missing in ${JSON.stringify(outcome)}`)
      }
      outcomes[side] ??= []
      outcomes[side].push(outcome)
      const rate = formatCount(outcome.records / outcome.seconds)
      const took = `${outcome.seconds.toFixed(3)} s, ${rate}/s`
      options.onProgress(`${title}, ${side}, round ${round + 1}: ${took}`)
    }
  }
  try {
    if (variant.prepare !== undefined) {
      options.onProgress(`${title}: preparing`)
      const result = await children.run(job)
      rmSync(job.dir, { recursive: true, force: true })
      if (result.kind === 'failed') failures.push(`${title}, preparing: ${result.reason}`)
      if (result.kind === 'skipped') {
        for (const name of Object.keys(variant.sides)) skipped[name] = result.reason
      }
      if (result.kind !== 'prepared') return { variant, outcomes, skipped, failures }
    }
    const rounds = Math.min(options.rounds, workload.rounds ?? options.rounds)
    for (let round = 0; round < rounds; round++) {
      for (const [name, { kind, run }] of inTurn(Object.entries(variant.sides), round)) {
        if (run === undefined) continue
        if (kind === 'peer' && (!options.withPeers || round >= peerRounds)) continue
        if (skipped[name] === undefined) await runSide(name, round)
      }
    }
    return { variant, outcomes, skipped, failures }
  } finally {
    rmSync(job.dir, { recursive: true, force: true })
    rmSync(job.preparedDir, { recursive: true, force: true })
  }
}

/** Each round begins with another side: who comes first finds the memory and the disk as others left them. */
function inTurn<T>(sides: readonly T[], round: number): readonly T[] {
  const first = round % sides.length
  return [...sides.slice(first), ...sides.slice(0, first)]
}

function profileOf(
  of: { readonly workload: Workload; readonly variant: Variant },
  side: string,
  options: RoundOptions,
): readonly string[] {
  if (options.profileDir === null || of.variant.sides[side]?.kind !== 'varve') return []
  const name = `${of.workload.name} ${of.variant.name}.cpuprofile`.replaceAll(/[^\w.-]+/g, '-')
  return ['--cpu-prof', '--cpu-prof-dir', options.profileDir, '--cpu-prof-name', name]
}
