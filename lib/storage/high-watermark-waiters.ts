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

  /**
   * Calls `wake` once, when `reached` is called with more than `offset`, or on `wakeAll`; never when what
   * is returned has been called before.
   */
  once(offset: number, wake: () => void): () => void {
    const waiter: Waiter = { offset, wake }
    this.#waiters.add(waiter)
    if (this.#anchor === null) this.#stayAlive()
    return () => this.#leave(waiter)
  }

  /** The high watermark is now `offset`. */
  reached(offset: number): void {
    for (const waiter of [...this.#waiters]) if (waiter.offset < offset) this.#wake(waiter)
  }

  /** The partition is going away: nothing more will come. */
  wakeAll(): void {
    for (const waiter of [...this.#waiters]) this.#wake(waiter)
  }

  #wake(waiter: Waiter): void {
    this.#leave(waiter)
    waiter.wake()
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    if (this.isEmpty) this.#release()
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
