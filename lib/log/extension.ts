/**
 * The seam between a log and what is built on it. `log/` knows nothing of producers and consumers;
 * `lib/open.ts` hands the opening of a log a function that makes them, and the log calls what that
 * function returns when a user asks for one of them, and at the turning points of its own life.
 */
import type { Consumer, ConsumerOptions, Group } from '../consuming.ts'
import type { ResolvedOpenOptions } from '../options.ts'
import type { Producer, ProducerOptions } from '../producing.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import type { ConsumedSource } from './consumed-offsets.ts'
import type { EventHub } from './event-hub.ts'
import type { NewTopic } from './topic-changes.ts'
import type { TopicState } from './topic-state.ts'

/** An open log as the layers above see it. */
export interface ExtensibleLog {
  /** Path of the directory, as the files know it. */
  readonly dir: string
  /** The directory belongs to another process. */
  readonly isReadOnly: boolean
  readonly options: ResolvedOpenOptions
  readonly environment: StorageEnvironment
  readonly events: EventHub
  /** The topic that has the name now. */
  topic(name: string): TopicState | undefined
  /** All topics that there are now. */
  topics(): readonly TopicState[]
  /** The largest producer id that any partition knows; -1 when none knows any. */
  largestProducerId(): number
  /**
   * The topic of that name, created if there is none.
   *
   * @throws {ReadOnlyError} when the directory belongs to another process and there is none
   */
  openTopic(topic: NewTopic): Promise<TopicState>
  /**
   * Calls back whenever topics or partitions have come or gone, and when a topic was taken out of use
   * because its deletion failed halfway; returns the function that ends it. Of a
   * directory that belongs to another process it is watched meanwhile.
   */
  onTopicsChanged(callback: () => void): () => void
  /** Where `retainUntilConsumed` learns from now on how far groups are; nobody asks in a read-only log. */
  useConsumedOffsets(source: ConsumedSource): void
}

/** What the layers above make of a log. */
export interface LogExtension {
  /** See `Log.producer`. */
  producer(options: ProducerOptions | undefined): Promise<Producer>
  consumer<K, V>(options: ConsumerOptions<K, V>): Promise<Consumer<K, V>>
  /** Names of the groups, sorted. */
  groups(): Promise<readonly string[]>
  group(name: string): Group
  /**
   * A topic is being deleted, its deletion committed: what is kept of it elsewhere has to go, durably, before
   * its name may be used again. May be called again for the same topic, also after a crash.
   */
  forgetTopic(name: string): Promise<void>
  /**
   * The log is closing: what runs on it has to end. Called once, in the very turn of the log's own
   * `close()`; new calls to the log are refused already, while handles of topics work until what this
   * returns has settled. Null when there is nothing to wait for: then they are refused at once as well.
   *
   * When `giveUp` aborts, time is over: whatever still runs is to reject and to settle soon.
   */
  close(giveUp: AbortSignal): Promise<void> | null
}

/**
 * Makes the extension of a log that has been recovered and that nobody has seen yet. What it throws
 * makes opening fail; it has then to leave nothing running.
 */
export type ExtendLog = (log: ExtensibleLog) => LogExtension | Promise<LogExtension>
