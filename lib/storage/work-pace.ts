/** Long work beside appends and reads: at a bounded rate, and in pieces that leave room for others. */
import type { Clock } from '../clock.ts'

/** How long work goes on before others get a turn of the event loop. */
const sliceMs = 4

/** A rate is kept over this much time: so far work may run ahead, and as little is made up for. */
const burstMs = 20

/**
 * Paces one piece of work. `spent` is awaited after every few hundred KiB; calls overlap only without a
 * limit of the rate.
 */
export class WorkPace {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  readonly #signal: AbortSignal | null
  /** Monotonic time by which the bytes so far are paid for. */
  #paidMs: number
  #sliceStartMs: number
  /** The turn that is waited for; shared, so that calls which overlap have one slice together. */
  #turn: Promise<void> | null = null

  /** `maxBytesPerSecond` -1 is no limit. */
  constructor(
    clock: Clock,
    of: { readonly maxBytesPerSecond: number; readonly signal?: AbortSignal | null },
  ) {
    this.#clock = clock
    this.#bytesPerMs =
      of.maxBytesPerSecond === -1 ? Number.POSITIVE_INFINITY : of.maxBytesPerSecond / 1000
    this.#signal = of.signal ?? null
    this.#paidMs = clock.monotonicMs()
    this.#sliceStartMs = this.#paidMs
  }

  /**
   * Accounts for `bytes` and resolves when the work may go on. Rejects with the signal's reason as soon
   * as it aborts.
   */
  async spent(bytes: number): Promise<void> {
    this.#signal?.throwIfAborted()
    const nowMs = this.#clock.monotonicMs()
    this.#paidMs = Math.max(this.#paidMs, nowMs - burstMs) + bytes / this.#bytesPerMs
    const aheadMs = this.#paidMs - nowMs
    if (aheadMs >= burstMs) await this.#sleep(aheadMs)
    else if (bytes > 0 || nowMs - this.#sliceStartMs >= sliceMs) await this.#nextTurn()
    else return
    this.#signal?.throwIfAborted()
  }

  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise(resolve =>
      setImmediate(() => {
        this.#turn = null
        this.#sliceStartMs = this.#clock.monotonicMs()
        resolve()
      }),
    )
    return this.#turn
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        this.#signal?.removeEventListener('abort', wake)
        timer.cancel()
        this.#sliceStartMs = this.#clock.monotonicMs()
        resolve()
      }
      // Somebody waits for the work: the process is kept alive.
      const timer = this.#clock.setTimer(delayMs, wake, { keepAlive: true })
      this.#signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
