/**
 * From accepted batches to written ones: at most one write of a partition is under way, and nothing
 * is written after one that failed. What is written is flushed by `partition-flusher.ts`.
 */
import assert from 'node:assert/strict'

import { DiskFullError, StorageError } from '../errors.ts'
import type { OpenFile } from '../files/files.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { BatchAccumulator, type PendingBatch, type WriteRegion } from './batch-accumulator.ts'
import { appendChannel } from './diagnostics.ts'
import type { PartitionIdentity, StorageEnvironment } from './environment.ts'
import { EpochRecord } from './epoch-record.ts'
import { isDiskFull } from './file-io.ts'
import type { LeaderEpochEntry } from './leader-epochs.ts'
import { type FlushedWriter, PartitionFlusher } from './partition-flusher.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import type { PipelineHost, PipelineParts } from './pipeline-host.ts'
import { type ActiveSegment, segmentPath } from './segment.ts'
import type { SegmentSet } from './segment-set.ts'
import { isInternalTopic } from './topic-name.ts'

/** Complete batches worth a write before the turn ends. */
const eagerWriteBytes = 256 << 10

/** The writing side of one partition. */
export class WritePipeline implements FlushedWriter {
  readonly offsets: PartitionOffsets
  readonly segments: SegmentSet
  readonly accumulator: BatchAccumulator
  readonly flusher: PartitionFlusher
  readonly leaderEpoch: number
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #identity: PartitionIdentity
  readonly #host: PipelineHost
  readonly #acks: Acknowledgements
  readonly #epoch: EpochRecord
  /** Engine time of the last append; time in the log never goes below it. */
  lastAppendMs: number
  #isPreparing = false
  #isWriting = false
  #isWaitingForHandle = false
  /** A write is followed by another from its own end, not from inside. */
  #isInWrite = false
  /** End of the last write submitted, and what it writes; null once it has ended. */
  #submittedOffset: number
  #submitted: WriteRegion | null = null
  #isDiskFull = false
  #failure: StorageError | null = null
  #isStopped = false
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
    this.#epoch = new EpochRecord(environment, of.dir, parts)
    this.leaderEpoch = parts.leaderEpoch
    this.lastAppendMs = parts.lastAppendMs
    this.accumulator = new BatchAccumulator(environment.chunks)
    this.flusher = new PartitionFlusher(environment, of, { writer: this, ...parts })
    this.#submittedOffset = parts.offsets.writtenOffset
  }

  get isWriting(): boolean {
    return this.#isWriting
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  get isEnded(): boolean {
    return this.#failure !== null || this.#isStopped
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
    if (!this.#epoch.isSaved) {
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
      file = this.segments.output.fileFor(first, segmentBytes)
    } catch (error) {
      this.#writeFailed('open', error as Error)
      return false
    }
    if (file === null) {
      this.#waitForHandle()
      return false
    }
    const { output } = this.segments
    const region = this.accumulator.takeRegion(output.roomFor(segmentBytes), output.limitOffset)
    const bytes = region.chunk.buffer.subarray(region.position, region.position + region.sizeBytes)
    const position = (this.segments.active as ActiveSegment).sizeBytes
    this.#submittedOffset = (region.batches.at(-1) as PendingBatch).nextOffset
    this.#submitted = region
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
    this.flusher.flushIfDue()
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
    this.segments.output.wrote(region, this.lastAppendMs, this.#host.config)
    this.offsets.wrote(this.#submittedOffset)
    this.#submitted = null
    this.flusher.wrote(region.sizeBytes)
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
    this.#epoch.save(this.offsets.writtenOffset).then(
      () => {
        this.#isPreparing = false
        this.#goOn()
      },
      (error: Error) => {
        this.#isPreparing = false
        this.#writeFailed('save the leader epoch', error)
        this.#goOn()
      },
    )
  }

  /** See `EpochRecord.restate`. Nothing is written under an epoch that is not saved meanwhile. */
  async rewriteEpochs(runs: readonly LeaderEpochEntry[], endOffset: number): Promise<boolean> {
    if (this.#isPreparing || this.#isStopped) return false
    this.#isPreparing = true
    try {
      return await this.#epoch.restate(runs, endOffset)
    } finally {
      this.#isPreparing = false
      this.#goOn()
    }
  }

  /** Forgets the leader epochs below the log start. */
  trimEpochs(logStartOffset: number): Promise<void> {
    return this.#epoch.trimBelow(logStartOffset)
  }

  /** Before a clean end: what is known of the epoch is made durable. */
  finishEpoch(): Promise<void> {
    return this.#epoch.finish(this.offsets.writtenOffset)
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
      this.segments.output.rollIdle(this.offsets.logEndOffset)
    } catch (error) {
      this.#writeFailed('create', error as Error)
      return
    }
    // Makes the names of the new segment durable and finishes the old one.
    this.flusher.flushSoon()
  }

  // ---- flushing

  flushEnded(): void {
    this.#noteQuiet()
  }

  flushFailed(error: Error): void {
    this.#fail(new StorageError(this.#activePath(), 'fdatasync', error, 'unknown'))
  }

  /** Resolves acknowledgements that are due. */
  settle(): void {
    const { turn } = this.#environment.turns
    if (!this.#acks.settle(this.offsets, turn)) this.#host.scheduleTurn()
  }

  // ---- failing

  #writeFailed(operation: string, error: Error): void {
    if (this.#failure !== null || this.#isStopped) return
    if (isDiskFull(error)) this.#backOut(error)
    else this.#fail(new StorageError(this.#activePath(), operation, error, 'unknown'))
  }

  /**
   * The disk is full: nothing more is submitted, the file is cut to what is written, and the log end
   * falls back to it. What lies above is rejected, what lies below is flushed as usual. A topic of the
   * log's own, whose commits must go on, is written again when space can be given up for it.
   */
  #backOut(cause: Error): void {
    this.#isDiskFull = true
    this.#isWriting = true
    const { room } = this.#environment
    const isInternal = isInternalTopic(this.#identity.topic)
    const hasMadeRoom = async (): Promise<boolean> => {
      await this.segments.output.cutTail()
      return isInternal && (await room.release())
    }
    hasMadeRoom().then(
      hasRoom => {
        this.#isWriting = false
        if (this.#failure !== null || this.#isStopped) {
          // Whoever ended it has seen to what was accepted.
        } else if (hasRoom) {
          this.#takeBack()
        } else {
          const lostCount = this.offsets.logEndOffset - this.offsets.writtenOffset
          this.#discardUnwritten()
          // No flush comes that would do it, and others may wait for the handles.
          if (!this.hasUnflushed && !this.flusher.isFlushing) this.segments.output.unpin()
          this.#host.fellBack(new DiskFullError(this.#activePath(), cause), lostCount)
          this.flusher.resolveCallers()
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

  /** What a failed write was to write is the next to be written. */
  #takeBack(): void {
    this.#isDiskFull = false
    if (this.#submitted !== null) this.accumulator.putBack(this.#submitted)
    this.#submitted = null
    this.#submittedOffset = this.offsets.writtenOffset
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
    this.segments.output.unpin()
    this.flusher.resolveCallers()
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
    this.flusher.resolveCallers()
    await this.segments.whenFinished()
  }

  /** Resolves when neither a write nor a flush is under way. */
  whenQuiet(): Promise<void> {
    if (!this.#isBusy()) return Promise.resolve()
    return new Promise(resolve => this.#whenQuiet.push(resolve))
  }

  #giveUp(): void {
    this.#discardUnwritten()
    this.flusher.giveUp()
  }

  #discardUnwritten(): void {
    const discardedBytes = this.accumulator.clear() + (this.#submitted?.sizeBytes ?? 0)
    this.#submitted = null
    this.#submittedOffset = this.offsets.writtenOffset
    this.offsets.fallBackToWritten()
    this.#environment.budget.discarded(discardedBytes)
  }

  #isBusy(): boolean {
    return this.#isWriting || this.flusher.isFlushing || this.#isPreparing
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
