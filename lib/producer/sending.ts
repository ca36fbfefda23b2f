/** A record that was sent and has no answer yet. */
import type { PlainRecord } from '../log/serialize.ts'
import { type PendingResult, pendingResult } from '../storage/pending-result.ts'
import type { Lane } from './lane.ts'
import type { RoomSeeker } from './room.ts'

/** The records between one flush and the next. */
export interface Generation {
  pendingCount: number
}

/** What a sending tells its producer. */
export interface SendingHost {
  /** There was no room for it in time. */
  refused(sending: Sending, error: Error): void
}

/** One for every record: a class, so that each is one object and no closure. */
export class Sending implements RoomSeeker, PendingResult {
  readonly promise: PendingResult['promise']
  readonly resolve: PendingResult['resolve']
  /** A copy of the caller's. */
  readonly record: PlainRecord
  /** What it takes of a batch, at most. */
  readonly sizeBytes: number
  /** The flush that will speak for it. */
  readonly generation: Generation
  isSettled = false
  /** Ends the hearing of its signal; null when it has none. */
  stopListening: (() => void) | null = null
  readonly #host: SendingHost
  readonly #lane: Lane

  constructor(
    of: { readonly record: PlainRecord; readonly sizeBytes: number },
    way: { readonly host: SendingHost; readonly lane: Lane; readonly generation: Generation },
  ) {
    const { promise, resolve } = pendingResult()
    this.promise = promise
    this.resolve = resolve
    this.record = of.record
    this.sizeBytes = of.sizeBytes
    this.generation = way.generation
    this.#host = way.host
    this.#lane = way.lane
  }

  admit(): void {
    this.#lane.add(this)
  }

  refuse(error: Error): void {
    this.#host.refused(this, error)
  }

  /** Takes it out of its open batch; false when it is on its way already. */
  withdraw(): boolean {
    return this.#lane.withdraw(this)
  }
}
