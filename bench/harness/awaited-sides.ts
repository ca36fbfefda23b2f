/** One durable append after another, by turns with the bare loop that writes and syncs the same bytes. */
import type { Partition } from '../../lib/types.ts'
import { type Alternated, alternate } from './alternate.ts'
import { bareAppends } from './limits.ts'
import { makeValues } from './payload.ts'
import { batchBytes, topicName, withLog } from './varve.ts'
import type { Context, Outcome, Side } from './workload.ts'

/** What such a variant says of itself. */
export const awaitedShape = {
  name: 'one at a time',
  recordBytes: 100,
  recordsPerCall: 1,
  durability: 'durable',
} as const

const values = makeValues(1000, awaitedShape.recordBytes)
const count = 4000
const smokeCount = 20
/** Before the clock runs, on both sides: the first ones wait for the compiler, not for the disk. */
const warmUpCount = 8000
const smokeWarmUpCount = 5

/** What is measured of varve: a call, which the next one waits for. */
export interface AwaitedCalls {
  call(value: Buffer): Promise<unknown>
  end(): Promise<unknown>
}

/** Both sides; they run in one process. */
export function awaitedSides(
  open: (partition: Partition) => AwaitedCalls,
): Readonly<Record<string, Side>> {
  return {
    'bare loop': { kind: 'limit' },
    varve: { kind: 'varve', run: context => measureBoth(context, open) },
  }
}

async function measureBoth(
  context: Context,
  open: (partition: Partition) => AwaitedCalls,
): Promise<Outcome> {
  const recordSize = batchBytes(values.slice(0, 1))
  const bare = bareAppends(context.dir, recordSize)
  const measured = await withLog(context.dir, async log => {
    const calls = open((await log.topic(topicName)).partition(0))
    let index = 0
    const both = await alternate(
      {
        bare: () => bare.append(),
        varve: () => calls.call(values[index++ % values.length] as Buffer),
      },
      {
        calls: context.pick(count, smokeCount),
        warmUpCalls: context.pick(warmUpCount, smokeWarmUpCount),
      },
    )
    await calls.end()
    return both
  })
  bare.close()
  const outcomeOf = ({ calls: records, ...phase }: Alternated): Outcome => {
    return { ...phase, records, bytes: records * recordSize }
  }
  return { ...outcomeOf(measured.varve), beside: { 'bare loop': outcomeOf(measured.bare) } }
}
