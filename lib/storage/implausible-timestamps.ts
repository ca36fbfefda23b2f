/** Record timestamps that lie further ahead of their append than they should, noted batch by batch. */
import { maxTimestampAt } from '../record/batch-format.ts'
import type { WriteRegion } from './batch-accumulator.ts'

/** What was noted. */
export interface ImplausibleFound {
  /** Batches that hold such a timestamp. */
  readonly batchCount: number
  /** The furthest, in ms. */
  readonly furthest: number
}

/** What one partition has written since it was last asked. */
export class ImplausibleTimestamps {
  #found: ImplausibleFound | null = null

  /** Notes what lies above `limitMs` in a write. */
  wrote(region: WriteRegion, limitMs: number): void {
    for (const { chunk, position } of region.batches) {
      const timestamp = maxTimestampAt(chunk.buffer, position)
      if (timestamp <= limitMs) continue
      const { batchCount, furthest } = this.#found ?? { batchCount: 0, furthest: 0 }
      this.#found = { batchCount: batchCount + 1, furthest: Math.max(furthest, timestamp) }
    }
  }

  /** What was noted since the last call; null when that is nothing. */
  take(): ImplausibleFound | null {
    const found = this.#found
    this.#found = null
    return found
  }
}
