/** What the reading workloads share: the log that they read, warm in the page cache. */
import { join } from 'node:path'

import type { From, Partition, ReadOptions, RecordBatch } from '../../lib/types.ts'
import { diskUsage } from './disk-usage.ts'
import { measure } from './measure.ts'
import { filledPartition, fillLog, withLog } from './varve.ts'
import type { Context, Outcome, Side } from './workload.ts'

/** 10 million records, 1.1 GB: less than any machine's page cache, more than the processor's. */
export const readLoad: {
  readonly recordBytes: number
  readonly recordsPerCall: number
  readonly records: number
  readonly smokeRecords: number
} = { recordBytes: 100, recordsPerCall: 1000, records: 10_000_000, smokeRecords: 20_000 }

/** How many records there are to read. */
export function recordsToRead(context: Context): number {
  return context.pick(readLoad.records, readLoad.smokeRecords)
}

/** Fills the prepared directory with the records. */
export function prepareReads(context: Context): Promise<void> {
  return fillLog(context.preparedDir, { ...readLoad, records: recordsToRead(context) })
}

/**
 * Measures one pass over what is prepared, after another one that the compiler learns from; the sum of
 * what was touched becomes a figure.
 */
export async function iterate(
  context: Context,
  pass: (partition: Partition) => Promise<{ readonly checksum: number; readonly bytes: number }>,
  records: number = recordsToRead(context),
): Promise<Outcome> {
  return await withLog(context.preparedDir, async log => {
    const partition = await filledPartition(log)
    await pass(partition)
    const { phase, value } = await measure(() => pass(partition))
    const { checksum, bytes } = value
    const bytesOnDisk = diskUsage(join(context.preparedDir, 'log'))
    return { ...phase, records, bytes, bytesOnDisk, figures: { checksum } }
  })
}

/** Varve: one loop over `batches()`; what `touch` makes of each batch is summed up. */
export function batchesSide(
  touch: (batch: RecordBatch) => number,
  options: ReadOptions<From> = {},
): Side {
  return {
    kind: 'varve',
    run: context =>
      iterate(context, async partition => {
        let checksum = 0
        let bytes = 0
        for await (const batch of partition.batches(options)) {
          checksum += touch(batch)
          bytes += batch.sizeBytes
        }
        return { checksum, bytes }
      }),
  }
}
