/**
 * How many records a second does one loop read through `batches()`, touching the offset and the
 * length of the value?
 *
 * Expectation: 1 MiB holds nine batches of 1,000 records; reading it warm and checking its CRCs takes
 * some 0.5 ms, 55 ns a record, and the record object some 40: ≥ 10 million records a second. A store
 * that returns row by row pays some 500 ns to 1 µs for each, the value included, which varve leaves in
 * its batch until it is asked for: read-values has both with a Buffer for every value.
 */
import type { RecordBatch } from '../../lib/types.ts'
import { batchesSide, prepareReads, readLoad } from '../harness/read-sides.ts'
import { absolute, metrics, timesBestPeer } from '../harness/targets.ts'
import type { Workload } from '../harness/workload.ts'
import { peerScanSides } from '../peers/peer-sides.ts'

function offsetsAndSizes(batch: RecordBatch): number {
  let sum = 0
  for (const record of batch) sum += record.offset + record.valueSizeBytes
  return sum
}

const tenMillion = absolute('≥ 10 M records/s', {
  metric: metrics.recordsPerSecond,
  atLeast: 10_000_000,
})

const shared = {
  recordBytes: readLoad.recordBytes,
  recordsPerCall: readLoad.recordsPerCall,
  prepare: prepareReads,
}

/** Sequential reads of batches. */
export const readBatches: Workload = {
  name: 'read-batches',
  question: 'How many records a second does one loop read through batches()?',
  expectation: 'A read of 1 MiB, its CRCs, 9,400 small objects: ≥ 10 M records/s.',
  chart: { label: 'records/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  variants: [
    {
      ...shared,
      name: 'offset and value length',
      sides: {
        varve: batchesSide(offsetsAndSizes),
        ...peerScanSides({ ...readLoad, smokeCalls: 3 }),
      },
      targets: [tenMillion, timesBestPeer(10, metrics.recordsPerSecond)],
    },
    {
      ...shared,
      name: 'the same with reuseBuffers',
      sides: { varve: batchesSide(offsetsAndSizes, { reuseBuffers: true }) },
      targets: [tenMillion],
    },
  ],
}
