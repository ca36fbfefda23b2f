/**
 * How close do whole batches, CRC checked, come to what reading the file takes?
 *
 * Expectation: a warm read copies at 5 GB/s or so in the pool, and meanwhile the CRC of the chunk before
 * runs on the thread at 3 to 15 GB/s: ≥ 0.7 of raw read where the CRC is no slower. Without `reuseBuffers`
 * the chunks are fresh memory each time, for they stay valid; clearing it, and finding it again, is part
 * of the price, as the second limit shows.
 */
import type { RecordBatch } from '../../lib/types.ts'
import { rawRead } from '../harness/limits.ts'
import { batchesSide, prepareReads, readLoad, recordsToRead } from '../harness/read-sides.ts'
import { metrics, ratioAtLeast } from '../harness/targets.ts'
import { segmentPaths } from '../harness/varve.ts'
import type { Side, Workload } from '../harness/workload.ts'

function rawReadSide(memory: 'reused' | 'fresh'): Side {
  return {
    kind: 'limit',
    run: context =>
      rawRead(segmentPaths(context.preparedDir), { records: recordsToRead(context), memory }),
  }
}

const baseOffsetOf = ({ baseOffset }: RecordBatch): number => baseOffset

const shared = {
  recordBytes: readLoad.recordBytes,
  recordsPerCall: readLoad.recordsPerCall,
  prepare: prepareReads,
}

/** Sequential reads of batches that are not looked into. */
export const readRaw: Workload = {
  name: 'read-raw',
  question: 'How close do raw batches, CRC checked, come to reading the file?',
  expectation: 'One copy and one CRC at several GB/s each: ≥ 0.7 of raw read.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  variants: [
    {
      ...shared,
      name: 'batches(), not looked into',
      sides: {
        'raw read': rawReadSide('reused'),
        varve: batchesSide(baseOffsetOf),
        'raw read, fresh memory': rawReadSide('fresh'),
      },
      targets: [
        ratioAtLeast('raw read', 0.7, metrics.bytesPerSecond),
        ratioAtLeast('raw read, fresh memory', 0.7, metrics.bytesPerSecond),
      ],
    },
    {
      ...shared,
      name: 'the same with reuseBuffers',
      sides: {
        'raw read': rawReadSide('reused'),
        varve: batchesSide(baseOffsetOf, { reuseBuffers: true }),
      },
      targets: [ratioAtLeast('raw read', 0.7, metrics.bytesPerSecond)],
    },
  ],
}
