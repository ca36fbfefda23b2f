/** What the engine counts; `log.metrics()` shows it. */

/** Plain counters of one log, and a histogram of its flushes. */
export class Counters {
  appendedRecords = 0
  appendedBytes = 0
  rejectedAppends = 0
  writes = 0
  writtenBytes = 0
  flushes = 0
  failedFlushes = 0
  reads = 0
  readBytes = 0
  segmentsRolled = 0
  /** Count of flushes per bucket: bucket i holds those below 2^(i/4) * 10 µs. */
  readonly #flushBuckets = new Uint32Array(96)
  #flushMsMax = 0

  /** Notes one flush that took `ms`. */
  noteFlush(ms: number): void {
    this.flushes++
    this.#flushMsMax = Math.max(this.#flushMsMax, ms)
    const bucket = Math.ceil(4 * Math.log2(Math.max(ms, 0.01) / 0.01))
    const index = Math.min(bucket, this.#flushBuckets.length - 1)
    this.#flushBuckets[index] = (this.#flushBuckets[index] ?? 0) + 1
  }

  /** Flush latency in ms; percentiles are upper bounds of a bucket, within 19 %. */
  flushMs(): { p50: number; p99: number; max: number } {
    return { p50: this.#percentile(0.5), p99: this.#percentile(0.99), max: this.#flushMsMax }
  }

  #percentile(share: number): number {
    let total = 0
    for (const count of this.#flushBuckets) total += count
    if (total === 0) return 0
    let seen = 0
    for (const [index, count] of this.#flushBuckets.entries()) {
      seen += count
      if (seen >= total * share) return Math.min(0.01 * 2 ** (index / 4), this.#flushMsMax)
    }
    return this.#flushMsMax
  }
}
