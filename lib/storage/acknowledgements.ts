/** The appends of one partition that wait to be acknowledged, by the level that they asked for. */
import type { Acks, AppendResult } from '../types.ts'
import { AckQueue, type Appended } from './ack-queue.ts'
import type { PartitionIdentity } from './environment.ts'
import type { OffsetsSnapshot } from './partition-offsets.ts'
import { type FailedCall, type PendingResult, pendingResult } from './pending-result.ts'

/**
 * One turn of the event loop settles this much. The callers' next appends are encoded in the same turn,
 * and the end of a write or a flush is heard behind it: with 1 MiB, counted anew for each reason to
 * settle, the disk waited, and a partition took a third less.
 */
const settleBytes = 256 << 10

/** Both queues. Within a level promises settle in offset order. */
export class Acknowledgements {
  readonly #identity: PartitionIdentity
  /** Null before the first of its kind: an idle partition has neither. */
  #written: AckQueue | null = null
  #durable: AckQueue | null = null
  /** The turn that was settled last, and what is left for it. */
  #turn = -1
  #leftBytes = settleBytes
  /** Part of every result. */
  leaderEpoch: number

  constructor(identity: PartitionIdentity, leaderEpoch: number) {
    this.#identity = identity
    this.leaderEpoch = leaderEpoch
  }

  /** Somebody waits for a flush. */
  get isFlushAwaited(): boolean {
    return this.#durable !== null && !this.#durable.isEmpty
  }

  /** A promise for the result of an accepted append; `queued` is reached already. */
  wait(level: Acks, appended: Appended): Promise<AppendResult> {
    const pending = pendingResult()
    this.push(level, appended, pending)
    return pending.promise
  }

  /** As `wait`, for a single record that lies in the batch which is open now. */
  join(level: Acks, appended: Appended): Promise<AppendResult> {
    return level === 'queued' ? this.wait(level, appended) : this.#queueOf(level).join(appended)
  }

  /** The batch that was open is complete: what joins now lies in the next one. */
  endBatch(): void {
    this.#written?.endBatch()
    this.#durable?.endBatch()
  }

  /** Queues an append whose promise exists already, or resolves it. */
  push(level: Acks, appended: Appended, pending: PendingResult): void {
    if (level === 'queued') {
      const { baseOffset, nextOffset, timestamp } = appended
      pending.resolve(this.#result(baseOffset, nextOffset, timestamp))
    } else {
      this.#queueOf(level).push(appended, pending)
    }
  }

  /**
   * Resolves what has been reached, one turn's worth whatever the number of calls in `turn`, so that the
   * callers' next appends and the disk overlap. False when there may be more for the next turn.
   */
  settle(offsets: OffsetsSnapshot, turn: number): boolean {
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#leftBytes = settleBytes
    }
    if (this.#written !== null)
      this.#leftBytes = this.#written.settle(offsets.writtenOffset, this.#leftBytes)
    if (this.#durable !== null)
      this.#leftBytes = this.#durable.settle(offsets.highWatermark, this.#leftBytes)
    return this.#leftBytes > 0
  }

  /** Takes out every append that reaches above `offset`. */
  takeAbove(offset: number): FailedCall[] {
    return [
      ...(this.#written?.takeAbove(offset) ?? []),
      ...(this.#durable?.takeAbove(offset) ?? []),
    ]
  }

  #queueOf(level: 'written' | 'durable'): AckQueue {
    if (level === 'written') {
      this.#written ??= new AckQueue(this.#result)
      return this.#written
    }
    this.#durable ??= new AckQueue(this.#result)
    return this.#durable
  }

  readonly #result = (baseOffset: number, nextOffset: number, timestamp: number): AppendResult => {
    const { topic, partition } = this.#identity
    return { topic, partition, baseOffset, nextOffset, timestamp, leaderEpoch: this.leaderEpoch }
  }
}
