/// <reference types="node" preserve="true" />
/**
 * The types that users hold: what a log, a topic and a partition do, and how they are configured.
 * Offsets are numbers, ends are exclusive, times are milliseconds since the epoch, sizes are bytes;
 * -1 means no limit, as in Kafka.
 */
import type { Acks, AppendOptions, AppendProgress, AppendResult } from './appending.ts'
import type { Clock } from './clock.ts'
import type { CompactionReport } from './compaction.ts'
import type { Consumer, ConsumerOptions, Group } from './consuming.ts'
import type { LogEvent } from './events.ts'
import type { Files, LockKind } from './files/files.ts'
import type { Producer, ProducerOptions } from './producing.ts'
import type {
  From,
  PartitionReadOptions,
  PartitionReadResult,
  Reader,
  ReadOptions,
  TopicFrom,
} from './reading.ts'
import type {
  CompressionType,
  LogRecord,
  Offset,
  RecordBatch,
  RecordInput,
  Serde,
} from './records.ts'
import type { RepairOptions, RepairReport, VerifyOptions, VerifyReport } from './verification.ts'

export type { Acks, AppendOptions, AppendProgress, AppendResult } from './appending.ts'
export type {
  From,
  PartitionReadOptions,
  PartitionReadResult,
  Reader,
  ReadOptions,
  TopicFrom,
} from './reading.ts'
export type {
  Bytes,
  CompressionType,
  HeadersInput,
  Input,
  LogRecord,
  Offset,
  RecordBatch,
  RecordInput,
  Serde,
} from './records.ts'

/** How a topic gives up its past. */
export type CleanupPolicy = 'delete' | 'compact' | 'compact,delete'

/**
 * The rule by which a segment goes: below the log start, finished by all of `retainUntilConsumed`, past
 * `retentionBytes`, `retentionRecords` or `retentionMs`, or given up for the log's `maxTotalBytes`.
 */
export type DeletionReason = 'log start' | 'consumed' | 'size' | 'records' | 'time' | 'total size'

/**
 * Why a segment is kept. `within …` names the limit that it has not reached, where several are set the
 * one that tells when. `behind a kept segment`: an older one is kept, and a log has no holes. Where nothing
 * is deleted but by compaction: `active` is what is not compacted yet by its nature, `compaction pending`
 * what the next pass looks at, `damaged` what none will.
 */
export type KeptBecause =
  | 'empty'
  | 'not flushed'
  | 'no retention set'
  | 'compacted, not deleted'
  | 'compaction pending'
  | 'active'
  | 'damaged'
  | 'within time'
  | 'within size'
  | 'within records'
  | 'behind a kept segment'
  | 'partition failed'
  | `held by group ${string}`

