/**
 * How close do bulk appends of small records come to the disk's bandwidth, every call durable?
 *
 * Expectation: encoding takes 100 ns a record and runs beside the writes and the fdatasyncs, which
 * have threads of their own. 1 GB/s of disk is 9 million records of 109 bytes a second, about what
 * one thread encodes: the disk and the encoder should each be busy most of the time, ≥ 0.8 of the
 * raw ceiling. The other stores keep a tree or a second copy: a fifth of that at best.
 */
import {
  appendSide,
  bareClosedLoopSide,
  encodingClosedLoopSide,
  rawWriteSide,
} from '../harness/append-sides.ts'
import {
  compared,
  comparedToBestPeer,
  metrics,
  ratioAtLeast,
  timesBestPeer,
} from '../harness/targets.ts'
import type { Workload } from '../harness/workload.ts'
import { peerAppendSides } from '../peers/peer-sides.ts'

const load = {
  recordBytes: 100,
  recordsPerCall: 1000,
  inFlight: 256,
  calls: 20_000,
  smokeCalls: 300,
}

/** Bulk appends into one partition. */
export const appendBatches: Workload = {
  name: 'append-batches',
  question: 'How close do durable bulk appends of small records come to the disk?',
  expectation:
    'Encoding takes 100 ns a record beside the writes and fdatasyncs: ≥ 0.8 of the raw ceiling.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  variants: [
    {
      name: '256 calls in flight',
      recordBytes: load.recordBytes,
      recordsPerCall: load.recordsPerCall,
      durability: 'durable',
      sides: {
        'raw write': rawWriteSide(load),
        'raw write, unaligned': rawWriteSide(load, { isUnaligned: true }),
        varve: appendSide(load),
        'bare closed loop': bareClosedLoopSide(load),
        'bare closed loop, encoding': encodingClosedLoopSide(load),
        ...peerAppendSides({ ...load, smokeCalls: 3 }),
      },
      targets: [
        ratioAtLeast('raw write', 0.8, metrics.bytesPerSecond),
        compared('raw write, unaligned', metrics.bytesPerSecond),
        ratioAtLeast('bare closed loop', 0.85, metrics.bytesPerSecond),
        compared('bare closed loop, encoding', metrics.bytesPerSecond),
        timesBestPeer(5, metrics.recordsPerSecond),
        comparedToBestPeer(metrics.recordsPerSecond, { isHelped: true }),
      ],
    },
  ],
}
