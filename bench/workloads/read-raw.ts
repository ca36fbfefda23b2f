/**
 * How close do whole batches, CRC checked, come to what reading the file takes?
 *
 * Expectation: a warm read copies at 5 GB/s or so, the CRC runs at 3 to 15: side by side in a thread
 * pool they would hide each other, one after the other they give ≥ 0.7 where the CRC is the faster
 * one. The reader's chunks are fresh memory each time, for they stay valid; zeroing it is part of the
 * price, as the second limit shows.
 */
import { rawRead } from '../harness/limits.ts'
import { iterate, prepareReads, readLoad, recordsToRead } from '../harness/read-sides.ts'
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

/** Sequential reads of batches that are not looked into. */
export const readRaw: Workload = {
  name: 'read-raw',
  question: 'How close do raw batches, CRC checked, come to reading the file?',
  expectation: 'One copy and one CRC at several GB/s each: ≥ 0.7 of raw read.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  variants: [
    {
      name: 'batches(), not looked into',
      recordBytes: readLoad.recordBytes,
      recordsPerCall: readLoad.recordsPerCall,
      prepare: prepareReads,
      sides: {
        'raw read': rawReadSide('reused'),
        varve: {
          kind: 'varve',
          run: context =>
            iterate(context, async partition => {
              let checksum = 0
              let bytes = 0
              for await (const batch of partition.batches()) {
                checksum += batch.baseOffset
                bytes += batch.sizeBytes
              }
              return { checksum, bytes }
            }),
        },
        'raw read, fresh memory': rawReadSide('fresh'),
      },
      targets: [
        ratioAtLeast('raw read', 0.7, metrics.bytesPerSecond),
        ratioAtLeast('raw read, fresh memory', 0.7, metrics.bytesPerSecond),
      ],
    },
  ],
}
