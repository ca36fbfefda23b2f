/**
 * The acknowledgements of single appends that share a batch. Such calls come by the hundred thousand,
 * and each of them is alive until the next flush has ended: what is kept for each is what the garbage
 * collector copies. A promise that is derived from another one takes no function to resolve it, so the
 * calls of a run hang on one promise, and a hundred thousand of them cost about half as much.
 */
import type { AppendResult } from '../types.ts'
import { type FailedCall, pendingResult } from './pending-result.ts'

/** Makes the result of one call. */
export type ResultOf = (baseOffset: number, nextOffset: number, timestamp: number) => AppendResult

/** A run that is this long is closed, so that its array stays small enough to be young. */
const maxCalls = 512

/** Calls of one record each, with consecutive offsets, in one batch, of one timestamp. They settle together. */
export class AckRun {
  readonly baseOffset: number
  readonly timestamp: number
  sizeBytes = 0
  /** Settles in the turn of `settle`, behind the promises of the calls' callers. */
  readonly settled: Promise<unknown>
  readonly #resultOf: ResultOf
  readonly #settle: () => void
  readonly #promises: Promise<AppendResult>[] = []
  /** What the calls come to that do not succeed; null when all of them do. */
  #failures: (Promise<never> | undefined)[] | null = null
  #toldCalls = 0

  constructor(
    first: { readonly baseOffset: number; readonly timestamp: number },
    resultOf: ResultOf,
  ) {
    this.baseOffset = first.baseOffset
    this.timestamp = first.timestamp
    this.#resultOf = resultOf
    const { promise, resolve } = pendingResult<void>()
    this.settled = promise
    this.#settle = resolve as () => void
  }

  /** Behind the last call. */
  get nextOffset(): number {
    return this.baseOffset + this.#promises.length
  }

  /** Whether a call of one record can be the next of this run. */
  takes(call: { readonly baseOffset: number; readonly timestamp: number }): boolean {
    return (
      call.baseOffset === this.nextOffset &&
      call.timestamp === this.timestamp &&
      this.#promises.length < maxCalls
    )
  }

  /** A promise for one more call. */
  add(sizeBytes: number): Promise<AppendResult> {
    const promise = this.settled.then(this.#tell) as Promise<AppendResult>
    this.#promises.push(promise)
    this.sizeBytes += sizeBytes
    return promise
  }

  /** Every call has succeeded. */
  settle(): void {
    this.#settle()
  }

  /** The calls one by one, to be failed: each by its `resolve`, the last of which settles all. */
  takeApart(): FailedCall[] {
    const failures: (Promise<never> | undefined)[] = []
    let failedCalls = 0
    this.#failures = failures
    return this.#promises.map((promise, call) => ({
      promise,
      resolve: (failure): void => {
        failures[call] = failure as Promise<never>
        if (++failedCalls === this.#promises.length) this.#settle()
      },
      baseOffset: this.baseOffset + call,
      recordCount: 1,
    }))
  }

  /** Callbacks of a promise are called in the order in which they were given: this is that of the calls. */
  readonly #tell = (): AppendResult | Promise<never> => {
    const call = this.#toldCalls++
    const baseOffset = this.baseOffset + call
    return this.#failures?.[call] ?? this.#resultOf(baseOffset, baseOffset + 1, this.timestamp)
  }
}
