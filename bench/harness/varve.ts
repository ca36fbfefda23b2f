/** Varve as every workload uses it. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { openLog } from '../../lib/index.ts'
import { batchHeaderBytes } from '../../lib/record/batch-format.ts'
import { BatchWriter, recordSizeBound } from '../../lib/record/batch-writer.ts'
import type { Log, OpenOptions, Partition, TopicOptions } from '../../lib/types.ts'
import { makeValueSets } from './payload.ts'
import { LatencyRecorder } from './statistics.ts'
import type { Context, Latency } from './workload.ts'

/** The topic of every workload. */
export const topicName = 'bench'

/** Opens the log in `dir`, hands it to `use`, and closes it whatever comes. */
export async function withLog<T>(
  dir: string,
  use: (log: Log) => Promise<T>,
  options: OpenOptions = {},
): Promise<T> {
  const log = await openLog(join(dir, 'log'), options)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

/** Paths of the segment files of the first partition in `dir`, in the order of their offsets. */
export function segmentPaths(dir: string): readonly string[] {
  const partitionDir = join(dir, 'log', `${topicName}-0`)
  return readdirSync(partitionDir)
    .filter(name => name.endsWith('.log'))
    .sort()
    .map(name => join(partitionDir, name))
}

/** Size of one record batch of these values, as it lies in the log. */
export function batchBytes(values: readonly Buffer[]): number {
  const records = values.map(value => ({ value }))
  let bound = batchHeaderBytes
  for (const record of records) bound += recordSizeBound(record)
  const writer = new BatchWriter()
  writer.begin(Buffer.alloc(bound), 0)
  for (const record of records) writer.add(record, 1_700_000_000_000)
  return writer.finish({ baseOffset: 0, leaderEpoch: 0 })
}

/** Keeps `inFlight` calls under way until `calls` are answered; tells how long each call took. */
export async function closedLoop(
  of: { readonly calls: number; readonly inFlight: number },
  call: (index: number) => Promise<unknown>,
): Promise<Latency> {
  const latencies = new LatencyRecorder(of.calls)
  await recordedLoop({ ...of, latencies }, call)
  return latencies.summary()
}

/** As `closedLoop`, but begins no call after so many ms; tells how many were answered, too. */
export async function timedLoop(
  of: { readonly calls: number; readonly inFlight: number; readonly atMostMs: number },
  call: (index: number) => Promise<unknown>,
): Promise<{ readonly latency: Latency; readonly calls: number }> {
  const latencies = new LatencyRecorder(of.calls)
  const calls = await recordedLoop({ ...of, latencies }, call)
  return { latency: latencies.summary(), calls }
}

/** As `timedLoop`, into latencies that others may add to, too; resolves with the calls made. */
export async function recordedLoop(
  of: {
    readonly calls: number
    readonly inFlight: number
    readonly latencies: LatencyRecorder
    /** @default no limit */
    readonly atMostMs?: number
  },
  call: (index: number) => Promise<unknown>,
): Promise<number> {
  const { atMostMs = Number.POSITIVE_INFINITY, latencies } = of
  const end = performance.now() + atMostMs
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < of.calls) {
      const start = performance.now()
      if (start > end) return
      await call(next++)
      latencies.add(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: Math.min(of.inFlight, of.calls) }, lane))
  return next
}

/** Half a second, or as many calls as will count, before the clock runs: compiled code, warm memory. */
export async function warmUpLoop(
  context: Context,
  of: { readonly calls: number; readonly inFlight: number },
  call: (index: number) => Promise<unknown>,
): Promise<void> {
  await timedLoop({ ...of, atMostMs: context.pick(500, 20) }, call)
}

/** Fills a log of one partition with values of `recordBytes`, `recordsPerCall` to the batch. */
export async function fillLog(
  dir: string,
  of: {
    readonly records: number
    readonly recordBytes: number
    readonly recordsPerCall: number
    readonly topic?: TopicOptions
    /** 1: no call shares its batch with the next. @default 64 */
    readonly inFlight?: number
  },
): Promise<void> {
  const sets = makeValueSets(of.recordsPerCall, of.recordBytes).map(values =>
    values.map(value => ({ value })),
  )
  await withLog(dir, async log => {
    const topic = await log.topic(topicName, of.topic ?? {})
    const partition = topic.partition(0)
    await closedLoop(
      { calls: of.records / of.recordsPerCall, inFlight: of.inFlight ?? 64 },
      index => partition.append(sets[index % sets.length] ?? []),
    )
  })
}

/** The only partition of a log that `fillLog` filled. */
export async function filledPartition(log: Log): Promise<Partition> {
  return (await log.topic(topicName, { create: false })).partition(0)
}
