/**
 * How long until a live reader of the same process sees a durable append?
 *
 * Expectation: readers see what is durable, so the bare write and fdatasync come first; waking the
 * reader and reading one batch from the file takes some 50 µs more: p50 ≤ the bare loop + 100 µs.
 */
import { join } from 'node:path'

import { diskUsage } from '../harness/disk-usage.ts'
import { bareLoop } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { LatencyRecorder } from '../harness/statistics.ts'
import { medianOf, metrics } from '../harness/targets.ts'
import { batchBytes, topicName, withLog } from '../harness/varve.ts'
import type { Context, Metric, Outcome, Outcomes, Target, Workload } from '../harness/workload.ts'

const recordBytes = 100
const values = makeValues(1000, recordBytes)
const count = 4000
const smokeCount = 20

async function endToEnd(context: Context): Promise<Outcome> {
  const records = context.pick(count, smokeCount)
  const latencies = new LatencyRecorder(records)
  const { phase } = await withLog(context.dir, async log => {
    const partition = (await log.topic(topicName)).partition(0)
    const reader = partition.records({ live: true })
    return await measure(async () => {
      for (let index = 0; index < records; index++) {
        // A live reader waits before the append starts, as it does in a service.
        const seen = reader.next()
        const start = performance.now()
        const appended = partition.append({ value: values[index % values.length] ?? null })
        await seen
        latencies.add(performance.now() - start)
        await appended
      }
      await reader.return?.()
    })
  })
  return {
    ...phase,
    records,
    bytes: records * recordBytes,
    bytesOnDisk: diskUsage(join(context.dir, 'log')),
    latency: latencies.summary(),
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
  variants: [
    {
      name: 'one at a time',
      recordBytes,
      recordsPerCall: 1,
      durability: 'durable',
      sides: {
        'bare loop': {
          kind: 'limit',
          run: context =>
            bareLoop(context.dir, {
              recordBytes: batchBytes(values.slice(0, 1)),
              records: context.pick(count, smokeCount),
            }),
        },
        varve: { kind: 'varve', run: endToEnd },
      },
      targets,
    },
  ],
}
