/**
 * Whether small reads and writes are done synchronously. From the page cache a synchronous call
 * takes about a microsecond and a trip through libuv's pool about twenty-seven; on a slow or busy
 * disk a synchronous call would stall the whole process instead.
 */

/** Largest read or write that is ever done synchronously. */
export const maxSyncBytes: number = 64 << 10

/** A synchronous call longer than this sends the following ones to the pool. */
const slowMs = 2

/**
 * How many calls go to the pool before a synchronous one is tried again. One slow call may be another
 * process that had the processor; a disk that is slow shows it again, and each time the number doubles.
 */
const leastPenaltyCalls = 16
const mostPenaltyCalls = 4096

/** So many fast calls in a row, and slow ones are forgotten. */
const forgivingCalls = 1024

/** Remembers whether synchronous calls have been fast lately. */
export class SyncIo {
  #callsToSkip = 0
  #penaltyCalls = leastPenaltyCalls
  #fastCalls = 0

  /** True when the next call of that size may be synchronous. */
  isAllowed(sizeBytes: number): boolean {
    if (sizeBytes > maxSyncBytes) return false
    if (this.#callsToSkip === 0) return true
    this.#callsToSkip--
    return false
  }

  /** Notes how long a synchronous call took. */
  note(elapsedMs: number): void {
    if (elapsedMs > slowMs) {
      this.#callsToSkip = this.#penaltyCalls
      this.#penaltyCalls = Math.min(2 * this.#penaltyCalls, mostPenaltyCalls)
      this.#fastCalls = 0
    } else if (++this.#fastCalls >= forgivingCalls) {
      this.#penaltyCalls = leastPenaltyCalls
      this.#fastCalls = 0
    }
  }
}
