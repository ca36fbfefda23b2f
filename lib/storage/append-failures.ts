/**
 * What `flush()` has to say of appends that failed before it, and which of their promises it speaks
 * for: a failure that a flush reports must not be an unhandled rejection as well.
 */

import type { AppendResult } from '../types.ts'
import { type PendingResult, rejectResult } from './ack-queue.ts'

/** Failures since the last flush, of one partition. */
export class AppendFailures {
  #first: Error | null = null
  #flushesPending = 0
  /** Rejected in the present turn: their promises may still be claimed by a flush called in it. */
  #unclaimed: Promise<AppendResult>[] = []

  /** Rejects an accepted or waiting append. */
  reject(call: PendingResult, error: Error): void {
    this.note(error, call.promise)
    rejectResult(call, error)
  }

  /** Notes an append that failed with `error`. */
  note(error: Error, promise: Promise<AppendResult>): void {
    this.#first ??= error
    if (this.#flushesPending > 0) claim(promise)
    else this.#unclaimed.push(promise)
  }

  /** A flush was called: it will report what fails until it ends. */
  flushStarted(): void {
    this.#flushesPending++
    for (const promise of this.#unclaimed) claim(promise)
    this.#unclaimed = []
  }

  /** The flush is over. Returns the first failure since the one before it. */
  flushEnded(): Error | null {
    this.#flushesPending--
    const first = this.#first
    this.#first = null
    return first
  }

  /** The turn is over: what was not claimed is the caller's own. */
  endOfTurn(): void {
    if (this.#unclaimed.length > 0) this.#unclaimed = []
  }
}

function claim(promise: Promise<AppendResult>): void {
  promise.catch(() => {})
}
