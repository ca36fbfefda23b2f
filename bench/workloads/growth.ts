/**
 * Do appends and reads get slower as the log grows?
 *
 * Expectation: an append touches the end of the active segment, a read by offset one index of 128
 * MiB's entries, whatever lies before: flat within 15 %. Each rate is the median of several windows
 * at each size, in turn with raw writes of the same bytes, which tell the disk's moods from ours.
 */
import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Partition } from '../../lib/types.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { rawWrite } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValueSets } from '../harness/payload.ts'
import { median } from '../harness/statistics.ts'
import { figure, medianOf, metrics } from '../harness/targets.ts'
import { batchBytes, closedLoop, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

const recordsPerCall = 1000
const windows = 9

/** How much is appended, and read, to learn a rate. */
const windowBytes = 100e6

interface Rates {
  readonly append: number
  readonly appendRatio: number
  readonly read: number
}

async function growth(context: Context): Promise<Outcome> {
  const sizes = context.isSmoke ? [1e6, 2e6] : sizesThatFit(context.dir)
  const window = context.pick(windowBytes, 0.3e6)
  const values = makeValueSets(recordsPerCall, 100)
  const sets = values.map(set => set.map(value => ({ value })))
  const callBytes = batchBytes(values[0] ?? [])
  const points: Rates[] = []
  const { phase, value } = await withLog(context.dir, async log => {
    const partition = (await log.topic(topicName)).partition(0)
    let bytes = 0
    const append = async (upTo: number): Promise<number> => {
      const calls = Math.max(1, Math.ceil(upTo / callBytes))
      await closedLoop({ calls, inFlight: 256 }, index =>
        partition.append(sets[index % sets.length] ?? []),
      )
      bytes += calls * callBytes
      return calls * callBytes
    }
    return await measure(async () => {
      for (const size of sizes) {
        if (size > bytes) await append(size - bytes)
        points.push(await ratesAt(partition, { append: () => append(window), window, context }))
      }
      return { bytes, records: (bytes / callBytes) * recordsPerCall }
    })
  })
  return {
    ...phase,
    ...value,
    bytesOnDisk: diskUsage(join(context.dir, 'log')),
    figures: {
      'append, least / most': spread(points.map(point => point.append)),
      'append against raw write, least / most': spread(points.map(point => point.appendRatio)),
      'read, least / most': spread(points.map(point => point.read)),
    },
    series: {
      xLabel: 'size of the log, GB',
      x: sizes.map(size => size / 1e9),
      yLabel: 'MB/s',
      lines: {
        append: points.map(point => point.append / 1e6),
        'raw write': points.map(point => point.append / point.appendRatio / 1e6),
        read: points.map(point => point.read / 1e6),
      },
    },
  }
}

/** Sizes that leave a tenth of what is free. */
function sizesThatFit(dir: string): readonly number[] {
  const { bavail, bsize } = statfsSync(dir)
  return [0.1e9, 1e9, 5e9, 20e9].filter(size => size < 0.9 * bavail * bsize)
}

async function ratesAt(
  partition: Partition,
  of: {
    readonly append: () => Promise<number>
    readonly window: number
    readonly context: Context
  },
): Promise<Rates> {
  const appends: number[] = []
  const ratios: number[] = []
  const reads: number[] = []
  const rawDir = join(of.context.dir, 'raw')
  for (let index = 0; index < of.context.pick(windows, 1); index++) {
    mkdirSync(rawDir)
    const raw = metrics.bytesPerSecond(await rawWrite(rawDir, { bytes: of.window, records: 1 }))
    rmSync(rawDir, { recursive: true })
    const from = partition.logEndOffset
    const appendStart = performance.now()
    const appended = await of.append()
    const append = (appended / (performance.now() - appendStart)) * 1000
    const readStart = performance.now()
    let bytes = 0
    for await (const batch of partition.batches({ from })) bytes += batch.sizeBytes
    reads.push((bytes / (performance.now() - readStart)) * 1000)
    appends.push(append)
    ratios.push(append / raw)
  }
  return { append: median(appends), appendRatio: median(ratios), read: median(reads) }
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
