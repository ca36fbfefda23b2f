/** One durable append after another, by turns with the bare loop that writes and syncs the same bytes. */
import { join } from 'node:path'

import type { Partition } from '../../lib/types.ts'
import { type Alternated, alternate } from './alternate.ts'
import { diskUsage } from './disk-usage.ts'
import { bareAppends, bareLoop, bareOverwrites } from './limits.ts'
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

/** The limit of stores that write into blocks which their file has already, with the thread blocked. */
export const overwritingSide: Side = {
  kind: 'limit',
  run: context =>
    bareLoop(context.dir, {
      recordBytes: batchBytes(values.slice(0, 1)),
      records: context.pick(count, smokeCount),
      open: bareOverwrites,
    }),
}

/** Appends of varve by turns with another way to append a value, both warmed up alike. */
export function awaitedBeside(
  context: Context,
  append: (value: Buffer) => Promise<unknown>,
  open: (partition: Partition) => AwaitedCalls = appends,
): Promise<Readonly<Record<'varve' | 'other', Alternated>>> {
  return withLog(context.dir, async log => {
    const calls = open((await log.topic(topicName)).partition(0))
    const valueAt = (index: number): Buffer => values[index % values.length] as Buffer
    let own = 0
    let others = 0
    const both = await alternate(
      { other: () => append(valueAt(others++)), varve: () => calls.call(valueAt(own++)) },
      {
        calls: context.pick(count, smokeCount),
        warmUpCalls: context.pick(warmUpCount, smokeWarmUpCount),
      },
    )
    await calls.end()
    return both
  })
}

/** What is measured where nothing else is said: the append itself. */
export function appends(partition: Partition): AwaitedCalls {
  return { call: value => partition.append({ value }), end: () => Promise.resolve() }
}

async function measureBoth(
  context: Context,
  open: (partition: Partition) => AwaitedCalls,
): Promise<Outcome> {
  const recordSize = batchBytes(values.slice(0, 1))
  const bare = bareAppends(context.dir, recordSize)
  const measured = await awaitedBeside(context, () => bare.append(), open)
  bare.close()
  const outcomeOf = ({ calls: records, ...phase }: Alternated): Outcome => {
    return { ...phase, records, bytes: records * recordSize }
  }
  const own = { ...outcomeOf(measured.varve), bytesOnDisk: diskUsage(join(context.dir, 'log')) }
  const bareBytesOnDisk = diskUsage(context.dir) - own.bytesOnDisk
  const limit = { ...outcomeOf(measured.other), bytesOnDisk: bareBytesOnDisk }
  return { ...own, beside: { 'bare loop': limit } }
}
