/**
 * Do larger records reach the disk's bandwidth?
 *
 * Expectation: a record of 1 KB costs 150 ns and one of 10 KB 1 µs, mostly the copy and the CRC at
 * several GB/s: far less than the disk takes for them, ≥ 0.85 of the raw ceiling.
 */
import { appendSide, encodingClosedLoopSide, rawWriteSide } from '../harness/append-sides.ts'
import { compared, metrics, ratioAtLeast } from '../harness/targets.ts'
import type { Variant, Workload } from '../harness/workload.ts'

function variantOf(name: string, recordBytes: number): Variant {
  const load = {
    recordBytes,
    // A call of just below 1 MiB, the largest batch that a topic takes by default.
    recordsPerCall: 1_024_000 / recordBytes,
    inFlight: 28,
    calls: 2000,
    smokeCalls: 30,
  }
  return {
    name,
    recordBytes,
    recordsPerCall: load.recordsPerCall,
    durability: 'durable',
    sides: {
      'raw write': rawWriteSide(load),
      varve: appendSide(load),
      'bare closed loop, encoding': encodingClosedLoopSide(load),
      'raw write, unaligned': rawWriteSide(load, { isUnaligned: true }),
    },
    targets: [
      ratioAtLeast('raw write', 0.85, metrics.bytesPerSecond),
      compared('bare closed loop, encoding', metrics.bytesPerSecond),
      compared('raw write, unaligned', metrics.bytesPerSecond),
    ],
  }
}

/** Bulk appends of larger records. */
export const appendLarge: Workload = {
  name: 'append-large',
  question: 'How close do durable bulk appends of 1 KB and 10 KB records come to the disk?',
  expectation: 'Copy and CRC run at several GB/s beside the disk: ≥ 0.85 of the raw ceiling.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  variants: [variantOf('1 KB', 1024), variantOf('10 KB', 10_240)],
}
