/** The types of producers: what sends records in batches of its own. */
import type { Acks, AppendResult } from './appending.ts'
import type { CompressionType, RecordInput } from './records.ts'
import type { Partitioner, Topic } from './types.ts'

/**
 * How a producer chooses the partition of a record that names none. `murmur2`: by the key, as Kafka's
 * Java client does, and without one as `sticky`. `sticky`: about `batchBytes` to one partition, then
 * the next, whatever the key. `round-robin`: the partitions in turn, whatever the key. A function is
 * asked for every record; what it gives must be a partition's number.
 */
export type ProducerPartitioner = 'murmur2' | 'sticky' | 'round-robin' | Partitioner

/** Options of `log.producer()`. */
export interface ProducerOptions {
  /** With `idempotent` nothing else than `durable`. @default the topic's `acks` */
  readonly acks?: Acks | undefined
  /**
   * How long an open batch waits for company, in ms. 0: until the end of the turn of the event loop in
   * which it was opened. Longer makes larger batches, which compress better and are read faster, of
   * records that come one by one; nobody gets an answer any earlier for it. @default 0
   */
  readonly lingerMs?: number | undefined
  /**
   * Size at which a batch is full and goes off, uncompressed; never above the topic's `maxBatchBytes`.
   * A single record that is larger goes in a batch of its own. Larger batches compress better; readers
   * take a batch into memory as a whole. @default 65536 (64 KiB)
   */
  readonly batchBytes?: number | undefined
  /** @default the topic's `compressionType` */
  readonly compressionType?: CompressionType | undefined
  /** @default the topic handle's own partitioner, else 'murmur2' */
  readonly partitioner?: ProducerPartitioner | undefined
  /**
   * Bytes of records that were sent and have no answer yet. Past it records wait in order, for
   * `maxBlockMs` at most; when as many bytes again wait, they are refused at once.
   * @default 33554432 (32 MiB), as Kafka's buffer.memory
   */
  readonly maxInFlightBytes?: number | undefined
  /** How long a record waits for room here, and its batch in the log's queue, in ms; -1 for ever. @default the log's `maxBlockMs` */
  readonly maxBlockMs?: number | undefined
  /**
   * Numbers the batches (KIP-98), so that one whose fate is unknown can be sent again without ever
   * being in the log twice. Batches that a failed partition, a full disk or a full queue refused are
   * kept and sent again, in order, until `deliveryTimeoutMs`. @default false
   */
  readonly idempotent?: boolean | undefined
  /** How long an idempotent producer goes on with a batch after it was closed, in ms; -1: until it is closed itself. @default 120000 (2 min) */
  readonly deliveryTimeoutMs?: number | undefined
  /** How long an idempotent producer pauses before it tries again, in ms. @default 100 */
  readonly retryBackoffMs?: number | undefined
}

/** Options of one `producer.send()`. */
export interface SendOptions {
  /** Takes back what is not on its way to the log yet: what waits for room, or in an open batch. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Sends records to any topic of its log, in batches of its own. Calls may overlap; the records that
 * one producer sends to a partition are in the log in the order of the calls, and their promises are
 * settled in that order.
 *
 * `topic` is a handle of this log, whose serdes then apply, or the name of a topic that exists. Key,
 * value and headers are copied before `send` returns. A record without a timestamp has that of the
 * call.
 *
 * A batch of a single record without numbers or a compression of its own may join the records of others
 * in the log, as `topic.append` has it.
 *
 * A batch that is refused rejects the promises of exactly its records. Of an idempotent producer
 * that is what nothing could mend within `deliveryTimeoutMs`; `outcome: 'unknown'` says that the records
 * may be in the log nevertheless. Each opening of a log, and each producer, has an id of its own, so
 * records that are sent once more after the process has ended are new ones.
 */
export interface Producer extends AsyncDisposable {
  /** The id that its batches carry; null unless it is idempotent. No two producers of a directory ever have the same. */
  readonly producerId: number | null
  /**
   * Sends one record; resolves with where it is when `acks` is reached.
   *
   * @throws {TypeError} for a record of the wrong shape
   * @throws {InvalidRecordError} when the serde of the handle refuses it
   * @throws {UnknownTopicOrPartitionError} when there is no such topic, or no such partition
   * @throws {RangeError} when the partitioner gives no partition's number
   * @throws {QueueFullError} when there was no room within `maxBlockMs`
   * @throws {RecordTooLargeError} when it exceeds the topic's `maxBatchBytes` by itself
   * @throws {DiskFullError | StorageError} when the disk refused or failed
   * @throws {ClosedError} when the producer, or the log, is closed
   */
  send<K, V>(
    topic: Topic<K, V>,
    record: RecordInput<K, V>,
    options?: SendOptions,
  ): Promise<AppendResult>
  /**
   * Sends records, one after the other and not as one batch; resolves with one result for each, in
   * their order. All are checked before the first is sent. Rejects with the first failure, after every
   * one of them has been settled.
   */
  send<K, V>(
    topic: Topic<K, V>,
    records: readonly RecordInput<K, V>[],
    options?: SendOptions,
  ): Promise<readonly AppendResult[]>
  /** By the name of the topic: keys and values are bytes or strings. */
  send(topic: string, record: RecordInput, options?: SendOptions): Promise<AppendResult>
  /** By the name of the topic: keys and values are bytes or strings. */
  send(
    topic: string,
    records: readonly RecordInput[],
    options?: SendOptions,
  ): Promise<readonly AppendResult[]>
  /** Resolves when a record has room at once, or the producer is closed: what a loop that does not await its sends awaits instead. */
  whenReady(): Promise<void>
  /**
   * Sends what waits for company and resolves when everything sent before the call has been settled.
   * Rejects with the first failure since the last flush; the promises of the failures that it reports
   * are no unhandled rejections.
   */
  flush(): Promise<void>
  /**
   * Refuses further records, flushes, and rejects as `flush` does. What an idempotent producer would
   * try again is tried no more. After `timeoutMs` (-1, the default: no limit) everything that is not
   * settled rejects with `ClosedError`. Idempotent. `log.close()` closes every producer.
   */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<void>
}
