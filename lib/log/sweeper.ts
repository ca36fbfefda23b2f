/**
 * Sweeping a log: retention of every topic, segments that are old enough to be rolled, and the limit of
 * the log as a whole. On a timer, by `log.sweep()`, and for the limit also after so many bytes have
 * been flushed. Nothing here keeps the process alive.
 */
import type { Clock, EngineTime, Timer } from '../clock.ts'
import type { LogEvent } from '../events.ts'
import type { ResolvedOpenOptions } from '../options.ts'
import type { PartitionIdentity } from '../storage/environment.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { DeletedSegment, RaiseLogStart } from '../storage/partition-retention.ts'
import type { SweepReport } from '../types.ts'
import { forEachBounded } from './bounded.ts'
import type { ConsumedOffsets } from './consumed-offsets.ts'
import type { OpenTopic } from './open-topic.ts'
import { TotalSize, totalSegmentBytes } from './total-size.ts'

/** Partitions swept at the same time; each may replace a few small files. */
const maxParallelSweeps = 4

/** Flushed bytes after which the size of the log is looked at; a smaller limit is looked at more often. */
const largestStepBytes = 8 * 1024 * 1024
const smallestStepBytes = 64 * 1024

/** What a sweeper works with. */
export interface SweeperOptions {
  readonly clock: Clock
  readonly time: EngineTime
  readonly options: Pick<ResolvedOpenOptions, 'sweepIntervalMs' | 'maxTotalBytes'>
  readonly consumed: ConsumedOffsets
  /** Makes a partition's new log start durable. */
  readonly raise: (identity: PartitionIdentity, offset: number) => Promise<void>
  /** Compacts in the background what is due in these topics. */
  readonly compact: (topics: Iterable<OpenTopic>) => void
  readonly emit: (event: LogEvent) => void
  readonly setOverLimit: (isOverLimit: boolean) => void
}

/** Sweeps one log. Calls may overlap; one sweep runs at a time. */
export class Sweeper {
  readonly #options: SweeperOptions
  readonly #totalSize: TotalSize
  #topics: ReadonlyMap<string, OpenTopic> = new Map()
  readonly #stepBytes: number
  #bytesLeft: number
  #timer: Timer | null = null
  #isClosed = false
  /** Ends with the last sweep that was asked for. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()
  /** A sweep that was asked for and has not begun: later callers share it. */
  #waiting: Promise<SweepReport> | null = null
  #isEnforcing = false
  #report = emptyTally()

