/**
 * What does one durable append take when the next one waits for it?
 *
 * Expectation: one fdatasync, and some 30 µs for the call, the encoding and the way there and back:
 * ≤ 1.3 times the bare loop of one `writeSync` and one awaited fdatasync of the same bytes. A log grows with every append;
 * a store that overwrites blocks of its file has less to wait for, which the second bare loop shows.
 */
import { appends, awaitedShape, awaitedSides, overwritingSide } from '../harness/awaited-sides.ts'
import { metrics, ratioAtMost, timesBestPeerBeside } from '../harness/targets.ts'
import type { Workload } from '../harness/workload.ts'
import { peerAwaitedSides } from '../peers/peer-sides.ts'

/** One awaited append after another. */
export const appendAwaited: Workload = {
  name: 'append-awaited',
  question: 'What does one awaited durable append after another take?',
  expectation: 'One fdatasync and some 30 µs: p50 ≤ 1.3 × the bare loop.',
  chart: { label: 'p50, µs', metric: metrics.p50Micros, kind: 'bar' },
  variants: [
    {
      ...awaitedShape,
      sides: {
        ...awaitedSides(appends),
        'bare loop, overwriting': overwritingSide,
        ...peerAwaitedSides(awaitedShape.recordBytes),
      },
      targets: [
        ratioAtMost('bare loop', 1.3, { what: 'p50', metric: metrics.p50Micros }),
        timesBestPeerBeside(1),
      ],
    },
  ],
}
