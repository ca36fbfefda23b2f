/**
 * How many flushes run at the same time over all partitions. Every fsync occupies a thread of
 * libuv's pool, which the host's own file, DNS and crypto calls share: two are left to them.
 */

/** Lets at most `maxParallel` flushes run, the oldest waiter first. */
export class FlushGate {
  readonly #maxParallel: number
  #running = 0
  #waiting: (() => void)[] = []
  #head = 0

  constructor(maxParallel: number) {
    this.#maxParallel = maxParallel
  }

  /** Calls `start` now or when a place is free; it must call `leave` when its flush is over. */
  enter(start: () => void): void {
    if (this.#running < this.#maxParallel) {
      this.#running++
      start()
    } else {
      this.#waiting.push(start)
    }
  }

  /** A flush is over: the next one starts. */
  leave(): void {
    const next = this.#waiting[this.#head]
    if (next === undefined) {
      this.#running--
      return
    }
    this.#head++
    if (this.#head === this.#waiting.length) {
      this.#waiting = []
      this.#head = 0
    }
    next()
  }
}
