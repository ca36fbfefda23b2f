/**
 * How one partition ends and begins again: closing, abandoning, truncating, and taking a failed one
 * back into service. Each of them stops the writing side as a whole; what begins again is read from
 * the disk by recovery, never carried over in memory.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import { ClosedError, StorageError } from '../errors.ts'
import type { AppendAcceptor } from './append-acceptor.ts'
import type { PartitionIdentity, PartitionListener, StorageEnvironment } from './environment.ts'
import type { WritingEpoch } from './partition-parts.ts'
import type { PartitionWriter } from './partition-writer.ts'
import { type RecoveredPartition, recoverPartition } from './recover-partition.ts'
import type { SegmentReader } from './segment-reader.ts'
import type { SegmentSet } from './segment-set.ts'
import type { WritePipeline } from './write-pipeline.ts'

/** What ending and beginning again needs of the partition. */
export interface LifecycleHost {
  readonly identity: PartitionIdentity
  readonly dir: string
  readonly logStartOffset: number
  readonly recoveryPoint: number
  readonly logEndOffset: number
  readonly segments: SegmentSet
  /** Its pipeline is another one behind `takeOver`. */
  readonly writer: PartitionWriter
  readonly reader: SegmentReader
  /** Writes a producer snapshot when there are producers. */
  saveProducers(): Promise<void>
  /** Writes the producer snapshot of a log that will end at `offset` when there are producers. */
  saveProducersBelow(offset: number): Promise<void>
  /** Resolves when no producer snapshot is being written. */
  whenProducersSaved(): Promise<void>
  /** Ends a compaction that is under way; resolves when it touches nothing any more. */
  stopCompaction(): Promise<void>
  /** Readers at the end of the log look again: nothing more will come. */
  wakeWaiters(): void
  /** What was recovered takes the place of what was stopped, and appends are accepted again. */
  takeOver(recovered: RecoveredPartition, epoch: WritingEpoch): void
}

/** Calls may overlap: truncations and recoveries come one after the other, closing after them. */
export class PartitionLifecycle {
  readonly #environment: StorageEnvironment
  readonly #host: LifecycleHost
  readonly #listener: PartitionListener
  /** Log end offset of a partition that was closed cleanly before, else -1. */
  readonly #cleanEnd: number
  #closing: Promise<void> | null = null
  #isOver = false
  #isAbandoned = false
  /** Ends with the last change that was asked for; never rejects. */
  #changing: Promise<void> = Promise.resolve()
  #loweredTo = Number.POSITIVE_INFINITY

  constructor(
    environment: StorageEnvironment,
    host: LifecycleHost,
    of: {
      readonly listener: PartitionListener
      readonly cleanEnd: number
    },
  ) {
    this.#environment = environment
    this.#host = host
    this.#listener = of.listener
    this.#cleanEnd = of.cleanEnd
  }

