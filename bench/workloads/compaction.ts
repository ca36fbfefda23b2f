/**
 * How fast is a topic compacted, in how much memory, and how long does the event loop wait for it?
 *
 * Expectation: every record is read and its key hashed twice, once to learn where its latest record is
 * and once to keep or drop it, some 300 ns each with the checks and the copying of what stays: 8 million
 * records take 5 s and 4 GB from the page cache 2 more: ≥ 200 MB/s of what there was. A million keys
 * take 20 MB of the map; with the buffers ≤ 200 MB of memory. It gives way every 2 ms, and others
 * have their part of a turn: ≤ 10 ms.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

import type { OpenOptions, RecordInput, TopicOptions } from '../../lib/types.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { rawRead } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValueSets } from '../harness/payload.ts'
import { absolute, figure, metrics } from '../harness/targets.ts'
import { closedLoop, segmentPaths, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

const recordBytes = 235
const recordsPerCall = 1000

/** How often each key is written. */
const versions = 8

const loopSampleMs = 1

/** As fast as it can. */
const openOptions: OpenOptions = { compactionBytesPerSecond: -1 }

function keysOf(context: Context): number {
  return context.pick(1_000_000, 1000)
}

/** Every key in turn, and all of them again: what is old lies all over the log. */
async function prepare(context: Context): Promise<void> {
  const keys = keysOf(context)
  const values = makeValueSets(recordsPerCall, recordBytes)
  const topicOptions: TopicOptions = {
    cleanupPolicy: 'compact',
    segmentBytes: context.pick(128, 1) * 1024 * 1024,
  }
  const recordsOf = (call: number): readonly RecordInput[] => {
    const set = values[call % values.length] ?? []
    const first = (call * recordsPerCall) % keys
    return set.map((value, index) => ({
      key: (first + index).toString().padStart(8, '0'),
      value,
    }))
  }
  await withLog(context.preparedDir, async log => {
    const partition = (await log.topic(topicName, topicOptions)).partition(0)
    const calls = (keys * versions) / recordsPerCall
    await closedLoop({ calls, inFlight: 16 }, call => partition.append(recordsOf(call)))
  })
}

async function compact(context: Context): Promise<Outcome> {
  const loop = monitorEventLoopDelay({ resolution: loopSampleMs })
  return await withLog(
    context.preparedDir,
    async log => {
      const topic = await log.topic(topicName, { create: false })
      const { phase, value: report } = await measure(async () => {
        loop.enable()
        const done = await topic.compact()
        loop.disable()
        return done
      })
      const [partition] = report.partitions
      if (partition === undefined || partition.skipped !== null || partition.droppedRecords === 0) {
        throw new Error(`nothing was compacted: ${JSON.stringify(report)}`)
      }
      return {
        ...phase,
        records: partition.keptRecords + partition.droppedRecords,
        bytes: partition.bytesBefore,
        bytesOnDisk: diskUsage(join(context.preparedDir, 'log')),
        figures: {
          'longest stall of the event loop, ms': Math.max(0, loop.max / 1e6 - loopSampleMs),
          'records kept': partition.keptRecords,
          passes: partition.passes,
          'segments after': readdirSync(join(context.preparedDir, 'log', `${topicName}-0`)).filter(
            name => name.endsWith('.log'),
          ).length,
        },
      }
    },
    openOptions,
  )
}

/** Both readings of a compaction, and nothing else. */
async function readTwice(context: Context): Promise<Outcome> {
  const paths = segmentPaths(context.preparedDir)
  const records = keysOf(context) * versions
  const outcome = await rawRead([...paths, ...paths], { records, memory: 'reused' })
  return { ...outcome, bytes: outcome.bytes / 2 }
}

/** One compaction of a topic that has never been compacted. */
export const compaction: Workload = {
  name: 'compaction',
  question: 'How fast is a topic of 2 GB and a million keys compacted, and what does it cost?',
  expectation: 'Two readings with a hash a record: ≥ 200 MB/s, ≤ 200 MB, no stall beyond 10 ms.',
  chart: { label: 'MB/s', metric: metrics.megabytesPerSecond, kind: 'bar' },
  // There is nothing left to be compacted for a second one.
  rounds: 1,
  variants: [
    {
      name: '8 records of each key',
      recordBytes,
      recordsPerCall,
      prepare,
      sides: {
        'raw read, twice': { kind: 'limit', run: readTwice },
        varve: { kind: 'varve', run: compact },
      },
      targets: [
        absolute('≥ 200 MB/s', { metric: metrics.megabytesPerSecond, atLeast: 200 }),
        absolute('peak RSS ≤ 200 MB', { metric: outcome => outcome.peakRssBytes, atMost: 200e6 }),
        absolute('longest stall of the event loop ≤ 10 ms', {
          metric: figure('longest stall of the event loop, ms'),
          atMost: 10,
        }),
      ],
    },
  ],
}
