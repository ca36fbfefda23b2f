/// <reference types="node" preserve="true" />
/** The types of consumers and groups. Offsets that are committed name the next record to be read. */
import type { From, LogRecord, Offset, ReadOptions, RecordBatch, Topic } from './types.ts'

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A place in a partition: the next offset to be read. */
export interface CommittedOffset extends TopicPartition {
  readonly offset: Offset
  /** Anything up to 4096 bytes of UTF-8, kept with the offset. @default '' */
  readonly metadata?: string | undefined
}

/** How far behind the end of a partition a consumer is. */
export interface Lag extends TopicPartition {
  /** Offsets between the position and the high watermark; after compaction that is more than there are records. */
  readonly records: number
  /** What lies from the batch of the next record to the end of the partition's files; 0 when there is none. */
  readonly bytes: number
  /** How long ago the next record was written, by its timestamp; 0 when there is none. */
  readonly seconds: number
}

/** The topics of a consumer: handles, names, regular expressions, or several of them. */
export type TopicSelection<K = Buffer, V = Buffer> =
  | Topic<K, V>
  | string
  | RegExp
  | readonly (Topic<K, V> | string | RegExp)[]

/** What a member of a group wants, as an assignor sees it. */
export interface GroupMemberSubscription {
  readonly id: string
  /** The topics that there are. */
  readonly topics: readonly string[]
}

/** What an assignor is asked. */
export interface GroupPartitions {
  /** In the order in which they joined. */
  readonly members: readonly GroupMemberSubscription[]
  /** Every partition that some member subscribes to, by topic and number. */
  readonly partitions: readonly TopicPartition[]
  /** What was assigned before, by member. */
  readonly current: ReadonlyMap<string, readonly TopicPartition[]>
}

/**
 * Distributes partitions over members, by their ids. Called synchronously whenever members, topics or
 * partitions have changed. Partitions that it leaves out are read by nobody. An answer that gives one
 * partition to two members, or to one that does not subscribe to it, and a function that throws, are told
 * as an event `backgroundFailed`; `'cooperative-sticky'` takes its place then.
 */
export type Assignor = (group: GroupPartitions) => ReadonlyMap<string, readonly TopicPartition[]>

