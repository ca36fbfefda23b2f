/**
 * What a workload is: variants of one question, each answered by several sides (varve, what the
 * machine can do without it, other stores) that take turns, each run in a process of its own.
 */

/** What has happened to a record when its append resolves; `not durable` says so of a peer. */
export type Durability = 'durable' | 'written' | 'queued' | 'not durable'

/** Latencies in microseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** What was seen while the work that counts was going on. */
export interface Phase {
  readonly seconds: number
  /** Processor time of all threads of the process: unlike `seconds`, it holds on a busy machine. */
  readonly cpuSeconds: number
  /** By how much timers were late, 99th percentile, in ms. */
  readonly loopDelayP99Ms: number
  readonly peakRssBytes: number
}

/** Lines over a number; `x` is the same for all. */
export interface Series {
  readonly xLabel: string
  readonly x: readonly number[]
  readonly yLabel: string
  readonly lines: Readonly<Record<string, readonly number[]>>
}

/** The result of one run of one side. */
export interface Outcome extends Phase {
  readonly records: number
  /** Bytes that the rate is about: of the log, in its own format, unless the workload says else. */
  readonly bytes: number
  /** What the files take on the disk afterwards; absent where nothing is left to be looked at. */
  readonly bytesOnDisk?: number
  readonly latency?: Latency
  /** Whatever else the question needs, by name with unit. */
  readonly figures?: Readonly<Record<string, number>>
  readonly series?: Series
  /** Outcomes of other sides that were measured in the same process, by turns with this one. */
  readonly beside?: Readonly<Record<string, Outcome>>
}

/** Where a run finds its place. */
export interface Context {
  /** A directory of this run alone; it is removed afterwards. */
  readonly dir: string
  /** What `prepare` filled; the same for all runs of a variant. */
  readonly preparedDir: string
  readonly isSmoke: boolean
  /** The first number, or the second in smoke mode. */
  pick(full: number, smoke: number): number
}

/** One way to do the work. */
export interface Side {
  readonly kind: 'varve' | 'limit' | 'peer'
  /** A peer with something of ours built around it: it is shown, and is not the best peer. @default false */
  readonly isHelped?: boolean
  /** @default the variant's */
  readonly durability?: Durability
  /**
   * Absent where another side measures this one `beside` itself.
   *
   * @throws {SkippedError} when the machine lacks what it needs.
   */
  run?(context: Context): Promise<Outcome>
}

/** Outcomes by side, one per round, in the order of the rounds. */
export type Outcomes = Readonly<Record<string, readonly Outcome[]>>

/** A figure that the project wants to reach; it is shown, never asserted. */
export interface Target {
  readonly text: string
  /** The figure, or null where a side that it needs did not run. */
  figure(outcomes: Outcomes, variant: Variant): number | null
  readonly atLeast?: number
  readonly atMost?: number
}

/** One set of parameters. */
export interface Variant {
  readonly name: string
  readonly recordBytes?: number
  /** Records in one call; 1 where every record is a call of its own. */
  readonly recordsPerCall?: number
  readonly durability?: Durability
  /** Fills `preparedDir`, in a process of its own, before the first round. */
  prepare?(context: Context): Promise<void>
  readonly sides: Readonly<Record<string, Side>>
  readonly targets: readonly Target[]
}

/** What of an outcome a chart or a target looks at. */
export type Metric = (outcome: Outcome) => number

/** One question and the ways to answer it. */
export interface Workload {
  /** The file's name without extension. */
  readonly name: string
  readonly question: string
  readonly expectation: string
  readonly chart: { readonly label: string; readonly metric: Metric; readonly kind: 'bar' | 'line' }
  /** @default the run's */
  readonly rounds?: number
  readonly variants: readonly Variant[]
}

/** The side cannot run here, and that is no failure: a package or a program is not installed. */
export class SkippedError extends Error {
  override readonly name = 'SkippedError'
}