  constructor(options: SweeperOptions) {
    const { consumed, setOverLimit } = options
    const { maxTotalBytes } = options.options
    this.#options = options
    this.#stepBytes = Math.max(
      smallestStepBytes,
      Math.min(largestStepBytes, Math.floor(maxTotalBytes / 32)),
    )
    this.#bytesLeft = maxTotalBytes === -1 ? Number.POSITIVE_INFINITY : this.#stepBytes
    this.#totalSize = new TotalSize({
      maxTotalBytes,
      topics: () => this.#topics.values(),
      consumed,
      setOverLimit,
      raise: partition => this.#raise(partition),
      deleted: (partition, segments) => this.#deleted(partition, segments),
      failed: (partition, error) => this.#failed(partition, error),
    })
  }

  /** The topics that are swept; before that there are none. */
  sweeps(topics: ReadonlyMap<string, OpenTopic>): void {
    this.#topics = topics
  }

  /** Sweeps from now on at every interval. A log that was opened above its limit does not wait for that. */
  start(): void {
    this.#schedule()
    if (this.#options.options.maxTotalBytes !== -1) this.#enforceSoon()
  }

  /** Resolves when a sweep that began after this call is over. */
  sweep(): Promise<SweepReport> {
    this.#waiting ??= this.#inTurn(() => {
      this.#waiting = null
      return this.#sweep()
    })
    return this.#waiting
  }

  /** Counts what was flushed: enough of it, and the log may exceed its limit. */
  flushed(sizeBytes: number): void {
    this.#bytesLeft -= sizeBytes
    if (this.#bytesLeft > 0) return
    this.#bytesLeft = this.#stepBytes
    this.#enforceSoon()
  }

  /** Looks whether the log still exceeds its limit beyond help, and says so before it returns. */
  recheckLimit(): void {
    const { isHopeless } = this.#totalSize
    this.#options.setOverLimit(isHopeless)
    if (!isHopeless) this.#enforceSoon()
  }

  #deleted(partition: PartitionLog, segments: readonly DeletedSegment[]): void {
    this.#report.deletedSegments += segments.length
    for (const { sizeBytes } of segments) this.#report.deletedBytes += sizeBytes
    this.#tell(partition, segments)
  }

  #tell({ identity }: PartitionLog, segments: readonly DeletedSegment[]): void {
    for (const { damage, ...segment } of segments) {
      const gaps = damage.map(({ from, to }) => ({ from, to }))
      this.#options.emit({ type: 'segmentDeleted', ...identity, ...segment, gaps })
    }
  }

  /** See `Partition.deleteRecords`. */
  async deleteRecords(partition: PartitionLog, offset: number): Promise<void> {
    const raise = this.#raise(partition)
    this.#tell(partition, await partition.retention.deleteRecords(offset, raise))
  }

  /** Ends the timer; resolves when no sweep is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
    await this.#tail
  }

  #schedule(): void {
    const { clock } = this.#options
    const { sweepIntervalMs } = this.#options.options
    if (sweepIntervalMs === -1 || this.#isClosed) return
    this.#timer = clock.setTimer(sweepIntervalMs, () => {
      this.#schedule()
      // Its failures are events; the next one tries again.
      void this.sweep()
    })
  }

  #enforceSoon(): void {
    if (this.#isEnforcing || this.#isClosed) return
    this.#isEnforcing = true
    void this.#inTurn(() => {
      this.#isEnforcing = false
      return this.#totalSize.enforce(() => this.#isClosed)
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => undefined)
    return done
  }

  async #sweep(): Promise<SweepReport> {
    const { clock, compact } = this.#options
    const startMs = clock.monotonicMs()
    this.#report = emptyTally()
    const work: { topic: OpenTopic; partition: PartitionLog }[] = []
    const topics = [...this.#topics.values()]
    for (const topic of topics) {
      for (const partition of topic.partitions) work.push({ topic, partition })
    }
    await forEachBounded(work, maxParallelSweeps, async ({ topic, partition }) => {
      if (this.#isClosed || !topic.isUsable) return
      try {
        await this.#sweepPartition(topic, partition)
      } catch (error) {
        // One that is being closed or deleted has not failed.
        if (!this.#isClosed && topic.isUsable) this.#failed(partition, error as Error)
      }
    })
    await this.#totalSize.enforce(() => this.#isClosed)
    if (!this.#isClosed) compact(topics.filter(topic => topic.isUsable && !topic.isAdopted))
    const durationMs = clock.monotonicMs() - startMs
    return { durationMs, ...this.#report, sizeBytes: totalSegmentBytes(this.#topics.values()) }
  }

  async #sweepPartition(topic: OpenTopic, partition: PartitionLog): Promise<void> {
    const { time, emit } = this.#options
    const found = partition.takeImplausible()
    if (found !== null) emit({ type: 'implausibleTimestamp', ...partition.identity, ...found })
    const request = await topic.retentionRequest(partition)
    this.#deleted(partition, await partition.retention.sweep(request, this.#raise(partition)))
    partition.sweep(time.nowMs())
  }

  #raise({ identity }: PartitionLog): RaiseLogStart {
    return offset => this.#options.raise(identity, offset)
  }

  #failed({ identity }: PartitionLog, error: Error): void {
    const { topic, partition } = identity
    this.#report.failures.push({ topic, partition, error })
    const what = `sweeping partition ${partition} of topic ${topic}`
    this.#options.emit({ type: 'backgroundFailed', what, error })
  }
}

interface Tally {
  deletedSegments: number
  deletedBytes: number
  failures: { topic: string; partition: number; error: Error }[]
}

function emptyTally(): Tally {
  return { deletedSegments: 0, deletedBytes: 0, failures: [] }
}
