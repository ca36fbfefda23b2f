/** A process that only reads and says, whenever it is told to look, how many records it can see. */
import { createInterface } from 'node:readline'

import { openLog } from '../../../lib/index.ts'
import { say } from './say.ts'

async function main(): Promise<void> {
  const log = await openLog(process.argv[2] ?? '', { readOnly: true })
  for await (const _look of createInterface({ input: process.stdin })) {
    const topic = await log.topic('orders')
    let count = 0
    for await (const record of topic.records()) count = record.offset + 1
    say('saw', count)
  }
}

await main()
