/**
 * How many flushes run at the same time over all partitions. Every fsync occupies a thread of
 * libuv's pool, which the host's own file, DNS and crypto calls share: two are left to them.
 */

/** Lets at most `maxParallel` flushes run, the oldest waiter first. */
export class FlushGate {
  readonly #maxParallel: number
  #running = 0
  #isStarting = false
  #waiting: (() => void)[] = []
  #head = 0

  constructor(maxParallel: number) {
    this.#maxParallel = maxParallel
  }

  /** Calls `start` now or when a place is free; it must call `leave` when its flush is over. */
  enter(start: () => void): void {
    this.#waiting.push(start)
    this.#startNext()
  }

  /** A flush is over: the next one starts. */
  leave(): void {
    this.#running--
    this.#startNext()
  }

  #startNext(): void {
    // A flush may be over as soon as it has started: thousands of those must not nest.
    if (this.#isStarting) return
    this.#isStarting = true
    try {
      while (this.#running < this.#maxParallel) {
        const next = this.#waiting[this.#head]
        if (next === undefined) break
        this.#head++
        this.#running++
        next()
      }
    } finally {
      this.#isStarting = false
    }
    if (this.#head < this.#waiting.length) return
    this.#waiting = []
    this.#head = 0
  }
}
