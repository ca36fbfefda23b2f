/**
 * How long does it take to open 1,000 partitions of 10 segments each, after a clean close and after
 * the writer was killed?
 *
 * Expectation: after a clean close a partition is a directory listing and a manifest, some 150 µs,
 * several at a time: ≤ 300 ms. After a kill each partition's last segment is scanned from its
 * recovery point on: ≤ 1 s, and the tails at ≥ 0.7 GB/s.
 */
import { fork } from 'node:child_process'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { openLog } from '../../lib/index.ts'
import { bareOpen } from '../harness/bare-open.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { absolute, compared, figure, medianOf, metrics } from '../harness/targets.ts'
import { closedLoop, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

const segments = 10
const tailBytesPerSecond = 0.7e9

function partitionCount(context: Context): number {
  return context.pick(1000, 10)
}

async function prepare(context: Context): Promise<void> {
  const partitions = partitionCount(context)
  // A batch of 50 KB in a segment of 64 KiB: every batch but the first rolls a segment.
  const records = makeValues(500, 100).map(value => ({ value }))
  await withLog(context.preparedDir, async log => {
    const topic = await log.topic(topicName, { partitions, segmentBytes: 64 << 10 })
    const calls = segments * topic.partitions.length
    await closedLoop({ calls, inFlight: 64 }, index =>
      topic.partition(index % topic.partitions.length).append(records),
    )
  })
}

/** Appends to every partition in a process of its own that is killed before it can flush it all. */
async function killWriter(context: Context): Promise<void> {
  const path = new URL(`../harness/killed-writer${extname(import.meta.url)}`, import.meta.url)
  const child = fork(fileURLToPath(path), [join(context.preparedDir, 'log')], { execArgv: [] })
  const signal = await new Promise((resolve, reject) => {
    child.once('exit', (_, name) => resolve(name))
    child.once('error', reject)
  })
  if (signal !== 'SIGKILL') throw new Error('the writer was to be killed and was not')
}

async function open(context: Context, of: { readonly isClean: boolean }): Promise<Outcome> {
  const dir = join(context.preparedDir, 'log')
  const { phase, value: log } = await measure(() => openLog(dir))
  const scannedBytes = log.recovery.partitions.reduce((sum, { scannedBytes: own }) => sum + own, 0)
  const isClean = log.recovery.clean
  await log.close()
  if (isClean !== of.isClean) throw new Error(`expected clean: ${of.isClean}, found ${isClean}`)
  return {
    ...phase,
    records: partitionCount(context),
    bytes: scannedBytes,
    bytesOnDisk: diskUsage(dir),
    figures: {
      'open, ms': phase.seconds * 1000,
      'tails scanned, MB': scannedBytes / 1e6,
    },
  }
}

const openMs = figure('open, ms')

/** Opening a log of many partitions; records are partitions here. */
export const openMany: Workload = {
  name: 'open',
  question: 'How long does it take to open 1,000 partitions × 10 segments?',
  expectation:
    'Clean: a listing and a manifest each, ≤ 300 ms. Killed: ≤ 1 s and the tails at ≥ 0.7 GB/s.',
  chart: { label: 's', metric: metrics.seconds, kind: 'bar' },
  variants: [
    {
      name: 'after a clean close',
      prepare,
      sides: {
        varve: { kind: 'varve', run: context => open(context, { isClean: true }) },
        'bare calls': { kind: 'limit', run: context => bareOpen(context, { isKilled: false }) },
      },
      targets: [
        absolute('≤ 300 ms', { metric: openMs, atMost: 300 }),
        compared('bare calls', openMs),
      ],
    },
    {
      name: 'after a kill',
      prepare,
      sides: {
        varve: {
          kind: 'varve',
          async run(context) {
            await killWriter(context)
            return await open(context, { isClean: false })
          },
        },
        'bare calls': { kind: 'limit', run: context => bareOpen(context, { isKilled: true }) },
      },
      targets: [
        {
          text: '≤ 1 s + the tails at 0.7 GB/s (ms without the tails)',
          figure: outcomes =>
            medianOf(
              outcomes,
              'varve',
              outcome => openMs(outcome) - (outcome.bytes / tailBytesPerSecond) * 1000,
            ),
          atMost: 1000,
        },
        compared('bare calls', openMs),
      ],
    },
  ],
}
