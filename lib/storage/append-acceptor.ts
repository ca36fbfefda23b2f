/**
 * From append calls to accepted batches: a call is checked, encoded into the open batch and given its
 * offsets in the turn in which it was made. Where there is no room, or compression comes first, it
 * waits in the line and is accepted when it has its turn there. What accepted or waiting appends
 * become when the log cannot keep them is decided here as well.
 */
import { ClosedError, type DiskFullError, OffsetMismatchError, StorageError } from '../errors.ts'
import { batchHeaderBytes } from '../record/batch-format.ts'
import { recordSizeBound } from '../record/batch-writer.ts'
import type { Acks, AppendResult, CompressionType, RecordInput } from '../types.ts'
import type { Appended } from './ack-queue.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { AppendFailures, type FlushReport, isCallersOwn } from './append-failures.ts'
import { AppendLine, type LineEntry, type LineHost } from './append-line.ts'
import { checkProducer, noteProducer } from './append-producer.ts'
import {
  byteLengths,
  isArray,
  overestimatedBytes,
  timestampOf,
  tooLarge,
} from './append-records.ts'
import type { AppendRequest, ProducerIdentity } from './append-request.ts'
import { chunkBytes } from './chunk-pool.ts'
import type { PartitionConfig, StorageEnvironment } from './environment.ts'
import { type FailedCall, type PendingResult, rejectResult } from './pending-result.ts'
import type { ProducerState } from './producer-state.ts'
import { SpaceProbe } from './space-probe.ts'
import type { TurnMember } from './turn-scheduler.ts'
import type { WritePipeline } from './write-pipeline.ts'

/** Bound of a batch above which no pooled chunk has room for it. */
const largestPooledBatch = chunkBytes - batchHeaderBytes

/** What appends are accepted into; recovery replaces both. */
export interface AcceptedInto {
  readonly pipeline: WritePipeline
  readonly producers: ProducerState
}

/** The accepting side of one partition. Calls may overlap: appends are ordered by arrival. */
export class AppendAcceptor implements LineHost, TurnMember {
  /** New settings hold from the next append on. */
  config: PartitionConfig
  readonly #environment: StorageEnvironment
  readonly #dir: string
  /** A topic of the log's own goes on when the others are refused. */
  readonly #isInternal: boolean
  readonly #acks: Acknowledgements
  readonly #failures = new AppendFailures()
  #pipeline: WritePipeline
  #producers: ProducerState
  /** Engine time of this turn; 0 when it has not been looked at in this turn. */
  #turnMs = 0
  #isTurnScheduled = false
  /** Someone in the open batch asked for `written`, so that it must not wait for a flush. */
  #isOpenUrgent = false
  #line: AppendLine | null = null
  #spaceProbe: SpaceProbe | null = null
  /** Why nothing is accepted, not even what waits. */
  #refusal: Error | null = null
  /** No new calls, but what waits is accepted still. */
  #isClosing = false

  constructor(
    environment: StorageEnvironment,
    of: {
      readonly dir: string
      readonly isInternal: boolean
      readonly config: PartitionConfig
      readonly acks: Acknowledgements
      readonly into: AcceptedInto
    },
  ) {
    this.#environment = environment
    this.#dir = of.dir
    this.#isInternal = of.isInternal
    this.config = of.config
    this.#acks = of.acks
    this.#pipeline = of.into.pipeline
    this.#producers = of.into.producers
  }

  /** Why appends are refused; null while they are taken. */
  get refusal(): Error | null {
    return this.#refusal
  }

  get isHeld(): boolean {
    return this.#pipeline.isDiskFull || (this.#environment.room.isShut && !this.#isInternal)
  }

