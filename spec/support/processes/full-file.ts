/** Appends to `DIR` until that is refused, closes, and says the code of the refusal and the records. */
import type { LogError } from '../../../lib/errors.ts'
import { openLog } from '../../../lib/index.ts'
import { say } from './say.ts'

// The ballast would be larger than a file may be.
const log = await openLog(process.argv[2] ?? '', { ballastBytes: 0 })
const topic = await log.topic('orders')
let count = 0
try {
  for (; count < 1000; count++) await topic.append({ value: Buffer.alloc(500) })
  say('refused', 'nothing')
} catch (error) {
  say('refused', (error as LogError).code)
}
say('count', count)
await log.close()
