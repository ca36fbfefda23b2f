/**
 * What does it cost to spread the same durable appends over several partitions?
 *
 * Expectation: each partition has a file of its own, so an fdatasync carries a 4th or a 64th of the
 * bytes and there are as many more of them, with two at a time: ≥ 0.7 of the raw ceiling over 4
 * partitions, ≥ 0.5 over 64.
 */
import { appendSide, bareClosedLoopSide, rawWriteSide } from '../harness/append-sides.ts'
import { metrics, ratioAtLeast } from '../harness/targets.ts'
import type { Variant, Workload } from '../harness/workload.ts'

function variantOf(partitions: number, atLeast: number): Variant {
  const load = {
    recordBytes: 100,
    recordsPerCall: 1000,
    inFlight: 256,
    calls: 20_000,
    smokeCalls: 300,
    partitions,
  }
  return {
    name: `${partitions} partitions`,
    recordBytes: load.recordBytes,
    recordsPerCall: load.recordsPerCall,
    durability: 'durable',
    sides: {
      'raw write': rawWriteSide(load),
      varve: appendSide(load),
      // What the same number of files can do at all; the target is against one file.
      'bare closed loop': bareClosedLoopSide(load),
    },
    targets: [ratioAtLeast('raw write', atLeast, metrics.bytesPerSecond)],
  }
}

/** Bulk appends over several partitions. */
export const appendPartitions: Workload = {
  name: 'append-partitions',
  question: 'What do durable bulk appends lose when they go to 4 or 64 partitions?',
  expectation: 'More and smaller fdatasyncs: ≥ 0.7 and ≥ 0.5 of the raw ceiling.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  variants: [variantOf(4, 0.7), variantOf(64, 0.5)],
}
