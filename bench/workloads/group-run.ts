/**
 * What does `run()` take beside a bare loop over `batches()` that calls the same handler?
 *
 * Expectation: a turn in the queue, a place in the finished prefix, a job and a context for each record,
 * some 250 ns: with a handler that returns nothing ≤ 400 ns more. One that returns a promise is waited
 * for in both; the loop that hands out the next record has to be woken: ≤ 800 ns more. A handler that
 * does any input or output takes a hundred times as long.
 */
import { consumeByRun, type Handler } from '../harness/consuming.ts'
import { measure } from '../harness/measure.ts'
import { medianOf, metrics } from '../harness/targets.ts'
import { filledPartition, fillLog, topicName, withLog } from '../harness/varve.ts'
import type { Context, Metric, Outcome, Variant, Workload } from '../harness/workload.ts'

const load = { recordBytes: 100, recordsPerCall: 1000, records: 2_000_000, smokeRecords: 5000 }

type Kind = 'sync' | 'async'

function handlerOf(kind: Kind): { readonly handle: Handler; readonly sum: () => number } {
  let sum = 0
  const sync: Handler = record => {
    sum += record.offset + record.valueSizeBytes
  }
  const async: Handler = async record => {
    sum += record.offset + record.valueSizeBytes
  }
  return { handle: kind === 'sync' ? sync : async, sum: () => sum }
}

function recordsOf(context: Context): number {
  return context.pick(load.records, load.smokeRecords)
}

/** One pass that the compiler learns from, and one that counts. */
async function twoPasses(
  context: Context,
  pass: (name: string) => Promise<number>,
): Promise<Outcome> {
  const records = recordsOf(context)
  const checksum = await pass('first')
  const { phase, value } = await measure(() => pass('second'))
  if (value !== checksum) throw new Error('records are missing')
  return { ...phase, records, bytes: records * load.recordBytes, figures: { checksum } }
}

function run(context: Context, kind: Kind): Promise<Outcome> {
  return withLog(context.preparedDir, async log => {
    const topic = await log.topic(topicName, { create: false })
    return await twoPasses(context, async name => {
      // One of its own: what the group of an earlier round has committed is not read again.
      const group = `${name}-${process.pid}`
      const consumer = await log.consumer({ group, topics: topic, from: 'earliest' })
      const { handle, sum } = handlerOf(kind)
      await consumeByRun(consumer, { records: recordsOf(context), handler: handle })
      return sum()
    })
  })
}

function bareLoop(context: Context, kind: Kind): Promise<Outcome> {
  return withLog(context.preparedDir, async log => {
    const partition = await filledPartition(log)
    return await twoPasses(context, async () => {
      const { handle, sum } = handlerOf(kind)
      for await (const batch of partition.batches()) {
        if (kind === 'sync') for (const record of batch) handle(record)
        else for (const record of batch) await handle(record)
      }
      return sum()
    })
  })
}

const nanosPerRecord: Metric = outcome => (outcome.seconds / outcome.records) * 1e9

function variantOf(kind: Kind, atMost: number): Variant {
  return {
    name: kind === 'sync' ? 'a handler that returns nothing' : 'a handler that returns a promise',
    recordBytes: load.recordBytes,
    recordsPerCall: load.recordsPerCall,
    prepare: context => fillLog(context.preparedDir, { ...load, records: recordsOf(context) }),
    sides: {
      'loop over batches()': { kind: 'limit', run: context => bareLoop(context, kind) },
      varve: { kind: 'varve', run: context => run(context, kind) },
    },
    targets: [
      {
        text: `≤ ${atMost} ns a record more than the loop (ns)`,
        figure(outcomes) {
          const own = medianOf(outcomes, 'varve', nanosPerRecord)
          const bare = medianOf(outcomes, 'loop over batches()', nanosPerRecord)
          return own === null || bare === null ? null : own - bare
        },
        atMost,
      },
    ],
  }
}

/** `run()` with one record at a time and automatic commits, as it is without options. */
export const groupRun: Workload = {
  name: 'group-run',
  question:
    'What does run() take for each record beside a loop over batches() with the same handler?',
  expectation:
    'A turn in the queue and a job: ≤ 400 ns more, ≤ 800 ns where it waits for a promise.',
  chart: { label: 'records/s', metric: metrics.recordsPerSecond, kind: 'bar' },
  rounds: 3,
  variants: [variantOf('sync', 400), variantOf('async', 800)],
}