/** Configuration of a topic, in Kafka's words. Absent keys fall back to the log's `topicDefaults`, then to the built-in default. */
export interface TopicConfig {
  /** @default 'durable' */
  readonly acks?: Acks | undefined
  /**
   * A flush starts when this many records are un-flushed; 1 is group commit, -1: not by their number. With
   * -1 in `flushMs` and `flushBytes` as well a `durable` append waits, and readers see nothing of it,
   * until somebody calls `flush()` or closes the log: by itself a partition is flushed only at 16 MiB, or
   * where others need the room or its file handle. @default 1
   */
  readonly flushRecords?: number | undefined
  /** A flush starts this long after the oldest un-flushed record, in ms; -1: not by time, see `flushRecords`. @default 1000 where flushRecords or flushBytes is set, else -1 */
  readonly flushMs?: number | undefined
  /** A flush starts when this many bytes are un-flushed; -1: not by their size, see `flushRecords`. @default -1 */
  readonly flushBytes?: number | undefined
  /** Largest encoded batch, Kafka's max.message.bytes. @default 1048588 (1 MiB + 12) */
  readonly maxBatchBytes?: number | undefined
  /** @default 'none' */
  readonly compressionType?: CompressionType | undefined
  /** `append` stamps records with the time of the append. @default 'create' */
  readonly timestampType?: 'create' | 'append' | undefined
  /**
   * How far ahead of the log's clock a record's timestamp may lie before it counts as implausible, in
   * ms; -1: as far as it likes. @default 3600000 (1 hour)
   */
  readonly timestampAfterMaxMs?: number | undefined
  /** What becomes of a record with such a timestamp. `warn` takes it and tells by an event, `reject` refuses it. @default 'warn' */
  readonly timestampAfterMaxAction?: 'warn' | 'reject' | undefined
  /** Size at which a segment rolls. @default 134217728 (128 MiB) */
  readonly segmentBytes?: number | undefined
  /** Age at which a segment rolls, also when nothing is appended; -1: never. @default 604800000 (7 days) */
  readonly segmentMs?: number | undefined
  /** Bytes of log between two entries of the sparse indexes. @default 4096 */
  readonly indexIntervalBytes?: number | undefined
  /** Whole segments go when everything in them is older, in ms; -1: never. @default -1 */
  readonly retentionMs?: number | undefined
  /** The oldest segments of a partition go as long as this many bytes remain; -1: no limit. @default -1 */
  readonly retentionBytes?: number | undefined
  /** The oldest segments of a partition go as long as this many records remain; -1: no limit. @default -1 */
  readonly retentionRecords?: number | undefined
  /**
   * What age is judged by. `append`: when the records were appended, by the log's own clock. `record`:
   * their timestamps, as Kafka does. @default 'append'
   */
  readonly retentionBy?: 'append' | 'record' | undefined
  /**
   * Names of groups. Segments that all of them have finished go, whatever their age and size, and no
   * other segment goes, whatever its age and size; a group that does not exist yet has finished
   * nothing. Empty: groups have no say. @default []
   */
  readonly retainUntilConsumed?: readonly string[] | undefined
  /**
   * `delete` gives up old segments by the rules of retention, `compact` keeps the latest record of each
   * key, `compact,delete` does both. @default 'delete'
   */
  readonly cleanupPolicy?: CleanupPolicy | 'delete,compact' | undefined
  /** How long compaction keeps tombstones, in ms. @default 86400000 (1 day) */
  readonly deleteRetentionMs?: number | undefined
  /** Share of a partition, 0 to 1, that must be new since the last compaction for the next one. @default 0.5 */
  readonly minCleanableDirtyRatio?: number | undefined
  /** Records younger than this are not compacted, in ms. @default 0 */
  readonly minCompactionLagMs?: number | undefined
  /** Records older than this are compacted whatever the ratio, in ms; -1: by the ratio only. @default -1 */
  readonly maxCompactionLagMs?: number | undefined
}

/** Options of `log.topic()`: stored configuration, and what belongs to the handle only. */
export interface TopicOptions<K = Buffer, V = Buffer> extends TopicConfig {
  /** @default 1 */
  readonly partitions?: number | undefined
  /** Create the topic when there is none. @default true */
  readonly create?: boolean | undefined
  /** Serde of the keys of this handle; never stored. */
  readonly key?: Serde<K> | undefined
  /** Serde of the values of this handle; never stored. */
  readonly value?: Serde<V> | undefined
  /** Chooses the partition of a record that names none. @default murmur2 of the key as Kafka's Java client has it, sticky without a key */
  readonly partitioner?: Partitioner | undefined
}

/** Chooses a partition, `0 … partitionCount - 1`. */
export type Partitioner = (
  record: { readonly key: Buffer | null },
  partitionCount: number,
) => number

