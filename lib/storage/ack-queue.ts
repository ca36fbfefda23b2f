/** Appends that wait for their acknowledgement, in offset order. */
import type { AppendResult } from '../types.ts'

/** The promise of one append call and the offsets it was given. */
export interface Ack {
  /** Set when the call was accepted. */
  baseOffset: number
  nextOffset: number
  readonly timestamp: number
  /** What the call added to the log, about; settling counts it. */
  readonly sizeBytes: number
  promise: Promise<AppendResult> | null
  readonly resolve: (result: AppendResult) => void
  readonly reject: (error: Error) => void
}

/** A queue of acks of one level. */
export class AckQueue {
  #acks: Ack[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#acks.length
  }

  push(ack: Ack): void {
    this.#acks.push(ack)
  }

  /** Takes the oldest ack when everything below its end has been reached. */
  take(reachedOffset: number): Ack | undefined {
    const ack = this.#acks[this.#head]
    if (ack === undefined || ack.nextOffset > reachedOffset) return undefined
    this.#head++
    if (this.#head === this.#acks.length) {
      this.#acks = []
      this.#head = 0
    }
    return ack
  }

  /** Takes out every ack that reaches above `offset`. */
  takeAbove(offset: number): Ack[] {
    const above: Ack[] = []
    const kept: Ack[] = []
    for (let index = this.#head; index < this.#acks.length; index++) {
      const ack = this.#acks[index] as Ack
      if (ack.nextOffset > offset) above.push(ack)
      else kept.push(ack)
    }
    this.#acks = kept
    this.#head = 0
    return above
  }
}
