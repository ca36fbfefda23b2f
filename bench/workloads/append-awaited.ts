/**
 * What does one durable append take when the next one waits for it?
 *
 * Expectation: one fdatasync, and some 30 µs for the call, the encoding and the way there and back:
 * ≤ 1.3 times the bare loop of one `writeSync` and one awaited fdatasync of the same bytes.
 */
import { type Alternated, alternate } from '../harness/alternate.ts'
import { bareAppends } from '../harness/limits.ts'
import { makeValues } from '../harness/payload.ts'
import { metrics, ratioAtMost, timesBestPeer } from '../harness/targets.ts'
import { batchBytes, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'
import { peerAppendSides } from '../peers/peer-sides.ts'

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
  const calls = context.pick(count, smokeCount)
  const measured = await withLog(context.dir, async log => {
    const partition = (await log.topic(topicName)).partition(0)
    let index = 0
    return await alternate(
      {
        bare: () => bare.append(),
        varve: () => partition.append({ value: values[index++ % values.length] ?? null }),
      },
      { calls, warmUpCalls: context.pick(warmUpCount, smokeWarmUpCount) },
    )
  })
  bare.close()
  const outcomeOf = ({ calls: records, ...phase }: Alternated): Outcome => {
    return { ...phase, records, bytes: records * recordSize }
  }
  return { ...outcomeOf(measured.varve), beside: { 'bare loop': outcomeOf(measured.bare) } }
}

/** One awaited append after another. */
export const appendAwaited: Workload = {
  name: 'append-awaited',
  question: 'What does one awaited durable append after another take?',
  expectation: 'One fdatasync and some 30 µs: p50 ≤ 1.3 × the bare loop.',
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
