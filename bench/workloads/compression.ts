/**
 * What does compression cost on the way in and out, and what does it save?
 *
 * Expectation: the codec decides. 1,000 JSON records of some 230 bytes shrink to a quarter or less; gzip takes
 * them in at 50 to 100 MB/s and out at 200 or more, lz4 and snappy several times that.
 */
import { join } from 'node:path'

import { CodecMissingError } from '../../lib/index.ts'
import type { CompressionType } from '../../lib/types.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeJsonValues } from '../harness/payload.ts'
import { iterate } from '../harness/read-sides.ts'
import { metrics } from '../harness/targets.ts'
import { closedLoop, topicName, withLog } from '../harness/varve.ts'
import {
  type Context,
  type Outcome,
  SkippedError,
  type Variant,
  type Workload,
} from '../harness/workload.ts'

const recordsPerCall = 1000
const sets = 8

/** On the average. */
const recordBytes = Math.round(meanBytes(makeJsonValues(recordsPerCall)))

function meanBytes(values: readonly Buffer[]): number {
  return values.reduce((sum, { length }) => sum + length, 0) / values.length
}

function callCount(context: Context): number {
  return context.pick(400, 4)
}

/** Rates are of the bytes that users see, before compression. */
async function append(dir: string, context: Context, codec: CompressionType): Promise<Outcome> {
  const values = makeJsonValues(recordsPerCall * sets)
  const calls = Array.from({ length: sets }, (_, set) =>
    values.slice(set * recordsPerCall, (set + 1) * recordsPerCall).map(value => ({ value })),
  )
  const valueBytes = meanBytes(values)
  try {
    const { phase, value } = await withLog(dir, async log => {
      const topic = await log.topic(topicName, { compressionType: codec })
      return await measure(() =>
        closedLoop({ calls: callCount(context), inFlight: 64 }, index =>
          topic.partition(0).append(calls[index % sets] ?? []),
        ),
      )
    })
    const records = callCount(context) * recordsPerCall
    const bytesOnDisk = diskUsage(join(dir, 'log'))
    return { ...phase, records, bytes: records * valueBytes, bytesOnDisk, latency: value }
  } catch (error) {
    if (error instanceof CodecMissingError) throw new SkippedError(error.message)
    throw error
  }
}

function read(context: Context): Promise<Outcome> {
  return iterate(
    context,
    async partition => {
      let checksum = 0
      let bytes = 0
      for await (const batch of partition.batches()) {
        for (const record of batch) {
          checksum += record.offset
          bytes += record.valueSizeBytes
        }
      }
      return { checksum, bytes }
    },
    callCount(context) * recordsPerCall,
  )
}

function variantsOf(codec: CompressionType): readonly Variant[] {
  return [
    {
      name: `${codec}, in`,
      recordBytes,
      recordsPerCall,
      durability: 'durable',
      sides: { varve: { kind: 'varve', run: context => append(context.dir, context, codec) } },
      targets: [],
    },
    {
      name: `${codec}, out`,
      recordBytes,
      recordsPerCall,
      async prepare(context) {
        await append(context.preparedDir, context, codec)
      },
      sides: { varve: { kind: 'varve', run: read } },
      targets: [],
    },
  ]
}

/** Compressed appends and reads. */
export const compression: Workload = {
  name: 'compression',
  question: 'What does each codec cost in and out, and what does it save?',
  expectation: 'The codec decides: gzip some 100 MB/s in, lz4 and snappy several times that.',
  chart: { label: 'MB/s before compression', metric: metrics.megabytesPerSecond, kind: 'bar' },
  rounds: 3,
  variants: (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).flatMap(variantsOf),
}
