/**
 * The only source of time. Engine code never calls `Date.now` or `setTimeout` itself, so a test can
 * put a whole log on a clock that it moves by hand.
 */

/** A timer that has been set and not yet called back. */
export interface Timer {
  /** Takes the timer back; calling it later, or twice, does nothing. */
  cancel(): void
}

/** Wall time, monotonic time and timers, all in milliseconds. */
export interface Clock {
  /** Milliseconds since the epoch; may jump in either direction. */
  wallMs(): number
  /** Milliseconds since an arbitrary point; never goes back. */
  monotonicMs(): number
  /** Calls `callback` once after `delayMs`. With `keepAlive` (default false) it keeps the process alive. */
  setTimer(delayMs: number, callback: () => void, options?: { readonly keepAlive?: boolean }): Timer
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback, options) {
    const timer = setTimeout(callback, Math.min(delayMs, 2 ** 31 - 1))
    if (options?.keepAlive !== true) timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

/**
 * Engine time: the wall clock as it was when this was made, carried on by the monotonic clock, so
 * that a wall clock that jumps afterwards neither ages nor rejuvenates what is in the log.
 */
export class EngineTime {
  readonly #clock: Clock
  readonly #originMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#originMs = clock.wallMs() - clock.monotonicMs()
  }

  /** The engine time in whole milliseconds since the epoch. */
  nowMs(): number {
    return Math.floor(this.#originMs + this.#clock.monotonicMs())
  }
}
