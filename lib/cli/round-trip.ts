/** Everything goes in, everything comes out again, and the two are compared. */
import type { Topic } from '../types.ts'
import { type Input, totalBytes } from './inputs.ts'
import { lineRecords } from './line-records.ts'
import { Progress, type ProgressStream } from './progress.ts'
import { count, size } from './table.ts'
import { Tally } from './tally.ts'

/** A topic, what to publish to it, and who may stop it or watch it. */
export interface RoundTripOptions {
  readonly topic: Topic
  readonly inputs: readonly Input[]
  readonly signal: AbortSignal
  readonly progress: ProgressStream
}

/** One way of the trip. */
export interface Passage {
  readonly tally: Tally
  readonly durationMs: number
}

/** What a run did; `differences` is empty when what came out is what went in. */
export interface RoundTrip {
  readonly published: Passage
  readonly read: Passage
  /** First offset of this run in each partition. */
  readonly offsets: readonly number[]
  readonly differences: readonly string[]
}

/**
 * Publishes all lines durably, reads the topic from where it ended before, and compares count, keys,
 * values and order of every partition. An abort rejects with `signal.reason`; what was acknowledged
 * until then stays.
 */
export async function roundTrip(options: RoundTripOptions): Promise<RoundTrip> {
  const offsets = options.topic.partitions.map(({ logEndOffset }) => logEndOffset)
  const published = await publish(options)
  const read = await readBack(options, offsets)
  return { published, read, offsets, differences: differences(published.tally, read.tally) }
}

async function publish({ topic, inputs, signal, progress }: RoundTripOptions): Promise<Passage> {
  const { config } = await topic.describe()
  const tally = new Tally(topic.partitions.length)
  const bar = new Progress(progress, 'publishing')
  const total = totalBytes(inputs)
  const records = lineRecords(inputs, {
    partitionCount: topic.partitions.length,
    maxBatchBytes: config.maxBatchBytes.value,
    tally,
  })
  const startMs = performance.now()
  try {
    await topic.appendFrom(records, {
      acks: 'durable',
      signal,
      onProgress: sent =>
        bar.update(() => ({
          // The newlines count for the total, and are in no record.
          part: total === null ? null : (tally.bytes + tally.records) / Math.max(total, 1),
          text: speed(sent.records, sent.bytes, performance.now() - startMs),
        })),
    })
  } finally {
    bar.end()
  }
  return { tally, durationMs: performance.now() - startMs }
}

async function readBack(
  { topic, signal, progress }: RoundTripOptions,
  offsets: readonly number[],
): Promise<Passage> {
  const tally = new Tally(topic.partitions.length)
  const bar = new Progress(progress, 'reading')
  const total = topic.partitions.reduce(
    (sum, { highWatermark }, partition) => sum + highWatermark - (offsets[partition] ?? 0),
    0,
  )
  const startMs = performance.now()
  try {
    for await (const batch of topic.batches({ from: { offsets: { ...offsets } }, signal })) {
      for (const record of batch) {
        tally.add(batch.partition, record.keyBytes ?? absent, record.valueBytes ?? absent)
      }
      bar.update(() => ({
        part: tally.records / Math.max(total, 1),
        text: speed(tally.records, tally.bytes, performance.now() - startMs),
      }))
    }
  } finally {
    bar.end()
  }
  return { tally, durationMs: performance.now() - startMs }
}

const absent = Buffer.alloc(0)

function differences(published: Tally, read: Tally): readonly string[] {
  return published.partitions.flatMap((went, partition) => {
    const came = read.partitions[partition]
    if (came?.records !== went.records) {
      return [`partition ${partition}: ${went.records} records in, ${came?.records ?? 0} out`]
    }
    return came.checksum === went.checksum && came.bytes === went.bytes
      ? []
      : [`partition ${partition}: what came out, or its order, is not what went in`]
  })
}

function speed(records: number, bytes: number, durationMs: number): string {
  const seconds = Math.max(durationMs, 1) / 1000
  return `${count(records)} records, ${count(records / seconds)}/s, ${size(bytes / seconds)}/s`
}