  get #appends(): AppendAcceptor {
    return this.#host.writer.appends
  }

  get #pipeline(): WritePipeline {
    return this.#host.writer.pipeline
  }

  /** Nothing but ending is done any more. */
  get isEnding(): boolean {
    return this.#closing !== null || this.#isOver
  }

  /** Closed or abandoned: nothing more becomes visible. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** How far down the checkpoints were brought for a truncation that did not come to its end. */
  get loweredTo(): number {
    return this.#loweredTo
  }

  /** See `PartitionLog.close`. */
  close(): Promise<void> {
    this.#appends.startClosing()
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** See `PartitionLog.abandon`. */
  async abandon(error: Error): Promise<void> {
    this.#isOver = true
    this.#isAbandoned = true
    await this.#stop(error)
    this.#host.wakeWaiters()
    // A change or a close under way notices, and writes nothing more after this.
    await this.#changing
    await this.#closing?.catch(() => {})
    // The directory is renamed next, which some file systems refuse while a read has a file of it open.
    const retired = this.#environment.handles.retireAll(join(this.#host.dir, '/'))
    await this.#abandonSegments()
    await retired
  }

  /** See `PartitionLog.truncateTo`. */
  truncateTo(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    return this.#change(() => this.#truncate(offset, lower))
  }

  /** See `PartitionLog.recover`. */
  recover(): Promise<void> {
    return this.#change(async () => {
      const pipeline = this.#pipeline
      if (pipeline.failure === null) return
      await this.#host.stopCompaction()
      await pipeline.stop()
      // Recovery takes the producers below the recovery point from a snapshot, and in this session that
      // point may be ahead of the last one. A truncation that failed has written its own.
      if (this.#loweredTo === Number.POSITIVE_INFINITY)
        await this.#environment.room.insist(() => this.#host.saveProducers())
      await this.#reopen({ raisesEpoch: true })
    })
  }

  /** Runs `work` when no truncation or recovery is under way; rejects once the partition is closing. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#change(work)
  }

  async #close(): Promise<void> {
    await this.#host.stopCompaction()
    await this.#changing
    const { first, lost } = await this.#appends.flush()
    // What was never accepted, for want of room, is not lost by closing.
    let failure = lost ?? (first instanceof StorageError ? first : null)
    const pipeline = this.#pipeline
    const isSound = pipeline.failure === null && !this.#isAbandoned
    this.#isOver = true
    if (this.#appends.refusal === null) this.#appends.refuse(new ClosedError())
    await pipeline.stop()
    this.#host.wakeWaiters()
    // A partition that was clean and stayed as it was has everything on disk already.
    const isFinished =
      this.#cleanEnd === this.#host.logEndOffset && pipeline.segments.record.isListed
    if (isSound && !isFinished) {
      try {
        await this.#environment.room.insist(async () => {
          await pipeline.finishEpoch()
          await pipeline.segments.finishActive()
          await this.#host.saveProducers()
        })
      } catch (error) {
        failure ??= new StorageError(this.#host.dir, 'close', error)
      }
    }
    await this.#abandonSegments()
    if (failure !== null) throw failure
  }

  /** A read that is under way may have put damage on record just now; what follows must not overlap with that. */
  async #abandonSegments(): Promise<void> {
    const { segments } = this.#host
    segments.abandon()
    await segments.whenFinished()
  }

  /** Refuses appends, rejects what is pending and waits until no operation is under way. */
  async #stop(error: Error): Promise<void> {
    this.#appends.rejectAll(error)
    await this.#host.stopCompaction()
    await this.#pipeline.stop()
    await this.#host.whenProducersSaved()
  }

  /** Truncations, recoveries and what else changes the log as a whole, one after the other; none once the partition is closed. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(() => {
      if (this.#closing !== null || this.#isOver) throw this.#appends.refusal ?? new ClosedError()
      return work()
    })
    this.#changing = done.then(
      () => {},
      () => {},
    )
    return done
  }

  async #truncate(offset: number, lower: (offset: number) => Promise<void>): Promise<void> {
    const { identity, logStartOffset, logEndOffset } = this.#host
    const pipeline = this.#pipeline
    assert(offset >= logStartOffset && offset <= logEndOffset)
    // Above its recovery point a failed partition does not know what it holds.
    if (pipeline.failure !== null) throw pipeline.failure
    const { first } = await this.#appends.flush()
    if (first !== null) throw first
    await this.#stop(new ClosedError(`partition ${identity.topic}-${identity.partition}`))
    try {
      const unsettled = await pipeline.segments.settle()
      if (unsettled !== null) throw unsettled
      const cut = await this.#host.reader.boundaryAt(offset)
      // Before a byte goes: what is known of the producers lies in the batches, and in snapshots above.
      await this.#environment.room.insist(() => this.#host.saveProducersBelow(cut.offset))
      this.#loweredTo = cut.offset
      await lower(cut.offset)
      await pipeline.segments.cutTo(cut)
      await this.#reopen({ raisesEpoch: false })
    } catch (error) {
      if (!this.#isAbandoned) this.#truncationFailed(error)
      throw error
    }
  }

  /** Neither whole nor cut for certain: `recover()` reads again what there is. */
  #truncationFailed(error: unknown): void {
    const failure = new StorageError(this.#host.dir, 'truncate', error, 'not-written')
    this.#pipeline.failStopped(failure)
    this.#appends.refuse(failure)
    this.#listener.stateChanged('failed', failure)
  }

  async #reopen(options: { readonly raisesEpoch: boolean }): Promise<void> {
    const { dir, identity, recoveryPoint, logStartOffset } = this.#host
    const pipeline = this.#pipeline
    await this.#abandonSegments()
    const recovered = await recoverPartition({
      environment: this.#environment,
      dir,
      identity,
      checkpointedRecoveryPoint: Math.min(recoveryPoint, this.#loweredTo),
      checkpointedLogStart: logStartOffset,
      wasClean: false,
      indexIntervalBytes: this.#appends.config.indexIntervalBytes,
    })
    if (this.#isAbandoned) throw this.#appends.refusal ?? new ClosedError()
    this.#loweredTo = Number.POSITIVE_INFINITY
    const leaderEpoch = options.raisesEpoch
      ? Math.max(recovered.leaderEpoch, pipeline.leaderEpoch + 1)
      : pipeline.leaderEpoch
    const isEpochSaved = recovered.epochs.latest === leaderEpoch
    this.#host.takeOver(recovered, { leaderEpoch, isEpochSaved })
  }
}
