/**
 * One partition of the log, as its single writer has it. An append is encoded and given its offsets
 * at once (accepted), written together with its neighbours (written), and covered by an fdatasync
 * that started after that write ended (flushed); only then it is visible. The order is always
 * validate, write, flush, publish: memory never runs ahead of the disk but for what is accepted.
 */
import assert from 'node:assert/strict'

import {
  ClosedError,
  DiskFullError,
  OffsetMismatchError,
  QueueFullError,
  RecordBatchTooLargeError,
  RecordTooLargeError,
  StorageError,
} from '../errors.ts'
import { batchHeaderBytes } from '../record/batch-format.ts'
import { recordSizeBound } from '../record/batch-writer.ts'
import type { Acks, AppendResult, PartitionState, RecordInput } from '../types.ts'
import { type Appended, type PendingResult, rejectResult } from './ack-queue.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { AppendFailures } from './append-failures.ts'
import { AppendLine, type LineEntry, type LineHost } from './append-line.ts'
import type { AppendRequest, ProducerIdentity } from './append-request.ts'
import { replaceFile } from './checkpoint-file.ts'
import { chunkBytes } from './chunk-pool.ts'
import type {
  Damage,
  PartitionConfig,
  PartitionIdentity,
  PartitionListener,
  StorageEnvironment,
} from './environment.ts'
import { HighWatermarkWaiters } from './high-watermark-waiters.ts'
import { PartitionOffsets } from './partition-offsets.ts'
import type { ProducerCheck, ProducerState } from './producer-state.ts'
import type { ChunkRequest, LogChunk, ReadablePartition } from './readable.ts'
import { type RecoveredPartition, recoverPartition } from './recover-partition.ts'
import { segmentPath } from './segment.ts'
import { SegmentReader } from './segment-reader.ts'
import { SegmentSet } from './segment-set.ts'
import type { TurnMember } from './turn-scheduler.ts'
import { type PipelineHost, WritePipeline } from './write-pipeline.ts'

/** Free bytes from which a full disk counts as having room again. */
const minFreeBytes = 64 << 10

/** Bound of a batch above which no pooled chunk has room for it. */
const largestPooledBatch = chunkBytes - batchHeaderBytes

/** What a partition log is made of. */
export interface PartitionLogOptions {
  readonly environment: StorageEnvironment
  readonly dir: string
  readonly identity: PartitionIdentity
  readonly config: PartitionConfig
  readonly listener: PartitionListener
  readonly recovered: RecoveredPartition
}

/**
 * Calls may overlap: appends are ordered by arrival, reads never wait for appends. At most one write
 * and one flush are under way at a time.
 */
export class PartitionLog implements ReadablePartition, TurnMember, LineHost, PipelineHost {
  readonly identity: PartitionIdentity
  readonly dir: string
  readonly #environment: StorageEnvironment
  readonly #listener: PartitionListener
  readonly #failures = new AppendFailures()
  readonly #waiters: HighWatermarkWaiters
  readonly #reader: SegmentReader
  readonly #acks: Acknowledgements
  #config: PartitionConfig
  #pipeline: WritePipeline
  #producers: ProducerState
  /** Engine time of this turn; 0 when it has not been looked at in this turn. */
  #turnMs = 0
  #isTurnScheduled = false
  /** Someone in the open batch asked for `written`, so that it must not wait for a flush. */
  #isOpenUrgent = false
  #line: AppendLine | null = null
  #isProbing = false
  /** The producer snapshot that this session wrote last. */
  #snapshotPath: string | null = null
  #savingSnapshot: Promise<unknown> = quiet
  /** Log end offset of a partition that was closed cleanly before, else -1. */
  readonly #cleanEnd: number
  /** Why appends are refused. */
  #refusal: Error | null = null
  #closing: Promise<void> | null = null
  /** Closed or abandoned: nothing more becomes visible. */
  #isOver = false
  #isAbandoned = false
  /** Ends with the last truncation or recovery that was asked for; never rejects. */
  #changing: Promise<void> = Promise.resolve()
  /** How far down the checkpoints were brought for a truncation that did not come to its end. */
  #loweredTo = Number.POSITIVE_INFINITY

