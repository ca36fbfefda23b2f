/**
 * One partition of the log, as its single writer has it. An append is encoded and given its offsets
 * at once (accepted), written together with its neighbours (written), and covered by an fdatasync
 * that started after that write ended (flushed); only then it is visible. The order is always
 * validate, write, flush, publish: memory never runs ahead of the disk but for what is accepted.
 */
import type { DiskFullError, StorageError } from '../errors.ts'
import type { AppendResult, PartitionState, RecordInput } from '../types.ts'
import type { AppendRequest } from './append-request.ts'
import type { CompactionRange } from './compaction-plan.ts'
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
import type {
  CompactionLimits,
  CompactionRequest,
  CompactionResult,
} from './partition-compaction.ts'
import { type CompactorHost, PartitionCompactor } from './partition-compactor.ts'
import { type LifecycleHost, PartitionLifecycle } from './partition-lifecycle.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import { type PartitionParts, partsOf, type WritingEpoch } from './partition-parts.ts'
import { PartitionRetention, type RetentionHost } from './partition-retention.ts'
import { PartitionWriter } from './partition-writer.ts'
import { producersBelow } from './producer-rebuild.ts'
import { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
import type { ChunkRequest, LogChunk, ReadablePartition } from './readable.ts'
import type { RecoveredPartition } from './recover-partition.ts'
import type { RepairableFiles } from './repair-partition.ts'
import { SegmentReader } from './segment-reader.ts'
import type { SegmentSet } from './segment-set.ts'
import type { VerifiablePartition, VerifiableSegment } from './verify-partition.ts'

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
 * and one flush are under way at a time. A log may have ten thousand partitions of which few are used:
 * what only a written, read or ending partition needs is made when it is first needed.
 */
export class PartitionLog
  implements ReadablePartition, VerifiablePartition, LifecycleHost, RetentionHost, CompactorHost
{
  readonly identity: PartitionIdentity
  readonly dir: string
  readonly #environment: StorageEnvironment
  readonly #listener: PartitionListener
  /** Engine time at which it was opened. */
  readonly openedMs: number
  /** Log end offset of a partition that was closed cleanly before, else -1. */
  readonly #cleanEnd: number
  #config: PartitionConfig
  #parts: PartitionParts
  #writer: PartitionWriter | null = null
  #reader: SegmentReader | null = null
  #waiters: HighWatermarkWaiters | null = null
  #lifecycle: PartitionLifecycle | null = null
  #retention: PartitionRetention | null = null
  #compactor: PartitionCompactor | null = null
  #snapshots: ProducerSnapshots | null = null

  constructor(options: PartitionLogOptions) {
    const { environment, recovered } = options
    this.identity = options.identity
    this.dir = options.dir
    this.#environment = environment
    this.openedMs = environment.time.nowMs()
    this.#listener = options.listener
    this.#config = options.config
    const isClean = recovered.report === null && recovered.active !== null
    this.#cleanEnd = isClean ? recovered.logEndOffset : -1
    this.#parts = this.#partsOf(recovered, {
      leaderEpoch: recovered.leaderEpoch,
      isEpochSaved: recovered.epochIsSaved,
    })
    this.#expireProducers(this.openedMs)
  }

  get state(): PartitionState {
    if (this.failure !== null) return 'failed'
    return this.damage.length > 0 ? 'damaged' : 'ok'
  }

  /** Set by a write or sync that failed for good; null before, and after a recovery. */
  get failure(): StorageError | null {
    return this.#writer?.pipeline.failure ?? null
  }

  get leaderEpoch(): number {
    return this.#parts.leaderEpoch
  }

  get damage(): readonly Damage[] {
    return this.segments.record.damage
  }

  get offsets(): PartitionOffsets {
    return this.#parts.offsets
  }

  get segments(): SegmentSet {
    return this.#parts.segments
  }

  get producers(): ProducerState {
    return this.#parts.producers
  }

  get logStartOffset(): number {
    return this.offsets.logStartOffset
  }

  get highWatermark(): number {
    return this.offsets.highWatermark
  }

  get recoveryPoint(): number {
    return this.offsets.recoveryPoint
  }

  get writtenOffset(): number {
    return this.offsets.writtenOffset
  }

  get logEndOffset(): number {
    return this.offsets.logEndOffset
  }

  get segmentCount(): number {
    return this.segments.list.count
  }

  get sizeBytes(): number {
    return this.segments.list.sizeBytes
  }

  get hasUnflushed(): boolean {
    return this.recoveryPoint < this.writtenOffset
  }

  /** Nothing is accepted that is not written, and neither a write nor a flush is under way. */
  get isIdle(): boolean {
    return this.#writer?.pipeline.isIdle ?? true
  }

  /** The largest id of a producer that has appended here; -1 when there is none. */
  get largestProducerId(): number {
    return this.producers.largestProducerId
  }

  get config(): PartitionConfig {
    return this.#config
  }

  /** The writing side, which begins with the first that needs it. */
  get writer(): PartitionWriter {
    this.#writer ??= new PartitionWriter(this.#environment, {
      dir: this.dir,
      identity: this.identity,
      config: this.#config,
      listener: this.#listener,
      parts: this.#parts,
      onVisible: () => this.#waiters?.reached(this.highWatermark),
    })
    return this.#writer
  }

  get reader(): SegmentReader {
    this.#reader ??= new SegmentReader(this.#environment, {
      dir: this.dir,
      identity: this.identity,
      source: {
        segments: () => this.#parts.segments.list.readable(),
        refresh: seen => this.#parts.segments.list.readable() !== seen,
        damage: () => this.damage,
        noteDamage: damage => this.noteDamage(damage),
      },
    })
    return this.#reader
  }

  /** Giving up the head of the log. */
  get retention(): PartitionRetention {
    this.#retention ??= new PartitionRetention(this)
    return this.#retention
  }

  /** Nothing but ending is done any more. */
  get isEnding(): boolean {
    return this.#lifecycle?.isEnding === true
  }

  get #compaction(): PartitionCompactor {
    this.#compactor ??= new PartitionCompactor(this.#environment, this)
    return this.#compactor
  }

  get #ending(): PartitionLifecycle {
    this.#lifecycle ??= new PartitionLifecycle(this.#environment, this, {
      listener: this.#listener,
      cleanEnd: this.#cleanEnd,
    })
    return this.#lifecycle
  }

  get #producerSnapshots(): ProducerSnapshots {
    this.#snapshots ??= new ProducerSnapshots(this.#environment.files, this.dir)
    return this.#snapshots
  }

  /** Why nothing is appended; null while appends are taken, or waited for. */
  get refusal(): Error | null {
    return this.#writer?.appends.refusal ?? null
  }

  /** New settings hold from the next append and the next roll on. */
  configure(config: PartitionConfig): void {
    this.#config = config
    this.#writer?.configure(config)
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
    return this.writer.appends.append(records, request)
  }

  readChunk(request: ChunkRequest): Promise<LogChunk> {
    return this.reader.readChunk(request, this.offsets)
  }

  onceAbove(offset: number, wake: () => void): () => void {
    if (this.highWatermark <= offset && this.#lifecycle?.isOver !== true) {
      this.#waiters ??= new HighWatermarkWaiters(this.#environment.clock)
      return this.#waiters.once(offset, wake)
    }
    wake()
    return () => {}
  }

  offsetForTimestamp(timestamp: number): Promise<number | null> {
    return this.reader.offsetForTimestamp(timestamp, this.offsets)
  }

  async offsetOfLast(count: number): Promise<number> {
    return Math.max(this.logStartOffset, this.highWatermark - count)
  }

  /** Flushes everything appended before the call. Rejects with the first failure since the last flush. */
  async flush(): Promise<void> {
    if (this.#writer === null) return
    const { first } = await this.#writer.appends.flush()
    if (first !== null) throw first
  }

  /** Starts a flush under any policy, without waiting for it. */
  flushSoon(): void {
    this.#writer?.pipeline.flusher.flushSoon()
  }

  /** Damage was found; the first time it is, the owner hears of it. */
  noteDamage(damage: Damage): void {
    // Met by a read that began before the log was cut below.
    const loweredTo = this.#lifecycle?.loweredTo ?? Number.POSITIVE_INFINITY
    if (damage.from >= Math.min(this.highWatermark, loweredTo)) return
    if (isKnownDamage(this.damage, damage)) return
    const wasOk = this.state === 'ok'
    this.segments.noteDamage(damage)
    this.#listener.corruption(damage)
    if (wasOk) this.#listener.stateChanged('damaged', undefined)
  }

  /** What a repair may change. */
  get repairable(): RepairableFiles {
    return {
      segments: this.segments,
      rewriteEpochs: (runs, endOffset) => this.writer.pipeline.rewriteEpochs(runs, endOffset),
      replaceSnapshots: async paths => {
        await this.#producerSnapshots.remove(paths)
        await this.saveProducers()
      },
    }
  }

  verifiableSegments(): readonly VerifiableSegment[] {
    return this.segments.list.readable().map(({ baseOffset, endPosition, indexes }) => ({
      baseOffset,
      endPosition,
      hasIndexFiles: indexes === null,
    }))
  }

  /** There is too little room on the disk: appends that are not accepted yet are refused. */
  refuseWaiting(error: DiskFullError): void {
    this.#writer?.appends.refuseWaiting(error)
  }

  /**
   * Rolls an active segment that is older than `segmentMs`: at once, or with the next write when it is not
   * idle. Forgets producers that were not heard of for long, which the next snapshot then does not have:
   * a crash before it brings them back, and harms nothing.
   */
  sweep(nowMs: number): void {
    // While it is out of service nobody can be heard of.
    if (this.refusal === null) this.#expireProducers(nowMs)
    const { active } = this.segments
    const { segmentMs } = this.config
    if (active === null || active.sizeBytes === 0 || segmentMs < 0) return
    if (this.refusal !== null) return
    const sinceMs = active.firstAppendMs ?? active.createdMs
    if (nowMs - sinceMs < segmentMs) return
    this.writer.pipeline.rollIdle()
    if (this.segments.active === active) this.segments.output.sealWithNextWrite()
  }

  /**
   * Seals the active segment unless it is empty, so that all that is flushed can be compacted; at the
   * latest with the next write when appends go on all the time.
   */
  async roll(): Promise<void> {
    const { segments } = this
    await this.flush()
    const { active } = segments
    if (active === null || active.sizeBytes === 0) return
    const { pipeline } = this.writer
    pipeline.rollIdle()
    if (segments.active === active) segments.output.sealWithNextWrite()
    for (let turn = 0; turn < maxRollTurns && !segments.list.hasFinished(active); turn++) {
      if (this.isEnding || this.failure !== null) return
      await this.flush()
      await pipeline.whenQuiet()
      await segments.whenFinished()
    }
  }

  /** What a compaction would work at. */
  compactablePart(limits: CompactionLimits): CompactionRange {
    return this.#compaction.part(limits)
  }

  /**
   * Compacts what may be compacted at the call; appends and reads go on. One at a time.
   *
   * Rejects with the signal's reason, with ClosedError when the partition ends or is cut meanwhile,
   * and with StorageError when the file system fails; what was not replaced by then is as it was.
   */
  compact(request: CompactionRequest, signal: AbortSignal): Promise<CompactionResult> {
    return this.#compaction.compact(request, signal)
  }

  /**
   * Writes what makes a later recovery short: index entries, and a producer snapshot when there are
   * producers. What was the recovery point before the call may be checkpointed after it.
   */
  async checkpoint(): Promise<void> {
    if (this.refusal !== null) return
    this.segments.saveIndexes()
    await this.saveProducers()
  }

  /**
   * Cuts the log so that it ends at `offset`, or at the base offset of the batch that holds it.
   * `lower` makes the checkpoints say so, durably, before a byte is cut: `Checkpointer.lower`,
   * `VisibleSlots.lower` and `CleanerCheckpoint.lower`, all three. What the batches that stay say of
   * the producers is put into a snapshot before that, so that a crash at any point leaves a log that
   * knows those which it has; where no snapshot lies below, that reads the whole log. For the port of
   * the log that a cluster works through: a follower cuts what its leader does not have.
   */
  truncateTo(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    return this.#ending.truncateTo(offset, lower)
  }

  /**
   * Reads a failed partition from the disk again and takes it back into service under a new leader
   * epoch. Does nothing when the partition has not failed.
   */
  recover(): Promise<void> {
    return this.#ending.recover()
  }

  /** Flushes everything accepted and ends. Rejects with the first failure. Idempotent. */
  close(): Promise<void> {
    return this.#ending.close()
  }

  /** The topic goes: what is pending is rejected with `error` and nothing more is written. */
  abandon(error: Error): Promise<void> {
    return this.#ending.abandon(error)
  }

  // ---- ending and beginning again

  async saveProducers(): Promise<void> {
    if (this.producers.isUntouched) return
    await this.#producerSnapshots.save(() => ({
      offset: this.recoveryPoint,
      bytes: this.producers.snapshot(),
    }))
  }

  async saveProducersBelow(offset: number): Promise<void> {
    if (this.producers.isUntouched) return
    const { dir, logStartOffset } = this
    const readChunk = (request: ChunkRequest): Promise<LogChunk> => this.readChunk(request)
    const source = { files: this.#environment.files, dir, logStartOffset, readChunk }
    const producers = await producersBelow(offset, source)
    await this.#producerSnapshots.save(() => ({ offset, bytes: producers.snapshot() }))
  }

  #expireProducers(nowMs: number): void {
    const { producerIdExpirationMs } = this.#environment
    if (producerIdExpirationMs >= 0) this.producers.expire(nowMs, producerIdExpirationMs)
  }

  // ---- giving up the head

  /** Timestamps further ahead than `timestampAfterMaxMs` that were appended since the last call. */
  takeImplausible(): ImplausibleFound | null {
    return this.segments.takeImplausible()
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#ending.exclusively(work)
  }

  newestTimestamp(baseOffset: number): Promise<number> {
    return this.reader.newestTimestamp(baseOffset, this.offsets)
  }

  showLogStart(offset: number): void {
    this.offsets.startAt(offset)
    this.#listener.logStartMoved()
  }

  async gaveUp(wasDamaged: boolean): Promise<void> {
    if (wasDamaged && this.state === 'ok') this.#listener.stateChanged('ok', undefined)
    try {
      await this.writer.pipeline.trimEpochs(this.logStartOffset)
      await this.#producerSnapshots.removeBelow(this.logStartOffset)
    } catch (error) {
      this.#listener.backgroundFailed('trimming what lies below the log start', error as Error)
    }
  }

  async whenProducersSaved(): Promise<void> {
    await this.#snapshots?.whenSaved()
  }

  async stopCompaction(): Promise<void> {
    await this.#compactor?.stop()
  }

  wakeWaiters(): void {
    this.#waiters?.wakeAll()
  }

  takeOver(recovered: RecoveredPartition, epoch: WritingEpoch): void {
    this.#parts = this.#partsOf(recovered, epoch)
    this.producers.refresh(this.#environment.time.nowMs())
    this.writer.takeOver(this.#parts)
    this.#listener.stateChanged(this.state, undefined)
    this.#listener.flushed(0)
    this.#waiters?.reached(this.highWatermark)
  }

  #partsOf(recovered: RecoveredPartition, epoch: WritingEpoch): PartitionParts {
    const of = { environment: this.#environment, dir: this.dir, listener: this.#listener, epoch }
    return partsOf(recovered, of)
  }
}
