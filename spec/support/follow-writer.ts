/**
 * A reader in a process of its own: `node --import tsx follow-writer.ts DIR`. Follows topic `first` and,
 * as soon as it is there, topic `second`, and prints each value on a line of its own; ends behind the
 * value `end` of both.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

import { openLog } from '../../lib/open.ts'
import type { Log } from '../../lib/types.ts'

async function follow(log: Log, name: string): Promise<void> {
  while (!(await log.topics()).includes(name)) await nextTurn()
  const topic = await log.topic(name)
  for await (const record of topic.records({ live: true })) {
    const value = String(record.value)
    process.stdout.write(`${name} ${record.offset} ${value}\n`)
    if (value === 'end') return
  }
}

async function main(dir: string): Promise<void> {
  const log = await openLog(dir, { readOnly: true })
  process.stdout.write('ready\n')
  await Promise.all([follow(log, 'first'), follow(log, 'second')])
  await log.close()
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`)
  process.exitCode = 1
})
