/**
 * Appends to many topics that are all open: `node many-topics.js DIR TOPICS`. Says how many file
 * descriptors the process had at most, and how many records it read back.
 */
import { readdirSync } from 'node:fs'

import { openLog } from '../../../lib/index.ts'
import { numberArgument, say } from './say.ts'

async function main(): Promise<void> {
  const names = Array.from({ length: numberArgument(3) }, (_, index) => `topic-${index}`)
  let most = 0
  let asked = 0
  const count = (): void => {
    // Every tenth time: listing them takes longer than what is counted.
    if (asked++ % 10 === 0) most = Math.max(most, readdirSync('/proc/self/fd').length)
  }
  const log = await openLog(process.argv[2] ?? '')
  const topics = await Promise.all(names.map(name => log.topic(name)))
  await Promise.all(
    topics.map((topic, index) =>
      topic.append({ value: 'x' }, { acks: index % 2 === 0 ? 'written' : 'durable' }).then(count),
    ),
  )
  await log.flush()
  let records = 0
  for (const topic of topics) {
    for await (const _record of topic.records()) records++
    count()
  }
  const live = topics.map(topic => topic.records({ live: true, from: 'latest' }).next())
  await Promise.all(topics.map(topic => topic.append({ value: 'live' }).then(count)))
  const seen = await Promise.all(live)
  say('done', most, records, seen.filter(({ done }) => done !== true).length)
  await log.close()
}

await main()