/** Options of `openLog`. */
export interface OpenOptions {
  /** Open beside a writer of another process. @default false */
  readonly readOnly?: boolean | undefined
  /** How long to wait for the directory's lock, in ms; 0: `LockedError` at once. @default 0 */
  readonly lockWaitMs?: number | undefined
  /** Gives up opening. */
  readonly signal?: AbortSignal | undefined
  /** @default 'durable' */
  readonly acks?: Acks | undefined
  /** Defaults for the topics of this log; not stored, a topic's own configuration is. */
  readonly topicDefaults?: TopicConfig | undefined
  /** Bytes accepted and not yet written, log-wide, before appends wait. @default 33554432 (32 MiB), as Kafka's buffer.memory */
  readonly maxQueuedBytes?: number | undefined
  /** Bytes written and not yet flushed, log-wide, before appends wait. @default 134217728 (128 MiB) */
  readonly maxUnflushedBytes?: number | undefined
  /** How long an append waits for room, in ms; -1 for ever. @default 60000 */
  readonly maxBlockMs?: number | undefined
  /** File handles kept open at most. @default 128 */
  readonly maxOpenFiles?: number | undefined
  /** Partitions flushed at the same time. @default libuv's pool size − 2, at least 1 */
  readonly maxParallelFlushes?: number | undefined
  /** How often retention is applied and idle segments are looked at for `segmentMs`, in ms; -1: never. @default 300000 (5 min) */
  readonly sweepIntervalMs?: number | undefined
  /** What all topics may take on the disk; beyond it the oldest segments of the topics go whose `cleanupPolicy` contains `delete`. -1: no limit. @default -1 */
  readonly maxTotalBytes?: number | undefined
  /** Memory for the keys of one pass of a compaction, while it runs: 20 bytes a key. With more keys it takes several passes. @default 33554432 (32 MiB) */
  readonly compactionMapBytes?: number | undefined
  /** How much compaction reads and writes together in a second, in bytes; -1: as fast as it can. @default 67108864 (64 MiB) */
  readonly compactionBytesPerSecond?: number | undefined
  /** Fewer free bytes on the disk make `log.state` `low`, which is a warning; 0: never. @default 1073741824 (1 GiB), and at most a sixteenth of the file system */
  readonly diskLowBytes?: number | undefined
  /** Fewer free bytes make `log.state` `read-only`: appends are refused with `DiskFullError` until there are a quarter more; 0: only when the file system itself has refused a write. @default 67108864 (64 MiB), and at most a sixteenth of the file system */
  readonly diskReserveBytes?: number | undefined
  /** Size of the file `.ballast` that is given up when the disk is full, so that checkpoints and recovery have room; 0: none. At most an eighth of the file system. @default 1048576 (1 MiB) */
  readonly ballastBytes?: number | undefined
  /** Partitions of the topic that keeps the committed offsets, when it is created; it never changes afterwards. @default 1 */
  readonly offsetsTopicPartitions?: number | undefined
  /** How long the offsets of a group without members are kept after their commit, in ms; -1: for ever. @default -1 */
  readonly offsetsRetentionMs?: number | undefined
  /**
   * How long a partition remembers an idempotent producer after its last batch, in ms; looked at when the log
   * is opened and at every sweep. -1: for ever, 46 bytes for each one there ever was in each partition that it
   * sent to. A producer whose batch is older than this when it is sent again may have it in the log twice, so
   * let it be longer than any `deliveryTimeoutMs`. @default 86400000 (1 day), as Kafka's producer.id.expiration.ms
   */
  readonly producerIdExpirationMs?: number | undefined
  /** How many bytes of cut tails are kept in `.quarantined` files per partition. @default 67108864 (64 MiB) */
  readonly quarantineBytes?: number | undefined
  /** Hears events from the first moment, also those of opening itself. */
  readonly onEvent?: ((event: LogEvent) => void) | undefined
  /** Where the log lies; `varve/testing` has others. @default the disk */
  readonly files?: Files | undefined
  /** @default the machine's clock */
  readonly clock?: Clock | undefined
}

/** How a partition fares. `damaged`: some records cannot be read, all else goes on. `failed`: appends are refused until `recover()`. */
export type PartitionState = 'ok' | 'damaged' | 'failed'

