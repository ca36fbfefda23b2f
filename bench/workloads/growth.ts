/**
 * Do appends and reads get slower as the log grows?
 *
 * Expectation: an append touches the end of the active segment, a read by offset one index of 128
 * MiB's entries, whatever lies before: flat within 15 %. Partitions of every size are there at the same
 * time, and take turns: a disk that is half as fast a minute later is so for all of them.
 */
import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Partition } from '../../lib/types.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { rawWrite } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { touchPageCache } from '../harness/page-cache.ts'
import { makeValueSets } from '../harness/payload.ts'
import { median } from '../harness/statistics.ts'
import { figure, medianOf, metrics } from '../harness/targets.ts'
import { batchBytes, closedLoop, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

const recordsPerCall = 1000

/** Turns that every partition gets. */
const turns = 63

/** The first turns are the compiler's. */
const uncountedTurns = 3

/** How much is appended in a turn, and then read. */
const windowBytes = 25e6

/** A window is read so often in a turn: once takes 20 ms. */
const readings = 4

interface Sized {
  readonly sizeBytes: number
  readonly partition: Partition
  /** In bytes a second, a number for each turn that counts. */
  readonly appendRates: number[]
  readonly readRates: number[]
}

async function growth(context: Context): Promise<Outcome> {
  const sizes = context.isSmoke ? [1e6, 2e6] : sizesThatFit(context.dir)
  const window = context.pick(windowBytes, 0.3e6)
  const values = makeValueSets(recordsPerCall, 100)
  const sets = values.map(set => set.map(value => ({ value })))
  const callBytes = batchBytes(values[0] ?? [])
  let calls = 0
  let appendMs = 0
  let cpuMicros = 0
  const append = async (partition: Partition, bytes: number): Promise<number> => {
    const own = Math.max(1, Math.ceil(bytes / callBytes))
    const cpu = process.cpuUsage()
    const start = performance.now()
    await closedLoop({ calls: own, inFlight: 256 }, index =>
      partition.append(sets[index % sets.length] ?? []),
    )
    appendMs += performance.now() - start
    const { user, system } = process.cpuUsage(cpu)
    cpuMicros += user + system
    calls += own
    return own * callBytes
  }
  const rawRates: number[] = []
  const { phase, value: all } = await withLog(context.dir, async log => {
    const made: Sized[] = []
    for (const sizeBytes of sizes) {
      const topic = await log.topic(`${topicName}-${sizeBytes}`)
      made.push({ sizeBytes, partition: topic.partition(0), appendRates: [], readRates: [] })
    }
    return await measure(async () => {
      for (const { partition, sizeBytes } of made) await append(partition, sizeBytes)
      for (let turn = 0; turn < context.pick(turns, 1); turn++) {
        const isCounted = context.isSmoke || turn >= uncountedTurns
        // Nine turns of ten find memory at hand then, and their median is the log's own. Readers take some, too.
        const turnBytes = window * (1 + made.length * (1 + readings))
        if (!context.isSmoke) await touchPageCache(context.dir, turnBytes)
        rawRates.push(await rawRate(context, window))
        // Who comes first pays for what the one before has left to the disk.
        for (let step = 0; step < made.length; step++) {
          const sized = made[(turn + step) % made.length] as Sized
          const { partition } = sized
          const rates = await ratesOf(partition, bytes => append(partition, bytes), window)
          if (!isCounted) continue
          sized.appendRates.push(rates.append)
          sized.readRates.push(rates.read)
        }
      }
      return made
    })
  })
  const appends = all.map(({ appendRates }) => median(appendRates))
  const reads = all.map(({ readRates }) => median(readRates))
  const rawBytesPerSecond = median(rawRates)
  return {
    ...phase,
    // Of the appends alone, without the raw writes and the reads between them.
    seconds: appendMs / 1000,
    cpuSeconds: cpuMicros / 1e6,
    bytes: calls * callBytes,
    records: calls * recordsPerCall,
    bytesOnDisk: diskUsage(join(context.dir, 'log')),
    figures: {
      'largest size, GB': (sizes.at(-1) ?? 0) / 1e9,
      'append, least / most': spread(appends),
      'read, least / most': spread(reads),
      'append against raw write, at the largest': (appends.at(-1) ?? 0) / rawBytesPerSecond,
    },
    series: {
      xLabel: 'size of the log, GB',
      x: sizes.map(size => size / 1e9),
      yLabel: 'MB/s',
      lines: {
        append: appends.map(rate => rate / 1e6),
        'raw write': appends.map(() => rawBytesPerSecond / 1e6),
        read: reads.map(rate => rate / 1e6),
      },
    },
  }
}

/** Sizes that all fit together, and leave a tenth of what is free. */
function sizesThatFit(dir: string): readonly number[] {
  const { bavail, bsize } = statfsSync(dir)
  let left = 0.9 * bavail * bsize
  return [0.1e9, 1e9, 5e9, 20e9].filter(size => {
    const needed = size + turns * windowBytes
    if (needed > left) return false
    left -= needed
    return true
  })
}

/** What the disk does in this turn without varve, in bytes a second. */
async function rawRate(context: Context, bytes: number): Promise<number> {
  const dir = join(context.dir, 'raw')
  mkdirSync(dir)
  const { seconds } = await rawWrite({ ...context, dir }, { bytes, records: 1, warmUpBytes: 0 })
  rmSync(dir, { recursive: true })
  return bytes / seconds
}

/** Appends a window at the end and reads it back; in bytes a second. */
async function ratesOf(
  partition: Partition,
  append: (bytes: number) => Promise<number>,
  window: number,
): Promise<{ readonly append: number; readonly read: number }> {
  const from = partition.logEndOffset
  const appendStart = performance.now()
  const appended = await append(window)
  const appendMs = performance.now() - appendStart
  const readStart = performance.now()
  let bytes = 0
  for (let reading = 0; reading < readings; reading++) {
    for await (const batch of partition.batches({ from })) bytes += batch.sizeBytes
  }
  const readMs = performance.now() - readStart
  return { append: (appended / appendMs) * 1000, read: (bytes / readMs) * 1000 }
}

function spread(values: readonly number[]): number {
  return Math.min(...values) / Math.max(...values)
}

const flat = 0.85

/** Rates by the size of the log. */
export const growthRates: Workload = {
  name: 'growth',
  question: 'Do appends and reads get slower as the log grows?',
  expectation: 'Both touch one segment, whatever lies before it: flat within 15 %.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'line' },
  rounds: 1,
  variants: [
    {
      name: '0.1 to 20 GB',
      recordBytes: 100,
      recordsPerCall,
      durability: 'durable',
      sides: { varve: { kind: 'varve', run: growth } },
      targets: ['append, least / most', 'read, least / most'].map(name => ({
        text: `flat within 15 %: ${name} ≥ ${flat}`,
        figure: outcomes => medianOf(outcomes, 'varve', figure(name)),
        atLeast: flat,
      })),
    },
  ],
}
