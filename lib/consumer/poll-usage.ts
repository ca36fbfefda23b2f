/** Batches that are given out to somebody who says nothing when done with them, but for asking for more. */
import type { RecordBatch } from '../types.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import type { PartitionSource } from './partition-source.ts'
import type { Usage } from './usage.ts'

/** What one call asks for. */
export interface PollRequest {
  /** Batches at most. */
  readonly maxBatches: number
  /** Records at most, over all of them. */
  readonly maxRecords: number
  /** -1: until there is something. */
  readonly maxWaitMs: number
  /** Whether to give up; looked at after every wait. Throws, or says that there is nothing to come. */
  readonly isOver: () => boolean
  readonly monotonicMs: () => number
}

/** Polls, one at a time. What was given out counts as in use until the next one. */
export class PollUsage implements Usage {
  readonly #source: PartitionSource
  readonly #given = new Set<AssignedPartition>()
  readonly #whenDone = new Map<AssignedPartition, () => void>()

  constructor(source: PartitionSource) {
    this.#source = source
  }

  async end(partition: AssignedPartition): Promise<void> {
    if (!this.#given.has(partition)) return
    await new Promise<void>(resolve => {
      this.#whenDone.set(partition, resolve)
    })
  }

  abandon(partition: AssignedPartition): void {
    this.#given.delete(partition)
    this.#whenDone.delete(partition)
  }

  /** What was given out before is not in use any more. */
  done(): void {
    this.#given.clear()
    for (const done of this.#whenDone.values()) done()
    this.#whenDone.clear()
  }

  /** The next batches, of one partition; none when time is over before there are any. */
  async next(request: PollRequest): Promise<readonly RecordBatch<unknown, unknown>[]> {
    const { maxWaitMs, isOver, monotonicMs } = request
    const endMs = maxWaitMs === -1 ? Number.POSITIVE_INFINITY : monotonicMs() + maxWaitMs
    this.done()
    try {
      while (!isOver()) {
        const partition = this.#source.next()
        if (partition !== null) {
          const batches = await this.#read(partition, request)
          if (batches.length > 0) return batches
          continue
        }
        const leftMs = endMs - monotonicMs()
        if (leftMs <= 0) break
        await this.#source.wait(leftMs === Number.POSITIVE_INFINITY ? -1 : leftMs)
      }
      return []
    } finally {
      this.#source.rest()
    }
  }

  async #read(
    partition: AssignedPartition,
    { maxBatches, maxRecords, isOver }: PollRequest,
  ): Promise<readonly RecordBatch<unknown, unknown>[]> {
    const batches: RecordBatch<unknown, unknown>[] = []
    try {
      await partition.fetch()
      if (partition.isEnding || partition.isPaused || isOver()) return batches
      let left = maxRecords
      while (batches.length < maxBatches && left > 0) {
        const batch = partition.takeBatch(left)
        if (batch === null) break
        batches.push(batch)
        left -= batch.recordCount
      }
    } catch (error) {
      // Its topic is being deleted, or the log closed: the member hears of that by itself, and asking again
      // until it does would leave nobody else a turn.
      if (!partition.state.isUsable) return batches
      this.#source.enqueue(partition, partition.hasBuffered)
      if (!partition.isEnding) throw error
      return batches
    }
    this.#source.enqueue(partition, partition.hasBuffered)
    if (batches.length > 0) this.#given.add(partition)
    return batches
  }
}
