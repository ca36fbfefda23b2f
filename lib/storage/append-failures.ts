/**
 * What `flush()` has to say of appends that failed before it, and which of their promises it speaks
 * for: a failure that a flush reports must not be an unhandled rejection as well.
 */

import { DiskFullError, QueueFullError, StorageError } from '../errors.ts'
import type { AppendResult } from '../types.ts'
import { type PendingResult, rejectResult } from './pending-result.ts'

/** What one call of `flush()` will report. */
export interface FlushReport {
  /** The first failure of an append, accepted or not. */
  first: Error | null
  /** The first failure that took accepted records away. */
  lost: Error | null
}

/** Refusals for what the caller asked, or a condition that the caller set; a flush reports what the log met. */
export function isCallersOwn(error: Error): boolean {
  return !(
    error instanceof StorageError ||
    error instanceof DiskFullError ||
    error instanceof QueueFullError
  )
}

/** Failures since the last flush, of one partition. */
export class AppendFailures {
  #first: Error | null = null
  #lost: Error | null = null
  #untold: Error | null = null
  /** Of the flushes that have not ended: a failure that lies in several is reported by each. */
  readonly #open = new Set<FlushReport>()
  /** Rejected in the present turn: their promises may still be claimed by a flush called in it. */
  #unclaimed: Promise<unknown>[] = []

  /** Rejects an accepted or waiting append. */
  reject(call: PendingResult, error: Error): void {
    this.note(error, call.promise)
    rejectResult(call, error)
  }

  /** Notes an append that failed with `error`. */
  note(error: Error, promise: Promise<unknown>): void {
    this.#noteFirst(error)
    if (this.#open.size > 0) claim(promise)
    else this.#unclaimed.push(promise)
  }

  /**
   * Notes that accepted records were lost to `error`, before it is told to those who wait for them. Not
   * told to all: some wait for nothing, or were content with less; the next flush tells, or the end.
   */
  noteLost(error: Error, { isToldToAll }: { readonly isToldToAll: boolean }): void {
    this.#noteFirst(error)
    this.#lost ??= error
    if (!isToldToAll) this.#untold ??= error
    for (const report of this.#open) report.lost ??= error
  }

  /** A flush was called: it will report what has failed since the last one, and fails until it ends. */
  flushStarted(): FlushReport {
    const report = { first: this.#first, lost: this.#lost }
    this.#open.add(report)
    for (const promise of this.#unclaimed) claim(promise)
    this.#unclaimed = []
    return report
  }

  /** The flush is over. Returns the first failure that it has to report. */
  flushEnded(report: FlushReport): Error | null {
    this.#open.delete(report)
    this.#first = null
    this.#lost = null
    this.#untold = null
    return report.first
  }

  /** Appends are taken again: what failed is over where all its callers were told. */
  recovered(): void {
    this.#first = this.#untold
    this.#lost = this.#untold
  }

  #noteFirst(error: Error): void {
    this.#first ??= error
    for (const report of this.#open) report.first ??= error
  }

  /** The turn is over: what was not claimed is the caller's own. */
  endOfTurn(): void {
    if (this.#unclaimed.length > 0) this.#unclaimed = []
  }
}

const claimed = new WeakSet<Promise<unknown>>()

function claim(promise: Promise<unknown>): void {
  claimed.add(promise)
  promise.catch(() => {})
}

/**
 * The promise of several appends: all results, in order, or the first failure after every one of them
 * has settled. What a flush reports of an append it reports of this promise as well.
 */
export function allAppends(
  appends: readonly Promise<AppendResult>[],
): Promise<readonly AppendResult[]> {
  const all = new Promise<readonly AppendResult[]>((resolve, reject) => {
    void Promise.allSettled(appends).then(outcomes => {
      const results: AppendResult[] = []
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') {
          results.push(outcome.value)
          continue
        }
        if (appends.some(append => claimed.has(append))) all.catch(() => {})
        reject(outcome.reason)
        return
      }
      resolve(results)
    })
  })
  return all
}
