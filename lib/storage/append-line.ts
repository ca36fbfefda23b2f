/**
 * Appends of one partition that are not accepted yet: they wait for room in the log's queue, or for
 * their compression. Each is encoded before it joins, so the caller's buffers are free at once.
 * They are accepted in arrival order.
 */

import type { Timer } from '../clock.ts'
import { QueueFullError } from '../errors.ts'
import { batchHeaderBytes } from '../record/batch-format.ts'
import { BatchWriter } from '../record/batch-writer.ts'
import { compressBatch } from '../record/codecs.ts'
import type { Acks, AppendResult, RecordInput } from '../types.ts'
import type { Appended } from './ack-queue.ts'
import type { WaitingMember } from './append-budget.ts'
import type { AppendRequest } from './append-request.ts'
import type { PartitionConfig, StorageEnvironment } from './environment.ts'
import { type PendingResult, pendingResult } from './pending-result.ts'

/** Room that an entry gets which others may join. */
const sharedEntryBytes = 64 << 10

/** Appends whose time ends this far apart may share an entry, and then end with the first of them. */
const sharedDeadlineMs = 10

/** An append call in the line; its offsets count from the start of its batch. */
export interface WaitingCall extends PendingResult, Appended {
  readonly level: Acks
}

/** A batch in the line. */
export interface LineEntry {
  readonly arrival: number
  readonly request: AppendRequest
  readonly calls: WaitingCall[]
  /** Set when the batch is complete. */
  batch: Buffer | null
  recordCount: number
}

interface Waiting extends LineEntry {
  readonly isShared: boolean
  readonly writer: BatchWriter
  readonly target: Buffer
  readonly timestamp: number
  state: 'open' | 'compressing' | 'ready' | 'gone'
  /** What the budget counts for it. */
  countedBytes: number
  readonly deadlineMs: number
  timer: Timer | null
  stopListening: () => void
}

/** What the line needs of its partition. */
export interface LineHost {
  readonly config: PartitionConfig
  /** True while nothing may be accepted. */
  readonly isHeld: boolean
  /** The entry has its turn: give it offsets, or reject its calls. */
  acceptEntry(entry: LineEntry): void
  noteRejection(call: PendingResult, error: Error): void
}

/** The line of one partition. Synchronous but for compression; used by one partition only. */
export class AppendLine implements WaitingMember {
  readonly #environment: StorageEnvironment
  readonly #host: LineHost
  #entries: Waiting[] = []
  /** The open entry is encoded here; at most one is open. */
  #scratch: Buffer | null = null
  /** The time of an entry was over when it did not wait for room. */
  #hasOverdue = false
  #isRejecting = false
  #whenPassed: { readonly arrival: number; readonly done: () => void }[] = []

