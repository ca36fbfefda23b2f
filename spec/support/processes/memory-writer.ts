/**
 * Appends as much as it is told to, as fast as the log takes it: `node memory-writer.js DIR MB`. Says
 * how long that took and what it cost.
 */
import { openLog } from '../../../lib/index.ts'
import { numberArgument, say } from './say.ts'

/** Of each record. */
const valueBytes = 1000

/** The key tells the records apart. Values of their own would be garbage of this program, not of the log. */
function* records(count: number): Generator<{ key: string; value: Buffer }> {
  const value = Buffer.alloc(valueBytes, 'x')
  for (let index = 0; index < count; index++) yield { key: `${index}`, value }
}

async function main(): Promise<void> {
  const count = (numberArgument(3) * 1e6) / valueBytes
  const log = await openLog(process.argv[2] ?? '')
  const topic = await log.topic('bulk')
  say('begun')
  const startMs = performance.now()
  await topic.appendFrom(records(count))
  const seconds = (performance.now() - startMs) / 1000
  await log.close()
  say('wrote', count, seconds, process.resourceUsage().maxRSS * 1024)
}

await main()
