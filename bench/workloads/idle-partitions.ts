/**
 * What does an idle partition cost?
 *
 * Expectation: an object for the partition, one for its log, its offsets and its segments, some ten
 * small objects of 100 to 200 bytes: ≤ 2 KB of heap, and no file handle, for nothing is read or
 * written.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { openLog } from '../../lib/index.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { absolute, figure } from '../harness/targets.ts'
import { topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

function partitionCount(context: Context): number {
  return context.pick(10_000, 50)
}

/** Open descriptors of this process; 0 where the system does not list them. */
function fileHandles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

function heapBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function open(context: Context): Promise<Outcome> {
  const dir = join(context.preparedDir, 'log')
  const partitions = partitionCount(context)
  const bytesBefore = heapBytes()
  const handlesBefore = fileHandles()
  const { phase, value } = await measure(async () => {
    const log = await openLog(dir)
    return { log, topic: await log.topic(topicName, { create: false }) }
  })
  const heap = heapBytes() - bytesBefore
  const handles = fileHandles() - handlesBefore
  const { openFiles } = value.log.metrics()
  const checksum = value.topic.partitions.length
  await value.log.close()
  return {
    ...phase,
    records: partitions,
    bytes: heap,
    bytesOnDisk: diskUsage(dir),
    figures: {
      'heap a partition, bytes': heap / partitions,
      // The lock and a few files of the whole log are open whatever the number of partitions.
      'file handles of the process': handles,
      'file handles of partitions': openFiles,
      checksum,
    },
  }
}

/** Partitions that nobody uses; records are partitions here. */
export const idlePartitions: Workload = {
  name: 'idle-partitions',
  question: 'What does an idle partition cost?',
  expectation: 'Some ten small objects: ≤ 2 KB of heap each, no file handle.',
  chart: {
    label: 'bytes of heap a partition',
    metric: figure('heap a partition, bytes'),
    kind: 'bar',
  },
  rounds: 3,
  variants: [
    {
      name: '10,000 idle partitions',
      prepare: context =>
        withLog(context.preparedDir, async log => {
          await log.topic(topicName, { partitions: partitionCount(context) })
        }),
      sides: { varve: { kind: 'varve', run: open } },
      targets: [
        absolute('≤ 2,048 bytes of heap each', {
          metric: figure('heap a partition, bytes'),
          atMost: 2048,
        }),
        absolute('no file handle', { metric: figure('file handles of partitions'), atMost: 0 }),
      ],
    },
  ],
}
