/**
 * Opens a log and appends to it until it is killed, or has acknowledged as much as it was told to and
 * closes: `node appender.js DIR RUN SEED CLOSE_AFTER`. Begins when it is told to, so that it can be
 * started ahead of its time; says every acknowledgement.
 */
import { SeededRandom } from '../../../lib/files/seeded-random.ts'
import { openLog } from '../../../lib/index.ts'
import type { Acks, Topic } from '../../../lib/types.ts'
import { recordsOf } from './kill-payload.ts'
import { hearLine, numberArgument, say } from './say.ts'

/** Appends that are under way at the same time. */
const maxPending = 24

async function main(): Promise<void> {
  const dir = process.argv[2] ?? ''
  const run = numberArgument(3)
  const random = new SeededRandom(numberArgument(4))
  const closeAfter = numberArgument(5)
  await hearLine()
  say('opening')
  const log = await openLog(dir, { topicDefaults: { segmentBytes: 32 * 1024 } })
  say('opened', log.recovery.clean)
  // Group commit; a policy that leaves records un-flushed for a while; and compressed batches.
  const topics = [
    await log.topic('group', { partitions: 2 }),
    await log.topic('late', { flushRecords: 60, flushMs: 20 }),
    await log.topic('packed', { compressionType: 'gzip' }),
  ]
  const partitions = topics.flatMap((topic: Topic) => topic.partitions)
  const sequences = partitions.map(() => 0)
  let pending = 0
  let acknowledged = 0
  let wake = (): void => {}
  const settled = (): void => {
    pending--
    wake()
  }
  for (let turn = 0; acknowledged < closeAfter; turn++) {
    const index = random.below(partitions.length)
    const partition = partitions[index] as (typeof partitions)[number]
    const sequence = sequences[index] as number
    sequences[index] = sequence + 1
    const acks = random.pick<Acks>(['durable', 'durable', 'written', 'queued'])
    const count = random.chance(0.5) ? 1 : 1 + random.below(6)
    pending++
    void partition.append(recordsOf({ run, sequence }, count), { acks }).then(result => {
      acknowledged++
      const { topic, partition: id, baseOffset, nextOffset, leaderEpoch } = result
      say('ack', topic, id, acks, sequence, count, baseOffset, nextOffset, leaderEpoch)
      settled()
    })
    while (pending >= maxPending || (turn % 7 === 6 && pending > 0 && random.chance(0.3))) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  say('closing')
  await log.close()
  say('closed')
}

await main()
