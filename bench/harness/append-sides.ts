/** Sides that several of the appending workloads share. */
import { join } from 'node:path'

import type { OpenOptions } from '../../lib/types.ts'
import { diskUsage } from './disk-usage.ts'
import { bareClosedLoop, rawWrite } from './limits.ts'
import { measure } from './measure.ts'
import { makeValueSets } from './payload.ts'
import { batchBytes, closedLoop, topicName, withLog } from './varve.ts'
import type { Context, Outcome, Side } from './workload.ts'

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
      const measured = await withLog(
        context.dir,
        async log => {
          const topic = await log.topic(topicName, { partitions })
          return await measure(() =>
            closedLoop({ calls, inFlight: load.inFlight }, index =>
              topic.partition(index % partitions).append(sets[index % sets.length] ?? []),
            ),
          )
        },
        load.open,
      )
      return {
        ...measured.phase,
        records: calls * load.recordsPerCall,
        bytes: calls * batchBytes(values[0] ?? []),
        bytesOnDisk: diskUsage(join(context.dir, 'log')),
        latency: measured.value,
      }
    },
  }
}

/** Raw write of as many bytes as `appendSide` puts into the log. */
export function rawWriteSide(load: CallLoad): Side {
  return { kind: 'limit', run: context => rawWrite(context.dir, bytesOf(load, context)) }
}

function bytesOf(load: CallLoad, context: Context): { bytes: number; records: number } {
  const calls = context.pick(load.calls, load.smokeCalls)
  const [values] = makeValueSets(load.recordsPerCall, load.recordBytes)
  return { bytes: calls * batchBytes(values ?? []), records: calls * load.recordsPerCall }
}

/** The same bytes in flight over as many files, without encoding. */
export function bareClosedLoopSide(load: CallLoad): Side {
  return {
    kind: 'limit',
    run(context): Promise<Outcome> {
      const [values] = makeValueSets(load.recordsPerCall, load.recordBytes)
      return bareClosedLoop(context.dir, {
        callBytes: batchBytes(values ?? []),
        calls: context.pick(load.calls, load.smokeCalls),
        inFlight: load.inFlight,
        recordsPerCall: load.recordsPerCall,
        files: load.partitions ?? 1,
      })
    },
  }
}
