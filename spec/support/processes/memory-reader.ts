/**
 * Follows the writer until it has seen as many records as it is told to: `node memory-reader.js DIR
 * MB`. Touches every value, says how long that took and what it cost.
 */
import { openLog } from '../../../lib/index.ts'
import { numberArgument, say } from './say.ts'

async function main(): Promise<void> {
  const count = (numberArgument(3) * 1e6) / 1000
  const log = await openLog(process.argv[2] ?? '', { readOnly: true })
  const topic = await log.topic('bulk')
  const startMs = performance.now()
  let seen = 0
  let sizeBytes = 0
  for await (const record of topic.records({ live: true })) {
    if (String(record.key) !== `${seen}`) throw new Error(`record ${seen} is another one`)
    sizeBytes += record.value?.length ?? 0
    seen++
    if (seen === count) break
  }
  const seconds = (performance.now() - startMs) / 1000
  await log.close()
  say('read', sizeBytes / 1000, seconds, process.resourceUsage().maxRSS * 1024)
}

await main()
