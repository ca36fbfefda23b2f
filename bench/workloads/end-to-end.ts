/**
 * How long until a live reader of the same process sees a durable append?
 *
 * Expectation: readers see what is durable, so the bare write and fdatasync come first; waking the
 * reader and reading one batch from the file takes some 50 µs more: p50 ≤ the bare loop + 100 µs.
 */
import type { Partition } from '../../lib/types.ts'
import { type AwaitedCalls, awaitedShape, awaitedSides } from '../harness/awaited-sides.ts'
import { medianOf, metrics } from '../harness/targets.ts'
import type { Metric, Outcomes, Target, Workload } from '../harness/workload.ts'

function appendsSeen(partition: Partition): AwaitedCalls {
  const reader = partition.records({ live: true })
  let appended: Promise<unknown> = Promise.resolve()
  return {
    call(value) {
      // A live reader waits before the append starts, as it does in a service.
      const seen = reader.next()
      appended = partition.append({ value })
      return seen
    },
    async end() {
      await appended
      await reader.return?.()
    },
  }
}

/** By how many µs the reader is behind `times` the bare loop; the allowance is the bound. */
function behind(outcomes: Outcomes, metric: Metric, times: number): number | null {
  const own = medianOf(outcomes, 'varve', metric)
  const bare = medianOf(outcomes, 'bare loop', metrics.p50Micros)
  return own === null || bare === null ? null : own - times * bare
}

const targets: readonly Target[] = [
  {
    text: 'p50 ≤ p50 of the bare loop + 100 µs (µs more)',
    figure: outcomes => behind(outcomes, metrics.p50Micros, 1),
    atMost: 100,
  },
  {
    text: 'p99 ≤ 3 × (p50 of the bare loop + 100 µs) (µs more than 3 ×)',
    figure: outcomes => behind(outcomes, metrics.p99Micros, 3),
    atMost: 300,
  },
]

/** Append to live reader. */
export const endToEndLatency: Workload = {
  name: 'end-to-end',
  question: 'How long until a live reader sees a durable append?',
  expectation: 'The bare write and fdatasync, and 50 µs: p50 ≤ the bare loop + 100 µs.',
  chart: { label: 'p50, µs', metric: metrics.p50Micros, kind: 'bar' },
  variants: [{ ...awaitedShape, sides: awaitedSides(appendsSeen), targets }],
}
