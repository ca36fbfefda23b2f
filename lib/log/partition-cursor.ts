/** How far one reader has read in one partition, and what it does when that is no longer there. */
import { ok } from 'node:assert/strict'

import { CorruptRecordError, OffsetOutOfRangeError } from '../errors.ts'
import type { RecordContext } from '../record/batch-reader.ts'
import { ReadBuffers } from '../storage/read-buffers.ts'
import type { ReadHint } from '../storage/readable.ts'
import type { From, Offset } from '../types.ts'
import type { ResolvedReadOptions } from './read-options.ts'
import { openChunk, type ReadyChunk } from './ready-chunk.ts'
import type { PartitionAccess, TopicState } from './topic-state.ts'

/** What a cursor needs to know. */
export interface CursorOptions {
  readonly state: TopicState
  readonly context: RecordContext
  readonly from: From
  readonly options: ResolvedReadOptions
}

/**
 * A place in one partition that moves forward by chunks. The start, and the end of a read that is not
 * live, are fixed by the constructor. One `fetch` at a time; no file is held between two.
 */
export class PartitionCursor {
  readonly partition: number
  readonly #state: TopicState
  readonly #context: RecordContext
  readonly #options: ResolvedReadOptions
  /** The high watermark as it was at the call. */
  readonly #end: Offset
  /** The lookup of a start that takes one. */
  #starting: Promise<void> | null = null
  /** Where the read starts; undefined while it is being looked up. */
  #start: Offset | undefined
  /** Where the next fetch begins. */
  #position: Offset = 0
  #hint: ReadHint | undefined
  /** Null when every chunk is to be fresh memory. */
  readonly #buffers: ReadBuffers | null
  /** Buffers of chunks that were given out and may still be looked into, oldest first. */
  #given: Buffer[] = []
  /** A start outside the log, found at the call and reported by the first fetch. */
  #problem: OffsetOutOfRangeError | null = null
  /** Nothing was read yet of a read from the very beginning, whatever the beginning has become. */
  #isAtEarliest = false

  constructor({ state, context, from, options }: CursorOptions) {
    this.partition = context.partition
    this.#state = state
    this.#context = context
    this.#options = options
    this.#buffers = options.reuseBuffers ? new ReadBuffers() : null
    this.#end = this.#access.highWatermark
    this.#setStart(from)
  }

  /** Where the read starts; undefined while it is still being looked up. */
  get start(): Offset | undefined {
    return this.#start
  }

  /** Where the next fetch begins; means nothing while `start` is being looked up. */
  get position(): Offset {
    return this.#position
  }

  /** Resolves when `start` is known. @throws {StorageError} when the lookup failed */
  async started(): Promise<void> {
    await this.#starting
  }

  /** Whether `fetch` has something to do now. */
  get isReady(): boolean {
    if (this.#problem !== null) return true
    const { live } = this.#options
    return this.#position < (live ? this.#access.highWatermark : this.#end)
  }

  /**
   * Calls `wake` once, when there is something above the position or the partition goes away; not
   * when what is returned was called before.
   */
  onceReady(wake: () => void): () => void {
    return this.#access.onceAbove(this.#position, wake)
  }

  /**
   * The next chunk; null when the cursor has moved without one: past a gap, past markers only, or to
   * where the options say after an error.
   *
   * @throws {LogError} what the options do not deal with
   */
  async fetch(): Promise<ReadyChunk | null> {
    if (!this.#state.isUsable) throw this.#state.refusal()
    this.#takeBack()
    try {
      return await this.#read()
    } catch (error) {
      // Closing a log fails the read that is under way; what the reader hears is why.
      if (!this.#state.isUsable) throw this.#state.refusal()
      this.#goOnAfter(error)
      return null
    }
  }

  /** Reports damage that the options let pass; false when they do not, or when it is something else. */
  skip(error: unknown): boolean {
    if (this.#options.onCorruption !== 'skip' || !(error instanceof CorruptRecordError)) {
      return false
    }
    const { from, to, path, position, reason } = error
    this.#state.noteDamage(this.partition, { from, to, path, position, reason })
    return true
  }

  get #access(): PartitionAccess {
    const access = this.#state.partitions[this.partition]
    ok(access !== undefined)
    return access
  }

  #setStart(from: From): void {
    const access = this.#access
    if (typeof from === 'object') {
      this.#starting = this.#lookUp(access, from)
      // It is awaited by the first `next()`. A reader that nobody iterates fails nobody.
      this.#starting.catch(() => {})
      return
    }
    if (from === 'earliest') this.#beginAt(access.logStartOffset)
    else if (from === 'latest') this.#beginAt(this.#end)
    else this.#beginAt(from)
    this.#isAtEarliest = from === 'earliest'
    if (this.#position < access.logStartOffset || this.#position > this.#end) {
      this.#problem = this.#outOfRange(this.#position)
    }
  }

  #beginAt(offset: Offset): void {
    this.#start = offset
    this.#position = offset
  }

  async #lookUp(access: PartitionAccess, from: Exclude<From, string | number>): Promise<void> {
    const offset =
      'last' in from
        ? await access.offsetOfLast(from.last)
        : await access.offsetForTimestamp(Number(from.timestamp))
    this.#beginAt(offset ?? this.#end)
  }

  async #read(): Promise<ReadyChunk | null> {
    if (this.#problem !== null) throw this.#problem
    const from = this.#position
    const { live, maxBytes, checkCrcs } = this.#options
    const chunk = await this.#access.readChunk({
      from,
      upTo: live ? undefined : this.#end,
      maxBytes,
      checkCrcs,
      hint: this.#hint,
      buffers: this.#buffers ?? undefined,
    })
    if (this.#buffers !== null) this.#given.push(chunk.buffer)
    const ready = await openChunk(chunk, this.#context, from)
    // Otherwise a reader would ask for the same offset for ever.
    ok(ready.nextOffset > from, `reading ${this.#context.topic} at ${from} led nowhere`)
    this.#hint = ready.nextOffset === chunk.nextOffset ? chunk.hint : undefined
    this.#position = ready.nextOffset
    this.#isAtEarliest = false
    return ready.batches.length === 0 ? null : ready
  }

  /** The chunk given last may be in use while this one is fetched ahead; those before it are done with. */
  #takeBack(): void {
    while (this.#given.length > 1) this.#buffers?.give(this.#given.shift() as Buffer)
  }

  #goOnAfter(error: unknown): void {
    const from = this.#position
    if (error instanceof OffsetOutOfRangeError) {
      this.#position = this.#jump(error)
    } else if (error instanceof CorruptRecordError && this.skip(error)) {
      this.#position = Math.max(error.to, from + 1)
    } else {
      throw error
    }
    this.#problem = null
    this.#hint = undefined
  }

  #jump(error: OffsetOutOfRangeError): Offset {
    const access = this.#access
    const { onOutOfRange } = this.#options
    const isBelow = this.#position < access.logStartOffset
    if (onOutOfRange === 'earliest' || (this.#isAtEarliest && isBelow)) return access.logStartOffset
    if (onOutOfRange === 'latest') return access.highWatermark
    throw error
  }

  #outOfRange(offset: Offset): OffsetOutOfRangeError {
    const { topic, partition } = this.#context
    return new OffsetOutOfRangeError(
      { topic, partition, offset },
      this.#access.logStartOffset,
      this.#end,
    )
  }
}
