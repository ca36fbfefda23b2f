/** Sides that several of the appending workloads share. */
import { join } from 'node:path'

import { BatchWriter } from '../../lib/record/batch-writer.ts'
import type { OpenOptions } from '../../lib/types.ts'
import { bareClosedLoop, type EncodeCall } from './closed-loop.ts'
import { diskUsage } from './disk-usage.ts'
import { rawWrite } from './limits.ts'
import { makeValueSets, makeValues } from './payload.ts'
import { LatencyRecorder } from './statistics.ts'
import { measureInStints } from './stints.ts'
import { batchBytes, recordedLoop, topicName, warmUpLoop, withLog } from './varve.ts'
import type { Context, Outcome, Side } from './workload.ts'

/** Of its work, what a side without much code to be compiled does before the clock runs. */
const limitWarmUpShare = 0.1

const encodedTime = 1_700_000_000_000

/** Calls of so many records, so many of them un-acknowledged at a time. */
export interface CallLoad {
  readonly recordBytes: number
  readonly recordsPerCall: number
  readonly inFlight: number
  readonly calls: number
  readonly smokeCalls: number
  /** @default 1 */
  readonly partitions?: number
  readonly open?: OpenOptions
}

/** Varve: `partition.append` of whole calls, over the partitions in turn. */
export function appendSide(load: CallLoad): Side {
  return {
    kind: 'varve',
    async run(context) {
      const calls = context.pick(load.calls, load.smokeCalls)
      const values = makeValueSets(load.recordsPerCall, load.recordBytes)
      const sets = values.map(set => set.map(value => ({ value })))
      const partitions = load.partitions ?? 1
      const unitBytes = batchBytes(values[0] ?? [])
      const measured = await withLog(
        context.dir,
        async log => {
          const topic = await log.topic(topicName, { partitions })
          const append = (index: number): Promise<unknown> =>
            topic.partition(index % partitions).append(sets[index % sets.length] ?? [])
          await warmUpLoop(context, { calls, inFlight: load.inFlight }, append)
          const usedBytes = diskUsage(join(context.dir, 'log'))
          const latencies = new LatencyRecorder(calls)
          const { inFlight } = load
          const phase = await measureInStints(context, { units: calls, unitBytes }, async own => {
            await recordedLoop({ calls: own, inFlight, latencies }, append)
          })
          return { phase, latency: latencies.summary(), usedBytes }
        },
        load.open,
      )
      return {
        ...measured.phase,
        records: calls * load.recordsPerCall,
        bytes: calls * unitBytes,
        bytesOnDisk: diskUsage(join(context.dir, 'log')) - measured.usedBytes,
        latency: measured.latency,
      }
    },
  }
}

/** Raw write of as many bytes as `appendSide` puts into the log; see `rawWrite`. */
export function rawWriteSide(
  load: CallLoad,
  { isUnaligned = false }: { readonly isUnaligned?: boolean } = {},
): Side {
  return {
    kind: 'limit',
    run(context) {
      const calls = context.pick(load.calls, load.smokeCalls)
      const bytes = calls * bytesPerCall(load)
      const warmUpBytes = bytes * limitWarmUpShare
      const records = calls * load.recordsPerCall
      return rawWrite(context, { bytes, records, warmUpBytes, isUnaligned })
    },
  }
}

function bytesPerCall(load: CallLoad): number {
  return batchBytes(makeValues(load.recordsPerCall, load.recordBytes))
}

/** The same bytes in flight over as many files, without encoding. */
export function bareClosedLoopSide(load: CallLoad): Side {
  return { kind: 'limit', run: context => runBareClosedLoop(context, load) }
}

/** The same once more, with every call encoded on the thread: the best that a log could do here. */
export function encodingClosedLoopSide(load: CallLoad): Side {
  return {
    kind: 'limit',
    run(context) {
      const sets = makeValueSets(load.recordsPerCall, load.recordBytes)
      const batches = sets.map(values => values.map(value => ({ value })))
      const writer = new BatchWriter()
      return runBareClosedLoop(context, load, (call, target, position) => {
        writer.begin(target, position)
        writer.addAll(batches[call % batches.length] ?? [], encodedTime)
        writer.finish({ baseOffset: call * load.recordsPerCall, leaderEpoch: 0 })
      })
    },
  }
}

function runBareClosedLoop(
  context: Context,
  load: CallLoad,
  encode?: EncodeCall,
): Promise<Outcome> {
  const calls = context.pick(load.calls, load.smokeCalls)
  return bareClosedLoop(context, {
    callBytes: bytesPerCall(load),
    calls,
    warmUpCalls: calls * limitWarmUpShare,
    inFlight: load.inFlight,
    recordsPerCall: load.recordsPerCall,
    files: load.partitions ?? 1,
    ...(encode === undefined ? {} : { encode }),
  })
}
