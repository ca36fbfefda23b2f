/**
 * What happens inside a log that an operator may want to know, as one union by `type`. Listeners
 * are called synchronously; one that throws is reported through `process.emitWarning` and disturbs
 * nothing.
 */
import type { CompactionSkip, PartitionCompaction } from './compaction.ts'
import type { TopicPartition } from './consuming.ts'
import type { DeletionReason, PartitionState, RecoveryReport } from './types.ts'

interface OfPartition {
  readonly topic: string
  readonly partition: number
}

interface OfMember {
  /** Null for a consumer without a group. */
  readonly group: string | null
  /** The consumer's `id`. */
  readonly member: string
  readonly partitions: readonly TopicPartition[]
}

/** Every event of a log. */
export type LogEvent =
  | { readonly type: 'recovered'; readonly report: RecoveryReport }
  | {
      readonly type: 'topicCreated'
      readonly topic: string
      readonly id: string
      readonly partitions: number
    }
  | { readonly type: 'topicDeleted'; readonly topic: string; readonly id: string }
  | { readonly type: 'partitionsAdded'; readonly topic: string; readonly partitions: number }
  | { readonly type: 'configured'; readonly topic: string; readonly keys: readonly string[] }
  | ({
      readonly type: 'segmentSealed'
      readonly baseOffset: number
      readonly nextOffset: number
      readonly sizeBytes: number
    } & OfPartition)
  | ({
      /** Retention gave a segment up. */
      readonly type: 'segmentDeleted'
      readonly baseOffset: number
      readonly nextOffset: number
      readonly sizeBytes: number
      readonly reason: DeletionReason
      /** Offsets of it that could not be read before, each `[from, to)`; empty, as a rule. */
      readonly gaps: readonly { readonly from: number; readonly to: number }[]
    } & OfPartition)
  | ({
      /** Timestamps further ahead than `timestampAfterMaxMs`; told once per partition and sweep. */
      readonly type: 'implausibleTimestamp'
      /** Batches that hold such a record. */
      readonly batchCount: number
      /** The furthest timestamp, in ms. */
      readonly furthest: number
    } & OfPartition)
  | ({ readonly type: 'flushFailed'; readonly error: Error } & OfPartition)
  | ({ readonly type: 'diskFull'; readonly error: Error } & OfPartition)
  | ({
      readonly type: 'partitionStateChanged'
      readonly state: PartitionState
      readonly error?: Error | undefined
    } & OfPartition)
  | {
      readonly type: 'stateChanged'
      readonly state: 'ok' | 'low' | 'read-only' | 'closed'
      /** Why it is `low` or `read-only`. */
      readonly reason?: 'disk-space' | 'max-total-bytes' | undefined
      /** Free on the disk when the state changed for its sake. */
      readonly freeBytes?: number | undefined
    }
  | ({
      readonly type: 'corruption'
      readonly from: number
      readonly to: number
      readonly path: string
      readonly position: number
      readonly reason: string
    } & OfPartition)
  | ({
      readonly type: 'tailCut'
      readonly cutBytes: number
      readonly quarantinedBytes: number
      readonly cutBatches: number
      readonly from: number
      readonly to: number
    } & OfPartition)
  | ({
      readonly type: 'compactionProgress'
      /** From 1 up. */
      readonly pass: number
      readonly doneBytes: number
      readonly totalBytes: number
    } & OfPartition)
  | ({ readonly type: 'compacted' } & PartitionCompaction & OfPartition)
  | ({ readonly type: 'compactionSkipped'; readonly reason: CompactionSkip } & OfPartition)
  | ({ readonly type: 'partitionsAssigned' } & OfMember)
  | ({ readonly type: 'partitionsRevoked' } & OfMember)
  | ({ readonly type: 'partitionsLost' } & OfMember)
  | { readonly type: 'backgroundFailed'; readonly what: string; readonly error: Error }
