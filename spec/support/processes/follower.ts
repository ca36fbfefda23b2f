/**
 * A process that only reads: `node follower.js DIR`. Follows `first` and, as soon as it is there,
 * `second`, checks every record, and says what it saw of each when it meets the value `end`.
 */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { openLog } from '../../../lib/index.ts'
import type { Log } from '../../../lib/types.ts'
import { nameIn } from './kill-payload.ts'
import { atWork, say } from './say.ts'

async function follow(log: Log, name: string): Promise<void> {
  while (!(await log.topics()).includes(name)) await nextTurn()
  const topic = await log.topic(name)
  const partition = topic.partition(0)
  let offset = 0
  let before = { sequence: -1, index: 0, count: 1 }
  for await (const record of topic.records({ live: true })) {
    assert.equal(record.offset, offset)
    assert(record.offset < partition.highWatermark, 'above the high watermark')
    offset++
    const value = String(record.value)
    if (value === 'end') break
    const found = nameIn(value)
    if (found.index > 0) assert.equal(found.index, before.index + 1)
    else if (before.sequence >= 0) assert.equal(found.sequence, before.sequence + 1)
    before = found
  }
  say('saw', name, offset)
}

async function main(): Promise<void> {
  const before = await atWork()
  const log = await openLog(process.argv[2] ?? '', { readOnly: true })
  say('following')
  await Promise.all([follow(log, 'first'), follow(log, 'second')])
  await log.close()
  say('left', before, await atWork())
}

await main()
