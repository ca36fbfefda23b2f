/** The appends of one partition that wait to be acknowledged, by the level that they asked for. */
import type { AppendResult } from '../types.ts'
import { type Ack, AckQueue } from './ack-queue.ts'
import type { PartitionIdentity } from './environment.ts'
import type { OffsetsSnapshot } from './partition-offsets.ts'

/** What one call added; the size is about right and may be 0. */
export interface Appended {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly sizeBytes: number
}

/** One turn settles this much: settling more at once would keep the disk waiting for the next write. */
const settleBytes = 1 << 20

/** Both queues. Within a level promises settle in offset order. */
export class Acknowledgements {
  readonly #identity: PartitionIdentity
  /** Null before the first of its kind: an idle partition has neither. */
  #written: AckQueue | null = null
  #durable: AckQueue | null = null
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

  /** A promise for the result of an accepted append. */
  wait(level: 'written' | 'durable', appended: Appended): Promise<AppendResult> {
    let ack: Ack | undefined
    const promise = new Promise<AppendResult>((resolve, reject) => {
      ack = {
        baseOffset: appended.baseOffset,
        nextOffset: appended.nextOffset,
        timestamp: appended.timestamp,
        sizeBytes: appended.sizeBytes,
        promise: null,
        resolve,
        reject,
      }
    })
    const queued = ack as unknown as Ack
    queued.promise = promise
    this.push(level, queued)
    return promise
  }

  /** Queues an ack whose promise exists already. */
  push(level: 'written' | 'durable', ack: Ack): void {
    if (level === 'written') {
      this.#written ??= new AckQueue()
      this.#written.push(ack)
    } else {
      this.#durable ??= new AckQueue()
      this.#durable.push(ack)
    }
  }

  /** Resolves an append at once. */
  resolve(ack: Ack): void {
    ack.resolve(this.result(ack))
  }

  /** The result of an append. */
  result(at: {
    readonly baseOffset: number
    readonly nextOffset: number
    readonly timestamp: number
  }): AppendResult {
    const { topic, partition } = this.#identity
    const { baseOffset, nextOffset, timestamp } = at
    return { topic, partition, baseOffset, nextOffset, timestamp, leaderEpoch: this.leaderEpoch }
  }

  /**
   * Resolves what has been reached, one turn's worth, so that the callers' next appends and the disk
   * overlap. False when there is more to settle.
   */
  settle(offsets: OffsetsSnapshot): boolean {
    const left = this.#settleQueue(this.#written, offsets.writtenOffset, settleBytes)
    return left > 0 && this.#settleQueue(this.#durable, offsets.highWatermark, left) > 0
  }

  /** Takes out every append that reaches above `offset`. */
  takeAbove(offset: number): Ack[] {
    return [
      ...(this.#written?.takeAbove(offset) ?? []),
      ...(this.#durable?.takeAbove(offset) ?? []),
    ]
  }

  #settleQueue(queue: AckQueue | null, reachedOffset: number, budgetBytes: number): number {
    let leftBytes = budgetBytes
    if (queue === null) return leftBytes
    for (let ack = queue.take(reachedOffset); ack !== undefined; ack = queue.take(reachedOffset)) {
      ack.resolve(this.result(ack))
      leftBytes -= ack.sizeBytes
      if (leftBytes <= 0) return 0
    }
    return leftBytes
  }
}
