/**
 * How long does a group of 50 members with 1,000 partitions take to take in one more?
 *
 * Expectation: the assignor looks at each partition a few times and at 50 members for each of the 20
 * that move: some 2 ms; handing 20 partitions over takes a few promises each, and where there are
 * offsets to be committed one or two fdatasync for all of them: ≤ 20 ms, the disk's calls included.
 */

import { assignCooperativeSticky } from '../../lib/consumer/assignor.ts'
import type { Consumer, Log, Topic } from '../../lib/index.ts'
import { measure } from '../harness/measure.ts'
import { LatencyRecorder } from '../harness/statistics.ts'
import { absolute, metrics } from '../harness/targets.ts'
import { topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Workload } from '../harness/workload.ts'

const group = 'group'

interface Size {
  readonly members: number
  readonly partitions: number
}

function sizeOf(context: Context): Size {
  return { members: context.pick(50, 5), partitions: context.pick(1000, 20) }
}

/** A group at work, one member short. */
interface Settled {
  readonly log: Log
  readonly topic: Topic
  readonly members: readonly Consumer[]
  /** Resolves when so many records have been handled since the group began. */
  handled(count: number): Promise<void>
  /** How long the members took to join, in ms. */
  readonly joiningMs: number
}

async function settle(log: Log, { members, partitions }: Size): Promise<Settled> {
  const topic = await log.topic(topicName, { partitions })
  let count = 0
  let waiting = { count: Number.POSITIVE_INFINITY, resolve: (): void => {} }
  const handler = (): void => {
    if (++count >= waiting.count) waiting.resolve()
  }
  const consumers: Consumer[] = []
  const start = performance.now()
  for (let index = 0; index < members - 1; index++) {
    const consumer = await log.consumer({ group, topics: topic, from: 'earliest' })
    consumers.push(consumer)
    // The first commit goes at once, the others when the partition is handed back.
    consumer.run(handler, { autoCommitIntervalMs: 3_600_000 }).catch(error => {
      process.emitWarning(error)
    })
  }
  await hasShare(consumers.at(-1) as Consumer, Math.floor(partitions / (members - 1)))
  return {
    log,
    topic,
    members: consumers,
    joiningMs: performance.now() - start,
    handled: upTo =>
      new Promise(resolve => {
        waiting = { count: upTo, resolve }
        if (count >= upTo) resolve()
      }),
  }
}

/** Resolves when the member has so many partitions. */
async function hasShare(consumer: Consumer, share: number): Promise<void> {
  if (consumer.assignment.length >= share) return
  await new Promise<void>(resolve => {
    consumer.on('assigned', () => {
      if (consumer.assignment.length >= share) resolve()
    })
  })
}

/** One member comes, `before` each time, and goes again. */
async function joins(
  context: Context,
  of: {
    readonly count: number
    readonly before: (settled: Settled, round: number) => Promise<void>
  },
): Promise<Outcome> {
  const { count, before } = of
  const size = sizeOf(context)
  const share = size.partitions / size.members
  return await withLog(context.dir, async log => {
    const settled = await settle(log, size)
    const latencies = new LatencyRecorder(count)
    const leaving = new LatencyRecorder(count)
    let totalMs = 0
    const { phase } = await measure(async () => {
      for (let round = 0; round < count; round++) {
        await before(settled, round)
        const start = performance.now()
        const consumer = await log.consumer({ group, topics: settled.topic, from: 'earliest' })
        await hasShare(consumer, share)
        const tookMs = performance.now() - start
        latencies.add(tookMs)
        totalMs += tookMs
        await consumer.close()
        leaving.add(performance.now() - start - tookMs)
      }
    })
    await Promise.all(settled.members.map(consumer => consumer.close()))
    return {
      ...phase,
      seconds: totalMs / 1000,
      records: count,
      bytes: 0,
      latency: latencies.summary(),
      figures: {
        'leaving, p50, ms': leaving.summary().p50 / 1000,
        'members joining before, ms': settled.joiningMs,
      },
    }
  })
}

/** A record in every partition, handled and not committed. */
async function handleOneEach({ topic, handled }: Settled, round: number): Promise<void> {
  const { partitions } = topic
  const all = handled((round + 1) * partitions.length)
  await Promise.all(
    partitions.map(partition => partition.append({ value: Buffer.alloc(10) }, { acks: 'written' })),
  )
  await topic.flush()
  await all
}

async function assignor(context: Context): Promise<Outcome> {
  const size = sizeOf(context)
  const count = context.pick(300, 5)
  const members = Array.from({ length: size.members }, (_, index) => ({
    id: `member-${index}`,
    topics: [topicName],
  }))
  const partitions = Array.from({ length: size.partitions }, (_, partition) => ({
    topic: topicName,
    partition,
  }))
  const nobody = new Map<string, typeof partitions>()
  const current = assignCooperativeSticky({
    members: members.slice(0, -1),
    partitions,
    current: nobody,
  })
  const latencies = new LatencyRecorder(count)
  let checksum = 0
  const { phase } = await measure(async () => {
    for (let index = 0; index < count; index++) {
      const start = performance.now()
      const target = assignCooperativeSticky({ members, partitions, current })
      latencies.add(performance.now() - start)
      checksum += target.get(`member-${size.members - 1}`)?.length ?? 0
    }
  })
  return {
    ...phase,
    records: count,
    bytes: 0,
    latency: latencies.summary(),
    figures: { checksum },
  }
}

const within20Ms = absolute('p99 ≤ 20 ms (µs)', { metric: metrics.p99Micros, atMost: 20_000 })

/** One member more; records are rebalances here. */
export const groupRebalance: Workload = {
  name: 'group-rebalance',
  question: 'How long until a member that joins 49 others has its share of 1,000 partitions?',
  expectation: 'Some 2 ms for the assignor, 20 partitions handed over: ≤ 20 ms.',
  chart: { label: 'p50, µs', metric: metrics.p50Micros, kind: 'bar' },
  rounds: 3,
  variants: [
    {
      name: 'nothing to commit',
      sides: {
        varve: {
          kind: 'varve',
          run: context => joins(context, { count: context.pick(100, 2), before: async () => {} }),
        },
      },
      targets: [within20Ms],
    },
    {
      name: 'every partition has an offset to commit',
      durability: 'durable',
      sides: {
        varve: {
          kind: 'varve',
          run: context => joins(context, { count: context.pick(20, 2), before: handleOneEach }),
        },
      },
      targets: [within20Ms],
    },
    {
      name: 'the assignor alone',
      sides: { varve: { kind: 'varve', run: assignor } },
      targets: [absolute('p99 ≤ 5 ms (µs)', { metric: metrics.p99Micros, atMost: 5000 })],
    },
  ],
}
