import type { Clock, Timer } from '../clock.ts'

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  /**
   * Moves wall and monotonic time on by `ms` and calls the timers that fall due back, in the order
   * of their times; each sees the clock at its own time. Timers that they set take part. The promises
   * that a callback settles are heard after this returns.
   *
   * @throws {RangeError} when `ms` is negative or not finite.
   */
  advance(ms: number): void
  /** Makes the wall clock jump, in either direction; monotonic time and timers stay. */
  setWall(ms: number): void
}

/** The wall time of a manual clock that is given none: 2024-01-01T00:00:00Z. */
const DEFAULT_START_MS = Date.UTC(2024, 0, 1)

/** Makes a clock whose wall time is `startMs` (ms since the epoch) and whose monotonic time is 0. */
export function manualClock(startMs: number = DEFAULT_START_MS): ManualClock {
  return new SteppedClock(startMs)
}

interface PendingTimer {
  readonly dueMs: number
  readonly callback: () => void
}

class SteppedClock implements ManualClock {
  #wallMs: number
  #monotonicMs = 0
  /** In the order in which they fall due; those of one time in the order in which they were set. */
  #timers: PendingTimer[] = []

  constructor(startMs: number) {
    this.#wallMs = startMs
  }

  wallMs(): number {
    return this.#wallMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), callback }
    const behind = this.#timers.findIndex(other => other.dueMs > timer.dueMs)
    this.#timers.splice(behind === -1 ? this.#timers.length : behind, 0, timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(other => other !== timer)
      },
    }
  }

  advance(ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new RangeError(`expected \`ms\` to be a finite number from 0 up, got \`${ms}\``)
    }
    const endMs = this.#monotonicMs + ms
    for (;;) {
      const [next] = this.#timers
      if (next === undefined || next.dueMs > endMs) break
      this.#timers.shift()
      this.#moveTo(next.dueMs)
      next.callback()
    }
    this.#moveTo(endMs)
  }

  setWall(ms: number): void {
    this.#wallMs = ms
  }

  #moveTo(monotonicMs: number): void {
    // A callback may have moved the clock itself; monotonic time never goes back.
    const stepMs = Math.max(0, monotonicMs - this.#monotonicMs)
    this.#wallMs += stepMs
    this.#monotonicMs += stepMs
  }
}
