/** The async iterators behind `records()` and `batches()`. */
import { UnknownTopicOrPartitionError } from '../errors.ts'
import type { LogRecord, Offset, Reader, RecordBatch } from '../types.ts'
import type { ReadyChunk } from './ready-chunk.ts'
import type { ChunkFeed } from './topic-reader.ts'
import type { LiveReader } from './topic-state.ts'

/** Items of the chunk that is being consumed. */
interface Items<T> {
  fill(chunk: ReadyChunk): void
  /** The next item, or undefined when the chunk is used up. May throw `CorruptRecordError`. */
  take(): T | undefined
  /** Behind the item that was taken last; undefined when there is none. */
  readonly position: Offset | undefined
}

type Skip = (partition: number, error: unknown) => boolean

class BatchItems<K, V> implements Items<RecordBatch<K, V>> {
  #batches: ReadyChunk['batches'] = []
  /** Of the batch that is given next. */
  #index = 0

  fill(chunk: ReadyChunk): void {
    this.#batches = chunk.batches
    this.#index = 0
  }

  take(): RecordBatch<K, V> | undefined {
    const batch = this.#batches[this.#index]
    if (batch !== undefined) this.#index++
    return batch as RecordBatch<K, V> | undefined
  }

  get position(): Offset | undefined {
    return this.#batches[this.#index - 1]?.nextOffset
  }
}

class RecordItems<K, V> implements Items<LogRecord<K, V>> {
  readonly #skip: Skip
  #chunk: ReadyChunk | null = null
  /** In the chunk, of the batch that is opened next. */
  #index = 0
  #records: Iterator<LogRecord<unknown, unknown>> | null = null
  #last: LogRecord<unknown, unknown> | null = null
  /** The first batch of the chunk may hold records that were not asked for. */
  #startsBelow = false

  constructor(skip: Skip) {
    this.#skip = skip
  }

  fill(chunk: ReadyChunk): void {
    this.#chunk = chunk
    this.#index = 0
    this.#last = null
    this.#startsBelow = (chunk.batches[0]?.baseOffset ?? chunk.from) < chunk.from
  }

  take(): LogRecord<K, V> | undefined {
    for (;;) {
      const record = this.#records === null ? undefined : this.#takeFromBatch(this.#records)
      if (record !== undefined) {
        this.#last = record
        return record as LogRecord<K, V>
      }
      const batch = this.#chunk?.batches[this.#index]
      if (batch === undefined) return undefined
      this.#index++
      this.#records = batch[Symbol.iterator]()
    }
  }

  get position(): Offset | undefined {
    return this.#last === null ? undefined : this.#last.offset + 1
  }

  #takeFromBatch(
    records: Iterator<LogRecord<unknown, unknown>>,
  ): LogRecord<unknown, unknown> | undefined {
    try {
      let step = records.next()
      if (this.#startsBelow) {
        const from = this.#chunk?.from ?? 0
        while (step.done !== true && step.value.offset < from) step = records.next()
        this.#startsBelow = false
      }
      if (step.done !== true) return step.value
    } catch (error) {
      if (!this.#skip(this.#chunk?.partition ?? 0, error)) throw error
    }
    this.#records = null
    return undefined
  }
}

const done: IteratorReturnResult<undefined> = { value: undefined, done: true }

interface PendingNext<T> {
  readonly resolve: (result: IteratorResult<T>) => void
  readonly reject: (error: unknown) => void
}

/**
 * A reader over a feed. An item that is at hand costs one resolved promise; only at the end of a
 * chunk anything is awaited. A `next()` while another one is pending is refused with a `TypeError`.
 * After an error, an abort or `return()` the reader is done; `position` stays where it was.
 */
class FeedReader<T> implements Reader<T>, LiveReader {
  readonly #feed: ChunkFeed
  readonly #items: Items<T>
  /** Behind what was yielded, by partition, without the chunk that is being consumed. */
  readonly #positions = new Map<number, Offset>()
  #chunk: ReadyChunk | null = null
  #pending: PendingNext<T> | null = null
  #isStarted = false
  #isDone = false
  /** An abort, or the topic's end, that no `next()` has reported yet. */
  #ending: { readonly error: unknown } | null = null

