/**
 * One of several processes that want the same directory: `node racer.js DIR`. Opens the log whenever
 * it is told `open LOCK_WAIT_MS`, says whether it got it, and keeps it until it is told `close`.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { LockedError, type Log, openLog } from '../../../lib/index.ts'
import { say } from './say.ts'

const dir = process.argv[2] ?? ''
/** There as long as somebody holds the log. Left behind by a holder that is killed. */
const marker = `${dir}.held`
let log: Log | null = null

async function open(lockWaitMs: number): Promise<void> {
  try {
    log = await openLog(dir, { lockWaitMs })
  } catch (error) {
    if (!(error instanceof LockedError)) throw error
    say('locked', error.pid ?? 0)
    return
  }
  // Fails when somebody else is between opening and closing.
  closeSync(openSync(marker, 'wx'))
  const topic = await log.topic('rounds')
  say('held', (await topic.append({ value: `${process.pid}` })).baseOffset)
}

async function close(): Promise<void> {
  unlinkSync(marker)
  await log?.close()
  say('closed')
}

async function main(): Promise<void> {
  say('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, argument] = line.split(' ')
    await (word === 'open' ? open(Number(argument)) : close())
  }
}

await main()
