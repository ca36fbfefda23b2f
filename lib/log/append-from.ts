/**
 * Appends everything that an iterable gives, in batches. The source is asked for more only while the
 * bytes that are not acknowledged yet stay below a bound; that is all the back-pressure there is, and
 * it reaches back through a stream.
 */
import { batchHeaderBytes } from '../record/batch-format.ts'
import { recordSizeBound } from '../record/batch-writer.ts'
import type { AppendProgress, AppendResult } from '../types.ts'
import type { PlainRecord } from './serialize.ts'

/** A batch is cut when it holds this many bytes … */
const batchTargetBytes = 256 * 1024

/** … or this many records. */
const batchRecordsMax = 2000

/** Bytes taken from a source and not acknowledged, unless the log's queue is smaller than twice that. */
const inFlightBytesMax = 8 * 1024 * 1024

/** Where the records go. */
export interface BulkTarget {
  readonly maxBatchBytes: number
  readonly maxQueuedBytes: number
  /** Applies serdes and rules to a record. */
  prepare(record: unknown): PlainRecord
  choosePartition(record: PlainRecord): number
  /** Records without a key go on to another partition. */
  advancePartition(): void
  append(partition: number, records: readonly PlainRecord[]): Promise<AppendResult>
}

/** What to append, and who hears how it goes. */
export interface BulkOptions {
  readonly source: Iterable<unknown> | AsyncIterable<unknown>
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((sent: AppendProgress) => void) | undefined
}

interface OpenBatch {
  readonly records: PlainRecord[]
  sizeBytes: number
}

type Step = IteratorResult<unknown>

/**
 * One run over one source. Records are held by reference until their batch is cut, so a source must
 * not use a record or its buffers again.
 *
 * Calls of the source's `next()` never overlap. A batch that is not full goes off as soon as the source
 * has given nothing for a turn of the event loop, so that a slow source does not hold records back.
 */
export class BulkAppend {
  readonly #target: BulkTarget
  readonly #options: BulkOptions
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>
  readonly #inFlightMax: number
  readonly #batches = new Map<number, OpenBatch>()
  readonly #results = new Map<number, AppendResult>()
  #openBytes = 0
  #inFlightBytes = 0
  #takenCount = 0
  #acknowledged: AppendProgress = { records: 0, bytes: 0 }
  /** A call of an asynchronous source's `next()` is under way. */
  #isAsking = false
  #isSourceDone = false
  /** The source's `return()` is under way. */
  #isReturning = false
  #isIdleCheckSet = false
  #failure: { readonly error: unknown } | null = null
  #settle: { resolve(): void; reject(error: unknown): void } | null = null

  constructor(target: BulkTarget, options: BulkOptions) {
    this.#target = target
    this.#options = options
    this.#iterator = iteratorOf(options.source)
    this.#inFlightMax = Math.min(inFlightBytesMax, Math.ceil(target.maxQueuedBytes / 2))
  }

  /**
   * Resolves with one result per partition touched, in partition order: from the first offset to behind
   * the last one, where records of others may lie between.
   *
   * The first failure (of the source, of an append, of `onProgress`, or an abort) ends the run: nothing
   * more is appended, the source is closed, and the promise rejects when what is in flight has settled.
   */
  async run(): Promise<readonly AppendResult[]> {
    const { signal } = this.#options
    const onAbort = (): void => this.#fail(signal?.reason)
    const ended = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal?.aborted === true) onAbort()
      this.#pump()
      await ended
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    return [...this.#results.values()].sort((a, b) => a.partition - b.partition)
  }

