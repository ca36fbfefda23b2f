/**
 * How long until a live reader of the same process sees a durable append?
 *
 * Expectation: readers see what is durable, so the bare write and fdatasync come first; waking the
 * reader and reading one batch from the file takes some 50 µs more: p50 ≤ the bare loop + 100 µs.
 */
import { type Alternated, alternate } from '../harness/alternate.ts'
import { bareAppends } from '../harness/limits.ts'
import { makeValues } from '../harness/payload.ts'
import { medianOf, metrics } from '../harness/targets.ts'
import { batchBytes, topicName, withLog } from '../harness/varve.ts'
import type { Context, Metric, Outcome, Outcomes, Target, Workload } from '../harness/workload.ts'

const recordBytes = 100
const values = makeValues(1000, recordBytes)
const count = 4000
const smokeCount = 20
/** Before the clock runs, on both sides: the first ones wait for the compiler, not for the disk. */
const warmUpCount = 8000
const smokeWarmUpCount = 5

async function measureBoth(context: Context): Promise<Outcome> {
  const recordSize = batchBytes(values.slice(0, 1))
  const bare = bareAppends(context.dir, recordSize)
  const measured = await withLog(context.dir, async log => {
    const partition = (await log.topic(topicName)).partition(0)
    const reader = partition.records({ live: true })
    let appended: Promise<unknown> = Promise.resolve()
    let index = 0
    const both = await alternate(
      {
        bare: () => bare.append(),
        varve: () => {
          // A live reader waits before the append starts, as it does in a service.
          const seen = reader.next()
          appended = partition.append({ value: values[index++ % values.length] ?? null })
          return seen
        },
      },
      {
        calls: context.pick(count, smokeCount),
        warmUpCalls: context.pick(warmUpCount, smokeWarmUpCount),
      },
    )
    await appended
    await reader.return?.()
    return both
  })
  bare.close()
  const outcomeOf = ({ calls: records, ...phase }: Alternated): Outcome => {
    return { ...phase, records, bytes: records * recordSize }
  }
  return { ...outcomeOf(measured.varve), beside: { 'bare loop': outcomeOf(measured.bare) } }
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
  variants: [
    {
      name: 'one at a time',
      recordBytes,
      recordsPerCall: 1,
      durability: 'durable',
      sides: {
        // By turns with varve, in its process.
        'bare loop': { kind: 'limit' },
        varve: { kind: 'varve', run: measureBoth },
      },
      targets,
    },
  ],
}
