/**
 * What does it take to read one record by its offset, warm?
 *
 * Expectation: a look into the index, one or two small reads at 1 to 2 µs each, a CRC and a promise:
 * ≤ 20 µs where batches are small. Where the batch that holds the record is 109 KB, all of it has to
 * be read and checked: some 40 µs more.
 */
import { join } from 'node:path'

import { diskUsage } from '../harness/disk-usage.ts'
import { bareRandomReads } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValues, seededBytes } from '../harness/payload.ts'
import { LatencyRecorder } from '../harness/statistics.ts'
import { absolute, metrics } from '../harness/targets.ts'
import { batchBytes, filledPartition, fillLog, segmentPaths, withLog } from '../harness/varve.ts'
import type { Context, Variant, Workload } from '../harness/workload.ts'

const recordBytes = 100

function readCount(context: Context): number {
  return context.pick(20_000, 100)
}

/** Offsets in no order, the same in every run. */
function randomNumbers(count: number, below: number): readonly number[] {
  const random = seededBytes(count * 4, 11)
  return Array.from({ length: count }, (_, index) => random.readUInt32LE(index * 4) % below)
}

function variantOf(of: {
  readonly recordsPerCall: number
  readonly records: number
  readonly hasTarget: boolean
}): Variant {
  const { recordsPerCall } = of
  const recordCount = (context: Context): number => context.pick(of.records, 2 * recordsPerCall)
  return {
    name: `batches of ${recordsPerCall.toLocaleString('en')}`,
    recordBytes,
    recordsPerCall,
    prepare: context =>
      fillLog(context.preparedDir, {
        records: recordCount(context),
        recordBytes,
        recordsPerCall,
        inFlight: 1,
        topic: { acks: 'written', segmentBytes: 16 << 20 },
      }),
    sides: {
      'bare readSync': {
        kind: 'limit',
        run(context) {
          const sizeBytes = batchBytes(makeValues(recordsPerCall, recordBytes))
          const offsets = randomNumbers(readCount(context), recordCount(context))
          // The same batches that varve reads.
          const batches = offsets.map(offset => Math.floor(offset / recordsPerCall))
          return bareRandomReads(segmentPaths(context.preparedDir), { batches, sizeBytes })
        },
      },
      varve: {
        kind: 'varve',
        run: context =>
          withLog(context.preparedDir, async log => {
            const partition = await filledPartition(log)
            const offsets = randomNumbers(readCount(context), recordCount(context))
            const latencies = new LatencyRecorder(offsets.length)
            const { phase, value: bytes } = await measure(async () => {
              let total = 0
              for (const from of offsets) {
                const start = performance.now()
                const { batches } = await partition.read({ from, maxBytes: 1 })
                latencies.add(performance.now() - start)
                total += batches[0]?.sizeBytes ?? Number.NaN
              }
              return total
            })
            const bytesOnDisk = diskUsage(join(context.preparedDir, 'log'))
            const latency = latencies.summary()
            return { ...phase, records: offsets.length, bytes, bytesOnDisk, latency }
          }),
      },
    },
    targets: of.hasTarget
      ? [absolute('p50 ≤ 20 µs', { metric: metrics.p50Micros, atMost: 20 })]
      : [],
  }
}

/** Random reads by offset. */
export const readRandom: Workload = {
  name: 'read-random',
  question: 'What does it take to read by offset at random, warm?',
  expectation: 'An index look-up, a small read, a CRC, a promise: p50 ≤ 20 µs.',
  chart: { label: 'p50, µs', metric: metrics.p50Micros, kind: 'bar' },
  variants: [
    variantOf({ recordsPerCall: 10, records: 1_000_000, hasTarget: true }),
    variantOf({ recordsPerCall: 1000, records: 2_000_000, hasTarget: false }),
  ],
}
