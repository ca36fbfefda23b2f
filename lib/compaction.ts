/** What users see of key compaction. */
import type { Offset } from './records.ts'

/**
 * Why a compaction left a partition, or the rest of it, as it was: it has damage in what would have
 * been compacted; an earlier replacement of segments failed and cannot be ended as yet, which every
 * compaction and every sweep tries; or retention took segments away meanwhile.
 */
export type CompactionSkip = 'damage' | 'failed swap' | 'changed meanwhile'

/** What the compaction of one partition did. */
export interface PartitionCompaction {
  readonly partition: number
  readonly segmentsBefore: number
  readonly segmentsAfter: number
  /** Of the whole partition, the active segment included. */
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Records that are left in the part that was compacted. */
  readonly keptRecords: number
  readonly droppedRecords: number
  /** More than one when the keys did not fit in `compactionMapBytes`. */
  readonly passes: number
  readonly durationMs: number
  /** Everything below has been compacted. */
  readonly firstDirtyOffset: Offset
  /** Null when everything was compacted that may be. */
  readonly skipped: CompactionSkip | null
}

/** What `topic.compact()` did. */
export interface CompactionReport {
  readonly topic: string
  readonly partitions: readonly PartitionCompaction[]
  readonly durationMs: number
}