/** One partition: a totally ordered log. Calls may overlap; appends are ordered by arrival, reads never wait for appends. */
export interface Partition<K = Buffer, V = Buffer> {
  readonly topic: string
  readonly id: number
  readonly state: PartitionState
  /** First offset still readable. */
  readonly logStartOffset: Offset
  /** Everything below is visible to readers. */
  readonly highWatermark: Offset
  /** Everything below is fsynced. */
  readonly recoveryPoint: Offset
  /** Everything below has been given to the operating system. */
  readonly writtenOffset: Offset
  /** Next offset to be assigned. */
  readonly logEndOffset: Offset
  readonly leaderEpoch: number
  append(
    records: RecordInput<K, V> | readonly RecordInput<K, V>[],
    options?: AppendOptions & { readonly expectedOffset?: Offset | undefined },
  ): Promise<AppendResult>
  read(options: PartitionReadOptions): Promise<PartitionReadResult<K, V>>
  records(options?: ReadOptions<From>): Reader<LogRecord<K, V>>
  batches(options?: ReadOptions<From>): Reader<RecordBatch<K, V>>
  /** Offset of the first record whose timestamp is at or after the given one; null when there is none. */
  offsetForTimestamp(timestamp: number | Date): Promise<Offset | null>
  /**
   * Moves the log start up to `beforeOffset`: records below cannot be read any more, also where that lies
   * inside a batch, and segments that lie wholly below are deleted. Does nothing when the log starts there
   * or above. Survives power loss once resolved; when it rejects with `StorageError` the log start may
   * be found moved when the log is opened again.
   *
   * @throws {OffsetOutOfRangeError} when `beforeOffset` is above the high watermark
   * @throws {PolicyViolationError} when the topic's `cleanupPolicy` does not contain `delete`
   * @throws {StorageError} when the file system fails
   */
  deleteRecords(beforeOffset: Offset): Promise<void>
  /** Flushes what was appended before the call. Rejects with the first failure of an append since the last flush. */
  flush(): Promise<void>
  /**
   * Takes a failed partition back into service: reads it again from the disk. Its failure is over then: later
   * calls of `flush()` and `log.close()` speak of it only when it may have taken records whose appends had
   * resolved, as `written` or `queued`.
   *
   * @throws {StorageError} when the file system fails; the partition stays as it was
   */
  recover(): Promise<void>
}

/** A topic: named partitions under one configuration. */
export interface Topic<K = Buffer, V = Buffer> {
  readonly name: string
  /** Kafka's topic id: 22 characters of base64url. A topic created again has another one. */
  readonly id: string
  readonly partitions: readonly Partition<K, V>[]
  partition(id: number): Partition<K, V>
  append(record: RecordInput<K, V>, options?: AppendOptions): Promise<AppendResult>
  append(
    records: readonly RecordInput<K, V>[],
    options?: AppendOptions,
  ): Promise<readonly AppendResult[]>
  appendFrom(
    source: Iterable<RecordInput<K, V>> | AsyncIterable<RecordInput<K, V>>,
    options?: AppendOptions & {
      readonly onProgress?: ((sent: AppendProgress) => void) | undefined
    },
  ): Promise<readonly AppendResult[]>
  records(options?: ReadOptions<TopicFrom>): Reader<LogRecord<K, V>>
  batches(options?: ReadOptions<TopicFrom>): Reader<RecordBatch<K, V>>
  /** Changes the stored configuration; null takes an override back. */
  configure(config: { readonly [C in keyof TopicConfig]: TopicConfig[C] | null }): Promise<void>
  addPartitions(total: number): Promise<void>
  describe(): Promise<TopicDescription>
  /** Says of every segment why it is kept and when it goes. */
  explainRetention(): Promise<RetentionReport>
  flush(): Promise<void>
  /**
   * Compacts every partition now, its active segment included, whatever the dirty share; of a topic
   * whose `cleanupPolicy` contains `compact`. Appends and reads go on. What was compacted when it rejects stays so.
   *
   * @throws {PolicyViolationError} when the topic is not compacted
   * @throws {StorageError} when the file system fails
   */
  compact(): Promise<CompactionReport>
}

