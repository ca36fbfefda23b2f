/** What the writing side of one partition is made of, and whom it tells. */
import type { DiskFullError, StorageError } from '../errors.ts'
import type { PartitionConfig } from './environment.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import type { SegmentSet } from './segment-set.ts'

/** What the pipeline needs of its partition, and tells it. */
export interface PipelineHost {
  readonly config: PartitionConfig
  /** Complete what was kept open for company: a write is about to start. */
  completeBatches(): void
  /** Everything below `recoveryPoint` is flushed now. */
  flushed(recoveryPoint: number, flushedBytes: number): void
  flushFailed(error: Error): void
  /** For want of room the log end fell back to what is written, by `lostCount` records. */
  fellBack(error: DiskFullError, lostCount: number): void
  /** Nothing more will be written; what was submitted below `submittedOffset` may be on disk or not. */
  failed(failure: StorageError, submittedOffset: number): void
  /** More acknowledgements are due than one turn takes, or a write can go on: come back next turn. */
  scheduleTurn(): void
}

/** What one partition is made of at a time; recovery replaces it as a whole. */
export interface PipelineParts {
  readonly offsets: PartitionOffsets
  readonly segments: SegmentSet
  readonly epochs: LeaderEpochs
  readonly leaderEpoch: number
  /** False until (leader epoch, log end) is durable, which comes before the first write. */
  readonly isEpochSaved: boolean
  readonly lastAppendMs: number
}
