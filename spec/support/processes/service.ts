/**
 * A service that others start and stop: `node service.js DIR LOCK_WAIT_MS [close]`. Opens the log,
 * appends its process number and serves until it is ended; with `close` it closes the log on SIGINT and
 * SIGTERM, else it dies of them. A live read is all that keeps it alive.
 */
import { openLog } from '../../../lib/index.ts'
import { numberArgument, say } from './say.ts'

async function main(): Promise<void> {
  const log = await openLog(process.argv[2] ?? '', { lockWaitMs: numberArgument(3) })
  const topic = await log.topic('starts')
  const { baseOffset } = await topic.append({ value: `${process.pid}` })
  if (process.argv[4] === 'close') {
    const close = (): void => {
      void log.close().then(() => say('closed'))
    }
    process.once('SIGINT', close)
    process.once('SIGTERM', close)
  }
  say('held', process.pid, baseOffset, log.lockKind, log.recovery.clean)
  for await (const { offset } of topic.records({ live: true })) say('served', offset)
}

await main()