/** An open log directory. */
export interface Log extends AsyncDisposable {
  readonly dir: string
  /** `low`: the disk is filling up. `read-only`: appends are refused until there is room. Both end by themselves. */
  readonly state: 'ok' | 'low' | 'read-only' | 'closed'
  readonly recovery: RecoveryReport
  readonly lockKind: LockKind
  topic<K = Buffer, V = Buffer>(name: string, options?: TopicOptions<K, V>): Promise<Topic<K, V>>
  createTopic<K = Buffer, V = Buffer>(
    name: string,
    options?: TopicOptions<K, V>,
  ): Promise<Topic<K, V>>
  /**
   * Deletes a topic with everything in it and the offsets that groups committed of it; resolves when that
   * survives power loss. Rejected with `StorageError` it may be deleted or not: it is out of use, and lost
   * by its consumers, until the call is repeated or the log opened again.
   */
  deleteTopic(name: string): Promise<void>
  /**
   * Makes a producer, which sends records to any topic in batches of its own; `close()` it when it is
   * done with. `topic.append` needs none.
   *
   * @throws {ReadOnlyError} when the log was opened with `readOnly`
   * @throws {StorageError} when no producer id could be made sure; only with `idempotent`
   */
  producer(options?: ProducerOptions): Promise<Producer>
  /** Names, sorted; those of topics that the log keeps for itself (`__consumer_offsets`) with `internal` only. */
  topics(options?: { readonly internal?: boolean | undefined }): Promise<readonly string[]>
  /**
   * Makes a consumer of topics, which is a member of its group from then on.
   *
   * @throws {UnknownTopicOrPartitionError} when a topic that is named does not exist
   * @throws {ReadOnlyError} with a group, when the log is open for reading only
   * @throws {StorageError} when the committed offsets cannot be read
   */
  consumer<K = Buffer, V = Buffer>(options: ConsumerOptions<K, V>): Promise<Consumer<K, V>>
  /** Names of the groups that have members or commits, sorted. */
  groups(): Promise<readonly string[]>
  /** A group by its name, which need not exist. */
  group(name: string): Group
  describe(): Promise<LogDescription>
  /** Every topic's `explainRetention`, the largest first. */
  explainRetention(): Promise<readonly RetentionReport[]>
  metrics(): Metrics
  flush(): Promise<void>
  /**
   * Applies retention to every topic and rolls segments that are old enough, as the log does by itself
   * every `sweepIntervalMs`. One sweep runs at a time; this one begins after the call.
   */
  sweep(): Promise<SweepReport>
  /**
   * Checks everything that lies in the directory, beside appends and reads: the checksum and order of
   * every batch up to the recovery point, every index entry, and the files beside them; with `deep`
   * every record. Nothing is changed. Damage that was not known turns `partition.state` to `damaged`
   * and is told as an event `corruption`, once. Segments that retention or compaction take away
   * meanwhile are no findings. Also of a log that was opened with `readOnly`.
   *
   * Reads `maxBytesPerSecond` at most, keeps no more than a batch in memory, and never keeps the event
   * loop for longer than one batch takes to be summed and, with `deep`, decompressed.
   *
   * @throws {UnknownTopicOrPartitionError} when there is no such topic
   * @throws {CodecMissingError} when `deep` meets a codec whose package is not installed
   * @throws {StorageError} when a file cannot be read
   */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /**
   * Verifies, puts right what can be put right, and verifies that again. No batch that is good is
   * moved, cut or given another offset. Indexes, manifests, leader epochs, checkpoints, producer
   * snapshots, `partition.metadata` and the catalog are written anew. Damaged bytes are copied to
   * `.quarantined` files as far as `quarantineBytes` goes, and their offsets put on record as gaps:
   * reads of them go on failing with `CorruptRecordError`, also after the log is opened again, and
   * `verify` does not count them any more. What a gap once held comes back when the file is restored
   * from a backup while the log is closed; the next repair takes the gap off the record.
   *
   * A crash at any time leaves what was there before or what takes its place. Repairs of one log
   * follow one another. A partition that has failed is left alone until it is recovered.
   *
   * @throws {ReadOnlyError} when the log was opened with `readOnly`
   * @throws {UnknownTopicOrPartitionError} when there is no such topic
   * @throws {CodecMissingError} when `deep` meets a codec whose package is not installed
   * @throws {StorageError} when a file cannot be read or written; what was repaired before stays so
   */
  repair(options?: RepairOptions): Promise<RepairReport>
  /**
   * Hears one type of event; returns the function that ends it.
   *
   * @throws {TypeError} when there is no event of that type
   */
  on<T extends LogEvent['type']>(
    type: T,
    listener: (event: Extract<LogEvent, { type: T }>) => void,
  ): () => void
  /** Ends live readers, flushes what was accepted, gives the directory up. Idempotent. */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<void>
}

/** Where a configuration value comes from. */
export type ConfigSource = 'topic' | 'log' | 'default'

/** One segment, and why it is still there. Times are engine time, in ms since the epoch. */
export interface SegmentRetention {
  readonly baseOffset: Offset
  /** Behind its last record. */
  readonly nextOffset: Offset
  /** By offsets; compaction may have left fewer. */
  readonly recordCount: number
  readonly sizeBytes: number
  /** Null when it is not known, or nothing was appended yet. */
  readonly firstAppendMs: number | null
  /** What age is judged by. Where it is not known, the time at which the log was opened: late rather than early. */
  readonly lastAppendMs: number
  /** Largest timestamp of its records; null when none has one. */
  readonly maxTimestamp: number | null
  /** Appends go to it. */
  readonly isActive: boolean
  /** Some of it cannot be read. */
  readonly isDamaged: boolean
  /** Null when the next sweep deletes it. */
  readonly keptBecause: KeptBecause | null
  /** Why the next sweep deletes it; null when it does not. */
  readonly goesBecause: DeletionReason | null
  /** From when on a sweep deletes it if nothing changes; null: no time alone does that. */
  readonly deletableAt: number | null
}

