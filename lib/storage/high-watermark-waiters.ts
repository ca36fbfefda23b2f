/** Readers at the end of a partition, woken when more becomes visible. */
import type { Clock, Timer } from '../clock.ts'

interface Waiter {
  readonly offset: number
  readonly wake: () => void
}

/** The longest time that a timer takes. */
const longestMs = 2 ** 31 - 1

/**
 * Those who wait for the high watermark to pass an offset. No polling: the flush calls `reached`. As
 * long as somebody waits the process stays alive.
 */
export class HighWatermarkWaiters {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #anchor: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0
  }

  /** Resolves when `reached` is called with more than `offset`, on `wakeAll`, or when `signal` aborts. */
  wait(offset: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise(resolve => {
      const waiter: Waiter = {
        offset,
        wake: () => {
          this.#waiters.delete(waiter)
          if (this.isEmpty) this.#release()
          signal?.removeEventListener('abort', waiter.wake)
          resolve()
        },
      }
      this.#waiters.add(waiter)
      if (this.#anchor === null) this.#stayAlive()
      signal?.addEventListener('abort', waiter.wake, { once: true })
      if (signal?.aborted) waiter.wake()
    })
  }

  /** The high watermark is now `offset`. */
  reached(offset: number): void {
    for (const waiter of this.#waiters) if (waiter.offset < offset) waiter.wake()
  }

  /** The partition is going away: nothing more will come. */
  wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake()
  }

  /** A timer that does nothing but be set, and sets itself again when its time is over. */
  #stayAlive(): void {
    this.#anchor = this.#clock.setTimer(longestMs, () => this.#stayAlive(), { keepAlive: true })
  }

  #release(): void {
    this.#anchor?.cancel()
    this.#anchor = null
  }
}
