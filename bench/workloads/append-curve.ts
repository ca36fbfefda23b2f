/**
 * What does waiting for durability cost when only a few calls are un-acknowledged at a time?
 *
 * Expectation: with one call in flight each fdatasync carries 109 KB, and its latency decides; with
 * 64 calls it carries megabytes, and bandwidth decides. Nobody can answer earlier than an fdatasync
 * that started after the write: the bare closed loop, without encoding, is the limit at every point.
 * Encoding 1,000 records takes 35 µs, which hides behind the fdatasync except with one call.
 */
import {
  appendSide,
  bareClosedLoopSide,
  encodingClosedLoopSide,
  rawWriteSide,
} from '../harness/append-sides.ts'
import { compared, comparedToBestPeer, metrics, ratioAtLeast } from '../harness/targets.ts'
import type { Variant, Workload } from '../harness/workload.ts'
import { peerAppendSides } from '../peers/peer-sides.ts'

/** At each point 20 million records: a run of half a second measures how code is compiled. */
const calls = 20_000

function variantOf(inFlight: number): Variant {
  const load = { recordBytes: 100, recordsPerCall: 1000, inFlight, calls, smokeCalls: 2 * inFlight }
  return {
    name: `${inFlight} in flight`,
    recordBytes: load.recordBytes,
    recordsPerCall: load.recordsPerCall,
    durability: 'durable',
    sides: {
      'bare closed loop': bareClosedLoopSide(load),
      'bare closed loop, encoding': encodingClosedLoopSide(load),
      varve: appendSide(load),
      'raw write': rawWriteSide(load),
      ...peerAppendSides({ ...load, smokeCalls: inFlight, atMostMs: 1500 }),
    },
    targets: [
      ratioAtLeast('bare closed loop', 0.85, metrics.bytesPerSecond),
      compared('bare closed loop, encoding', metrics.bytesPerSecond),
      compared('raw write', metrics.bytesPerSecond),
      comparedToBestPeer(metrics.recordsPerSecond),
      comparedToBestPeer(metrics.recordsPerSecond, { isHelped: true }),
    ],
  }
}

/** Bulk appends by the number of calls in flight. */
export const appendCurve: Workload = {
  name: 'append-curve',
  question: 'How do durable bulk appends depend on the number of calls in flight?',
  expectation:
    'Nobody can answer before an fdatasync that started after the write: ≥ 0.85 of a bare loop with the same bytes in flight, at every point.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'line' },
  variants: [1, 4, 16, 64].map(variantOf),
}
