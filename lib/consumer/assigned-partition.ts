/** One partition in the hands of one consumer: where it reads, and what it has read and not given out. */
import { PartitionCursor } from '../log/partition-cursor.ts'
import type { ResolvedReadOptions } from '../log/read-options.ts'
import type { ReadyChunk } from '../log/ready-chunk.ts'
import type { RecordSerializer } from '../log/serialize.ts'
import type { PartitionAccess, TopicState } from '../log/topic-state.ts'
import type { RecordContext } from '../record/batch-reader.ts'
import type { From, LogRecord, Offset, RecordBatch } from '../types.ts'
import { sliceBatch } from './batch-slice.ts'
import { FinishedPrefix } from './finished-prefix.ts'
import { keyOf } from './group-coordinator.ts'

/** What a partition is read with. */
export interface AssignedPartitionOptions {
  readonly state: TopicState
  readonly partition: number
  readonly serializer: RecordSerializer
  readonly read: ResolvedReadOptions
}

/**
 * One `fetch` at a time. After `seek` everything that was read and not given out is forgotten, and a
 * fetch that was under way gives nothing.
 */
export class AssignedPartition {
  readonly topic: string
  readonly partition: number
  /** `keyOf` it, once for all commits. */
  readonly key: string
  readonly state: TopicState
  /** Nothing more is given out of it until it is false again. */
  isPaused = false
  /** It is being handed back, or has been: nothing more is given out of it. */
  isEnding = false
  readonly #context: RecordContext
  readonly #read: ResolvedReadOptions
  #cursor: PartitionCursor | null = null
  #isStarted = false
  /** Why the place to begin at could not be looked up. */
  #problem: { readonly error: unknown } | null = null
  #prefix: FinishedPrefix = new FinishedPrefix(0)
  #isFetching = false
  #chunk: ReadyChunk | null = null
  /** In the chunk, of the batch that is opened next. */
  #index = 0
  #records: Iterator<LogRecord<unknown, unknown>> | null = null
  /** Behind what was given out of the chunk. */
  #given: Offset = 0