  constructor(options: PartitionLogOptions) {
    const { environment, recovered } = options
    this.identity = options.identity
    this.dir = options.dir
    this.#environment = environment
    this.#listener = options.listener
    this.#config = options.config
    this.#waiters = new HighWatermarkWaiters(environment.clock)
    this.#acks = new Acknowledgements(this.identity, recovered.leaderEpoch)
    this.#producers = recovered.producers
    this.#cleanEnd =
      recovered.report === null && recovered.active !== null ? recovered.logEndOffset : -1
    this.#pipeline = this.#makePipeline(recovered, {
      leaderEpoch: recovered.leaderEpoch,
      isEpochSaved: recovered.epochIsSaved,
    })
    this.#reader = new SegmentReader(environment, {
      dir: this.dir,
      identity: this.identity,
      source: {
        segments: () => this.#pipeline.segments.segments(),
        refresh: () => false,
        damage: () => this.damage,
        noteDamage: damage => this.#noteDamage(damage),
      },
    })
  }

  get state(): PartitionState {
    if (this.#pipeline.failure !== null) return 'failed'
    return this.damage.length > 0 ? 'damaged' : 'ok'
  }

  get leaderEpoch(): number {
    return this.#pipeline.leaderEpoch
  }

  get damage(): readonly Damage[] {
    return this.#pipeline.segments.damage
  }

  get logStartOffset(): number {
    return this.#pipeline.offsets.logStartOffset
  }

  get highWatermark(): number {
    return this.#pipeline.offsets.highWatermark
  }

  get recoveryPoint(): number {
    return this.#pipeline.offsets.recoveryPoint
  }

  get writtenOffset(): number {
    return this.#pipeline.offsets.writtenOffset
  }

  get logEndOffset(): number {
    return this.#pipeline.offsets.logEndOffset
  }

  get segmentCount(): number {
    return this.#pipeline.segments.count
  }

  get sizeBytes(): number {
    return this.#pipeline.segments.sizeBytes
  }

  get hasUnflushed(): boolean {
    return this.#pipeline.hasUnflushed
  }

  get config(): PartitionConfig {
    return this.#config
  }

  get isHeld(): boolean {
    return this.#pipeline.isDiskFull
  }

  /** New settings hold from the next append and the next roll on. */
  configure(config: PartitionConfig): void {
    this.#config = config
    this.#pipeline.flushIfDue()
  }

  /**
   * Appends one record, or several as one batch, and resolves when `acks` is reached. Keys and values
   * are bytes or strings and are copied before this returns.
   *
   * Rejects with TypeError for a record of the wrong shape; with RecordTooLargeError,
   * RecordBatchTooLargeError, OffsetMismatchError, QueueFullError, OutOfOrderSequenceError,
   * InvalidProducerEpochError or DiskFullError, nothing being written; and with StorageError when a
   * write or sync failed (its `outcome` says what to expect).
   */
  append(
    records: RecordInput | readonly RecordInput[],
    request: AppendRequest,
  ): Promise<AppendResult> {
    try {
      if (this.#refusal !== null) throw this.#refusal
      if (this.#closing !== null) throw new ClosedError()
      if (!isArray(records)) return this.#appendOne(records, request)
      if (records.length === 1) return this.#appendOne(records[0] as RecordInput, request)
      if (records.length === 0)
        throw new TypeError('expected at least one record, got an empty array')
      return this.#appendMany(records, request)
    } catch (error) {
      return this.#refuse(error as Error)
    }
  }

  readChunk(request: ChunkRequest): Promise<LogChunk> {
    return this.#reader.readChunk(request, this.#pipeline.offsets)
  }

  whenAbove(offset: number, signal?: AbortSignal): Promise<void> {
    if (this.highWatermark > offset || this.#isOver || signal?.aborted) return Promise.resolve()
    return this.#waiters.wait(offset, signal)
  }

  offsetForTimestamp(timestamp: number): Promise<number | null> {
    return this.#reader.offsetForTimestamp(timestamp, this.#pipeline.offsets)
  }

  async offsetOfLast(count: number): Promise<number> {
    return Math.max(this.logStartOffset, this.highWatermark - count)
  }

  /** Flushes everything appended before the call. Rejects with the first failure since the last flush. */
  async flush(): Promise<void> {
    const failure = await this.#flushAll()
    if (failure !== null) throw failure
  }

  /** Starts a flush under any policy, without waiting for it. */
  flushSoon(): void {
    this.#pipeline.flushSoon()
  }

  /** Rolls an idle active segment that is older than `segmentMs`. */
  sweep(nowMs: number): void {
    const { active } = this.#pipeline.segments
    const { segmentMs } = this.#config
    if (active === null || active.sizeBytes === 0 || segmentMs < 0 || this.#refusal !== null) return
    const sinceMs = active.firstAppendMs ?? active.createdMs
    if (nowMs - sinceMs >= segmentMs) this.#pipeline.rollIdle()
  }

  /**
   * Writes what makes a later recovery short: index entries, and a producer snapshot when there are
   * producers. What was the recovery point before the call may be checkpointed after it.
   */
  async checkpoint(): Promise<void> {
    if (this.#refusal !== null) return
    this.#pipeline.segments.saveIndexes()
    if (!this.#producers.isEmpty) await this.#saveSnapshot()
  }

  /**
   * Cuts the log so that it ends at `offset`, or at the base offset of the batch that holds it.
   * `lower` makes the checkpoints say so, durably, before a byte is cut.
   */
  truncateTo(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    return this.#change(() => this.#truncate(offset, lower))
  }

  /**
   * Reads a failed partition from the disk again and takes it back into service under a new leader
   * epoch. Does nothing when the partition has not failed.
   */
  recover(): Promise<void> {
    return this.#change(async () => {
      if (this.#pipeline.failure === null) return
      await this.#pipeline.stop()
      await this.#reopen({ raisesEpoch: true })
    })
  }

  /** Flushes everything accepted and ends. Rejects with the first failure. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The topic goes: what is pending is rejected with `error` and nothing more is written. */
  async abandon(error: Error): Promise<void> {
    this.#isOver = true
    this.#isAbandoned = true
    await this.#stop(error)
    this.#waiters.wakeAll()
    // A change or a close under way notices, and writes nothing more after this.
    await this.#changing
    await this.#closing?.catch(() => {})
    this.#pipeline.segments.abandon()
  }

  endOfTurn(): void {
    this.#isTurnScheduled = false
    this.#turnMs = 0
    this.#failures.endOfTurn()
    const isFlushing = this.#pipeline.isFlushing
    if (this.#line !== null && (!isFlushing || this.#line.hasUrgent)) this.#line.sealOpen()
    if (this.#pipeline.accumulator.hasOpen && (!isFlushing || this.#isOpenUrgent)) this.#sealOpen()
    this.#pipeline.write()
    this.#pipeline.flushIfDue()
    this.#pipeline.settle()
  }

  scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    this.#environment.turns.schedule(this)
  }

  completeBatches(): void {
    this.#line?.sealOpen()
    if (this.#pipeline.accumulator.hasOpen) this.#sealOpen()
  }

  flushed(recoveryPoint: number, flushedBytes: number): void {
    this.#producers.commit(recoveryPoint)
    this.#listener.flushed(flushedBytes)
    this.#waiters.reached(this.highWatermark)
  }

  flushFailed(error: Error): void {
    this.#listener.flushFailed(error)
  }

  fellBack(error: DiskFullError, lostCount: number): void {
    this.#isOpenUrgent = false
    // Nobody waits for what was only queued: the next flush tells.
    if (lostCount > 0) this.#failures.noteLost(error)
    this.#producers.rollback(this.writtenOffset)
    for (const call of this.#acks.takeAbove(this.writtenOffset)) this.noteRejection(call, error)
    this.#line?.rejectAll(error)
    this.#listener.diskFull(error)
  }

  failed(failure: StorageError, submittedOffset: number): void {
    const refusal = new StorageError(failure.path, failure.operation, failure.cause, 'not-written')
    this.#refusal = refusal
    this.#isOpenUrgent = false
    if (this.recoveryPoint < this.logEndOffset) this.#failures.noteLost(failure)
    for (const call of this.#acks.takeAbove(-1)) {
      this.noteRejection(call, call.baseOffset < submittedOffset ? failure : refusal)
    }
    this.#line?.rejectAll(refusal)
    this.#listener.stateChanged('failed', failure)
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

  // ---- accepting

  #appendOne(record: RecordInput, request: AppendRequest): Promise<AppendResult> {
    const boundBytes = recordSizeBound(record)
    const { maxBatchBytes } = this.#config
    const needsOwnBatch =
      request.producer !== undefined ||
      request.expectedOffset !== undefined ||
      batchHeaderBytes + boundBytes > maxBatchBytes
    if (needsOwnBatch || this.#mustWait(boundBytes)) return this.#appendMany([record], request)
    const { accumulator, offsets } = this.#pipeline
    const baseOffset = offsets.logEndOffset
    const nextOffset = baseOffset + 1
    const nowMs = this.#nowMs()
    let sizeBytes = accumulator.join(record, boundBytes, { maxBatchBytes, nowMs })
    if (sizeBytes === 0) {
      if (accumulator.hasOpen) this.#sealOpen()
      accumulator.begin(boundBytes, baseOffset, nowMs).add(record, nowMs)
      sizeBytes = accumulator.openBytes
    }
    if (request.acks === 'written') this.#isOpenUrgent = true
    const timestamp =
      this.#config.timestampType === 'append' ? accumulator.openedMs : timestampOf(record, nowMs)
    // It waits before it counts as accepted: the write that this may start can fail at once.
    const promise = this.#acks.wait(request.acks, { baseOffset, nextOffset, timestamp, sizeBytes })
    this.#pipeline.accepted(nextOffset, sizeBytes, 1)
    this.scheduleTurn()
    return promise
  }

  #appendMany(records: readonly RecordInput[], request: AppendRequest): Promise<AppendResult> {
    let boundBytes = 0
    for (const record of records) boundBytes += recordSizeBound(record)
    // Strings count three bytes a character at first: only a batch that seems too large is measured.
    if (boundBytes > largestPooledBatch) boundBytes -= overestimatedBytes(records)
    const { maxBatchBytes } = this.#config
    // No UTF-16 unit takes more than three bytes, so what is this far above the limit is above it.
    if (boundBytes > 3 * maxBatchBytes + 64 * records.length + 1024) {
      throw this.#tooLarge(records, byteLengths(records))
    }
    const nowMs = this.#nowMs()
    if (this.#mustWait(boundBytes)) return this.#wait(records, { boundBytes, nowMs, request })
    const { accumulator, offsets } = this.#pipeline
    const baseOffset = offsets.logEndOffset
    const nextOffset = baseOffset + records.length
    if (request.expectedOffset !== undefined) this.#checkExpected(request.expectedOffset)
    const check = this.#checkProducer(request.producer, records.length)
    if (check.kind === 'duplicate')
      return this.#acknowledgeDuplicate(request.acks, { ...check, sizeBytes: 0 })
    if (accumulator.hasOpen) this.#sealOpen()
    const writer = accumulator.begin(boundBytes, baseOffset, nowMs)
    for (const record of records) writer.add(record, nowMs)
    const sizeBytes = accumulator.openBytes
    if (sizeBytes > maxBatchBytes) {
      accumulator.discardOpen()
      throw this.#tooLarge(records, sizeBytes)
    }
    const first = records[0] as RecordInput
    const timestamp = this.#config.timestampType === 'append' ? nowMs : timestampOf(first, nowMs)
    const appended = { baseOffset, nextOffset, timestamp, sizeBytes }
    this.#sealOpen(request.producer)
    this.#noteProducer(request.producer, appended)
    const promise = this.#acks.wait(request.acks, appended)
    this.#pipeline.accepted(nextOffset, sizeBytes, records.length)
    this.scheduleTurn()
    return promise
  }

  #mustWait(boundBytes: number): boolean {
    const { budget } = this.#environment
    if (this.#config.compressionType !== 'none' || this.#pipeline.isDiskFull) return true
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
    if (this.#pipeline.isDiskFull) this.#probeSpace()
    this.#line.admitWaiting()
    return promise
  }

  /** Gives a batch that was encoded while it waited its offsets, and its acks the right ones. */
  #acceptEncoded(entry: LineEntry): void {
    if (this.#refusal !== null) throw this.#refusal
    const { request, recordCount } = entry
    const batch = entry.batch as Buffer
    if (batch.length > this.#config.maxBatchBytes)
      throw this.#tooLarge({ length: recordCount }, batch.length)
    if (request.expectedOffset !== undefined) this.#checkExpected(request.expectedOffset)
    const check = this.#checkProducer(request.producer, recordCount)
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
    accumulator.pushEncoded(batch, { baseOffset, recordCount, leaderEpoch: this.leaderEpoch })
    const timestamp = entry.calls[0]?.timestamp ?? 0
    this.#noteProducer(request.producer, { baseOffset, nextOffset, timestamp })
    for (const call of entry.calls) {
      const { timestamp: callTimestamp, sizeBytes } = call
      const offsets = {
        baseOffset: baseOffset + call.baseOffset,
        nextOffset: baseOffset + call.nextOffset,
      }
      this.#acks.push(call.level, { ...offsets, timestamp: callTimestamp, sizeBytes }, call)
    }
    this.#pipeline.accepted(nextOffset, batch.length, recordCount)
  }

  #sealOpen(producer?: ProducerIdentity): void {
    const { accumulator } = this.#pipeline
    accumulator.sealOpen({
      leaderEpoch: this.leaderEpoch,
      timestampType: this.#config.timestampType,
      appendTimestamp: accumulator.openedMs,
      ...producer,
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
    const { logEndOffset } = this
    if (expectedOffset !== logEndOffset) throw new OffsetMismatchError(expectedOffset, logEndOffset)
  }

  #checkProducer(producer: ProducerIdentity | undefined, recordCount: number): ProducerCheck {
    if (producer === undefined) return isNew
    const { producerId, producerEpoch, baseSequence } = producer
    return this.#producers.check({ producerId, producerEpoch, baseSequence, recordCount })
  }

  #noteProducer(
    producer: ProducerIdentity | undefined,
    batch: { readonly baseOffset: number; readonly nextOffset: number; readonly timestamp: number },
  ): void {
    if (producer === undefined) return
    const { producerId, producerEpoch, baseSequence } = producer
    const { baseOffset, nextOffset, timestamp } = batch
    this.#producers.accept({
      producerId,
      producerEpoch,
      baseSequence,
      baseOffset,
      nextOffset,
      timestamp,
    })
  }

  #tooLarge(records: { readonly length: number }, sizeBytes: number): Error {
    const { maxBatchBytes } = this.#config
    return records.length === 1
      ? new RecordTooLargeError(sizeBytes, maxBatchBytes)
      : new RecordBatchTooLargeError(sizeBytes, maxBatchBytes)
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

  /** Asks whether a full disk has room again; what waits is accepted or refused by the answer. */
  #probeSpace(): void {
    if (this.#isProbing) return
    this.#isProbing = true
    const settle = (hasSpace: boolean, cause?: Error): void => {
      this.#isProbing = false
      if (hasSpace) this.#pipeline.spaceIsBack()
      if (hasSpace) this.#line?.admitWaiting()
      else this.#line?.rejectAll(new DiskFullError(this.dir, cause))
    }
    this.#environment.files.freeSpace(this.dir).then(
      // What the failed write left is cut first: nothing goes behind it.
      space => this.#pipeline.whenQuiet().then(() => settle(space.freeBytes >= minFreeBytes)),
      (error: Error) => settle(false, error),
    )
  }

  async #flushAll(): Promise<Error | null> {
    const report = this.#failures.flushStarted()
    this.#line?.sealOpen()
    await this.#line?.whenPassed()
    await this.#pipeline.flushUpTo(this.logEndOffset)
    return this.#failures.flushEnded(report)
  }

  // ---- ending and beginning again

  async #close(): Promise<void> {
    await this.#changing
    let failure = await this.#flushAll()
    // What was never accepted is not lost by closing.
    if (failure instanceof QueueFullError) failure = null
    const isSound = this.#pipeline.failure === null && !this.#isAbandoned
    this.#isOver = true
    this.#refusal ??= new ClosedError()
    await this.#pipeline.stop()
    this.#waiters.wakeAll()
    // A partition that was clean and stayed as it was has everything on disk already.
    if (isSound && this.#cleanEnd !== this.logEndOffset) {
      try {
        await this.#pipeline.finishEpoch()
        await this.#pipeline.segments.finish()
        if (!this.#producers.isEmpty) await this.#saveSnapshot()
      } catch (error) {
        failure ??= new StorageError(this.dir, 'close', error)
      }
    }
    this.#pipeline.segments.abandon()
    if (failure !== null) throw failure
  }

  /** Refuses appends, rejects what is pending and waits until no operation is under way. */
  async #stop(error: Error): Promise<void> {
    this.#refusal = error
    if (this.recoveryPoint < this.logEndOffset) this.#failures.noteLost(error)
    this.#line?.rejectAll(error)
    for (const call of this.#acks.takeAbove(-1)) this.noteRejection(call, error)
    await this.#pipeline.stop()
    await this.#savingSnapshot
  }

  /** Truncations and recoveries, one after the other; none once the partition is closed. */
  #change(work: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(() => {
      if (this.#closing !== null || this.#isOver) throw this.#refusal ?? new ClosedError()
      return work()
    })
    this.#changing = done.catch(() => {})
    return done
  }

  async #truncate(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    assert(offset >= this.logStartOffset && offset <= this.logEndOffset)
    // Above its recovery point a failed partition does not know what it holds.
    if (this.#pipeline.failure !== null) throw this.#pipeline.failure
    await this.flush()
    await this.#stop(new ClosedError(`partition ${this.identity.topic}-${this.identity.partition}`))
    try {
      const cut = await this.#reader.boundaryAt(offset)
      this.#loweredTo = cut.offset
      await lower(cut.offset)
      await this.#pipeline.segments.cutTo(cut)
      await this.#reopen({ raisesEpoch: false })
    } catch (error) {
      if (!this.#isAbandoned) this.#truncationFailed(error)
      throw error
    }
  }

  /** Neither whole nor cut for certain: `recover()` reads again what there is. */
  #truncationFailed(error: unknown): void {
    const failure = new StorageError(this.dir, 'truncate', error, 'not-written')
    this.#pipeline.failStopped(failure)
    this.#refusal = failure
    this.#listener.stateChanged('failed', failure)
  }

  async #reopen(options: { readonly raisesEpoch: boolean }): Promise<void> {
    this.#pipeline.segments.abandon()
    const recovered = await recoverPartition({
      environment: this.#environment,
      dir: this.dir,
      identity: this.identity,
      checkpointedRecoveryPoint: Math.min(this.recoveryPoint, this.#loweredTo),
      checkpointedLogStart: this.logStartOffset,
      wasClean: false,
      indexIntervalBytes: this.#config.indexIntervalBytes,
    })
    if (this.#isAbandoned) throw this.#refusal ?? new ClosedError()
    this.#loweredTo = Number.POSITIVE_INFINITY
    const leaderEpoch = options.raisesEpoch
      ? Math.max(recovered.leaderEpoch, this.leaderEpoch + 1)
      : this.leaderEpoch
    const isEpochSaved = recovered.epochs.latest === leaderEpoch
    this.#pipeline = this.#makePipeline(recovered, { leaderEpoch, isEpochSaved })
    this.#producers = recovered.producers
    this.#acks.leaderEpoch = leaderEpoch
    this.#refusal = null
    this.#listener.stateChanged(this.state, undefined)
    this.#listener.flushed(0)
    this.#waiters.reached(this.highWatermark)
  }

  #makePipeline(
    recovered: RecoveredPartition,
    epoch: { readonly leaderEpoch: number; readonly isEpochSaved: boolean },
  ): WritePipeline {
    const { sealed, active, damage, epochs, lastAppendMs } = recovered
    const segments = new SegmentSet(this.#environment, this.dir, {
      sealed,
      active,
      damage,
      listener: this.#listener,
    })
    const offsets = new PartitionOffsets(recovered.logStartOffset, recovered.logEndOffset)
    return new WritePipeline(
      this.#environment,
      { dir: this.dir, identity: this.identity, acks: this.#acks, host: this },
      { offsets, segments, epochs, lastAppendMs, ...epoch },
    )
  }

  #noteDamage(damage: Damage): void {
    // Met by a read that began before the log was cut below.
    if (damage.from >= Math.min(this.highWatermark, this.#loweredTo)) return
    const wasOk = this.state === 'ok'
    this.#pipeline.segments.noteDamage(damage)
    this.#listener.corruption(damage)
    if (wasOk) this.#listener.stateChanged('damaged', undefined)
  }

  /** Writes a snapshot of the producers as they are when it is this one's turn. */
  #saveSnapshot(): Promise<void> {
    const saved = this.#savingSnapshot.then(async () => {
      const { files } = this.#environment
      const path = segmentPath(this.dir, this.recoveryPoint, 'snapshot')
      await replaceFile(files, path, this.#producers.snapshot())
      const older = this.#snapshotPath
      this.#snapshotPath = path
      // One is enough: the batches behind it are replayed.
      if (older !== null && older !== path && files.stat(older) !== null) await files.remove(older)
    })
    this.#savingSnapshot = saved.catch(() => {})
    return saved
  }
}

/** Refusals for what the caller asked; a flush reports only what the log itself met. */
function isCallersOwn(error: Error): boolean {
  return !(
    error instanceof StorageError ||
    error instanceof DiskFullError ||
    error instanceof QueueFullError
  )
}

/** What a chain of work begins with; shared, since most partitions never have any. */
const quiet: Promise<unknown> = Promise.resolve()

const isNew: ProducerCheck = { kind: 'new' }

function isArray<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value)
}

function timestampOf(record: RecordInput, nowMs: number): number {
  return record.timestamp === undefined ? nowMs : Number(record.timestamp)
}

function byteLengths(records: readonly RecordInput[]): number {
  let sizeBytes = 0
  for (const { key, value } of records) sizeBytes += byteLength(key) + byteLength(value)
  return sizeBytes
}

/** By how much the bounds of string keys and values exceed what they take. */
function overestimatedBytes(records: readonly RecordInput[]): number {
  let bytes = 0
  for (const { key, value } of records) {
    if (typeof key === 'string') bytes += 3 * key.length - Buffer.byteLength(key)
    if (typeof value === 'string') bytes += 3 * value.length - Buffer.byteLength(value)
  }
  return bytes
}

function byteLength(bytes: unknown): number {
  if (typeof bytes === 'string') return Buffer.byteLength(bytes)
  return bytes instanceof Uint8Array ? bytes.length : 0
}
