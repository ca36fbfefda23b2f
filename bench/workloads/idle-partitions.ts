/**
 * What does an idle partition cost?
 *
 * Expectation: an object for the partition, one for its log, its offsets and its segments, some ten
 * small objects of 100 to 200 bytes: ≤ 2 KB of heap, and no file handle, for nothing is read or
 * written.
 */
import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
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

/** What the open descriptors of this process lead to; null where the system does not list them. */
function openPaths(): readonly string[] | null {
  try {
    return readdirSync('/proc/self/fd').map(pathOfHandle)
  } catch {
    return null
  }
}

/** The listing's own descriptor is closed by now. */
function pathOfHandle(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
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
  const { phase, value } = await measure(async () => {
    const log = await openLog(dir)
    const topic = await log.topic(topicName, { create: false })
    return { log, all: topic.partitions }
  })
  const heap = heapBytes() - bytesBefore
  const partitionDirs = join(realpathSync(dir), `${topicName}-`)
  const handles = openPaths()?.filter(path => path.startsWith(partitionDirs)).length
  const { openFiles } = value.log.metrics()
  const checksum = value.all.length
  await value.log.close()
  return {
    ...phase,
    records: partitions,
    bytes: 0,
    bytesOnDisk: diskUsage(dir),
    figures: {
      'heap a partition, bytes': heap / partitions,
      // Where the system does not tell, the log's own count has to do.
      'file handles of partitions': handles ?? openFiles,
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
