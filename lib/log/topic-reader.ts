/**
 * Where a reader gets its chunks from: one partition, or several that take turns by chunk. While a
 * chunk is consumed the next one is read, and no more than that one.
 */
import type { From, Offset } from '../types.ts'
import { PartitionCursor } from './partition-cursor.ts'
import type { ResolvedReadOptions } from './read-options.ts'
import type { ReadyChunk } from './ready-chunk.ts'
import type { RecordSerializer } from './serialize.ts'
import type { TopicState } from './topic-state.ts'

/** What a feed reads. */
export interface FeedOptions {
  readonly state: TopicState
  readonly serializer: RecordSerializer
  readonly options: ResolvedReadOptions
  readonly partitions: readonly number[]
  readonly from: (partition: number) => From
  /** A live feed takes in partitions that are added later. */
  readonly followsTopic: boolean
}

/**
 * Chunks in turn. One `next()` at a time. Every start is fixed by the constructor, and nothing is
 * read before the first `next()`.
 */
export class ChunkFeed {
  readonly state: TopicState
  readonly options: ResolvedReadOptions
  readonly #feed: FeedOptions
  readonly #cursors: PartitionCursor[]
  /** Index in `#cursors` of the one whose turn is next. */
  #turn = 0
  /** The chunk that is read while another one is consumed. */
  #ahead: Promise<ReadyChunk | null> | null = null
  #isOpen = false
  #isClosed = false
  /** Ends the wait that is under way. */
  #wake: (() => void) | null = null
  #stopFollowing: (() => void) | null = null

  constructor(feed: FeedOptions) {
    this.state = feed.state
    this.options = feed.options
    this.#feed = feed
    this.#cursors = feed.partitions.map(partition => this.#cursorOf(partition))
  }

  /** Start offsets by partition, as far as they are known. */
  starts(): Map<number, Offset> {
    const starts = new Map<number, Offset>()
    for (const { partition, start } of this.#cursors) {
      if (start !== undefined) starts.set(partition, start)
    }
    return starts
  }

  /**
   * The next chunk, with at least one batch. Null at the end: of a read that is not live, or after
   * `close()`. A live feed waits, and keeps the process alive meanwhile.
   *
   * @throws {LogError} what the options of the read do not deal with
   */
  async next(): Promise<ReadyChunk | null> {
    if (!this.#isOpen) await this.#open()
    for (;;) {
      const chunk = await (this.#ahead ?? this.#fetch())
      this.#ahead = null
      if (this.#isClosed) return null
      if (chunk !== null) {
        this.#readAhead()
        return chunk
      }
      if (!this.options.live) return null
      if (!this.state.isUsable) throw this.state.refusal()
      await this.#whenReady()
      if (this.#isClosed) return null
      if (!this.state.isUsable) throw this.state.refusal()
      // A partition that is being recovered ends every wait at once: look again in another turn.
      if (!this.#isReady()) await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** Lets damage inside a batch pass if the options say so; see `PartitionCursor.skip`. */
  skip(partition: number, error: unknown): boolean {
    return this.#cursors.find(cursor => cursor.partition === partition)?.skip(error) ?? false
  }

  /** Ends everything: the wait that is under way, and every later `next()`. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#stopFollowing?.()
    this.#stopFollowing = null
    this.#wake?.()
  }

  async #open(): Promise<void> {
    if (!this.state.isUsable) throw this.state.refusal()
    this.#isOpen = true
    if (this.#feed.followsTopic && this.options.live) {
      this.#stopFollowing = this.state.onPartitionsAdded(() => this.#takeInAdded())
      this.#takeInAdded()
    }
    for (const cursor of [...this.#cursors]) await cursor.started()
  }

  #cursorOf(partition: number): PartitionCursor {
    const { state, serializer, options, from } = this.#feed
    const { key, value } = serializer
    const context = { topic: state.name, partition, key, value }
    return new PartitionCursor({ state, context, from: from(partition), options })
  }

  #takeInAdded(): void {
    for (let id = this.#cursors.length; id < this.state.partitions.length; id++) {
      this.#cursors.push(this.#cursorOf(id))
    }
    this.#wake?.()
  }

  #isReady(): boolean {
    return this.#cursors.some(cursor => cursor.isReady)
  }

  #readAhead(): void {
    if (!this.#isReady()) return
    this.#ahead = this.#fetch()
    // It is awaited by the `next()` after this one, if there is one.
    this.#ahead.catch(() => {})
  }

  async #fetch(): Promise<ReadyChunk | null> {
    for (;;) {
      if (this.#isClosed) return null
      const cursor = this.#nextInTurn()
      if (cursor === undefined) return null
      const chunk = await cursor.fetch()
      if (chunk !== null) return chunk
    }
  }

  #nextInTurn(): PartitionCursor | undefined {
    const count = this.#cursors.length
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count
      const cursor = this.#cursors[index]
      if (cursor?.isReady === true) {
        this.#turn = index + 1
        return cursor
      }
    }
    return undefined
  }

  /** Resolves when any partition has more, when one was added, or on `close`. */
  async #whenReady(): Promise<void> {
    const leaves: (() => void)[] = []
    try {
      await new Promise<void>(resolve => {
        this.#wake = resolve
        for (const cursor of this.#cursors) leaves.push(cursor.onceReady(resolve))
      })
    } finally {
      this.#wake = null
      // A wait left behind would keep the process alive for nobody.
      for (const leave of leaves) leave()
    }
  }
}