  constructor(environment: StorageEnvironment, host: LineHost) {
    this.#environment = environment
    this.#host = host
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  get headArrival(): number {
    return this.#entries[0]?.arrival ?? Number.POSITIVE_INFINITY
  }

  /** Resolves when everything that waits now has been accepted or rejected, whatever comes behind it. */
  whenPassed(): Promise<void> {
    const tail = this.#entries.at(-1)
    if (tail === undefined) return Promise.resolve()
    return new Promise(done => this.#whenPassed.push({ arrival: tail.arrival, done }))
  }

  /** Encodes one append into the line; resolves with its acknowledgement. @throws {QueueFullError} when too much waits. */
  join(
    records: readonly RecordInput[],
    at: { readonly boundBytes: number; readonly nowMs: number; readonly request: AppendRequest },
  ): Promise<AppendResult> {
    const { request, boundBytes, nowMs } = at
    const isShared =
      records.length === 1 &&
      request.expectedOffset === undefined &&
      request.producer === undefined &&
      request.compressionType === undefined &&
      request.signal === undefined
    const tail = this.#entries.at(-1)
    const entry =
      isShared && tail !== undefined && this.#canShare(tail, boundBytes, request)
        ? tail
        : this.#enter(boundBytes, nowMs, request, isShared)
    const baseOffset = entry.recordCount
    try {
      entry.writer.addAll(records, nowMs)
    } catch (error) {
      if (entry !== tail) this.#reject(entry, error as Error)
      throw error
    }
    if (entry === tail) {
      this.#environment.budget.waitingBytes += boundBytes
      entry.countedBytes += boundBytes
    }
    entry.recordCount += records.length
    const first = records[0] as RecordInput
    const timestamp =
      this.#host.config.timestampType === 'append'
        ? entry.timestamp
        : Number(first.timestamp ?? nowMs)
    const pending = pendingResult()
    const nextOffset = entry.recordCount
    entry.calls.push({
      promise: pending.promise,
      resolve: pending.resolve,
      level: request.acks,
      baseOffset,
      nextOffset,
      timestamp,
      sizeBytes: boundBytes,
    })
    if (!isShared) this.#seal(entry)
    return pending.promise
  }

  /** The turn is over, or a flush: batches that were kept open for company are completed. */
  sealOpen(): void {
    const tail = this.#entries.at(-1)
    if (tail?.state === 'open') this.#seal(tail)
    this.admitWaiting()
  }

  /** True when someone in the open batch asked for `written`, so that it must not wait for a flush. */
  get hasUrgent(): boolean {
    const tail = this.#entries.at(-1)
    return tail?.state === 'open' && tail.calls.some(({ level }) => level === 'written')
  }

  admitWaiting(): void {
    const { budget } = this.#environment
    let head = this.#entries[0]
    while (head !== undefined && !this.#host.isHeld) {
      if (head.state === 'open' && this.#host.config.compressionType === 'none') this.#seal(head)
      if (head.state !== 'ready') break
      if (!budget.hasRoom((head.batch as Buffer).length) || budget.isBehind(head.arrival)) {
        budget.register(this)
        if (this.#hasOverdue) this.#rejectOverdue()
        return
      }
      this.#leave(head)
      this.#host.acceptEntry(head)
      head = this.#entries[0]
    }
    budget.unregister(this)
  }

  /** Nothing that waits will be accepted. */
  rejectAll(error: Error): void {
    for (const entry of [...this.#entries]) this.#reject(entry, error)
    this.#environment.budget.unregister(this)
  }

  #canShare(tail: Waiting, boundBytes: number, request: AppendRequest): boolean {
    const endPosition = tail.writer.endPosition + boundBytes
    return (
      tail.isShared &&
      tail.state === 'open' &&
      tail.request.maxBlockMs === request.maxBlockMs &&
      (request.maxBlockMs < 0 || this.#deadline(request) - tail.deadlineMs <= sharedDeadlineMs) &&
      endPosition <= tail.target.length &&
      endPosition <= this.#host.config.maxBatchBytes &&
      this.#environment.budget.waitingBytes + boundBytes <= this.#environment.budget.maxQueuedBytes
    )
  }

  #enter(boundBytes: number, nowMs: number, request: AppendRequest, isShared: boolean): Waiting {
    const countedBytes = batchHeaderBytes + boundBytes
    const arrival = this.#environment.budget.wait(countedBytes)
    // The one before is complete now: nobody may join it any more.
    const tail = this.#entries.at(-1)
    if (tail?.state === 'open') this.#seal(tail)
    const isSmall = isShared && countedBytes <= sharedEntryBytes
    if (isSmall) this.#scratch ??= Buffer.allocUnsafeSlow(sharedEntryBytes)
    const target =
      isSmall && this.#scratch !== null ? this.#scratch : Buffer.allocUnsafeSlow(countedBytes)
    const writer = new BatchWriter()
    writer.begin(target, 0)
    const entry: Waiting = {
      arrival,
      request,
      calls: [],
      batch: null,
      recordCount: 0,
      isShared,
      writer,
      target,
      timestamp: nowMs,
      state: 'open',
      countedBytes,
      deadlineMs: this.#deadline(request),
      timer: null,
      stopListening: () => {},
    }
    this.#entries.push(entry)
    this.#arm(entry)
    this.#listen(entry)
    return entry
  }

  #deadline(request: AppendRequest): number {
    return request.maxBlockMs < 0
      ? Number.POSITIVE_INFINITY
      : this.#environment.clock.monotonicMs() + request.maxBlockMs
  }

  #arm(entry: Waiting): void {
    if (entry.deadlineMs === Number.POSITIVE_INFINITY) return
    const { clock } = this.#environment
    const delayMs = entry.deadlineMs - clock.monotonicMs()
    entry.timer = clock.setTimer(
      delayMs,
      () => {
        if (entry.deadlineMs - clock.monotonicMs() > 0.5) this.#arm(entry)
        else {
          this.#hasOverdue = true
          this.#rejectOverdue()
        }
      },
      { keepAlive: true },
    )
  }

  /** What waits for room longer than it wants to is refused; waiting for compression is no such wait. */
  #rejectOverdue(): void {
    if (this.#isRejecting) return
    this.#isRejecting = true
    const { budget, clock } = this.#environment
    const nowMs = clock.monotonicMs()
    let isRoomWanted = this.#isRoomWanted()
    for (const entry of [...this.#entries]) {
      if (!isRoomWanted) break
      if (entry.deadlineMs - nowMs > 0.5) continue
      const heldBytes = budget.queuedBytes + budget.waitingBytes
      const error = new QueueFullError(
        heldBytes,
        budget.maxQueuedBytes,
        'no room within maxBlockMs',
      )
      this.#reject(entry, error)
      isRoomWanted = this.#isRoomWanted()
    }
    this.#hasOverdue = !isRoomWanted && !this.isEmpty
    this.#isRejecting = false
  }

  #isRoomWanted(): boolean {
    return this.#entries[0]?.state === 'ready' || this.#host.isHeld
  }

  #listen(entry: Waiting): void {
    const { signal } = entry.request
    if (signal === undefined) return
    const onAbort = (): void => this.#reject(entry, signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    entry.stopListening = () => signal.removeEventListener('abort', onAbort)
  }

  #seal(entry: Waiting): void {
    const { config } = this.#host
    const { producer, compressionType = config.compressionType } = entry.request
    const sizeBytes = entry.writer.finish({
      baseOffset: 0,
      leaderEpoch: 0,
      timestampType: config.timestampType,
      appendTimestamp: entry.timestamp,
      ...producer,
    })
    const encoded = entry.target.subarray(0, sizeBytes)
    // The scratch is free for the next; what waits takes no more memory than it has bytes.
    const batch = entry.target === this.#scratch ? copyOf(encoded) : encoded
    if (compressionType === 'none') {
      entry.batch = batch
      entry.state = 'ready'
      return
    }
    entry.state = 'compressing'
    compressBatch(batch, compressionType).then(
      compressed => {
        if (entry.state === 'gone') return
        entry.batch = compressed
        entry.state = 'ready'
        this.admitWaiting()
      },
      (error: Error) => this.#reject(entry, error),
    )
  }

  #reject(entry: Waiting, error: Error): void {
    if (entry.state === 'gone') return
    this.#leave(entry)
    for (const call of entry.calls) this.#host.noteRejection(call, error)
    // The entry behind it may have been ready for long.
    this.admitWaiting()
  }

  #leave(entry: Waiting): void {
    entry.state = 'gone'
    entry.timer?.cancel()
    entry.stopListening()
    this.#environment.budget.leave(entry.countedBytes)
    this.#entries.splice(this.#entries.indexOf(entry), 1)
    if (this.isEmpty) this.#scratch = null
    if (this.#whenPassed.length === 0) return
    const { headArrival } = this
    const passed = this.#whenPassed.filter(({ arrival }) => arrival < headArrival)
    this.#whenPassed = this.#whenPassed.filter(({ arrival }) => arrival >= headArrival)
    for (const { done } of passed) done()
  }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
