/**
 * From accepted batches to flushed ones: at most one write and one flush of a partition are under
 * way. A flush notes how far the log is written *before* its fdatasync starts and moves the recovery
 * point exactly there, never to what was written meanwhile.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import type { Timer } from '../clock.ts'
import { DiskFullError, StorageError } from '../errors.ts'
import type { OpenFile } from '../files/files.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { BatchAccumulator, type PendingBatch, type WriteRegion } from './batch-accumulator.ts'
import { replaceFile } from './checkpoint-file.ts'
import { appendChannel, flushChannel } from './diagnostics.ts'
import type { PartitionConfig, PartitionIdentity, StorageEnvironment } from './environment.ts'
import { isDiskFull } from './file-io.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import { type ActiveSegment, segmentPath } from './segment.ts'
import type { SegmentSet } from './segment-set.ts'

/** Un-flushed bytes of one partition that start a flush under any policy. */
const maxUnflushedPartitionBytes = 16 << 20

/** Complete batches worth a write before the turn ends. */
const eagerWriteBytes = 256 << 10

/** As long as a timer can be set. */
const neverMs = 2 ** 31 - 1

/** What the pipeline needs of its partition, and tells it. */
export interface PipelineHost {
  readonly config: PartitionConfig
  /** Complete what was kept open for company: a write is about to start. */
  completeBatches(): void
  /** Everything below `recoveryPoint` is flushed now. */
  flushed(recoveryPoint: number, flushedBytes: number): void
  flushFailed(error: Error): void
  /** For want of room the log end fell back to what is written, by `lostCount` records. */
  fellBack(error: DiskFullError, lostCount: number): void
  /** Nothing more will be written; what was submitted below `submittedOffset` may be on disk or not. */
  failed(failure: StorageError, submittedOffset: number): void
  /** More acknowledgements are due than one turn takes, or a write can go on: come back next turn. */
  scheduleTurn(): void
}

/** What one partition is made of at a time; recovery replaces it as a whole. */
export interface PipelineParts {
  readonly offsets: PartitionOffsets
  readonly segments: SegmentSet
  readonly epochs: LeaderEpochs
  readonly leaderEpoch: number
  /** False until (leader epoch, log end) is durable, which comes before the first write. */
  readonly isEpochSaved: boolean
  readonly lastAppendMs: number
}

/** The writing side of one partition. */
export class WritePipeline {
  readonly offsets: PartitionOffsets
  readonly segments: SegmentSet
  readonly accumulator: BatchAccumulator
  readonly leaderEpoch: number
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #identity: PartitionIdentity
  readonly #host: PipelineHost
  readonly #acks: Acknowledgements
  readonly #epochs: LeaderEpochs
  #isEpochSaved: boolean
  /** Engine time of the last append; time in the log never goes below it. */
  lastAppendMs: number
  #isPreparing = false
  #isWriting = false
  #isWaitingForHandle = false
  /** A write is followed by another from its own end, not from inside. */
  #isInWrite = false
  #isFlushing = false
  #flushTimer: Timer | null = null
  /** Monotonic time from which the timer counts, how long it does, and whether it keeps the process alive. */
  #unflushedSinceMs = 0
  #timerMs = 0
  #isTimerAwaited = false
  /** `flushMs` is over, and what it counted from may not even be written yet. */
  #isOverdue = false
  #unflushedBytes = 0
  /** End and size of the last write submitted; the size is 0 once it has ended. */
  #submittedOffset: number
  #submittedBytes = 0
  #isDiskFull = false
  #failure: StorageError | null = null
  #isStopped = false
  #flushCallers = 0
  readonly #untilFlushed: { readonly offset: number; readonly done: () => void }[] = []
  #whenQuiet: (() => void)[] = []

  constructor(
    environment: StorageEnvironment,
    of: {
      readonly dir: string
      readonly identity: PartitionIdentity
      readonly acks: Acknowledgements
      readonly host: PipelineHost
    },
    parts: PipelineParts,
  ) {
    this.#environment = environment
    this.#dir = of.dir
    this.#identity = of.identity
    this.#acks = of.acks
    this.#host = of.host
    this.offsets = parts.offsets
    this.segments = parts.segments
    this.#epochs = parts.epochs
    this.leaderEpoch = parts.leaderEpoch
    this.#isEpochSaved = parts.isEpochSaved
    this.lastAppendMs = parts.lastAppendMs
    this.accumulator = new BatchAccumulator(environment.chunks)
    this.#submittedOffset = parts.offsets.writtenOffset
  }