  /** See `PartitionLog.append`. */
  append(
    records: RecordInput | readonly RecordInput[],
    request: AppendRequest,
  ): Promise<AppendResult> {
    try {
      if (this.#refusal !== null) throw this.#refusal
      if (this.#isClosing) throw new ClosedError()
      if (!isArray(records)) return this.#appendOne(records, request)
      if (records.length === 1) return this.#appendOne(records[0] as RecordInput, request)
      if (records.length === 0)
        throw new TypeError('expected at least one record, got an empty array')
      return this.#appendMany(records, request)
    } catch (error) {
      return this.#refuse(error as Error)
    }
  }

  /** Flushes everything accepted or waiting now. Resolves with what the flush has to report. */
  async flush(): Promise<FlushReport> {
    const report = this.#failures.flushStarted()
    this.#line?.sealOpen()
    await this.#line?.whenPassed()
    await this.#pipeline.flusher.flushUpTo(this.#pipeline.offsets.logEndOffset)
    this.#failures.flushEnded(report)
    return report
  }

  /** Completes the batches that are kept open for company. */
  completeBatches(): void {
    this.#line?.sealOpen()
    if (this.#pipeline.accumulator.hasOpen) this.#sealOpen()
  }

  /** See to it that `endOfTurn` is called when this turn of the event loop is over. */
  scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    this.#environment.turns.schedule(this)
  }

  endOfTurn(): void {
    this.#isTurnScheduled = false
    this.#turnMs = 0
    this.#failures.endOfTurn()
    const isFlushing = this.#pipeline.flusher.isFlushing
    if (this.#line !== null && (!isFlushing || this.#line.hasUrgent)) this.#line.sealOpen()
    if (this.#pipeline.accumulator.hasOpen && (!isFlushing || this.#isOpenUrgent)) this.#sealOpen()
    this.#pipeline.write()
    this.#pipeline.flusher.flushIfDue()
    this.#pipeline.settle()
  }

  acceptEntry(entry: LineEntry): void {
    try {
      this.#acceptEncoded(entry)
    } catch (error) {
      for (const call of entry.calls) this.noteRejection(call, error as Error)
    }
    this.scheduleTurn()
  }

  noteRejection(call: PendingResult, error: Error): void {
    this.#environment.counters.rejectedAppends++
    if (isCallersOwn(error)) rejectResult(call, error)
    else this.#failures.reject(call, error)
    this.scheduleTurn()
  }

  /** For want of room the log end fell back to what is written, by `lostCount` records. */
  fellBack(error: DiskFullError, lostCount: number): void {
    const { writtenOffset } = this.#pipeline.offsets
    this.#isOpenUrgent = false
    this.#producers.rollback(writtenOffset)
    const calls = this.#acks.takeAbove(writtenOffset)
    // Nobody waits for what was only queued: the next flush tells, or the end.
    if (lostCount > countOf(calls)) this.#failures.noteLost(error, { isToldToAll: false })
    for (const call of calls) this.noteRejection(call, error)
    this.#line?.rejectAll(error)
  }

  /** There is too little room on the disk: what waits is refused. What was accepted is written still. */
  refuseWaiting(error: DiskFullError): void {
    if (!this.#isInternal) this.#line?.rejectAll(error)
  }

  /** Nothing more will be written; what was submitted below `submittedOffset` may be on disk or not. */
  failed(failure: StorageError, submittedOffset: number): void {
    const refusal = new StorageError(failure.path, failure.operation, failure.cause, 'not-written')
    this.#refusal = refusal
    this.#isOpenUrgent = false
    for (const call of this.#takeAll(failure)) {
      this.noteRejection(call, call.baseOffset < submittedOffset ? failure : refusal)
    }
    this.#line?.rejectAll(refusal)
  }

  /** New calls are refused from now on; what was called before is accepted still. */
  startClosing(): void {
    this.#isClosing = true
  }

  /** Nothing is accepted from now on. */
  refuse(error: Error): void {
    this.#refusal = error
  }

  /** Nothing is accepted from now on, and what is pending is rejected as well. */
  rejectAll(error: Error): void {
    this.#refusal = error
    const calls = this.#takeAll(error)
    this.#line?.rejectAll(error)
    for (const call of calls) this.noteRejection(call, error)
  }

  /** Accepts again, into what was recovered. */
  resume(into: AcceptedInto): void {
    this.#pipeline = into.pipeline
    this.#producers = into.producers
    this.#acks.leaderEpoch = into.pipeline.leaderEpoch
    this.#refusal = null
    this.#failures.recovered()
  }

  #appendOne(record: RecordInput, request: AppendRequest): Promise<AppendResult> {
    const boundBytes = recordSizeBound(record)
    const { maxBatchBytes } = this.config
    const needsOwnBatch =
      request.producer !== undefined ||
      request.compressionType !== undefined ||
      request.expectedOffset !== undefined ||
      batchHeaderBytes + boundBytes > maxBatchBytes
    if (needsOwnBatch || this.#mustWait(boundBytes, this.config.compressionType))
      return this.#appendMany([record], request)
    const { accumulator, offsets } = this.#pipeline
    const baseOffset = offsets.logEndOffset
    const nextOffset = baseOffset + 1
    const nowMs = this.#nowMs()
    let sizeBytes = accumulator.join(record, boundBytes, { maxBatchBytes, nowMs })
    if (sizeBytes === 0) {
      if (accumulator.hasOpen) this.#sealOpen()
      sizeBytes = accumulator.fill([record], boundBytes, { baseOffset, nowMs, isGuessed: false })
    }
    if (request.acks === 'written') this.#isOpenUrgent = true
    const timestamp =
      this.config.timestampType === 'append' ? accumulator.openedMs : timestampOf(record, nowMs)
    // It waits before it counts as accepted: the write that this may start can fail at once.
    const promise = this.#acks.join(request.acks, { baseOffset, nextOffset, timestamp, sizeBytes })
    this.#pipeline.accepted(nextOffset, sizeBytes, 1)
    this.scheduleTurn()
    return promise
  }

  #appendMany(records: readonly RecordInput[], request: AppendRequest): Promise<AppendResult> {
    const { compressionType = this.config.compressionType } = request
    // The first record stands for all until they turn out to take more: a look at each of them before
    // any is encoded would take a fifth of the time that a call has.
    const guessedBytes = records.length * recordSizeBound(records[0] as RecordInput)
    if (guessedBytes <= largestPooledBatch && !this.#mustWait(guessedBytes, compressionType)) {
      const promise = this.#accept(records, { boundBytes: guessedBytes, isGuessed: true }, request)
      if (promise !== null) return promise
    }
    let boundBytes = 0
    for (const record of records) boundBytes += recordSizeBound(record)
    // Strings count three bytes a character at first: only a batch that seems too large is measured.
    if (boundBytes > largestPooledBatch) boundBytes -= overestimatedBytes(records)
    const { maxBatchBytes } = this.config
    // No UTF-16 unit takes more than three bytes, so what is this far above the limit is above it.
    if (boundBytes > 3 * maxBatchBytes + 64 * records.length + 1024) {
      throw tooLarge(records.length, { sizeBytes: byteLengths(records), maxBatchBytes })
    }
    if (this.#mustWait(boundBytes, compressionType))
      return this.#wait(records, { boundBytes, nowMs: this.#nowMs(), request })
    const promise = this.#accept(records, { boundBytes, isGuessed: false }, request)
    return promise as Promise<AppendResult>
  }

  /** Null, with nothing accepted, when the records take more than was guessed, or than there is room for. */
  #accept(
    records: readonly RecordInput[],
    size: { readonly boundBytes: number; readonly isGuessed: boolean },
    request: AppendRequest,
  ): Promise<AppendResult> | null {
    const { boundBytes, isGuessed } = size
    const { maxBatchBytes } = this.config
    const nowMs = this.#nowMs()
    const { accumulator, offsets } = this.#pipeline
    const baseOffset = offsets.logEndOffset
    const nextOffset = baseOffset + records.length
    if (request.expectedOffset !== undefined) this.#checkExpected(request.expectedOffset)
    const check = checkProducer(this.#producers, request.producer, records.length)
    if (check.kind === 'duplicate')
      return this.#acknowledgeDuplicate(request.acks, { ...check, sizeBytes: 0 })
    if (accumulator.hasOpen) this.#sealOpen()
    const sizeBytes = accumulator.fill(records, boundBytes, { baseOffset, nowMs, isGuessed })
    if (sizeBytes === 0) return null
    if (sizeBytes > maxBatchBytes) {
      accumulator.discardOpen()
      throw tooLarge(records.length, { sizeBytes, maxBatchBytes })
    }
    if (isGuessed && !this.#environment.budget.hasRoom(sizeBytes)) {
      accumulator.discardOpen()
      return null
    }
    const first = records[0] as RecordInput
    const timestamp = this.config.timestampType === 'append' ? nowMs : timestampOf(first, nowMs)
    const appended = { baseOffset, nextOffset, timestamp, sizeBytes }
    this.#sealOpen(request.producer)
    if (request.producer !== undefined)
      noteProducer(this.#producers, request.producer, { ...appended, nowMs })
    const promise = this.#acks.wait(request.acks, appended)
    this.#pipeline.accepted(nextOffset, sizeBytes, records.length)
    this.scheduleTurn()
    return promise
  }

  #mustWait(boundBytes: number, compressionType: CompressionType): boolean {
    const { budget } = this.#environment
    if (compressionType !== 'none' || this.isHeld) return true
    if (budget.isAnyoneWaiting || (this.#line !== null && !this.#line.isEmpty)) return true
    return !budget.hasRoom(batchHeaderBytes + boundBytes)
  }

  #wait(
    records: readonly RecordInput[],
    at: { readonly boundBytes: number; readonly nowMs: number; readonly request: AppendRequest },
  ): Promise<AppendResult> {
    this.#line ??= new AppendLine(this.#environment, this)
    const promise = this.#line.join(records, at)
    this.scheduleTurn()
    if (this.isHeld) this.#askForSpace()
    this.#line.admitWaiting()
    return promise
  }

  /** Gives a batch that was encoded while it waited its offsets, and its acks the right ones. */
  #acceptEncoded(entry: LineEntry): void {
    if (this.#refusal !== null) throw this.#refusal
    const { request, recordCount } = entry
    const batch = entry.batch as Buffer
    const { maxBatchBytes } = this.config
    if (batch.length > maxBatchBytes)
      throw tooLarge(recordCount, { sizeBytes: batch.length, maxBatchBytes })
    if (request.expectedOffset !== undefined) this.#checkExpected(request.expectedOffset)
    const check = checkProducer(this.#producers, request.producer, recordCount)
    if (check.kind === 'duplicate') {
      const { baseOffset, nextOffset } = check
      for (const call of entry.calls)
        this.#acks.push(call.level, { ...call, baseOffset, nextOffset }, call)
      return
    }
    const { accumulator, offsets } = this.#pipeline
    const baseOffset = offsets.logEndOffset
    const nextOffset = baseOffset + recordCount
    if (accumulator.hasOpen) this.#sealOpen()
    accumulator.pushEncoded(batch, {
      baseOffset,
      recordCount,
      leaderEpoch: this.#pipeline.leaderEpoch,
    })
    if (request.producer !== undefined) {
      const timestamp = entry.calls[0]?.timestamp ?? 0
      const appended = { baseOffset, nextOffset, timestamp, nowMs: this.#nowMs() }
      noteProducer(this.#producers, request.producer, appended)
    }
    for (const call of entry.calls) {
      const appended = {
        baseOffset: baseOffset + call.baseOffset,
        nextOffset: baseOffset + call.nextOffset,
        timestamp: call.timestamp,
        sizeBytes: call.sizeBytes,
      }
      this.#acks.push(call.level, appended, call)
    }
    this.#pipeline.accepted(nextOffset, batch.length, recordCount)
  }

  #sealOpen(producer?: ProducerIdentity): void {
    const { accumulator } = this.#pipeline
    this.#acks.endBatch()
    accumulator.sealOpen({
      baseOffset: accumulator.openBaseOffset,
      leaderEpoch: this.#pipeline.leaderEpoch,
      timestampType: this.config.timestampType,
      appendTimestamp: accumulator.openedMs,
      producerId: producer?.producerId,
      producerEpoch: producer?.producerEpoch,
      baseSequence: producer?.baseSequence,
    })
    this.#isOpenUrgent = false
  }

  #nowMs(): number {
    if (this.#turnMs === 0) {
      this.#turnMs = Math.max(this.#environment.time.nowMs(), this.#pipeline.lastAppendMs)
      this.scheduleTurn()
    }
    return this.#turnMs
  }

  #checkExpected(expectedOffset: number): void {
    const { logEndOffset } = this.#pipeline.offsets
    if (expectedOffset !== logEndOffset) throw new OffsetMismatchError(expectedOffset, logEndOffset)
  }

  #refuse(error: Error): Promise<never> {
    this.#environment.counters.rejectedAppends++
    const promise = Promise.reject<never>(error)
    // A condition that the caller set, or broke, is the caller's own; a flush reports what the log met.
    if (!isCallersOwn(error)) {
      this.#failures.note(error, promise)
      this.scheduleTurn()
    }
    return promise
  }

  /** A repeated batch settles with its original: same offsets, not before the level asked for is reached. */
  #acknowledgeDuplicate(acks: Acks, original: Appended): Promise<AppendResult> {
    this.scheduleTurn()
    return this.#acks.wait(acks === 'queued' ? 'written' : acks, original)
  }

  /** What waits for room on the disk is accepted or refused by the answer. */
  #askForSpace(): void {
    const request = { dir: this.#dir, isInternal: this.#isInternal }
    this.#spaceProbe ??= new SpaceProbe(this.#environment.room, request, {
      whenQuiet: () => this.#pipeline.whenQuiet(),
      spaceProbed: refusal => {
        if (refusal !== null) {
          this.#line?.rejectAll(refusal)
          return
        }
        this.#pipeline.spaceIsBack()
        this.#line?.admitWaiting()
      },
    })
    void this.#spaceProbe.ask()
  }

  /** Takes out every call that waits. What is not flushed may be lost. */
  #takeAll(error: Error): FailedCall[] {
    const { recoveryPoint, logEndOffset } = this.#pipeline.offsets
    const calls = this.#acks.takeAbove(-1)
    const told = countOf(calls.filter(({ baseOffset }) => baseOffset >= recoveryPoint))
    const lostCount = logEndOffset - recoveryPoint
    if (lostCount > 0) this.#failures.noteLost(error, { isToldToAll: told === lostCount })
    return calls
  }
}

/** Records whose callers will be told. By offset: a repeated batch waits for the same records as its original. */
function countOf(calls: readonly FailedCall[]): number {
  const told = new Map(calls.map(({ baseOffset, recordCount }) => [baseOffset, recordCount]))
  return [...told.values()].reduce((sum, count) => sum + count, 0)
}