  get #isStopped(): boolean {
    return this.#isSourceDone || this.#failure !== null
  }

  /** Takes from the source until it has to be waited for, the bound is reached, or all is over. */
  #pump(): void {
    while (!this.#isStopped && !this.#isAsking && this.#inFlightBytes < this.#inFlightMax) {
      try {
        const step = this.#iterator.next()
        if (isPromiseLike(step)) this.#await(step)
        else this.#take(step)
      } catch (error) {
        // What a source throws, it throws when it is over: it is not closed once more.
        this.#isSourceDone = true
        this.#fail(error)
      }
    }
    this.#endIfOver()
  }

  #await(step: PromiseLike<Step>): void {
    this.#isAsking = true
    this.#watchIdleness()
    step.then(
      result => {
        this.#isAsking = false
        this.#take(result)
        this.#pump()
      },
      error => {
        this.#isAsking = false
        this.#isSourceDone = true
        this.#fail(error)
      },
    )
  }

  #take(step: Step): void {
    if (this.#isStopped) return
    if (step.done === true) {
      this.#isSourceDone = true
      this.#cutAll()
      return
    }
    try {
      this.#add(this.#target.prepare(step.value))
    } catch (error) {
      this.#fail(error)
    }
  }

  #add(record: PlainRecord): void {
    const sizeBytes = recordSizeBound(record)
    const partition = this.#target.choosePartition(record)
    const full = this.#batches.get(partition)
    if (full !== undefined && full.sizeBytes + sizeBytes > this.#target.maxBatchBytes) {
      this.#cut(partition, full)
    }
    const batch = this.#batches.get(partition) ?? { records: [], sizeBytes: batchHeaderBytes }
    this.#batches.set(partition, batch)
    batch.records.push(record)
    batch.sizeBytes += sizeBytes
    this.#openBytes += sizeBytes
    this.#takenCount++
    if (batch.sizeBytes >= batchTargetBytes || batch.records.length >= batchRecordsMax) {
      this.#cut(partition, batch)
      this.#target.advancePartition()
    } else if (this.#openBytes >= this.#inFlightMax) {
      // Many partitions, none of them full: together they count like what is in flight.
      this.#cutAll()
    }
  }

  #cutAll(): void {
    for (const [partition, batch] of this.#batches) this.#cut(partition, batch)
  }

  #cut(partition: number, batch: OpenBatch): void {
    this.#batches.delete(partition)
    if (this.#failure !== null) return
    const sizeBytes = batch.sizeBytes
    this.#openBytes -= sizeBytes - batchHeaderBytes
    this.#inFlightBytes += sizeBytes
    this.#target.append(partition, batch.records).then(
      result => this.#acknowledge(batch, result),
      error => {
        this.#inFlightBytes -= sizeBytes
        this.#fail(error)
      },
    )
  }

  #acknowledge(batch: OpenBatch, result: AppendResult): void {
    this.#inFlightBytes -= batch.sizeBytes
    const first = this.#results.get(result.partition)
    this.#results.set(
      result.partition,
      first === undefined
        ? result
        : { ...result, baseOffset: first.baseOffset, timestamp: first.timestamp },
    )
    if (this.#failure === null) this.#report(batch.records)
    this.#pump()
  }

  #report(records: readonly PlainRecord[]): void {
    const { onProgress } = this.#options
    if (onProgress === undefined) return
    this.#acknowledged = {
      records: this.#acknowledged.records + records.length,
      bytes: this.#acknowledged.bytes + payloadBytes(records),
    }
    try {
      onProgress(this.#acknowledged)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#batches.clear()
    if (!this.#isSourceDone) this.#closeSource()
    this.#endIfOver()
  }

  #closeSource(): void {
    this.#isSourceDone = true
    try {
      const returned: unknown = this.#iterator.return?.()
      // A generator in the middle of `next()` returns only when that is over, which may be never.
      if (!isPromiseLike(returned)) return
      this.#isReturning = !this.#isAsking
      const over = (): void => {
        this.#isReturning = false
        this.#endIfOver()
      }
      // The failure that led here is the one to tell.
      returned.then(over, over)
    } catch {}
  }

  #endIfOver(): void {
    if (!this.#isStopped || this.#isReturning || this.#inFlightBytes > 0) return
    if (this.#failure === null) this.#settle?.resolve()
    else this.#settle?.reject(this.#failure.error)
  }

  #watchIdleness(): void {
    if (this.#isIdleCheckSet || this.#batches.size === 0) return
    this.#isIdleCheckSet = true
    const takenCount = this.#takenCount
    setImmediate(() => {
      this.#isIdleCheckSet = false
      if (this.#isStopped) return
      if (takenCount === this.#takenCount) this.#cutAll()
      else this.#watchIdleness()
    })
  }
}

function iteratorOf(source: unknown): Iterator<unknown> | AsyncIterator<unknown> {
  const candidate = source as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined
  const asyncIterator = candidate?.[Symbol.asyncIterator]
  if (typeof asyncIterator === 'function') return asyncIterator.call(source as never)
  const iterator = candidate?.[Symbol.iterator]
  if (typeof iterator === 'function' && typeof source !== 'string') {
    return iterator.call(source as never)
  }
  throw new TypeError('expected `source` to be an iterable or an async iterable of records')
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as Partial<PromiseLike<T>> | null | undefined)?.then === 'function'
}

function payloadBytes(records: readonly PlainRecord[]): number {
  let bytes = 0
  for (const { key, value } of records) bytes += sizeOf(key) + sizeOf(value)
  return bytes
}

function sizeOf(field: unknown): number {
  if (typeof field === 'string') return Buffer.byteLength(field)
  return field instanceof Uint8Array ? field.byteLength : 0
}
