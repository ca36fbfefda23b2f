/**
 * A writer that others follow: `node writer.js DIR BATCHES`. Appends batches to `first`, half-way
 * creates `second` and appends to both. Says how far it is and, at the end, how many records each
 * topic holds.
 */
import { openLog } from '../../../lib/index.ts'
import type { Topic } from '../../../lib/types.ts'
import { recordsOf } from './kill-payload.ts'
import { numberArgument, say } from './say.ts'

async function main(): Promise<void> {
  const batches = numberArgument(3)
  const log = await openLog(process.argv[2] ?? '')
  // Written and not flushed for a while: nobody may see that.
  const config = { segmentBytes: 64 * 1024, flushRecords: 100, acks: 'written' } as const
  const topics: Topic[] = [await log.topic('first', config)]
  say('created')
  for (let sequence = 0; sequence < batches; sequence++) {
    if (sequence === batches / 2) topics.push(await log.topic('second', config))
    for (const topic of topics) {
      const count = 1 + (sequence % 3)
      await topic.partition(0).append(recordsOf({ run: 0, sequence }, count))
    }
    if (sequence % (batches / 10) === 0) say('at', sequence)
  }
  for (const topic of topics) {
    await topic.append({ value: 'end' }, { acks: 'durable' })
    say('total', topic.name, topic.partition(0).logEndOffset, log.metrics().segmentsRolled)
  }
  await log.close()
  say('closed')
}

await main()
