/** Promises of appends whose results are not known yet. */
import type { AppendResult } from '../types.ts'

/** The promise of a call whose result is not known yet. */
export interface PendingResult<T = AppendResult> {
  readonly promise: Promise<T>
  /** Resolving with a rejected promise rejects. */
  readonly resolve: (result: T | Promise<never>) => void
}

/** A call that an error takes out of the queue. Somebody must resolve it. */
export interface FailedCall extends PendingResult {
  readonly baseOffset: number
  readonly recordCount: number
}

let takenResolve: ((result: never) => void) | undefined

// One executor for all promises: a closure of its own for each would be garbage at once.
const takeResolve = (resolve: (result: never) => void): void => {
  takenResolve = resolve
}

/** A promise and its resolve function. */
export function pendingResult<T = AppendResult>(): PendingResult<T> {
  const promise = new Promise<T>(takeResolve)
  return { promise, resolve: takenResolve as PendingResult<T>['resolve'] }
}

/** Rejects a pending result. */
export function rejectResult(pending: PendingResult, error: Error): void {
  const rejected = Promise.reject<never>(error)
  // The caller's promise adopts it; this one is nobody's.
  rejected.catch(() => {})
  pending.resolve(rejected)
}
