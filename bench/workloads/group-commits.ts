/**
 * How many offsets a second does one group commit?
 *
 * Expectation: a commit that nobody waits for checks its offsets, makes some four promises and replaces
 * an entry of a map, 2 to 4 µs; the write takes the last value of each partition with it: ≥ 100,000
 * commits a second. One that is waited for is an append of one record: a write, an fdatasync, and some
 * 100 µs.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Consumer, Log } from '../../lib/index.ts'
import { type Alternated, alternate } from '../harness/alternate.ts'
import { bareAppends } from '../harness/limits.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { absolute, medianOf, metrics } from '../harness/targets.ts'
import { batchBytes, topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Outcomes, Variant, Workload } from '../harness/workload.ts'

/** Offsets that there are to be committed, in each partition. */
const offsets = 1000

/** Commits between two turns of the event loop. */
const commitsPerTurn = 100

/** A record of `__consumer_offsets`, key and value, has about as many bytes. */
const recordBytes = 60

/** A member of a group that has committed once: the first commit of all creates a topic. */
async function memberOf(log: Log, partitions: number): Promise<Consumer> {
  const topic = await log.topic(topicName, { partitions })
  const records = makeValues(offsets, 10).map(value => ({ value }))
  await Promise.all(topic.partitions.map(partition => partition.append(records)))
  const consumer = await log.consumer({ group: 'group', topics: topic, from: 'earliest' })
  await consumer.commit([{ topic: topicName, partition: 0, offset: 0 }])
  return consumer
}

function unawaited(context: Context, partitions: number): Promise<Outcome> {
  const commits = context.pick(500_000, 1000)
  return withLog(context.dir, async log => {
    const consumer = await memberOf(log, partitions)
    const commitAll = async (count: number): Promise<void> => {
      const pending: Promise<void>[] = []
      for (let index = 0; index < count; index++) {
        const offset = 1 + (Math.floor(index / partitions) % offsets)
        pending.push(consumer.commit([{ topic: topicName, partition: index % partitions, offset }]))
        if (index % commitsPerTurn === 0) await nextTurn()
      }
      await Promise.all(pending)
    }
    await commitAll(context.pick(50_000, 10))
    const { phase } = await measure(() => commitAll(commits))
    await consumer.close()
    return { ...phase, records: commits, bytes: commits * recordBytes }
  })
}

/** One commit after another, by turns with the bare loop that writes and syncs as much. */
function awaited(context: Context): Promise<Outcome> {
  const bytes = batchBytes(makeValues(1, recordBytes))
  const bare = bareAppends(context.dir, bytes)
  return withLog(context.dir, async log => {
    const consumer = await memberOf(log, 1)
    let index = 0
    const commit = (): Promise<void> =>
      consumer.commit([{ topic: topicName, partition: 0, offset: 1 + (index++ % offsets) }])
    const measured = await alternate(
      { bare: () => bare.append(), varve: commit },
      { calls: context.pick(4000, 20), warmUpCalls: context.pick(4000, 5) },
    )
    await consumer.close()
    bare.close()
    const outcomeOf = ({ calls: records, ...phase }: Alternated): Outcome => {
      return { ...phase, records, bytes: records * bytes }
    }
    return { ...outcomeOf(measured.varve), beside: { 'bare loop': outcomeOf(measured.bare) } }
  })
}

function behindBareLoop(outcomes: Outcomes): number | null {
  const own = medianOf(outcomes, 'varve', metrics.p50Micros)
  const bare = medianOf(outcomes, 'bare loop', metrics.p50Micros)
  return own === null || bare === null ? null : own - bare
}

function unawaitedVariant(partitions: number): Variant {
  return {
    name: `nobody waits, ${partitions === 1 ? 'one partition' : `${partitions} partitions`}`,
    recordsPerCall: 1,
    durability: 'durable',
    sides: { varve: { kind: 'varve', run: context => unawaited(context, partitions) } },
    targets: [
      absolute('≥ 100,000 commits/s', { metric: metrics.recordsPerSecond, atLeast: 100_000 }),
    ],
  }
}

/** Commits of one member; records are commits here. */
export const groupCommits: Workload = {
  name: 'group-commits',
  question: 'How many offsets a second does one group commit?',
  expectation:
    'Some promises and a place in a map: ≥ 100,000/s; one by one the bare loop + 100 µs.',
  chart: { label: 'commits/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  variants: [
    unawaitedVariant(1),
    unawaitedVariant(16),
    {
      name: 'one at a time',
      recordsPerCall: 1,
      durability: 'durable',
      sides: {
        // By turns with varve, in its process.
        'bare loop': { kind: 'limit' },
        varve: { kind: 'varve', run: awaited },
      },
      targets: [
        {
          text: 'p50 ≤ p50 of the bare loop + 100 µs (µs more)',
          figure: behindBareLoop,
          atMost: 100,
        },
      ],
    },
  ],
}
