/**
 * How fast does a loop append single records when it awaits only the end?
 *
 * Expectation: a call that makes a promise, checks a record and encodes its 100 bytes takes some
 * 350 ns, of which the bare promise is 200: ≥ 2.5 million records a second. Each pending promise
 * takes about 200 bytes: N is bounded by the memory that the loop is given (`maxQueuedBytes`).
 */
import { join } from 'node:path'

import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeValues } from '../harness/payload.ts'
import { absolute, metrics } from '../harness/targets.ts'
import { topicName, withLog } from '../harness/varve.ts'
import type { Context, Outcome, Variant, Workload } from '../harness/workload.ts'
import { formatBytes } from '../report/format.ts'

const recordBytes = 100
const values = makeValues(1000, recordBytes)

/** A short loop is repeated: once, in a cold process, it would tell of the compiler. */
function loopCount(context: Context, count: number): number {
  return context.pick(Math.max(4, 2_000_000 / count), 2)
}

/** So that all N records fit, with their keys' and lengths' room. */
function queueOf(count: number): number {
  return Math.max(16 << 20, count * recordBytes * 2)
}

async function append(context: Context, count: number): Promise<Outcome> {
  const n = context.pick(count, 200)
  const rounds = loopCount(context, count)
  const maxQueuedBytes = queueOf(n)
  const measured = await withLog(
    context.dir,
    async log => {
      const topic = await log.topic(topicName)
      return await measure(async () => {
        for (let round = 0; round < rounds; round++) {
          let last: Promise<unknown> = Promise.resolve()
          for (let index = 0; index < n; index++) {
            last = topic.append({ value: values[index % values.length] ?? null })
          }
          // Promises of one partition settle in the order of their offsets.
          await last
        }
      })
    },
    { maxQueuedBytes },
  )
  return {
    ...measured.phase,
    records: n * rounds,
    bytes: n * rounds * recordBytes,
    bytesOnDisk: diskUsage(join(context.dir, 'log')),
  }
}

/** A promise for every call, kept and resolved at the end, and nothing else. */
async function barePromises(context: Context, count: number): Promise<Outcome> {
  const n = context.pick(count, 200)
  const rounds = loopCount(context, count)
  const { phase } = await measure(async () => {
    const resolvers: (() => void)[] = []
    for (let round = 0; round < rounds; round++) {
      let last: Promise<void> = Promise.resolve()
      for (let index = 0; index < n; index++) {
        last = new Promise(resolve => resolvers.push(resolve))
      }
      for (const resolve of resolvers) resolve()
      resolvers.length = 0
      await last
    }
  })
  return { ...phase, records: n * rounds, bytes: n * rounds * recordBytes }
}

function variantOf(count: number): Variant {
  return {
    name: `N = ${count.toLocaleString('en')}, maxQueuedBytes = ${formatBytes(queueOf(count))}`,
    recordBytes,
    recordsPerCall: 1,
    durability: 'durable',
    sides: {
      'bare promises': { kind: 'limit', run: context => barePromises(context, count) },
      varve: { kind: 'varve', run: context => append(context, count) },
    },
    targets: [
      absolute('≥ 2.5 M records/s', { metric: metrics.recordsPerSecond, atLeast: 2_500_000 }),
    ],
  }
}

/** Un-awaited appends, then one await. */
export const appendUnawaited: Workload = {
  name: 'append-unawaited',
  question: 'How fast does a loop of N un-awaited durable appends go, with one await at the end?',
  expectation: 'Some 350 ns a call, 200 of them the promise itself: ≥ 2.5 M records/s.',
  chart: { label: 'records/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  variants: [variantOf(100_000), variantOf(1_000_000)],
}