/** The segments of one partition, oldest first. */
export interface PartitionRetentionReport {
  readonly partition: number
  readonly logStartOffset: Offset
  readonly highWatermark: Offset
  readonly sizeBytes: number
  readonly segments: readonly SegmentRetention[]
}

/** Why each segment of a topic is kept, and when it goes. */
export interface RetentionReport {
  readonly topic: string
  readonly sizeBytes: number
  readonly partitions: readonly PartitionRetentionReport[]
}

/** What one sweep did. */
export interface SweepReport {
  readonly durationMs: number
  readonly deletedSegments: number
  readonly deletedBytes: number
  /** Partitions in which it failed; the others were swept all the same. */
  readonly failures: readonly {
    readonly topic: string
    readonly partition: number
    readonly error: Error
  }[]
  /** What all segments take now. */
  readonly sizeBytes: number
}

/** One partition in a description. */
export interface PartitionDescription {
  readonly partition: number
  readonly dir: string
  readonly state: PartitionState
  readonly leaderEpoch: number
  readonly logStartOffset: Offset
  readonly highWatermark: Offset
  readonly recoveryPoint: Offset
  readonly writtenOffset: Offset
  readonly logEndOffset: Offset
  readonly segmentCount: number
  readonly sizeBytes: number
}

/** A topic, its configuration with sources, its partitions. */
export interface TopicDescription {
  readonly name: string
  /** The log keeps it for itself: it can be read, and nothing else. */
  readonly internal: boolean
  readonly id: string
  readonly config: {
    readonly [C in keyof Required<TopicConfig>]: {
      readonly value: NonNullable<TopicConfig[C]>
      readonly source: ConfigSource
    }
  }
  readonly partitions: readonly PartitionDescription[]
}

/** Everything in a log. */
export interface LogDescription {
  readonly dir: string
  readonly state: Log['state']
  readonly readOnly: boolean
  readonly formatVersion: number
  readonly lock: { readonly kind: LockKind; readonly reason: string }
  readonly sizeBytes: number
  readonly topics: readonly TopicDescription[]
}

/** What opening found and did in one partition. */
export interface PartitionRecovery {
  readonly topic: string
  readonly partition: number
  /** Offsets of the records above the recovery point that were kept: `[from, to)`. */
  readonly keptFrom: Offset
  readonly keptTo: Offset
  readonly scannedBytes: number
  /** Bytes of a torn tail that were cut, and how many of them went to a `.quarantined` file. */
  readonly cutBytes: number
  readonly quarantinedBytes: number
  /** Whole batches behind the cut that went with it. */
  readonly cutBatches: number
  readonly damage: readonly {
    readonly from: Offset
    readonly to: Offset
    readonly path: string
    readonly reason: string
  }[]
}

/** What opening the directory found and did. */
export interface RecoveryReport {
  /** The directory was closed cleanly, or is new: nothing had to be scanned. */
  readonly clean: boolean
  readonly durationMs: number
  readonly partitions: readonly PartitionRecovery[]
  /** Directories that the catalog did not know and that were adopted as topics, set aside, or removed. */
  readonly adoptedTopics: readonly string[]
  readonly strayDirectories: readonly string[]
}

/** A snapshot of counters and gauges; plain numbers, cheap to take. */
export interface Metrics {
  readonly appendedRecords: number
  readonly appendedBytes: number
  readonly rejectedAppends: number
  readonly writes: number
  readonly writtenBytes: number
  readonly flushes: number
  readonly failedFlushes: number
  /** Flush latency in ms. */
  readonly flushMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly reads: number
  readonly readBytes: number
  readonly queuedBytes: number
  readonly unflushedBytes: number
  readonly waitingAppends: number
  readonly waitingBytes: number
  readonly openFiles: number
  readonly topics: number
  readonly partitions: number
  readonly failedPartitions: number
  readonly segmentsRolled: number
  readonly state: Log['state']
}
