/**
 * One partition of the log, as its single writer has it. An append is encoded and given its offsets
 * at once (accepted), written together with its neighbours (written), and covered by an fdatasync
 * that started after that write ended (flushed); only then it is visible. The order is always
 * validate, write, flush, publish: memory never runs ahead of the disk but for what is accepted.
 */
import {
  ClosedError,
  CorruptRecordError,
  type DiskFullError,
  type StorageError,
} from '../errors.ts'
import type { AppendResult, PartitionState, RecordInput } from '../types.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { AppendAcceptor } from './append-acceptor.ts'
import type { AppendRequest } from './append-request.ts'
import type { CompactionRange } from './compaction-plan.ts'
import { CompactionSlot } from './compaction-slot.ts'
import { isKnownDamage } from './damage.ts'
import type {
  Damage,
  PartitionConfig,
  PartitionIdentity,
  PartitionListener,
  StorageEnvironment,
} from './environment.ts'
import { HighWatermarkWaiters } from './high-watermark-waiters.ts'
import type { ImplausibleFound } from './implausible-timestamps.ts'
import {
  type CompactedPartition,
  type CompactionLimits,
  type CompactionRequest,
  type CompactionResult,
  compactablePart,
  compactPartition,
} from './partition-compaction.ts'
import { type LifecycleHost, PartitionLifecycle, type WritingEpoch } from './partition-lifecycle.ts'
import { PartitionOffsets } from './partition-offsets.ts'
import { PartitionRetention, type RetentionHost } from './partition-retention.ts'
import type { PipelineHost } from './pipeline-host.ts'
import { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
import type { ChunkRequest, LogChunk, ReadablePartition } from './readable.ts'
import type { RecoveredPartition } from './recover-partition.ts'
import type { RepairableFiles } from './repair-partition.ts'
import { SegmentReader } from './segment-reader.ts'
import { SegmentSet } from './segment-set.ts'
import { isInternalTopic } from './topic-name.ts'
import type { VerifiablePartition, VerifiableSegment } from './verify-partition.ts'
import { WritePipeline } from './write-pipeline.ts'

/** How often `roll` waits for the segment to be complete before it leaves that to others. */
const maxRollTurns = 10

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
export class PartitionLog
  implements ReadablePartition, VerifiablePartition, PipelineHost, LifecycleHost, RetentionHost
{
  readonly identity: PartitionIdentity
  readonly dir: string
  /** Giving up the head of the log. */
  readonly retention: PartitionRetention
  readonly #environment: StorageEnvironment
  readonly #listener: PartitionListener
  readonly #waiters: HighWatermarkWaiters
  readonly #acks: Acknowledgements
  readonly #appends: AppendAcceptor
  readonly #reader: SegmentReader
  readonly #snapshots: ProducerSnapshots
  readonly #lifecycle: PartitionLifecycle
  readonly #compaction = new CompactionSlot()
  readonly #openedMs: number
  #timestampAfterMaxMs: number
  #pipeline: WritePipeline
  #producers: ProducerState

  constructor(options: PartitionLogOptions) {
    const { environment, recovered, listener } = options
    this.identity = options.identity
    this.dir = options.dir
    this.#environment = environment
    this.#openedMs = environment.time.nowMs()
    this.#listener = listener
    this.#waiters = new HighWatermarkWaiters(environment.clock)
    this.#acks = new Acknowledgements(this.identity, recovered.leaderEpoch)
    this.#producers = recovered.producers
    this.#timestampAfterMaxMs = options.config.timestampAfterMaxMs
    this.#snapshots = new ProducerSnapshots(environment.files, this.dir)
    this.#pipeline = this.#makePipeline(recovered, {
      leaderEpoch: recovered.leaderEpoch,
      isEpochSaved: recovered.epochIsSaved,
    })
    this.#appends = new AppendAcceptor(environment, {
      dir: this.dir,
      isInternal: isInternalTopic(this.identity.topic),
      config: options.config,
      acks: this.#acks,
      into: { pipeline: this.#pipeline, producers: this.#producers },
    })
    this.#reader = new SegmentReader(environment, {
      dir: this.dir,
      identity: this.identity,
      source: {
        segments: () => this.#pipeline.segments.segments(),
        refresh: seen => this.#pipeline.segments.segments() !== seen,
        damage: () => this.damage,
        noteDamage: damage => this.noteDamage(damage),
      },
    })
    this.retention = new PartitionRetention(this)
    const isClean = recovered.report === null && recovered.active !== null
    this.#lifecycle = new PartitionLifecycle(environment, this, {
      appends: this.#appends,
      reader: this.#reader,
      waiters: this.#waiters,
      listener,
      cleanEnd: isClean ? recovered.logEndOffset : -1,
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

  /** The largest id of a producer that has appended here; -1 when there is none. */
  get largestProducerId(): number {
    return this.#producers.largestProducerId
  }

  get config(): PartitionConfig {
    return this.#appends.config
  }

  get pipeline(): WritePipeline {
    return this.#pipeline
  }

  /** New settings hold from the next append and the next roll on. */
  configure(config: PartitionConfig): void {
    this.#appends.config = config
    this.#timestampAfterMaxMs = config.timestampAfterMaxMs
    this.#pipeline.segments.implausible.afterMaxMs = config.timestampAfterMaxMs
    this.#pipeline.flusher.flushIfDue()
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
    return this.#appends.append(records, request)
  }

  readChunk(request: ChunkRequest): Promise<LogChunk> {
    return this.#reader.readChunk(request, this.#pipeline.offsets)
  }

  whenAbove(offset: number, signal?: AbortSignal): Promise<void> {
    if (this.highWatermark > offset || this.#lifecycle.isOver || signal?.aborted)
      return Promise.resolve()
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
    const { first } = await this.#appends.flush()
    if (first !== null) throw first
  }

  /** Starts a flush under any policy, without waiting for it. */
  flushSoon(): void {
    this.#pipeline.flusher.flushSoon()
  }

  /** Damage was found; the first time it is, the owner hears of it. */
  noteDamage(damage: Damage): void {
    // Met by a read that began before the log was cut below.
    if (damage.from >= Math.min(this.highWatermark, this.#lifecycle.loweredTo)) return
    if (isKnownDamage(this.damage, damage)) return
    const wasOk = this.state === 'ok'
    this.#pipeline.segments.noteDamage(damage)
    this.#listener.corruption(damage)
    if (wasOk) this.#listener.stateChanged('damaged', undefined)
  }

  /** What a repair may change. */
  get repairable(): RepairableFiles {
    return {
      segments: this.#pipeline.segments,
      rewriteEpochs: (runs, endOffset) => this.#pipeline.rewriteEpochs(runs, endOffset),
      replaceSnapshots: async paths => {
        await this.#snapshots.remove(paths)
        await this.saveProducers()
      },
    }
  }

  verifiableSegments(): readonly VerifiableSegment[] {
    return this.#pipeline.segments.segments().map(({ baseOffset, endPosition, indexes }) => ({
      baseOffset,
      endPosition,
      hasIndexFiles: indexes === null,
    }))
  }

  /** There is too little room on the disk: appends that are not accepted yet are refused. */
  refuseWaiting(error: DiskFullError): void {
    this.#appends.refuseWaiting(error)
  }

  /** Rolls an active segment that is older than `segmentMs`: at once, or with the next write when it is not idle. */
  sweep(nowMs: number): void {
    const { active } = this.#pipeline.segments
    const { segmentMs } = this.config
    if (active === null || active.sizeBytes === 0 || segmentMs < 0) return
    if (this.#appends.refusal !== null) return
    const sinceMs = active.firstAppendMs ?? active.createdMs
    if (nowMs - sinceMs < segmentMs) return
    this.#pipeline.rollIdle()
    if (this.#pipeline.segments.active === active) this.#pipeline.segments.sealWithNextWrite()
  }

  /**
   * Seals the active segment unless it is empty, so that all that is flushed can be compacted; at the
   * latest with the next write when appends go on all the time.
   */
  async roll(): Promise<void> {
    const { segments } = this.#pipeline
    await this.flush()
    const { active } = segments
    if (active === null || active.sizeBytes === 0) return
    this.#pipeline.rollIdle()
    if (segments.active === active) segments.sealWithNextWrite()
    for (let turn = 0; turn < maxRollTurns && !segments.hasFinished(active); turn++) {
      if (this.#lifecycle.isEnding || this.#pipeline.failure !== null) return
      await this.flush()
      await this.#pipeline.whenQuiet()
      await segments.whenFinished()
    }
  }

  /** What a compaction would work at. */
  compactablePart(limits: CompactionLimits): CompactionRange {
    return compactablePart(this.#environment, this.#compacted(), limits)
  }

  /**
   * Compacts what may be compacted at the call; appends and reads go on. One at a time.
   *
   * Rejects with the signal's reason, with ClosedError when the partition ends or is cut meanwhile,
   * and with StorageError when the file system fails; what was not replaced by then is as it was.
   */
  compact(request: CompactionRequest, signal: AbortSignal): Promise<CompactionResult> {
    const { refusal } = this.#appends
    if (refusal !== null) return Promise.reject(refusal)
    if (this.#lifecycle.isEnding) return Promise.reject(new ClosedError())
    return this.#compaction.run(signal, inner =>
      compactPartition(this.#environment, this.#compacted(), { ...request, signal: inner }),
    )
  }

  #compacted(): CompactedPartition {
    const { segments, offsets } = this.#pipeline
    const { segmentBytes, indexIntervalBytes } = this.config
    return {
      dir: this.dir,
      segments,
      producers: this.#producers,
      logStartOffset: offsets.logStartOffset,
      highWatermark: offsets.highWatermark,
      segmentBytes,
      indexIntervalBytes,
      openedMs: this.#openedMs,
      metDamage: async ({ damagedAt, damage }) => {
        if (damage !== null) this.noteDamage(damage)
        else await this.#meetDamage(damagedAt)
      },
    }
  }

  async #meetDamage(offset: number): Promise<void> {
    try {
      await this.readChunk({ from: offset, maxBytes: 1, checkCrcs: true })
    } catch (error) {
      // It is known by now.
      if (!(error instanceof CorruptRecordError)) throw error
    }
  }

  /**
   * Writes what makes a later recovery short: index entries, and a producer snapshot when there are
   * producers. What was the recovery point before the call may be checkpointed after it.
   */
  async checkpoint(): Promise<void> {
    if (this.#appends.refusal !== null) return
    this.#pipeline.segments.saveIndexes()
    await this.saveProducers()
  }

  /**
   * Cuts the log so that it ends at `offset`, or at the base offset of the batch that holds it.
   * `lower` makes the checkpoints say so, durably, before a byte is cut.
   */
  truncateTo(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    return this.#lifecycle.truncateTo(offset, lower)
  }

  /**
   * Reads a failed partition from the disk again and takes it back into service under a new leader
   * epoch. Does nothing when the partition has not failed.
   */
  recover(): Promise<void> {
    return this.#lifecycle.recover()
  }

  /** Flushes everything accepted and ends. Rejects with the first failure. Idempotent. */
  close(): Promise<void> {
    return this.#lifecycle.close()
  }

  /** The topic goes: what is pending is rejected with `error` and nothing more is written. */
  abandon(error: Error): Promise<void> {
    return this.#lifecycle.abandon(error)
  }

  // ---- what the writing side tells

  scheduleTurn(): void {
    this.#appends.scheduleTurn()
  }

  completeBatches(): void {
    this.#appends.completeBatches()
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
    this.#appends.fellBack(error, lostCount)
    this.#listener.diskFull(error)
  }

  failed(failure: StorageError, submittedOffset: number): void {
    this.#appends.failed(failure, submittedOffset)
    this.#listener.stateChanged('failed', failure)
  }

  // ---- ending and beginning again

  async saveProducers(): Promise<void> {
    if (this.#producers.isEmpty) return
    await this.#snapshots.save(() => ({
      offset: this.recoveryPoint,
      bytes: this.#producers.snapshot(),
    }))
  }

  // ---- giving up the head

  /** Timestamps further ahead than `timestampAfterMaxMs` that were appended since the last call. */
  takeImplausible(): ImplausibleFound | null {
    return this.#pipeline.segments.implausible.take()
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#lifecycle.exclusively(work)
  }

  newestTimestamp(baseOffset: number): Promise<number> {
    return this.#reader.newestTimestamp(baseOffset, this.#pipeline.offsets)
  }

  showLogStart(offset: number): void {
    this.#pipeline.offsets.startAt(offset)
    this.#listener.logStartMoved()
  }

  async gaveUp(wasDamaged: boolean): Promise<void> {
    if (wasDamaged && this.state === 'ok') this.#listener.stateChanged('ok', undefined)
    try {
      await this.#pipeline.trimEpochs(this.logStartOffset)
      await this.#snapshots.removeBelow(this.logStartOffset)
    } catch (error) {
      this.#listener.backgroundFailed('trimming what lies below the log start', error as Error)
    }
  }

  whenProducersSaved(): Promise<void> {
    return this.#snapshots.whenSaved()
  }

  stopCompaction(): Promise<void> {
    return this.#compaction.stop()
  }

  takeOver(recovered: RecoveredPartition, epoch: WritingEpoch): void {
    this.#pipeline = this.#makePipeline(recovered, epoch)
    this.#producers = recovered.producers
    this.#appends.resume({ pipeline: this.#pipeline, producers: this.#producers })
    this.#listener.stateChanged(this.state, undefined)
    this.#listener.flushed(0)
    this.#waiters.reached(this.highWatermark)
  }

  #makePipeline(recovered: RecoveredPartition, epoch: WritingEpoch): WritePipeline {
    const { sealed, active, damage, remembered, epochs, lastAppendMs } = recovered
    const segments = new SegmentSet(this.#environment, this.dir, {
      sealed,
      active,
      damage: [...remembered, ...damage],
      hasNewDamage: damage.length > 0,
      logStartOffset: recovered.logStartOffset,
      isListed: recovered.isListed,
      listener: this.#listener,
    })
    segments.implausible.afterMaxMs = this.#timestampAfterMaxMs
    const offsets = new PartitionOffsets(recovered.logStartOffset, recovered.logEndOffset)
    return new WritePipeline(
      this.#environment,
      { dir: this.dir, identity: this.identity, acks: this.#acks, host: this },
      { offsets, segments, epochs, lastAppendMs, ...epoch },
    )
  }
}