  get isFlushing(): boolean {
    return this.#isFlushing
  }

  /** Set for good by a failed sync, or a failed write other than for want of room. */
  get failure(): StorageError | null {
    return this.#failure
  }

  get isDiskFull(): boolean {
    return this.#isDiskFull
  }

  get isIdle(): boolean {
    return this.accumulator.isEmpty && !this.#isBusy()
  }

  get hasUnflushed(): boolean {
    return this.offsets.recoveryPoint < this.offsets.writtenOffset
  }

  /** There seems to be room on the disk again. */
  spaceIsBack(): void {
    this.#isDiskFull = false
  }

  /** Counts a batch, or more of an open one, and writes at once when enough has come together. */
  accepted(logEndOffset: number, sizeBytes: number, recordCount: number): void {
    const { budget, counters } = this.#environment
    this.offsets.accept(logEndOffset)
    budget.queuedBytes += sizeBytes
    counters.appendedRecords += recordCount
    counters.appendedBytes += sizeBytes
    if (this.accumulator.pendingBytes >= eagerWriteBytes) this.write()
  }

  // ---- writing

  /** Writes complete batches: small ones at once, large ones through the pool, one write at a time. */
  write(): void {
    if (this.#isInWrite || this.#isWriting || this.#isStopped || this.#failure !== null) return
    if (this.accumulator.first === undefined) return
    if (!this.#isEpochSaved) {
      this.#saveEpoch()
      return
    }
    this.#isInWrite = true
    while (this.#writeOnce());
    this.#isInWrite = false
  }

  /** True when a write has ended and another may follow at once. */
  #writeOnce(): boolean {
    const first = this.accumulator.first
    if (first === undefined || this.#isWriting || this.#failure !== null) return false
    // Others wait for a handle: what is written is flushed, and the file given up, before more is.
    if (this.hasUnflushed && this.#environment.handles.isWanted) return false
    const { segmentBytes } = this.#host.config
    let file: OpenFile | null
    try {
      file = this.segments.fileFor(first, segmentBytes)
    } catch (error) {
      this.#writeFailed('open', error as Error)
      return false
    }
    if (file === null) {
      this.#waitForHandle()
      return false
    }
    const { segments } = this
    const region = this.accumulator.takeRegion(segments.roomFor(segmentBytes), segments.limitOffset)
    const bytes = region.chunk.buffer.subarray(region.position, region.position + region.sizeBytes)
    const position = (this.segments.active as ActiveSegment).sizeBytes
    this.#submittedOffset = (region.batches.at(-1) as PendingBatch).nextOffset
    this.#submittedBytes = region.sizeBytes
    if (this.#environment.syncWrites.isAllowed(region.sizeBytes)) {
      return this.#writeSync(file, bytes, { position, region })
    }
    this.#isWriting = true
    file.write(bytes, position).then(
      count => this.#writeEnded(() => this.#wrote(region, count)),
      (error: Error) => this.#writeEnded(() => this.#writeFailed('write', error)),
    )
    return false
  }

  #writeSync(
    file: OpenFile,
    bytes: Buffer,
    at: { readonly position: number; readonly region: WriteRegion },
  ): boolean {
    const { clock, syncWrites } = this.#environment
    const startMs = clock.monotonicMs()
    let count: number
    try {
      count = file.writeSync(bytes, at.position)
    } catch (error) {
      this.#writeFailed('write', error as Error)
      return false
    }
    syncWrites.note(clock.monotonicMs() - startMs)
    return this.#wrote(at.region, count)
  }

  #writeEnded(publish: () => void): void {
    this.#isWriting = false
    publish()
    this.#goOn()
  }

  #goOn(): void {
    this.write()
    this.flushIfDue()
    this.settle()
    this.#noteQuiet()
  }

