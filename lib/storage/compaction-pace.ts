/**
 * How fast a compaction goes: it gives way to the event loop whenever a slice of work is done, and
 * waits when it has moved more bytes than it may. A slice ends by its time, and by count at the latest,
 * so that under a clock that stands still a test does the same work in the same steps each time.
 */
import type { Clock } from '../clock.ts'

/**
 * Records between two looks at the clock. One takes half a microsecond, and up to 15 µs before its code
 * is compiled and the memory of the map has been touched (spec/support/soak-compaction.ts, 2026-11-22).
 */
export const stepRecords = 128

/** Bytes between two looks at the clock: their checksums and copies take about 0.1 ms. */
const stepBytes = 128 << 10

/** What a slice may take. */
const sliceMs = 2

/** Records of one slice, however fast they go. */
export const sliceRecords = 2048

/** Bytes of one slice, however fast they go. */
const sliceBytes = 4 * stepBytes

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
  /** Work at which the clock is looked at next. */
  #lookRecords = stepRecords
  #lookBytes = stepBytes
  #sliceStartMs: number
  #isFull = false

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
    this.#sliceStartMs = this.#startMs
  }

  /** Counts bytes that have been read. The time that was waited for them is none of the slice's. */
  moved(bytes: number): void {
    this.#movedBytes += bytes
    this.#sliceStartMs = this.#clock.monotonicMs()
  }

  /** Counts work; true when the slice is full, until the next breath. */
  worked(records: number, bytes: number): boolean {
    this.#records += records
    this.#bytes += bytes
    this.#isFull ||=
      this.#records >= sliceRecords || this.#bytes >= sliceBytes || this.#isTimeOver()
    return this.#isFull
  }

  /** Lets everybody else have a turn, and waits as the rate demands. @throws the signal's reason */
  async breathe(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#signal.throwIfAborted()
    if (this.#bytesPerSecond > 0) {
      const dueMs = (this.#movedBytes / this.#bytesPerSecond) * 1000
      const aheadMs = dueMs - (this.#clock.monotonicMs() - this.#startMs)
      if (aheadMs >= leastWaitMs) await this.#wait(aheadMs)
      this.#signal.throwIfAborted()
    }
    this.#records = 0
    this.#bytes = 0
    this.#lookRecords = stepRecords
    this.#lookBytes = stepBytes
    this.#sliceStartMs = this.#clock.monotonicMs()
    this.#isFull = false
  }

  #isTimeOver(): boolean {
    if (this.#records < this.#lookRecords && this.#bytes < this.#lookBytes) return false
    this.#lookRecords = this.#records + stepRecords
    this.#lookBytes = this.#bytes + stepBytes
    return this.#clock.monotonicMs() - this.#sliceStartMs >= sliceMs
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
