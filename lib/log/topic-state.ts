/**
 * What the handles of one topic share, and all that they know of the log behind them. The log keeps
 * one such object per topic and changes it; any number of handles (`TopicHandle`, `PartitionHandle`,
 * readers) look at it anew at every call and keep nothing of it.
 */
import type { Clock, EngineTime } from '../clock.ts'
import type { CompactionReport } from '../compaction.ts'
import type { LogError } from '../errors.ts'
import type { AppendRequest } from '../storage/append-request.ts'
import type { Damage, PartitionConfig } from '../storage/environment.ts'
import type { ReadablePartition } from '../storage/readable.ts'
import type {
  AppendResult,
  CleanupPolicy,
  Offset,
  PartitionState,
  RecordInput,
  RetentionReport,
  Topic,
  TopicDescription,
} from '../types.ts'

/**
 * One partition as handles see it: `PartitionLog` for the writer of a directory, something that
 * follows another process's files for a reader of it.
 */
export interface PartitionAccess extends ReadablePartition {
  readonly state: PartitionState
  readonly leaderEpoch: number
  readonly recoveryPoint: Offset
  readonly writtenOffset: Offset
  readonly logEndOffset: Offset
  /** One batch. Rejects with `ReadOnlyError` where this process is not the writer. */
  append(
    records: RecordInput<unknown, unknown> | readonly RecordInput<unknown, unknown>[],
    request: AppendRequest,
  ): Promise<AppendResult>
  /** Makes durable what was appended before the call. */
  flush(): Promise<void>
}

/** A live reader, as far as closing the log and deleting the topic are concerned. */
export interface LiveReader {
  /**
   * Ends the reader, once its topic is not usable any more: normally when the log is closed, with the
   * topic's refusal when it was deleted. Idempotent, never throws.
   */
  end(): void
}

/** New values of a topic's configuration; null takes an override back. */
export type ConfigChange = Parameters<Topic['configure']>[0]

/** The shared object of one topic. */
export interface TopicState {
  readonly name: string
  /** 22 characters of base64url. */
  readonly id: string
  /** By partition id. Grows when partitions are added; an element is replaced when it is recovered. */
  readonly partitions: readonly PartitionAccess[]
  /** The resolved configuration; another object after every change. */
  readonly config: PartitionConfig & { readonly cleanupPolicy: CleanupPolicy }
  /** The log's `maxBlockMs`. */
  readonly maxBlockMs: number
  /** The log's `maxQueuedBytes`. */
  readonly maxQueuedBytes: number
  readonly clock: Clock
  readonly time: EngineTime
  /** False once the log is closed or closing, or the topic is deleted. */
  readonly isUsable: boolean
  /** Why it is not usable, as a new error each time: `ClosedError` or `UnknownTopicOrPartitionError`. */
  refusal(): LogError
  /** The live readers of this topic; `log.close()` ends every one of them before it closes partitions. */
  readonly readers: Set<LiveReader>
  /** Calls back after partitions were appended to `partitions`; returns the function that ends it. */
  onPartitionsAdded(callback: () => void): () => void
  /** A reader goes on behind this; it is told as an event unless it is known. */
  noteDamage(partition: number, damage: Damage): void
  configure(config: ConfigChange): Promise<void>
  addPartitions(total: number): Promise<void>
  describe(): Promise<TopicDescription>
  explainRetention(): Promise<RetentionReport>
  /** See `Partition.deleteRecords`. */
  deleteRecords(partition: number, beforeOffset: Offset): Promise<void>
  /** Flushes every partition; rejects with the first failure after all have settled. */
  flush(): Promise<void>
  /** Compacts every partition, its active segment included. */
  compact(): Promise<CompactionReport>
  /** Takes a failed partition back into service. */
  recover(partition: number): Promise<void>
}