  /** Publishes what a write has done. A short count means that the disk is full. */
  #wrote(region: WriteRegion, count: number): boolean {
    if (this.#failure !== null) return false
    if (count !== region.sizeBytes) {
      const error = new Error(`wrote ${count} of ${region.sizeBytes} bytes`)
      this.#writeFailed('write', Object.assign(error, { code: 'ENOSPC' }))
      return false
    }
    const { counters, budget, time } = this.#environment
    this.lastAppendMs = Math.max(time.nowMs(), this.lastAppendMs)
    this.segments.wrote(region, this.lastAppendMs, this.#host.config.indexIntervalBytes)
    this.offsets.wrote(this.#submittedOffset)
    this.#submittedBytes = 0
    this.#unflushedBytes += region.sizeBytes
    counters.writes++
    counters.writtenBytes += region.sizeBytes
    this.accumulator.wrote(region)
    if (appendChannel.hasSubscribers) {
      for (const { baseOffset, nextOffset, sizeBytes } of region.batches) {
        appendChannel.publish({ ...this.#identity, baseOffset, nextOffset, sizeBytes })
      }
    }
    budget.wrote(region.sizeBytes)
    this.#environment.room.wrote(region.sizeBytes)
    return true
  }

  /** Every handle is pinned by un-flushed bytes of others: the write goes on when one is flushed. */
  #waitForHandle(): void {
    if (this.#isWaitingForHandle) return
    this.#isWaitingForHandle = true
    this.#environment.handles.onceFree(() => {
      this.#isWaitingForHandle = false
      this.#goOn()
    })
  }

  /** Before the first write of an epoch, the epoch and where it begins are made durable. */
  #saveEpoch(): void {
    if (this.#isPreparing) return
    this.#isPreparing = true
    this.#epochs.assign(this.leaderEpoch, this.offsets.writtenOffset)
    const path = join(this.#dir, 'leader-epoch-checkpoint')
    replaceFile(this.#environment.files, path, this.#epochs.format()).then(
      () => {
        this.#isPreparing = false
        this.#isEpochSaved = true
        this.#goOn()
      },
      (error: Error) => {
        this.#isPreparing = false
        this.#writeFailed('save the leader epoch', error)
        this.#goOn()
      },
    )
  }

  /**
   * Before a clean end: an epoch that was raised and not used is not forgotten either. The one before
   * it may have been given to records above the log end that a crash took away.
   */
  async finishEpoch(): Promise<void> {
    if (this.#isEpochSaved || this.#epochs.latest < 0) return
    this.#epochs.assign(this.leaderEpoch, this.offsets.writtenOffset)
    const path = join(this.#dir, 'leader-epoch-checkpoint')
    await replaceFile(this.#environment.files, path, this.#epochs.format())
    this.#isEpochSaved = true
  }

  /** Starts a new, empty active segment when nothing is pending. */
  rollIdle(): void {
    if (
      !this.isIdle ||
      this.#isStopped ||
      this.#failure !== null ||
      !this.#environment.handles.hasRoom
    )
      return
    try {
      this.segments.rollIdle(this.offsets.logEndOffset)
    } catch (error) {
      this.#writeFailed('create', error as Error)
      return
    }
    // Makes the names of the new segment durable and finishes the old one.
    this.#startFlush()
  }

  // ---- flushing

  /** Resolves when everything below `offset` is flushed, or when that will never be. Any policy gives way. */
  async flushUpTo(offset: number): Promise<void> {
    if (this.offsets.recoveryPoint >= offset || this.#failure !== null || this.#isStopped) return
    this.#flushCallers++
    try {
      await new Promise<void>(done => {
        this.#untilFlushed.push({ offset, done })
        this.#host.completeBatches()
        this.write()
        this.flushIfDue()
      })
    } finally {
      this.#flushCallers--
    }
  }

  /** Starts a flush, whatever the policy: somebody needs the file handle, or the time is over. */
  flushSoon(): void {
    if (!this.#isFlushing && this.#failure === null && !this.#isStopped) this.#startFlush()
  }

  /** Starts a flush when the policy asks for one, or sees to it that it will. */
  flushIfDue(): void {
    if (this.#isFlushing || this.#failure !== null || this.#isStopped) return
    const { flushRecords, flushBytes, flushMs } = this.#host.config
    const { logEndOffset, writtenOffset, recoveryPoint } = this.offsets
    const isDue =
      this.#flushCallers > 0 ||
      this.#isOverdue ||
      this.#environment.handles.isWanted ||
      (flushRecords >= 0 && writtenOffset - recoveryPoint >= flushRecords) ||
      (flushBytes >= 0 && this.#unflushedBytes >= flushBytes) ||
      this.#unflushedBytes >= maxUnflushedPartitionBytes
    if (isDue && this.hasUnflushed) {
      this.#startFlush()
    } else if (recoveryPoint < logEndOffset && (flushMs >= 0 || this.#acks.isFlushAwaited)) {
      // Under a policy that never flushes by itself the timer is there to keep the process alive.
      this.#setFlushTimer(flushMs >= 0 ? flushMs : neverMs)
    }
  }

  /**
   * Counts from the oldest un-flushed record on, also when `flushMs` was changed meanwhile. Whoever waits
   * for the flush must find the process alive when it comes.
   */
  #setFlushTimer(flushMs: number): void {
    const { clock } = this.#environment
    const isAwaited = this.#acks.isFlushAwaited
    if (this.#flushTimer === null) this.#unflushedSinceMs = clock.monotonicMs()
    else if (flushMs === this.#timerMs && (this.#isTimerAwaited || !isAwaited)) return
    this.#clearTimer()
    this.#timerMs = flushMs
    this.#isTimerAwaited = isAwaited
    const delayMs = Math.max(0, this.#unflushedSinceMs + flushMs - clock.monotonicMs())
    this.#flushTimer = clock.setTimer(delayMs, () => this.#flushOverdue(), { keepAlive: isAwaited })
  }

  #flushOverdue(): void {
    this.#flushTimer = null
    this.#isOverdue = true
    this.flushIfDue()
  }

  #startFlush(): void {
    this.#isFlushing = true
    this.#isOverdue = false
    this.#clearTimer()
    this.#environment.flushGate.enter(() => this.#runFlush())
  }

  #runFlush(): void {
    // What arrived while other partitions were flushed is covered as well.
    this.#host.completeBatches()
    this.write()
    const recoveryPoint = this.offsets.writtenOffset
    const flushedBytes = this.#unflushedBytes
    const startMs = this.#environment.clock.monotonicMs()
    if (this.#failure !== null || this.#isStopped) {
      this.#endFlush()
      return
    }
    this.segments.sync().then(
      () => this.#flushDone({ recoveryPoint, flushedBytes, startMs }),
      (error: Error) => this.#flushFailed(error),
    )
  }

  #flushDone(flush: {
    readonly recoveryPoint: number
    readonly flushedBytes: number
    readonly startMs: number
  }): void {
    this.#endFlush()
    if (this.#failure !== null || this.#isStopped) return
    const { recoveryPoint, flushedBytes } = flush
    const durationMs = this.#environment.clock.monotonicMs() - flush.startMs
    this.offsets.flushed(recoveryPoint)
    this.#unflushedBytes -= flushedBytes
    this.#environment.counters.noteFlush(durationMs)
    this.#environment.budget.flushed(flushedBytes)
    if (flushChannel.hasSubscribers)
      flushChannel.publish({ ...this.#identity, recoveryPoint, durationMs })
    this.#host.flushed(recoveryPoint, flushedBytes)
    if (this.#environment.handles.isWanted && !this.hasUnflushed && !this.#isWriting)
      this.segments.unpin()
    // The next flush starts before the callers of this one go on: the disk does not wait for them.
    this.#host.completeBatches()
    this.write()
    this.flushIfDue()
    if (!this.hasUnflushed && this.isIdle) this.segments.unpin()
    this.#resolveFlushCallers()
    this.#environment.turns.endEarly()
    this.settle()
  }

  #flushFailed(error: Error): void {
    this.#endFlush()
    if (this.#isStopped) return
    this.#environment.counters.failedFlushes++
    this.#host.flushFailed(error)
    this.#fail(new StorageError(this.#activePath(), 'fdatasync', error, 'unknown'))
  }

  #endFlush(): void {
    this.#isFlushing = false
    this.#environment.flushGate.leave()
    this.#noteQuiet()
  }

  #resolveFlushCallers(): void {
    const isOver = this.#failure !== null || this.#isStopped
    for (let index = this.#untilFlushed.length - 1; index >= 0; index--) {
      const caller = this.#untilFlushed[index]
      assert(caller !== undefined)
      // The log end may have fallen back below what a caller waits for.
      const target = Math.min(caller.offset, this.offsets.logEndOffset)
      if (!isOver && this.offsets.recoveryPoint < target) continue
      this.#untilFlushed.splice(index, 1)
      caller.done()
    }
  }

  #clearTimer(): void {
    this.#flushTimer?.cancel()
    this.#flushTimer = null
  }

  /** Resolves acknowledgements that are due. */
  settle(): void {
    if (!this.#acks.settle(this.offsets)) this.#host.scheduleTurn()
  }

  // ---- failing

  #writeFailed(operation: string, error: Error): void {
    if (this.#failure !== null || this.#isStopped) return
    if (isDiskFull(error)) this.#backOut(error)
    else this.#fail(new StorageError(this.#activePath(), operation, error, 'unknown'))
  }

  /**
   * The disk is full: nothing more is submitted, the file is cut to what is written, and the log end
   * falls back to it. What lies above is rejected, what lies below is flushed as usual.
   */
  #backOut(cause: Error): void {
    this.#isDiskFull = true
    this.#isWriting = true
    this.segments.cutTail().then(
      () => {
        this.#isWriting = false
        if (this.#failure === null && !this.#isStopped) {
          const lostCount = this.offsets.logEndOffset - this.offsets.writtenOffset
          this.#discardUnwritten()
          // No flush comes that would do it, and others may wait for the handles.
          if (!this.hasUnflushed && !this.#isFlushing) this.segments.unpin()
          this.#host.fellBack(new DiskFullError(this.#activePath(), cause), lostCount)
          this.#resolveFlushCallers()
        }
        this.#goOn()
      },
      (error: Error) => {
        this.#isWriting = false
        this.#fail(new StorageError(this.#activePath(), 'truncate', error, 'unknown'))
        this.#noteQuiet()
      },
    )
  }

  /**
   * A failed fsync, or a failed write other than for want of room, is final: the state of the pages
   * is unknown, and a later fsync would succeed without having written them.
   */
  #fail(failure: StorageError): void {
    if (this.#failure !== null || this.#isStopped) return
    this.#failure = failure
    // What waits is rejected before room is made, or some of it would be accepted by a failed partition.
    this.#host.failed(failure, Math.max(this.#submittedOffset, this.offsets.writtenOffset))
    this.#giveUp()
    this.segments.unpin()
    this.#resolveFlushCallers()
  }

  /** A stopped partition turned out to be unusable before it was opened again. */
  failStopped(failure: StorageError): void {
    assert(this.#isStopped)
    this.#failure ??= failure
  }

  /** Nothing more is written. Resolves when no operation is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.whenQuiet()
    if (this.#failure === null) this.#giveUp()
    this.#resolveFlushCallers()
    await this.segments.whenFinished()
  }

  /** Resolves when neither a write nor a flush is under way. */
  whenQuiet(): Promise<void> {
    if (!this.#isBusy()) return Promise.resolve()
    return new Promise(resolve => this.#whenQuiet.push(resolve))
  }

  #giveUp(): void {
    this.#clearTimer()
    this.#discardUnwritten()
    this.#environment.budget.flushed(this.#unflushedBytes)
    this.#unflushedBytes = 0
  }

  #discardUnwritten(): void {
    const discardedBytes = this.accumulator.clear() + this.#submittedBytes
    this.#submittedBytes = 0
    this.#submittedOffset = this.offsets.writtenOffset
    this.offsets.fallBackToWritten()
    this.#environment.budget.discarded(discardedBytes)
  }

  #isBusy(): boolean {
    return this.#isWriting || this.#isFlushing || this.#isPreparing
  }

  #noteQuiet(): void {
    if (this.#whenQuiet.length === 0 || this.#isBusy()) return
    const waiting = this.#whenQuiet
    this.#whenQuiet = []
    for (const resolve of waiting) resolve()
  }

  #activePath(): string {
    return segmentPath(
      this.#dir,
      this.segments.active?.baseOffset ?? this.offsets.writtenOffset,
      'log',
    )
  }
}