  constructor({ state, partition, serializer, read }: AssignedPartitionOptions) {
    this.topic = state.name
    this.partition = partition
    this.key = keyOf(this)
    this.state = state
    this.#read = read
    this.#context = {
      topic: state.name,
      partition,
      key: serializer.key,
      value: serializer.value,
    }
  }

  /** Which records given out are finished; another object after `seek`. */
  get prefix(): FinishedPrefix {
    return this.#prefix
  }

  /** Behind what was given out; null while the place to begin at is being looked up. */
  get position(): Offset | null {
    if (this.#cursor === null || !this.#isStarted) return null
    return this.#chunk === null ? this.#cursor.position : this.#given
  }

  /** Something was read and not given out. */
  get hasBuffered(): boolean {
    return this.#chunk !== null
  }

  /** Giving out can go on without waiting for anything but a read. */
  get isReady(): boolean {
    if (this.isPaused || this.isEnding || this.#isFetching) return false
    if (this.#chunk !== null || this.#problem !== null) return true
    return this.#isStarted && this.#cursor?.isReady === true
  }

  get access(): PartitionAccess | undefined {
    return this.state.partitions[this.partition]
  }

  /** Goes on from there. Resolves when it is known where that is. */
  async seek(from: From): Promise<Offset> {
    const { state } = this
    const cursor = new PartitionCursor({ state, context: this.#context, from, options: this.#read })
    this.#cursor = cursor
    this.#isStarted = false
    this.#problem = null
    this.#forgetChunk()
    try {
      await cursor.started()
    } catch (error) {
      if (this.#cursor === cursor) this.#problem = { error }
      throw error
    }
    if (this.#cursor === cursor) {
      this.#isStarted = true
      this.#prefix = new FinishedPrefix(cursor.position)
    }
    return cursor.position
  }

  /** Forgets what was read and not given out; it is read again when its turn comes. */
  putBack(): void {
    if (this.#chunk === null) return
    const { state } = this
    const context = this.#context
    this.#cursor = new PartitionCursor({ state, context, from: this.#given, options: this.#read })
    this.#forgetChunk()
  }

  /** The beginning cannot be known; the next fetch says why. */
  fail(error: unknown): void {
    this.#problem = { error }
  }

  /** Calls `wake` once, when there is something to read or the partition goes away. */
  onceReady(wake: () => void): () => void {
    if (this.#cursor !== null) return this.#cursor.onceReady(wake)
    wake()
    return () => {}
  }

  /** Whether waiting for it makes sense: it is not paused, and it is known where to read. */
  get isWaiting(): boolean {
    return !this.isPaused && !this.isEnding && this.#isStarted && !this.#isFetching
  }

  /**
   * Reads ahead if nothing is buffered.
   *
   * @throws {LogError} what the options do not deal with
   */
  async fetch(): Promise<void> {
    if (this.#problem !== null) throw this.#problem.error
    const cursor = this.#cursor
    if (this.#chunk !== null || cursor === null || !this.#isStarted) return
    this.#isFetching = true
    try {
      const chunk = await cursor.fetch()
      if (this.#cursor !== cursor || this.isEnding) return
      if (chunk === null) {
        // Back to the beginning, when the end had come to lie before the position.
        if (cursor.position < this.#prefix.position) {
          this.#prefix = new FinishedPrefix(cursor.position)
        }
        this.#prefix.skipTo(cursor.position)
        return
      }
      this.#chunk = chunk
      this.#given = Math.max(chunk.from, chunk.batches[0]?.baseOffset ?? 0)
    } finally {
      this.#isFetching = false
    }
  }

  /** The next record that was read; null when there is none. */
  takeRecord(): LogRecord<unknown, unknown> | null {
    for (let chunk = this.#chunk; chunk !== null; chunk = this.#chunk) {
      const record = this.#nextRecord(chunk)
      if (record !== null) {
        this.#given = record.offset + 1
        return record
      }
    }
    return null
  }

  /** What is left of the next batch that was read, up to that many records; null when there is none. */
  takeBatch(maxRecords: number): RecordBatch<unknown, unknown> | null {
    for (let chunk = this.#chunk; chunk !== null; chunk = this.#chunk) {
      const batch = chunk.batches[this.#index]
      if (batch === undefined) {
        this.#endChunk(chunk)
        continue
      }
      const part = this.#slice(batch, { from: Math.max(this.#given, chunk.from), maxRecords })
      this.#given = part?.nextOffset ?? batch.nextOffset
      if (this.#given >= batch.nextOffset) this.#index++
      if (this.#index === chunk.batches.length) this.#endChunk(chunk)
      if (part !== null) return part
    }
    return null
  }

  #slice(
    batch: RecordBatch<unknown, unknown>,
    of: { readonly from: number; readonly maxRecords: number },
  ): RecordBatch<unknown, unknown> | null {
    try {
      return sliceBatch(batch, of)
    } catch (error) {
      if (this.#cursor?.skip(error) !== true) throw error
      return null
    }
  }

  #nextRecord(chunk: ReadyChunk): LogRecord<unknown, unknown> | null {
    try {
      for (;;) {
        if (this.#records === null) {
          const batch = chunk.batches[this.#index++]
          if (batch === undefined) {
            this.#endChunk(chunk)
            return null
          }
          this.#records = batch[Symbol.iterator]()
        }
        let step = this.#records.next()
        while (step.done !== true && step.value.offset < chunk.from) step = this.#records.next()
        if (step.done !== true) return step.value
        this.#records = null
      }
    } catch (error) {
      if (this.#cursor?.skip(error) !== true) throw error
      this.#records = null
      return null
    }
  }

  #endChunk(chunk: ReadyChunk): void {
    this.#forgetChunk()
    this.#prefix.skipTo(chunk.nextOffset)
  }

  #forgetChunk(): void {
    this.#chunk = null
    this.#index = 0
    this.#records = null
  }
}
