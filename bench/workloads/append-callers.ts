/**
 * How many durable appends a second do 1,000 independent callers get, each awaiting its own?
 *
 * Expectation: the callers share fdatasyncs. 1,000 answers per fdatasync of 1 ms would be a million
 * a second; promises, encoding and answering take some 1.5 µs a record, so that the thread is busy
 * with 300,000 a second even where fdatasync is slower. On 64 topics each fdatasync serves 16 callers.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { bareClosedLoop } from '../harness/closed-loop.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { absolute, comparedToBestPeer, metrics, timesBestPeer } from '../harness/targets.ts'
import { batchBytes, closedLoop, topicName, warmUpLoop, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Variant, Workload } from '../harness/workload.ts'
import { peerAppendSides } from '../peers/peer-sides.ts'

const recordBytes = 100
const callers = 1000
const values = makeValues(1000, recordBytes)
/** What a record adds to a batch that it shares. */
const sharedRecordBytes = batchBytes(values) / values.length

/** Fewer where fdatasyncs are shared by few. */
function callCount(context: Context, topicCount: number): number {
  return context.pick(topicCount === 1 ? 1_000_000 : 200_000, 2000)
}

async function append(context: Context, topicCount: number): Promise<Outcome> {
  const calls = callCount(context, topicCount)
  const measured = await withLog(context.dir, async log => {
    const topics = await Promise.all(
      Array.from({ length: topicCount }, (_, index) => log.topic(`${topicName}-${index}`)),
    )
    const [first] = topics
    assert(first !== undefined)
    const append = (index: number): Promise<unknown> =>
      (topics[index % topicCount] ?? first).append({ value: values[index % values.length] ?? null })
    await warmUpLoop(context, { calls, inFlight: callers }, append)
    const usedBytes = diskUsage(join(context.dir, 'log'))
    const { phase, value } = await measure(() => closedLoop({ calls, inFlight: callers }, append))
    return { phase, latency: value, usedBytes }
  })
  return {
    ...measured.phase,
    records: calls,
    bytes: calls * sharedRecordBytes,
    bytesOnDisk: diskUsage(join(context.dir, 'log')) - measured.usedBytes,
    latency: measured.latency,
  }
}

function variantOf(topicCount: number): Variant {
  return {
    name: topicCount === 1 ? 'one topic' : `${topicCount} topics`,
    recordBytes,
    recordsPerCall: 1,
    durability: 'durable',
    sides: {
      'bare closed loop': {
        kind: 'limit',
        run: context =>
          bareClosedLoop(context, {
            callBytes: Math.round(sharedRecordBytes),
            calls: callCount(context, topicCount),
            warmUpCalls: callCount(context, topicCount) / 10,
            inFlight: callers,
            recordsPerCall: 1,
            files: topicCount,
          }),
      },
      varve: { kind: 'varve', run: context => append(context, topicCount) },
      ...(topicCount === 1
        ? peerAppendSides({
            recordBytes,
            recordsPerCall: 1,
            inFlight: callers,
            calls: 1_000_000,
            bytesPerCall: sharedRecordBytes,
            smokeCalls: 1000,
          })
        : {}),
    },
    targets: [
      absolute('≥ 300,000 records/s', { metric: metrics.recordsPerSecond, atLeast: 300_000 }),
      ...(topicCount === 1
        ? [
            timesBestPeer(20, metrics.recordsPerSecond),
            comparedToBestPeer(metrics.recordsPerSecond, { isHelped: true }),
          ]
        : []),
    ],
  }
}

/** Many callers, each awaiting its own append. */
export const appendCallers: Workload = {
  name: 'append-callers',
  question:
    'How many records a second do 1,000 callers append, each awaiting its own durable append?',
  expectation: 'They share fdatasyncs; some 1.5 µs of the thread for each: ≥ 300,000 records/s.',
  chart: { label: 'records/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  variants: [variantOf(1), variantOf(64)],
}
