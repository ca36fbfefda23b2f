/** Percentiles and medians. */
import type { Latency } from './workload.ts'

/** The value below which the share `rank` (0 … 1) of `sorted` lies, by nearest rank; 0 of nothing. */
export function percentile(sorted: Float64Array | readonly number[], rank: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(rank * sorted.length) - 1)
  return sorted[Math.max(0, index)] ?? 0
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** Collects latencies without making garbage. */
export class LatencyRecorder {
  readonly #values: Float64Array
  #count = 0

  /** Keeps the first `capacity` values. */
  constructor(capacity: number) {
    this.#values = new Float64Array(capacity)
  }

  add(milliseconds: number): void {
    if (this.#count < this.#values.length) this.#values[this.#count++] = milliseconds
  }

  summary(): Latency {
    const sorted = this.#values.subarray(0, this.#count).sort()
    return {
      p50: percentile(sorted, 0.5) * 1000,
      p99: percentile(sorted, 0.99) * 1000,
      p999: percentile(sorted, 0.999) * 1000,
    }
  }
}
