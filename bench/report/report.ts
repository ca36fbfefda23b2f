/** The results as plain data: what results.json holds, and the page and the table are made from. */
import type { Machine } from '../harness/machine.ts'
import type { Probe } from '../harness/probe.ts'
import type { VariantResult } from '../harness/run-workload.ts'
import { median } from '../harness/statistics.ts'
import { isReached } from '../harness/targets.ts'
import type {
  Durability,
  Metric,
  Outcome,
  Outcomes,
  Series,
  Side,
  Target,
  Workload,
} from '../harness/workload.ts'

/** One side of one variant: medians over the rounds, and the rounds themselves. */
export interface SideReport {
  readonly name: string
  readonly kind: Side['kind']
  readonly durability: Durability | null
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  readonly p50Micros: number | null
  readonly p99Micros: number | null
  readonly p999Micros: number | null
  readonly cpuNanosPerRecord: number
  readonly loopDelayP99Ms: number
  readonly peakRssBytes: number
  readonly bytesOnDisk: number | null
  /** What the chart shows; null where the side has no such figure. */
  readonly charted: number | null
  readonly figures: Readonly<Record<string, number>>
  readonly series: Series | null
  readonly rounds: readonly Outcome[]
}

/** One target and what became of it; null where it could not be told, or there is no bound. */
export interface TargetReport {
  readonly text: string
  readonly figure: number | null
  readonly isReached: boolean | null
  /** The figure of each round by itself: how far they are apart is how little the median may mean. */
  readonly rounds: readonly number[]
  /** How many of the rounds reach it by themselves; null without a bound. */
  readonly reachedRounds: number | null
}

/** One variant. */
export interface VariantReport {
  readonly name: string
  readonly recordBytes: number | null
  readonly recordsPerCall: number | null
  readonly durability: Durability | null
  readonly sides: readonly SideReport[]
  readonly targets: readonly TargetReport[]
  readonly skipped: Readonly<Record<string, string>>
}

/** One workload. */
export interface WorkloadReport {
  readonly name: string
  readonly question: string
  readonly expectation: string
  readonly chart: { readonly label: string; readonly kind: 'bar' | 'line' }
  readonly variants: readonly VariantReport[]
}

/** One file of micro-benchmarks: what it printed. */
export interface MicroReport {
  readonly name: string
  readonly text: string
}

/** Everything. */
export interface Report {
  readonly isSmoke: boolean
  readonly machine: Machine
  readonly probe: Probe
  readonly workloads: readonly WorkloadReport[]
  readonly micro: readonly MicroReport[]
  readonly failures: readonly string[]
}

/** Sums up what came of a workload. */
export function reportOf(workload: Workload, results: readonly VariantResult[]): WorkloadReport {
  const { name, question, expectation, chart } = workload
  return {
    name,
    question,
    expectation,
    chart: { label: chart.label, kind: chart.kind },
    variants: results.map(result => reportVariant(workload, result)),
  }
}

function reportVariant(workload: Workload, result: VariantResult): VariantReport {
  const { variant, outcomes } = result
  return {
    name: variant.name,
    recordBytes: variant.recordBytes ?? null,
    recordsPerCall: variant.recordsPerCall ?? null,
    durability: variant.durability ?? null,
    sides: Object.entries(variant.sides).flatMap(([name, side]) => {
      const rounds = outcomes[name] ?? []
      if (rounds.length === 0) return []
      const durability = side.durability ?? variant.durability ?? null
      const { kind } = side
      return [{ name, kind, durability, ...sumUp(rounds, workload.chart.metric), rounds }]
    }),
    targets: variant.targets.map(target => reportTarget(target, result)),
    skipped: result.skipped,
  }
}

function reportTarget(target: Target, { outcomes, variant }: VariantResult): TargetReport {
  const figure = target.figure(outcomes, variant)
  const hasBound = target.atLeast !== undefined || target.atMost !== undefined
  const rounds: number[] = []
  for (let round = 0; round < (outcomes['varve'] ?? []).length; round++) {
    const own = target.figure(outcomesOf(outcomes, round), variant)
    if (own !== null && Number.isFinite(own)) rounds.push(own)
  }
  return {
    text: target.text,
    figure,
    isReached: figure === null || !hasBound ? null : isReached(target, figure),
    rounds,
    reachedRounds: hasBound ? rounds.filter(own => isReached(target, own)).length : null,
  }
}

/** Only what one round found. */
function outcomesOf(outcomes: Outcomes, round: number): Outcomes {
  const entries = Object.entries(outcomes).map(([side, all]) => [side, all.slice(round, round + 1)])
  return Object.fromEntries(entries) as Outcomes
}

function sumUp(
  rounds: readonly Outcome[],
  charted: Metric,
): Omit<SideReport, 'name' | 'kind' | 'durability' | 'rounds'> {
  const over = (metric: Metric): number => median(rounds.map(metric))
  const orNull = (metric: (outcome: Outcome) => number | undefined): number | null => {
    const value = over(outcome => metric(outcome) ?? Number.NaN)
    return Number.isFinite(value) ? value : null
  }
  const names = Object.keys(rounds[0]?.figures ?? {})
  return {
    recordsPerSecond: over(outcome => outcome.records / outcome.seconds),
    bytesPerSecond: over(outcome => outcome.bytes / outcome.seconds),
    p50Micros: orNull(outcome => outcome.latency?.p50),
    p99Micros: orNull(outcome => outcome.latency?.p99),
    p999Micros: orNull(outcome => outcome.latency?.p999),
    cpuNanosPerRecord: over(outcome => (outcome.cpuSeconds / outcome.records) * 1e9),
    loopDelayP99Ms: over(outcome => outcome.loopDelayP99Ms),
    peakRssBytes: over(outcome => outcome.peakRssBytes),
    bytesOnDisk: orNull(outcome => outcome.bytesOnDisk),
    charted: orNull(charted),
    figures: Object.fromEntries(
      names.map(name => [name, over(outcome => outcome.figures?.[name] ?? Number.NaN)]),
    ),
    series: rounds[0]?.series ?? null,
  }
}
