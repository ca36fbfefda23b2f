/**
 * Appends to a log and consumes it in two members of a group until it is killed:
 * `node consuming.js DIR RUN SEED`. Says every record as its handler ends, and every commit that it makes by
 * hand and that was confirmed.
 */
import { SeededRandom } from '../../../lib/files/seeded-random.ts'
import { openLog } from '../../../lib/index.ts'
import { hearLine, numberArgument, say } from './say.ts'

async function main(): Promise<void> {
  const dir = process.argv[2] ?? ''
  const random = new SeededRandom(numberArgument(4))
  await hearLine()
  const log = await openLog(dir)
  const jobs = await log.topic('jobs', { partitions: 3 })
  for (const { id, highWatermark } of jobs.partitions) say('durable', id, highWatermark)
  const { offsets } = (await log.groups()).includes('auto')
    ? await log.group('auto').describe()
    : { offsets: [] }
  for (const { partition, offset } of offsets) say('from', 'auto', partition, offset)
  say('opened')
  for (let member = 0; member < 2; member++) {
    const consumer = await log.consumer({ topics: jobs, group: 'auto' })
    void consumer.run(
      async ({ partition, offset }) => {
        if (random.chance(0.3)) await new Promise(resolve => setImmediate(resolve))
        say('done', partition, offset)
      },
      { concurrency: { by: 'key', max: 4 }, autoCommitIntervalMs: 1 },
    )
  }
  const byHand = await log.consumer({ topics: jobs, group: 'hand' })
  void byHand.run(
    async record => {
      const { partition, offset } = record
      await byHand.commit(record)
      say('committed', partition, offset + 1)
    },
    { autoCommit: false, concurrency: { by: 'partition', max: 3 } },
  )
  for (;;) {
    const records = Array.from({ length: 1 + random.below(8) }, () => {
      return { key: `k${random.below(5)}`, value: 'job' }
    })
    for (const { partition, nextOffset } of await jobs.append(records)) {
      say('durable', partition, nextOffset)
    }
  }
}

await main()
