/**
 * Leaves records un-flushed and waits to be killed: `node unflushed.js DIR`. Three batches of two
 * records are flushed, five more are written. Says the offsets.
 */
import { openLog } from '../../../lib/index.ts'
import { hearLine, say } from './say.ts'

async function main(): Promise<void> {
  const log = await openLog(process.argv[2] ?? '')
  const topic = await log.topic('orders', { flushRecords: -1, flushMs: -1, acks: 'written' })
  const partition = topic.partition(0)
  for (let batch = 0; batch < 8; batch++) {
    await partition.append([{ value: `${batch}a` }, { value: `${batch}b` }])
    if (batch === 2) await topic.flush()
  }
  say('written', partition.recoveryPoint, partition.writtenOffset)
  await hearLine()
}

await main()
