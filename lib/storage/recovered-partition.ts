/** What opening a partition is given, and what it gives. */
import type { PartitionRecovery } from '../types.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from './environment.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { PartitionFiles } from './partition-files.ts'
import type { ProducerState } from './producer-state.ts'
import type { CutTail } from './recovery-cleanup.ts'
import type { ActiveSegmentState, SealedSegment } from './segment.ts'

/** What is to be recovered, and what is known beforehand. */
export interface RecoverOptions {
  readonly environment: StorageEnvironment
  readonly dir: string
  readonly identity: PartitionIdentity
  /** Everything below was fsynced; null: not known. */
  readonly checkpointedRecoveryPoint: number | null
  /** Null: not known; the log then begins with its first segment. */
  readonly checkpointedLogStart: number | null
  /** The log start that the partition's slot gives; absent: not known. */
  readonly slotLogStart?: number | undefined
  /** The clean marker was there. */
  readonly wasClean: boolean
  readonly indexIntervalBytes: number
}

/** A partition as it is after opening. */
export interface RecoveredPartition {
  readonly logStartOffset: number
  /** Also recovery point and high watermark: everything below is synced. */
  readonly logEndOffset: number
  readonly epochs: LeaderEpochs
  /** The epoch of this session. */
  readonly leaderEpoch: number
  /** False: (leaderEpoch, logEndOffset) must be recorded durably before the first append. */
  readonly epochIsSaved: boolean
  readonly sealed: readonly SealedSegment[]
  /** The manifest says of all segments, the active one included, what is said of them here. */
  readonly isListed: boolean
  /** Null: the first append creates a segment at `logEndOffset`. */
  readonly active: ActiveSegmentState | null
  readonly producers: ProducerState
  /** Engine time of the last append as far as it is known, else -1. */
  readonly lastAppendMs: number
  /** What cannot be read and was not known when the partition was closed. */
  readonly damage: readonly Damage[]
  /** What is on record as damaged. */
  readonly remembered: readonly Damage[]
  /** Null when nothing was cut. */
  readonly cut: CutTail | null
  /** Null when there was nothing to do. */
  readonly report: PartitionRecovery | null
}

/** The options, with what the directory holds. */
export interface FoundPartition {
  readonly options: RecoverOptions
  readonly found: PartitionFiles
  readonly logStartOffset: number
}
