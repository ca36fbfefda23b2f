/**
 * When a partition is flushed, and what follows. A flush notes how far the log is written *before*
 * its fdatasync starts and moves the recovery point exactly there, never to what was written
 * meanwhile.
 */
import assert from 'node:assert/strict'

import type { Timer } from '../clock.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { flushChannel } from './diagnostics.ts'
import type { PartitionIdentity, StorageEnvironment } from './environment.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import type { PipelineHost } from './pipeline-host.ts'
import type { SegmentSet } from './segment-set.ts'

/** Un-flushed bytes of one partition that start a flush under any policy. */
const maxUnflushedPartitionBytes = 16 << 20

/** As long as a timer can be set. */
const neverMs = 2 ** 31 - 1

/** What the flushing side needs of the writing side. */
export interface FlushedWriter {
  /** Failed or stopped: nothing is written or flushed any more. */
  readonly isEnded: boolean
  readonly isStopped: boolean
  readonly isWriting: boolean
  readonly isIdle: boolean
  /** Writes complete batches. */
  write(): void
  /** Resolves acknowledgements that are due. */
  settle(): void
  /** The flush under way is over, one way or the other. */
  flushEnded(): void
  /** A flush failed, which is final. */
  flushFailed(error: Error): void
}

/** The flushing side of one partition: at most one flush is under way. Calls may overlap. */
export class PartitionFlusher {
  readonly #environment: StorageEnvironment
  readonly #identity: PartitionIdentity
  readonly #host: PipelineHost
  readonly #acks: Acknowledgements
  readonly #writer: FlushedWriter
  readonly #offsets: PartitionOffsets
  readonly #segments: SegmentSet
  #isFlushing = false
  #flushTimer: Timer | null = null
  /** Monotonic time from which the timer counts, how long it does, and whether it keeps the process alive. */
  #unflushedSinceMs = 0
  #timerMs = 0
  #isTimerAwaited = false
  /** `flushMs` is over, and what it counted from may not even be written yet. */
  #isOverdue = false
  #unflushedBytes = 0
  #flushCallers = 0
  readonly #untilFlushed: { readonly offset: number; readonly done: () => void }[] = []

  constructor(
    environment: StorageEnvironment,
    of: {
      readonly identity: PartitionIdentity
      readonly acks: Acknowledgements
      readonly host: PipelineHost
    },
    flushed: {
      readonly writer: FlushedWriter
      readonly offsets: PartitionOffsets
      readonly segments: SegmentSet
    },
  ) {
    this.#environment = environment
    this.#identity = of.identity
    this.#host = of.host
    this.#acks = of.acks
    this.#writer = flushed.writer
    this.#offsets = flushed.offsets
    this.#segments = flushed.segments
  }

  get isFlushing(): boolean {
    return this.#isFlushing
  }

  get #hasUnflushed(): boolean {
    return this.#offsets.recoveryPoint < this.#offsets.writtenOffset
  }

  /** Counts what a write has added. */
  wrote(sizeBytes: number): void {
    this.#unflushedBytes += sizeBytes
  }

  /** Nothing more will be flushed. */
  giveUp(): void {
    this.#clearTimer()
    this.#environment.budget.flushed(this.#unflushedBytes)
    this.#unflushedBytes = 0
  }

  /** Resolves when everything below `offset` is flushed, or when that will never be. Any policy gives way. */
  async flushUpTo(offset: number): Promise<void> {
    if (this.#offsets.recoveryPoint >= offset || this.#writer.isEnded) return
    this.#flushCallers++
    try {
      await new Promise<void>(done => {
        this.#untilFlushed.push({ offset, done })
        this.#host.completeBatches()
        this.#writer.write()
        this.flushIfDue()
      })
    } finally {
      this.#flushCallers--
    }
  }

  /** Starts a flush, whatever the policy: somebody needs the file handle, or the time is over. */
  flushSoon(): void {
    if (!this.#isFlushing && !this.#writer.isEnded) this.#startFlush()
  }

  /** Starts a flush when the policy asks for one, or sees to it that it will. */
  flushIfDue(): void {
    if (this.#isFlushing || this.#writer.isEnded) return
    const { flushRecords, flushBytes, flushMs } = this.#host.config
    const { logEndOffset, writtenOffset, recoveryPoint } = this.#offsets
    const isDue =
      this.#flushCallers > 0 ||
      this.#isOverdue ||
      this.#environment.handles.isWanted ||
      (flushRecords >= 0 && writtenOffset - recoveryPoint >= flushRecords) ||
      (flushBytes >= 0 && this.#unflushedBytes >= flushBytes) ||
      this.#unflushedBytes >= maxUnflushedPartitionBytes
    if (isDue && this.#hasUnflushed) {
      this.#startFlush()
    } else if (recoveryPoint < logEndOffset && (flushMs >= 0 || this.#acks.isFlushAwaited)) {
      // Under a policy that never flushes by itself the timer is there to keep the process alive.
      this.#setFlushTimer(flushMs >= 0 ? flushMs : neverMs)
    }
  }

  /** Those whose wait is over go on: what they wait for is flushed, or never will be. */
  resolveCallers(): void {
    const isOver = this.#writer.isEnded
    for (let index = this.#untilFlushed.length - 1; index >= 0; index--) {
      const caller = this.#untilFlushed[index]
      assert(caller !== undefined)
      // The log end may have fallen back below what a caller waits for.
      const target = Math.min(caller.offset, this.#offsets.logEndOffset)
      if (!isOver && this.#offsets.recoveryPoint < target) continue
      this.#untilFlushed.splice(index, 1)
      caller.done()
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
    this.#writer.write()
    const recoveryPoint = this.#offsets.writtenOffset
    const flushedBytes = this.#unflushedBytes
    const startMs = this.#environment.clock.monotonicMs()
    if (this.#writer.isEnded) {
      this.#endFlush()
      return
    }
    this.#segments.output.sync().then(
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
    if (this.#writer.isEnded) return
    const { recoveryPoint, flushedBytes } = flush
    const durationMs = this.#environment.clock.monotonicMs() - flush.startMs
    this.#offsets.flushed(recoveryPoint)
    this.#unflushedBytes -= flushedBytes
    this.#environment.counters.noteFlush(durationMs)
    this.#environment.budget.flushed(flushedBytes)
    if (flushChannel.hasSubscribers)
      flushChannel.publish({ ...this.#identity, recoveryPoint, durationMs })
    this.#host.flushed(recoveryPoint, flushedBytes)
    if (this.#environment.handles.isWanted && !this.#hasUnflushed && !this.#writer.isWriting)
      this.#segments.output.unpin()
    // The next flush starts before the callers of this one go on: the disk does not wait for them.
    this.#host.completeBatches()
    this.#writer.write()
    this.flushIfDue()
    if (!this.#hasUnflushed && this.#writer.isIdle) this.#segments.output.unpin()
    this.resolveCallers()
    this.#environment.turns.endEarly()
    this.#writer.settle()
  }

  #flushFailed(error: Error): void {
    this.#endFlush()
    if (this.#writer.isStopped) return
    this.#environment.counters.failedFlushes++
    this.#host.flushFailed(error)
    this.#writer.flushFailed(error)
  }

  #endFlush(): void {
    this.#isFlushing = false
    this.#environment.flushGate.leave()
    this.#writer.flushEnded()
  }

  #clearTimer(): void {
    this.#flushTimer?.cancel()
    this.#flushTimer = null
  }
}
