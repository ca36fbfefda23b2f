/** The types of `log.verify()` and `log.repair()`. */
import type { Offset } from './types.ts'

/** Options of `log.verify()`. */
export interface VerifyOptions {
  /** Only this topic. @default all of them */
  readonly topic?: string | undefined
  /** Decode every record as well, which also decompresses. @default false */
  readonly deep?: boolean | undefined
  /** Bytes of log read in a second at most, so that appends keep their disk; -1: no limit. @default 67108864 (64 MiB) */
  readonly maxBytesPerSecond?: number | undefined
  /** Ends it: the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Called after each piece that was read. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/** How far a verification has come. */
export interface VerifyProgress {
  readonly topic: string
  readonly partition: number
  /** Bytes of log read so far, and those there are, over all partitions. */
  readonly checkedBytes: number
  readonly totalBytes: number
}

/**
 * What a finding is about.
 *
 * - `damage`: records cannot be read; `from` and `to` say which.
 * - `index`, `time-index`: an index is missing, malformed, or says what the batches do not.
 * - `timestamp`: a record has a later timestamp than its batch says (`deep` only).
 * - `manifest`: `segments.manifest` cannot be read, or a line of it is not true.
 * - `leader-epochs`: the epoch file cannot be read, or batches have other epochs than it says.
 * - `producer-snapshot`: a snapshot of the producers cannot be read, or lies behind the log.
 * - `checkpoint`: a checkpoint of the log directory cannot be read, or leads the log.
 * - `metadata`: `partition.metadata` is missing, or names another topic.
 * - `catalog`: `topics.catalog` is missing or cannot be read.
 */
export type FindingType =
  | 'damage'
  | 'index'
  | 'time-index'
  | 'timestamp'
  | 'manifest'
  | 'leader-epochs'
  | 'producer-snapshot'
  | 'checkpoint'
  | 'metadata'
  | 'catalog'

/** One thing that is not as it should be. */
export interface Finding {
  readonly type: FindingType
  /** Null when it is about the log directory as a whole. */
  readonly topic: string | null
  /** Null when it is about the log directory as a whole. */
  readonly partition: number | null
  /** Offsets concerned, `[from, to)`; both null where a finding is about none. */
  readonly from: Offset | null
  readonly to: Offset | null
  readonly path: string
  /** Position in that file. */
  readonly position: number
  /** In words. */
  readonly what: string
}

/** Offsets `[from, to)` that are lost, and that `repair` has put on record as such. */
export interface KnownGap {
  readonly topic: string
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
  readonly path: string
  readonly position: number
}

/** What was checked of one partition. */
export interface PartitionVerification {
  readonly topic: string
  readonly partition: number
  /** Everything in `[from, to)` was looked at; `to` is the recovery point as it was at the start. */
  readonly from: Offset
  readonly to: Offset
  readonly segments: number
  readonly bytes: number
  readonly batches: number
  /** As the batches state it; with `deep` each of them was decoded. */
  readonly records: number
  readonly findings: number
}

/** What `log.verify()` found. */
export interface VerifyReport {
  /** There is no finding. Gaps that are known do not count. */
  readonly ok: boolean
  readonly deep: boolean
  readonly durationMs: number
  readonly partitions: readonly PartitionVerification[]
  readonly findings: readonly Finding[]
  readonly gaps: readonly KnownGap[]
}

/** Options of `log.repair()`. */
export interface RepairOptions {
  /** Only this topic. @default all of them */
  readonly topic?: string | undefined
  /** Decode every record as well, to find what there is to repair. @default false */
  readonly deep?: boolean | undefined
  /** Bytes of log read in a second at most; -1: no limit. @default 67108864 (64 MiB) */
  readonly maxBytesPerSecond?: number | undefined
  /** Ends it between two steps: the call rejects with `signal.reason`; what was repaired stays so. */
  readonly signal?: AbortSignal | undefined
  /** Called after each piece that was read. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/** What `log.repair()` did. */
export interface RepairReport {
  /** Nothing is left that could not be repaired. */
  readonly ok: boolean
  readonly durationMs: number
  /** Findings that are gone; damage among them has become a known gap. */
  readonly repaired: readonly Finding[]
  /** Findings that nothing could be done about. */
  readonly left: readonly Finding[]
  /** Every gap on record, those of earlier repairs among them. */
  readonly gaps: readonly KnownGap[]
  /** Damaged bytes, and how many of them were copied to `.quarantined` files. */
  readonly damagedBytes: number
  readonly quarantinedBytes: number
}
