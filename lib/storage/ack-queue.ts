/** Appends that wait for their acknowledgement, in offset order. */
import type { AppendResult } from '../types.ts'
import { AckRun, type ResultOf } from './ack-run.ts'
import { type FailedCall, type PendingResult, pendingResult } from './pending-result.ts'

/** What one call added; the size is about right and may be 0. */
export interface Appended {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly sizeBytes: number
}

/** Places at the front that nobody needs any more, before the array is cut. */
const settledPlaces = 256

/** A call with a promise of its own. */
class LoneCall implements Appended {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly sizeBytes: number
  readonly promise: PendingResult['promise']
  readonly resolve: PendingResult['resolve']

  constructor(appended: Appended, pending: PendingResult) {
    this.baseOffset = appended.baseOffset
    this.nextOffset = appended.nextOffset
    this.timestamp = appended.timestamp
    this.sizeBytes = appended.sizeBytes
    this.promise = pending.promise
    this.resolve = pending.resolve
  }

  get recordCount(): number {
    return this.nextOffset - this.baseOffset
  }
}

/** A queue of one level of acknowledgement. Its promises settle in the order in which they were queued. */
export class AckQueue {
  readonly #resultOf: ResultOf
  /** Null where it is settled: what is told must not be kept until the array is cut. */
  #entries: (LoneCall | AckRun | null)[] = []
  #head = 0
  /** The last entry, while others may join it. */
  #open: AckRun | null = null
  /** Of the run settled last, until its callers have been told. */
  #telling: Promise<unknown> | null = null

  constructor(resultOf: ResultOf) {
    this.#resultOf = resultOf
  }

  get isEmpty(): boolean {
    return this.#head === this.#entries.length
  }

  /** Places of the array, those of settled entries among them. */
  get heldPlaces(): number {
    return this.#entries.length
  }

  /** Queues a call whose offsets lie behind those before, or repeat some of them. */
  push(appended: Appended, pending: PendingResult): void {
    this.#open = null
    this.#entries.push(new LoneCall(appended, pending))
  }

  /** Queues a call of one record that lies in the batch of those before, unless `endBatch` was called. */
  join(appended: Appended): Promise<AppendResult> {
    if (this.#open?.takes(appended) === true) return this.#open.add(appended.sizeBytes)
    if (this.isEmpty) {
      // Whoever awaits one append after another is alone.
      const pending = pendingResult()
      this.push(appended, pending)
      return pending.promise
    }
    this.#open = new AckRun(appended, this.#resultOf)
    this.#entries.push(this.#open)
    return this.#open.add(appended.sizeBytes)
  }

  /** What comes lies in another batch, which may be flushed later. */
  endBatch(): void {
    this.#open = null
  }

  /**
   * Resolves the oldest entries whose records all lie below `reachedOffset`, until they have added
   * `budgetBytes`. Returns what is left of the budget; 0 or less when it ran out.
   */
  settle(reachedOffset: number, budgetBytes: number): number {
    let leftBytes = budgetBytes
    while (this.#head < this.#entries.length && leftBytes > 0) {
      const entry = this.#entries[this.#head] as LoneCall | AckRun
      if (entry.nextOffset > reachedOffset) break
      this.#entries[this.#head++] = null
      leftBytes -= entry.sizeBytes
      if (entry === this.#open) this.#open = null
      if (entry instanceof AckRun) this.#settleRun(entry)
      else this.#settleCall(entry)
    }
    if (this.isEmpty) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head >= settledPlaces) {
      // Under load the queue is never empty.
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
    return leftBytes
  }

  /** Takes out every call that reaches above `offset`, the end of a batch. */
  takeAbove(offset: number): FailedCall[] {
    const waiting = this.#entries.slice(this.#head) as (LoneCall | AckRun)[]
    this.#entries = waiting.filter(entry => entry.nextOffset <= offset)
    this.#head = 0
    this.#open = null
    const above = waiting.filter(entry => entry.nextOffset > offset)
    return above.flatMap(entry => (entry instanceof AckRun ? entry.takeApart() : entry))
  }

  #settleRun(run: AckRun): void {
    run.settle()
    const { settled } = run
    this.#telling = settled
    void settled.then(() => {
      if (this.#telling === settled) this.#telling = null
    })
  }

  #settleCall({ baseOffset, nextOffset, timestamp, resolve }: LoneCall): void {
    const result = this.#resultOf(baseOffset, nextOffset, timestamp)
    // Those of a run hear a microtask later than one who is resolved directly, and are before this one.
    if (this.#telling === null) resolve(result)
    else void this.#telling.then(() => resolve(result))
  }
}
