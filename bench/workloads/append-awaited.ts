/**
 * What does one durable append take when the next one waits for it?
 *
 * Expectation: one fdatasync, and some 20 µs for the call, the encoding and the way there and back:
 * ≤ 1.3 times the bare loop of one `writeSync` and one awaited fdatasync of the same bytes.
 */
import { join } from 'node:path'

import { diskUsage } from '../harness/disk-usage.ts'
import { bareLoop } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { metrics, ratioAtMost, timesBestPeer } from '../harness/targets.ts'
import { batchBytes, closedLoop, topicName, withLog } from '../harness/varve.ts'
import type { Context, Workload } from '../harness/workload.ts'
import { peerAppendSides } from '../peers/peer-sides.ts'

const recordBytes = 100
const values = makeValues(1000, recordBytes)
const count = 4000
const smokeCount = 20
/** Before the clock runs, on both sides: the first ones wait for the compiler, not for the disk. */
const warmUpCount = 2000
const smokeWarmUpCount = 5

function appends(context: Context): { records: number; bytes: number } {
  const records = context.pick(count, smokeCount)
  return { records, bytes: records * batchBytes(values.slice(0, 1)) }
}

/** One awaited append after another. */
export const appendAwaited: Workload = {
  name: 'append-awaited',
  question: 'What does one awaited durable append after another take?',
  expectation: 'One fdatasync and some 20 µs: p50 ≤ 1.3 × the bare loop.',
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
          async run(context) {
            const recordSize = batchBytes(values.slice(0, 1))
            const warmUp = context.pick(warmUpCount, smokeWarmUpCount)
            await bareLoop(context.dir, { recordBytes: recordSize, records: warmUp })
            const records = context.pick(count, smokeCount)
            return await bareLoop(context.dir, { recordBytes: recordSize, records })
          },
        },
        varve: {
          kind: 'varve',
          async run(context) {
            const of = appends(context)
            const measured = await withLog(context.dir, async log => {
              const partition = (await log.topic(topicName)).partition(0)
              const appendOne = (index: number): Promise<unknown> =>
                partition.append({ value: values[index % values.length] ?? null })
              const warmUp = context.pick(warmUpCount, smokeWarmUpCount)
              await closedLoop({ calls: warmUp, inFlight: 1 }, appendOne)
              return await measure(() => closedLoop({ calls: of.records, inFlight: 1 }, appendOne))
            })
            const bytesOnDisk = diskUsage(join(context.dir, 'log'))
            return { ...measured.phase, ...of, bytesOnDisk, latency: measured.value }
          },
        },
        ...peerAppendSides({
          recordBytes,
          recordsPerCall: 1,
          inFlight: 1,
          calls: 2000,
          smokeCalls: 10,
        }),
      },
      targets: [
        ratioAtMost('bare loop', 1.3, { what: 'p50', metric: metrics.p50Micros }),
        timesBestPeer(1, metrics.recordsPerSecond),
      ],
    },
  ],
}
