/**
 * Appends that wait for their acknowledgement, in offset order. Single appends come by the hundred
 * thousand, and every one of them is alive until the next flush has ended: what is kept for each is
 * what the garbage collector copies. So neighbours with the same timestamp share one run, and a call
 * adds no more to it than its promise and the function that resolves it.
 */
import type { AppendResult } from '../types.ts'

/** What one call added; the size is about right and may be 0. */
export interface Appended {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly sizeBytes: number
}

/** The promise of a call whose result is not known yet. */
export interface PendingResult {
  readonly promise: Promise<AppendResult>
  /** Resolving with a rejected promise rejects. */
  readonly resolve: (result: AppendResult | Promise<never>) => void
}

/** A call that an error takes out of the queue. */
export interface FailedCall extends PendingResult {
  readonly baseOffset: number
  readonly recordCount: number
}

let takenResolve: PendingResult['resolve'] | undefined

// One executor for all promises: a closure of its own for each would be garbage at once.
const takeResolve = (resolve: PendingResult['resolve']): void => {
  takenResolve = resolve
}

/** A promise and its resolve function. */
export function pendingResult(): PendingResult {
  const promise = new Promise<AppendResult>(takeResolve)
  return { promise, resolve: takenResolve as PendingResult['resolve'] }
}

/** Rejects a pending result. */
export function rejectResult(pending: PendingResult, error: Error): void {
  const rejected = Promise.reject<never>(error)
  // The caller's promise adopts it; this one is nobody's.
  rejected.catch(() => {})
  pending.resolve(rejected)
}

/** A run that is this long is closed, so that its array stays small enough to be young. */
const maxRunCalls = 512

/** Calls with consecutive offsets and one timestamp; each added `recordsPerCall` records. */
class Run {
  baseOffset: number
  readonly recordsPerCall: number
  readonly timestamp: number
  sizeBytes: number
  /** By turns a promise and its resolve function. */
  readonly calls: (Promise<AppendResult> | PendingResult['resolve'])[]
  /** Calls that are settled, from the front. */
  settledCalls = 0

  constructor(first: Appended, pending: PendingResult) {
    this.baseOffset = first.baseOffset
    this.recordsPerCall = first.nextOffset - first.baseOffset
    this.timestamp = first.timestamp
    this.sizeBytes = first.sizeBytes
    this.calls = [pending.promise, pending.resolve]
  }

  get callCount(): number {
    return this.calls.length / 2
  }

  baseOffsetOf(call: number): number {
    return this.baseOffset + call * this.recordsPerCall
  }

  pendingOf(call: number): PendingResult {
    const promise = this.calls[2 * call] as Promise<AppendResult>
    return { promise, resolve: this.calls[2 * call + 1] as PendingResult['resolve'] }
  }
}

/** A queue of one level of acknowledgement. */
export class AckQueue {
  #runs: Run[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#runs.length
  }

  /** Queues a call whose offsets lie behind those before, or repeat some of them. */
  push(appended: Appended, pending: PendingResult): void {
    const last = this.isEmpty ? undefined : this.#runs[this.#runs.length - 1]
    const joins =
      last !== undefined &&
      last.recordsPerCall === 1 &&
      appended.nextOffset === appended.baseOffset + 1 &&
      last.baseOffset + last.calls.length / 2 === appended.baseOffset &&
      last.timestamp === appended.timestamp &&
      last.calls.length < 2 * maxRunCalls
    if (!joins) {
      this.#runs.push(new Run(appended, pending))
      return
    }
    last.calls.push(pending.promise, pending.resolve)
    last.sizeBytes += appended.sizeBytes
  }

  /**
   * Resolves the oldest calls whose records all lie below `reachedOffset`, until they have added
   * `budgetBytes`. Returns what is left of the budget; 0 or less when it ran out.
   */
  settle(
    reachedOffset: number,
    budgetBytes: number,
    result: (baseOffset: number, nextOffset: number, timestamp: number) => AppendResult,
  ): number {
    let leftBytes = budgetBytes
    while (this.#head < this.#runs.length && leftBytes > 0) {
      const run = this.#runs[this.#head] as Run
      const { calls, recordsPerCall, timestamp } = run
      const callBytes = run.sizeBytes / run.callCount
      let call = run.settledCalls
      let nextOffset = run.baseOffsetOf(call) + recordsPerCall
      while (2 * call < calls.length && nextOffset <= reachedOffset && leftBytes > 0) {
        const resolve = calls[2 * call + 1] as PendingResult['resolve']
        resolve(result(nextOffset - recordsPerCall, nextOffset, timestamp))
        leftBytes -= callBytes
        nextOffset += recordsPerCall
        call++
      }
      run.settledCalls = call
      if (2 * call < calls.length) break
      this.#head++
    }
    if (this.isEmpty) {
      this.#runs = []
      this.#head = 0
    }
    return leftBytes
  }

  /** Takes out every call that reaches above `offset`. */
  takeAbove(offset: number): FailedCall[] {
    const above: FailedCall[] = []
    const kept: Run[] = []
    for (const run of this.#runs.slice(this.#head)) {
      let call = run.settledCalls
      while (call < run.callCount && run.baseOffsetOf(call) + run.recordsPerCall <= offset) call++
      const keptCalls = call
      for (; call < run.callCount; call++) {
        const baseOffset = run.baseOffsetOf(call)
        above.push({ baseOffset, recordCount: run.recordsPerCall, ...run.pendingOf(call) })
      }
      run.calls.length = 2 * keptCalls
      if (run.settledCalls < keptCalls) kept.push(run)
    }
    this.#runs = kept
    this.#head = 0
    return above
  }
}
