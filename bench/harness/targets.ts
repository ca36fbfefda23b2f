/** The figures that charts and targets look at, and the common kinds of targets. */
import { median } from './statistics.ts'
import type { Metric, Outcome, Outcomes, Target, Variant } from './workload.ts'

/** What outcomes are looked at for. */
export const metrics: Readonly<
  Record<
    | 'recordsPerSecond'
    | 'bytesPerSecond'
    | 'megabytesPerSecond'
    | 'seconds'
    | 'p50Micros'
    | 'p99Micros',
    Metric
  >
> = {
  recordsPerSecond: outcome => outcome.records / outcome.seconds,
  bytesPerSecond: outcome => outcome.bytes / outcome.seconds,
  megabytesPerSecond: outcome => outcome.bytes / outcome.seconds / 1e6,
  seconds: outcome => outcome.seconds,
  p50Micros: outcome => outcome.latency?.p50 ?? Number.NaN,
  p99Micros: outcome => outcome.latency?.p99 ?? Number.NaN,
}

/** The figure of that name; NaN where the outcome has none. */
export function figure(name: string): Metric {
  return outcome => outcome.figures?.[name] ?? Number.NaN
}

/** The median over the rounds of one side, or null where it did not run. */
export function medianOf(outcomes: Outcomes, side: string, metric: Metric): number | null {
  const rounds = outcomes[side] ?? []
  return rounds.length === 0 ? null : median(rounds.map(metric))
}

/**
 * Varve against another side: the median of the ratios of each round's pair, which a slow minute of
 * the machine moves far less than it moves either rate.
 */
export function pairedRatio(outcomes: Outcomes, side: string, metric: Metric): number | null {
  const own = outcomes['varve'] ?? []
  const other = outcomes[side] ?? []
  const ratios: number[] = []
  for (const [round, outcome] of own.entries()) {
    const counterpart = other[round]
    if (counterpart !== undefined) ratios.push(metric(outcome) / metric(counterpart))
  }
  return ratios.length === 0 ? null : median(ratios)
}

/** At least so much of, or so many times, what the other side reaches. */
export function ratioAtLeast(side: string, atLeast: number, metric: Metric): Target {
  return {
    text: `≥ ${atLeast} × ${side}`,
    figure: outcomes => pairedRatio(outcomes, side, metric),
    atLeast,
  }
}

/** At most so many times what the other side takes. */
export function ratioAtMost(
  side: string,
  atMost: number,
  of: { readonly what: string; readonly metric: Metric },
): Target {
  return {
    text: `${of.what} ≤ ${atMost} × ${side}`,
    figure: outcomes => pairedRatio(outcomes, side, of.metric),
    atMost,
  }
}

/** Varve against another side, with no bound: what is shown and not aimed at. */
export function compared(side: string, metric: Metric): Target {
  return { text: `× ${side}`, figure: outcomes => pairedRatio(outcomes, side, metric) }
}

/** So many times the best of the peers that promise the same durability, each as documented. */
export function timesBestPeer(atLeast: number, metric: Metric): Target {
  return { ...comparedToBestPeer(metric), text: `≥ ${atLeast} × the best peer`, atLeast }
}

/** As `timesBestPeer`, with no bound; `isHelped` takes those with a group commit of ours instead. */
export function comparedToBestPeer(
  metric: Metric,
  { isHelped = false }: { readonly isHelped?: boolean } = {},
): Target {
  return {
    text: `× the best peer${isHelped ? ' with a group commit of ours' : ''}`,
    figure(outcomes, variant) {
      const names = comparablePeers(variant, isHelped)
      const best = bestOf(names, name => medianOf(outcomes, name, metric))
      return best === null ? null : pairedRatio(outcomes, best, metric)
    },
  }
}

/** How many times as fast as a peer varve was that took turns with it in one process. */
export const timesFaster = 'varve beside it, times as fast'

/** So many times the best of the peers of the same durability, by the turns that each took with varve. */
export function timesBestPeerBeside(atLeast: number): Target {
  return {
    text: `≥ ${atLeast} × the best peer`,
    figure(outcomes, variant) {
      const times = comparablePeers(variant, false).map(name =>
        medianOf(outcomes, name, figure(timesFaster)),
      )
      const measured = times.filter(value => value !== null)
      return measured.length === 0 ? null : Math.min(...measured)
    },
    atLeast,
  }
}

function comparablePeers(variant: Variant, isHelped: boolean): readonly string[] {
  return Object.entries(variant.sides)
    .filter(([, side]) => side.kind === 'peer' && (side.isHelped ?? false) === isHelped)
    .filter(([, side]) => (side.durability ?? variant.durability) === variant.durability)
    .map(([name]) => name)
}

function bestOf(names: readonly string[], rateOf: (name: string) => number | null): string | null {
  let best: string | null = null
  let bestRate = 0
  for (const name of names) {
    const rate = rateOf(name)
    if (rate !== null && rate > bestRate) {
      best = name
      bestRate = rate
    }
  }
  return best
}

/** An absolute figure of varve's own. */
export function absolute(
  text: string,
  of: { readonly metric: Metric; readonly atLeast?: number; readonly atMost?: number },
): Target {
  const { metric, ...bounds } = of
  return { text, figure: outcomes => medianOf(outcomes, 'varve', metric), ...bounds }
}

/** Whether the figure is within the target's bounds. */
export function isReached(target: Target, value: number): boolean {
  return value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity)
}

/** Everything of an outcome that must be a finite number for the result to be complete. */
export function isComplete(outcome: Outcome): boolean {
  const { series } = outcome
  const numbers = [
    outcome.seconds,
    outcome.cpuSeconds,
    outcome.loopDelayP99Ms,
    outcome.peakRssBytes,
    outcome.records,
    outcome.bytes,
    outcome.bytesOnDisk ?? 0,
    ...Object.values(outcome.latency ?? {}),
    ...Object.values(outcome.figures ?? {}),
    ...(series === undefined ? [] : [...series.x, ...Object.values(series.lines).flat()]),
  ]
  return outcome.seconds > 0 && outcome.records > 0 && numbers.every(Number.isFinite)
}
