/**
 * What do the convenient ways of reading cost: a Buffer for every value, a loop over `records()`?
 *
 * Expectation: a Buffer view takes some 80 ns beside the 100 that `batches()` takes for a record: ≥ 4
 * million records a second. `for await` adds a promise and a turn of the microtask queue, some 200
 * ns, which a bare custom iterator takes as well (5 million a second): ≥ 3 million.
 */
import type { RecordBatch } from '../../lib/types.ts'
import { measure } from '../harness/measure.ts'
import {
  batchesSide,
  iterate,
  prepareReads,
  readLoad,
  recordsToRead,
} from '../harness/read-sides.ts'
import { absolute, comparedToBestPeer, metrics, ratioAtLeast } from '../harness/targets.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'
import { peerScanSides } from '../peers/peer-sides.ts'

/** A custom async iterator over nothing but a counter. */
function bareIterator(count: number): AsyncIterable<number> {
  let next = 0
  return {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        Promise.resolve(
          next < count ? { done: false, value: next++ } : { done: true, value: undefined },
        ),
    }),
  }
}

async function* bareGenerator(count: number): AsyncGenerator<number> {
  for (let next = 0; next < count; next++) yield next
}

async function count(
  context: Context,
  make: (count: number) => AsyncIterable<number>,
): Promise<Outcome> {
  const records = recordsToRead(context)
  const { phase, value: checksum } = await measure(async () => {
    let sum = 0
    for await (const value of make(records)) sum += value
    return sum
  })
  return { ...phase, records, bytes: records * readLoad.recordBytes, figures: { checksum } }
}

function offsetsAndValues(batch: RecordBatch): number {
  let sum = 0
  for (const record of batch) sum += record.offset + (record.value?.length ?? 0)
  return sum
}

const shape = { recordBytes: readLoad.recordBytes, recordsPerCall: readLoad.recordsPerCall }

/** Reads that make a Buffer, or a promise, for every record. */
export const readValues: Workload = {
  name: 'read-values',
  question: 'How many records a second with a Buffer for every value, and through records()?',
  expectation: 'A Buffer takes 80 ns, a promise with its turn 200: ≥ 4 M and ≥ 3 M records/s.',
  chart: { label: 'records/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  variants: [
    {
      name: 'batches(), a Buffer for every value',
      ...shape,
      prepare: prepareReads,
      sides: {
        varve: batchesSide(offsetsAndValues),
        ...peerScanSides({ ...readLoad, smokeCalls: 3 }),
      },
      targets: [
        absolute('≥ 4 M records/s', { metric: metrics.recordsPerSecond, atLeast: 4_000_000 }),
        comparedToBestPeer(metrics.recordsPerSecond),
      ],
    },
    {
      name: 'for await over records()',
      ...shape,
      prepare: prepareReads,
      sides: {
        'bare async iterator': { kind: 'limit', run: context => count(context, bareIterator) },
        varve: {
          kind: 'varve',
          run: context =>
            iterate(context, async partition => {
              let checksum = 0
              let bytes = 0
              for await (const record of partition.records()) {
                checksum += record.offset
                bytes += record.valueSizeBytes
              }
              return { checksum, bytes }
            }),
        },
        'bare async generator': { kind: 'limit', run: context => count(context, bareGenerator) },
      },
      targets: [
        absolute('≥ 3 M records/s', { metric: metrics.recordsPerSecond, atLeast: 3_000_000 }),
        ratioAtLeast('bare async iterator', 0.6, metrics.recordsPerSecond),
      ],
    },
  ],
}
