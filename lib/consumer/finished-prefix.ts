/**
 * Which records of a partition are finished when they finish in any order: the committed offset may
 * only ever name the first one that is not.
 */
import { ok } from 'node:assert/strict'

/** Room for this many records at the start; it doubles. */
const initialRoom = 64

/**
 * The contiguous finished prefix of what was begun. Records are begun in offset order and given a
 * number each; offsets may have gaps, numbers have none. Every call takes constant time.
 */
export class FinishedPrefix {
  /** Where it all began. */
  readonly start: number
  /** Offset of the record with number n, at n modulo the room. */
  #offsets: Float64Array = new Float64Array(initialRoom)
  #finished: Uint8Array = new Uint8Array(initialRoom)
  /** Number of the oldest record that is not finished. */
  #head = 0
  /** Number of the next record. */
  #tail = 0
  /** Behind everything that was begun. */
  #position: number

  constructor(start: number) {
    this.start = start
    this.#position = start
  }

  /** Everything below is finished: what may be committed. */
  get offset(): number {
    const room = this.#offsets.length
    return this.#head === this.#tail ? this.#position : (this.#offsets[this.#head % room] as number)
  }

  /** Behind what was begun. */
  get position(): number {
    return this.#position
  }

  /** Records between the prefix and the position, finished ones among them. */
  get span(): number {
    return this.#tail - this.#head
  }

  /** A record is begun; returns its number. */
  begin(offset: number): number {
    ok(offset >= this.#position, 'records are begun in offset order')
    if (this.span === this.#offsets.length) this.#grow()
    const index = this.#tail % this.#offsets.length
    this.#offsets[index] = offset
    this.#finished[index] = 0
    this.#position = offset + 1
    return this.#tail++
  }

  /** The record with that number is finished; says whether the prefix has moved. */
  finish(number: number): boolean {
    const room = this.#offsets.length
    ok(number >= this.#head && number < this.#tail, 'a record is finished once')
    this.#finished[number % room] = 1
    if (number !== this.#head) return false
    while (this.#head < this.#tail && this.#finished[this.#head % room] === 1) this.#head++
    return true
  }

  /** There is nothing to begin below `offset`: markers, or a gap that compaction left. */
  skipTo(offset: number): void {
    this.#position = Math.max(this.#position, offset)
  }

  #grow(): void {
    const room = this.#offsets.length
    const offsets = new Float64Array(room * 2)
    const finished = new Uint8Array(room * 2)
    for (let number = this.#head; number < this.#tail; number++) {
      offsets[number % (room * 2)] = this.#offsets[number % room] as number
      finished[number % (room * 2)] = this.#finished[number % room] as number
    }
    this.#offsets = offsets
    this.#finished = finished
  }
}