/** Options of `log.consumer()`. */
export interface ConsumerOptions<K = Buffer, V = Buffer>
  extends Pick<ReadOptions<unknown>, 'maxBytes' | 'checkCrcs' | 'onOutOfRange' | 'onCorruption'> {
  /**
   * The group whose members share the partitions and whose offsets are committed. Without one the
   * consumer reads every partition and commits nothing. 1 to 255 characters, no control characters.
   */
  readonly group?: string | undefined
  /**
   * What to read. A name must be that of a topic that exists; a topic that is deleted and made again is
   * read again, from its beginning, unless it was given as a handle. Topics that match a regular
   * expression and partitions are picked up when they come. The types of a handle are the consumer's;
   * names and expressions give Buffers.
   */
  readonly topics: TopicSelection<K, V>
  /**
   * Where to begin in a partition of which the group has no commit. A list, such as `position()` gives,
   * names the next offset of each partition; what is not in it is read from `'earliest'`, and so is
   * what comes later. With a group, a beginning other than `'earliest'` is committed at once, so that
   * whoever takes the partition over begins there as well. @default 'earliest'
   */
  readonly from?: Exclude<From, number> | readonly CommittedOffset[] | undefined
  /** Records that one `poll()` gives at most, and one batch of an iteration has; -1: no limit. @default -1 */
  readonly maxRecords?: number | undefined
  /** How long `poll()` waits when there is nothing, in ms; -1: until there is. @default 500 */
  readonly maxWaitMs?: number | undefined
  /** How the partitions of the group are shared; that of its longest-standing member counts. @default 'cooperative-sticky' */
  readonly assignor?: 'cooperative-sticky' | Assignor | undefined
  /**
   * How long a partition that goes to another member waits for what is under way in it, in ms; -1: as
   * long as that takes. What is not finished by then is given to the other member as well. @default 60000
   */
  readonly rebalanceTimeoutMs?: number | undefined
  /** Leaves and closes; what is pending rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

/** How many handlers run at a time, and what keeps its order. */
export interface Concurrency {
  /**
   * `partition`: one record of a partition at a time. `key`: one record of a key at a time, while others
   * of the partition go in parallel; records without a key keep no order.
   */
  readonly by: 'partition' | 'key'
  /** Handlers at work at the same time, over all partitions. @default 16 */
  readonly max?: number | undefined
}

/** Options of `consumer.run()`. */
export interface RunOptions {
  /** @default one record at a time */
  readonly concurrency?: Concurrency | undefined
  /** Commit what is finished, up to the first record that is not. Needs a group. @default true */
  readonly autoCommit?: boolean | undefined
  /**
   * Time between two commits, in ms. The first one is made at once, and revocation and closing commit
   * what is left. More spares flushes and lets more be processed twice after a crash. @default 100
   */
  readonly autoCommitIntervalMs?: number | undefined
  /** How often a record is tried again after its handler threw. @default 0 */
  readonly retries?: number | undefined
  /**
   * Time before the first retry, in ms; it doubles with each further one up to `maxBackoffMs`. Only
   * records that have to come after this one wait. @default 100
   */
  readonly backoffMs?: number | undefined
  /** @default 30000 */
  readonly maxBackoffMs?: number | undefined
  /**
   * Where a record goes whose last attempt failed, with headers that say where from, why and how
   * often it was tried; it then counts as finished. A name is created when there is no such topic.
   */
  readonly deadLetterTopic?: string | Topic | undefined
  /** Leaves and closes; `run()` rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

/** What a handler is told beside the record. */
export interface HandlerContext {
  /** Fires when the partition goes to another member and when the consumer closes. A handler that finishes all the same counts. */
  readonly signal: AbortSignal
  /** 1 for the first attempt. */
  readonly attempt: number
}

/** What a record is given to. When what it returns is a promise, the record is finished as it resolves. */
export type RecordHandler<K = Buffer, V = Buffer> = (
  record: LogRecord<K, V>,
  at: HandlerContext,
) => unknown

/**
 * What becomes of partitions. `assigned`: they are read by this consumer. `revoked`: they were given
 * back in order. `lost`: they are gone before what was under way in them was finished, or with
 * their topic.
 */
export type AssignmentChange = 'assigned' | 'revoked' | 'lost'

/**
 * Reads topics, alone or sharing them with the other members of its group. A member from the moment it
 * is made until it closes, its handler fails for good, or its signal fires. It is used in one way at a
 * time: `run()`, `poll()` or iteration; a second one is a `TypeError`.
 */
export interface Consumer<K = Buffer, V = Buffer>
  extends AsyncIterable<RecordBatch<K, V>>,
    AsyncDisposable {
  /** Unique within the process. */
  readonly id: string
  readonly group: string | null
  /**
   * Calls the handler for every record, until the consumer is closed. Commits by itself, unless
   * `autoCommit` is false.
   *
   * @throws {HandlerError} when a record's last attempt failed and there is no dead-letter topic; the
   * consumer is closed then, and nothing from that record on is committed
   * @throws `signal.reason` when the signal of the consumer or of the run fires
   */
  run(handler: RecordHandler<K, V>, options?: RunOptions): Promise<void>
  /** The next batches; none when there was nothing for `maxWaitMs`. Never commits. */
  poll(options?: {
    readonly maxWaitMs?: number | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<readonly RecordBatch<K, V>[]>
  /** Batch after batch, until the consumer is closed. Never commits. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RecordBatch<K, V>>
  /**
   * Commits everything of a partition up to and with a record or batch, or the next offsets of a list.
   * Resolves when that survives power loss. Calls that overlap share a write.
   *
   * @throws {TypeError} without a group
   * @throws {RangeError} when an offset is above the high watermark
   * @throws {NotAssignedError} when a partition is not this member's
   */
  commit(upTo: LogRecord<K, V> | RecordBatch<K, V> | readonly CommittedOffset[]): Promise<void>
  /** Goes on elsewhere, in all partitions assigned or in some of them; an offset needs a single one. */
  seek(to: From, partitions?: readonly TopicPartition[]): Promise<void>
  /** Gives nothing more of these partitions, or of all that are assigned now, until `resume`. */
  pause(of?: readonly TopicPartition[]): void
  resume(of?: readonly TopicPartition[]): void
  readonly assignment: readonly TopicPartition[]
  /** Behind what was given out, for each partition assigned whose beginning is known. */
  position(): readonly CommittedOffset[]
  /** How far behind the end each assigned partition is: its finished prefix under `run()`, else its position. */
  lag(): Promise<readonly Lag[]>
  /** Hears what becomes of partitions; returns the function that ends it. */
  on(
    change: AssignmentChange,
    listener: (partitions: readonly TopicPartition[]) => void,
  ): () => void
  /**
   * Fires the handlers' signals, waits for them (`timeoutMs`, in ms; -1, the default: no limit),
   * commits what is finished under `run()`, and leaves the group. Idempotent. A handler must not wait
   * for it: it would wait for itself.
   *
   * @throws {StorageError} when what was finished could not be committed; it will be given out again
   */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<void>
}

/** One commit of a group. */
export interface GroupOffset extends TopicPartition {
  readonly offset: Offset
  readonly metadata: string
  readonly committedAt: Date
  /** Offsets up to the high watermark; null when the topic or partition is not there. */
  readonly lag: number | null
}

/** One member of a group. */
export interface GroupMember {
  readonly id: string
  readonly topics: readonly string[]
  readonly assignment: readonly TopicPartition[]
}

/** A group, its members and its commits. */
export interface GroupDescription {
  readonly name: string
  /** `rebalancing` while a partition waits for the member that gives it up. */
  readonly state: 'empty' | 'stable' | 'rebalancing'
  /** Counts the assignments since the first member joined; 0 without one. */
  readonly generation: number
  readonly members: readonly GroupMember[]
  readonly offsets: readonly GroupOffset[]
}

/** What `resetOffsets` did, or with `dryRun` would do. */
export interface OffsetReset extends TopicPartition {
  /** Null when there was no commit. */
  readonly from: Offset | null
  readonly to: Offset
}

/** Options of `group.resetOffsets()`. */
export interface ResetOffsetsOptions {
  /** Where to; a bare offset holds for every partition in question. */
  readonly to: From
  /** @default every topic of which the group has a commit */
  readonly topics?: readonly string[] | undefined
  /** Only says what would be done. @default false */
  readonly dryRun?: boolean | undefined
}

/** A group of consumers by its name. It exists as long as it has members or commits. */
export interface Group {
  readonly name: string
  /** @throws {UnknownGroupError} when it has neither members nor commits */
  describe(): Promise<GroupDescription>
  /**
   * Commits other offsets. Resolves when they survive power loss.
   *
   * @throws {GroupNotEmptyError} when it has members
   * @throws {UnknownGroupError} when it has no commits and `topics` is not given
   * @throws {RangeError} when an offset lies outside a partition
   */
  resetOffsets(options: ResetOffsetsOptions): Promise<readonly OffsetReset[]>
  /**
   * Takes back every commit. Resolves when that survives power loss.
   *
   * @throws {GroupNotEmptyError} when it has members
   * @throws {UnknownGroupError} when it has no commits
   */
  delete(): Promise<void>
}
