/**
 * What do several groups that read the same topic cost one another, and the disk?
 *
 * Expectation: each group reads and checks for itself, so on one thread they share what one loop over
 * `batches()` reaches, some 8 million records a second in all, a consumer's turn of the queue being
 * taken once in 1,000 records: ≥ 0.9 × as many bare loops. What the first group has made the disk read
 * lies in the page cache for all others: none of them reads from the disk.
 */
import { consumeBatches } from '../harness/consuming.ts'
import { diskReadBytes, dropFromPageCache } from '../harness/disk-reads.ts'
import { measure } from '../harness/measure.ts'
import { absolute, figure, metrics, ratioAtLeast } from '../harness/targets.ts'
import { filledPartition, fillLog, segmentPaths, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Variant, Workload } from '../harness/workload.ts'

/** 220 MB, so that the last of 64 groups is through in seconds. */
const load = { recordBytes: 100, recordsPerCall: 1000, records: 2_000_000, smokeRecords: 5000 }

/** So often the log is read in all at least: the first few readings, of 0.2 s each, are of cold code. */
const leastReadings = 32

type ReadOnce = (index: number) => Promise<number>

/** One reader, for whom the disk has to read, and then so many side by side. */
async function readSideBySide(
  context: Context,
  of: { readonly count: number; readonly readOnce: ReadOnce },
): Promise<Outcome> {
  const { count, readOnce } = of
  const passes = Math.ceil(leastReadings / count)
  const records = recordsOf(context) * passes
  const atFirst = diskReadBytes()
  const firstChecksum = await readOnce(0)
  const afterOne = diskReadBytes()
  const rates: number[] = []
  const { phase, value: checksums } = await measure(() => {
    const start = performance.now()
    const readers = Array.from({ length: count }, async (_, index) => {
      let checksum = 0
      for (let pass = 0; pass < passes; pass++) checksum += await readOnce(index + 1)
      rates.push((records / (performance.now() - start)) * 1000)
      return checksum
    })
    return Promise.all(readers)
  })
  if (checksums.some(checksum => checksum !== firstChecksum * passes))
    throw new Error('records are missing')
  const fromDisk = diskReadBytes() - afterOne
  return {
    ...phase,
    records: records * count,
    bytes: records * count * load.recordBytes,
    figures: {
      'records/s of the slowest': Math.min(...rates),
      'records/s of the fastest': Math.max(...rates),
      'bytes from the disk for the one before them': afterOne - atFirst,
      'bytes from the disk': fromDisk,
      'share of each reading from the disk': fromDisk / (records * count * load.recordBytes),
    },
  }
}

function recordsOf(context: Context): number {
  return context.pick(load.records, load.smokeRecords)
}

function groups(context: Context, count: number): Promise<Outcome> {
  dropFromPageCache(segmentPaths(context.preparedDir))
  return withLog(context.preparedDir, async log => {
    const topic = await log.topic(topicName, { create: false })
    const readOnce = async (index: number): Promise<number> => {
      const consumer = await log.consumer({
        group: `group-${index}`,
        topics: topic,
        from: 'earliest',
      })
      const checksum = await consumeBatches(consumer, recordsOf(context))
      await consumer.close()
      return checksum
    }
    return await readSideBySide(context, { count, readOnce })
  })
}

function bareLoops(context: Context, count: number): Promise<Outcome> {
  dropFromPageCache(segmentPaths(context.preparedDir))
  return withLog(context.preparedDir, async log => {
    const partition = await filledPartition(log)
    const readOnce = async (): Promise<number> => {
      let checksum = 0
      for await (const batch of partition.batches()) {
        for (const record of batch) checksum += record.offset + record.valueSizeBytes
      }
      return checksum
    }
    return await readSideBySide(context, { count, readOnce })
  })
}

function variantOf(count: number): Variant {
  return {
    name: count === 1 ? '1 group' : `${count} groups`,
    recordBytes: load.recordBytes,
    recordsPerCall: load.recordsPerCall,
    prepare: context => fillLog(context.preparedDir, { ...load, records: recordsOf(context) }),
    sides: {
      'loops over batches()': { kind: 'limit', run: context => bareLoops(context, count) },
      varve: { kind: 'varve', run: context => groups(context, count) },
    },
    targets: [
      ratioAtLeast('loops over batches()', 0.9, metrics.recordsPerSecond),
      // Not zero: whatever else the machine does may push a page out.
      absolute('≤ 1 % of each reading from the disk after the first', {
        metric: figure('share of each reading from the disk'),
        atMost: 0.01,
      }),
    ],
  }
}

/** Groups of one member each, all from the first record to the last. */
export const groupReaders: Workload = {
  name: 'group-readers',
  question:
    'How many records a second do 1, 8 and 64 groups read of one topic, and how much from the disk?',
  expectation: 'As much in all as as many loops over batches(); from the disk nothing but once.',
  chart: { label: 'records/s of all together', metric: metrics.recordsPerSecond, kind: 'bar' },
  rounds: 3,
  variants: [variantOf(1), variantOf(8), variantOf(64)],
}