  constructor(feed: ChunkFeed, items: Items<T>) {
    this.#feed = feed
    this.#items = items
  }

  /** A partition whose start is still being looked up is not in it. */
  get position(): Readonly<Record<number, Offset>> {
    const positions = new Map([...this.#feed.starts(), ...this.#positions])
    const current = this.#items.position
    if (this.#chunk !== null && current !== undefined) {
      positions.set(this.#chunk.partition, current)
    }
    return Object.fromEntries(positions)
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#pending === null && !this.#isDone) {
      try {
        const value = this.#items.take()
        if (value !== undefined) return Promise.resolve({ value, done: false })
      } catch (error) {
        this.#finish()
        return Promise.reject(error)
      }
    }
    return this.#nextChunk()
  }

  /** Ends the reader; a pending `next()` is done. */
  return(): Promise<IteratorResult<T>> {
    this.#endNormally()
    return Promise.resolve(done)
  }

  throw(error?: unknown): Promise<IteratorResult<T>> {
    this.#endNormally()
    return Promise.reject(error)
  }

  end(): void {
    const refusal = this.#feed.state.refusal()
    // A loop that merely ended would look as if the log had been closed on purpose.
    if (refusal instanceof UnknownTopicOrPartitionError) this.#endWith(refusal)
    else this.#endNormally()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#endNormally()
  }

  #nextChunk(): Promise<IteratorResult<T>> {
    if (this.#pending !== null) {
      return Promise.reject(new TypeError('next() was called while another next() is pending'))
    }
    if (!this.#isStarted && !this.#isDone) this.#start()
    if (this.#ending !== null) {
      const { error } = this.#ending
      this.#ending = null
      return Promise.reject(error)
    }
    if (this.#isDone) return Promise.resolve(done)
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      void this.#advance()
    })
  }

  /** Nothing is registered anywhere before the first `next()`: a reader that nobody iterates leaves no trace. */
  #start(): void {
    this.#isStarted = true
    const { options, state } = this.#feed
    if (options.signal?.aborted === true) {
      this.#onAbort()
      return
    }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.live && state.isUsable) state.readers.add(this)
  }

  /** Settles the pending `next()`, unless something else does so meanwhile. Never rejects. */
  async #advance(): Promise<void> {
    try {
      for (;;) {
        const chunk = await this.#feed.next()
        if (this.#isDone) return
        if (chunk === null) {
          this.#endNormally()
          return
        }
        this.#fill(chunk)
        const value = this.#items.take()
        if (value !== undefined) {
          this.#settle(pending => pending.resolve({ value, done: false }))
          return
        }
      }
    } catch (error) {
      if (this.#isDone) return
      this.#settle(pending => pending.reject(error))
      this.#finish()
    }
  }

  #fill(chunk: ReadyChunk): void {
    if (this.#chunk !== null) this.#positions.set(this.#chunk.partition, this.#chunk.nextOffset)
    this.#chunk = chunk
    this.#items.fill(chunk)
  }

  #settle(settle: (pending: PendingNext<T>) => void): void {
    const pending = this.#pending
    this.#pending = null
    if (pending !== null) settle(pending)
  }

  #finish(): void {
    this.#isDone = true
    this.#pending = null
    this.#feed.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#feed.state.readers.delete(this)
    this.#feed.close()
  }

  #endNormally(): void {
    const pending = this.#pending
    this.#finish()
    this.#ending = null
    pending?.resolve(done)
  }

  #endWith(error: unknown): void {
    const pending = this.#pending
    this.#finish()
    if (pending === null) this.#ending = { error }
    else pending.reject(error)
  }

  readonly #onAbort = (): void => this.#endWith(this.#feed.options.signal?.reason)
}

/** Reads record by record, from exactly the start on. */
export function openRecordReader<K, V>(feed: ChunkFeed): Reader<LogRecord<K, V>> {
  const skip: Skip = (partition, error) => feed.skip(partition, error)
  return new FeedReader(feed, new RecordItems<K, V>(skip))
}

/** Reads batch by batch; the first one is given whole, also when the start lies inside it. */
export function openBatchReader<K, V>(feed: ChunkFeed): Reader<RecordBatch<K, V>> {
  return new FeedReader(feed, new BatchItems<K, V>())
}
