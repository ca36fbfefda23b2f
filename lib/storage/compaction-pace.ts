/**
 * How fast a compaction goes: it gives way to the event loop whenever a slice of work is done, and
 * waits when it has moved more bytes than it may. Slices are counted and not timed, so that a test
 * does the same work in the same steps each time.
 */
import type { Clock } from '../clock.ts'

/** Records of one slice; looking at one takes about half a microsecond (spec/support/soak-compaction.ts). */
export const sliceRecords = 2048

/** Bytes of one slice: their checksums and copies take less than a millisecond. */
const sliceBytes = 512 << 10

/** It is not worth a timer to wait for less. */
const leastWaitMs = 10

/** The pace of one compaction; its owner counts work and awaits `breathe` when a slice is full. */
export class CompactionPace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #bytesPerSecond: number
  readonly #keepAlive: boolean
  readonly #startMs: number
  #movedBytes = 0
  #records = 0
  #bytes = 0

  constructor(
    clock: Clock,
    options: {
      /** Ends the compaction with the signal's reason, at its next breath. */
      readonly signal: AbortSignal
      /** Read and written together; -1: no limit. */
      readonly bytesPerSecond: number
      /** Somebody waits for the end, for which the process must live. */
      readonly keepAlive: boolean
    },
  ) {
    this.#clock = clock
    this.#signal = options.signal
    this.#bytesPerSecond = options.bytesPerSecond
    this.#keepAlive = options.keepAlive
    this.#startMs = clock.monotonicMs()
  }

  /** Counts bytes read or written. */
  moved(bytes: number): void {
    this.#movedBytes += bytes
  }

  /** Counts work; true when the slice is full. */
  worked(records: number, bytes: number): boolean {
    this.#records += records
    this.#bytes += bytes
    return this.#records >= sliceRecords || this.#bytes >= sliceBytes
  }

  /** Lets everybody else have a turn, and waits as the rate demands. @throws the signal's reason */
  async breathe(): Promise<void> {
    this.#records = 0
    this.#bytes = 0
    await new Promise(resolve => setImmediate(resolve))
    this.#signal.throwIfAborted()
    if (this.#bytesPerSecond <= 0) return
    const dueMs = (this.#movedBytes / this.#bytesPerSecond) * 1000
    const aheadMs = dueMs - (this.#clock.monotonicMs() - this.#startMs)
    if (aheadMs >= leastWaitMs) await this.#wait(aheadMs)
    this.#signal.throwIfAborted()
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        timer.cancel()
        this.#signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = this.#clock.setTimer(delayMs, end, { keepAlive: this.#keepAlive })
      this.#signal.addEventListener('abort', end)
    })
  }
}
