/**
 * What keeps a process alive and what does not: `node alive.js SCENARIO DIR`. Nothing here but the log
 * would do so. `ticks` come from a timer that does not, so that hearing them proves that something
 * else does.
 */
import { type Log, openLog, type Topic } from '../../../lib/index.ts'
import { atWork, say } from './say.ts'

const dir = process.argv[3] ?? ''
const value = 'x'.repeat(100)

/** Resolves after some ticks, each of them said. */
function ticks(): Promise<void> {
  return new Promise(resolve => {
    let left = 5
    const timer = setInterval(() => {
      say('tick')
      left--
      if (left > 0) return
      clearInterval(timer)
      resolve()
    }, 20).unref()
  })
}

/** A topic that is flushed some time after its oldest record only. */
function lateTopic(log: Log): Promise<Topic> {
  return log.topic('late', { flushRecords: -1, flushMs: 300 })
}

async function waitLive(log: Log): Promise<void> {
  const topic = await log.topic('orders')
  const stop = new AbortController()
  const next = topic.records({ live: true, from: 'latest', signal: stop.signal }).next()
  const ended = next.catch(error => say('ended', error.name))
  await ticks()
  stop.abort()
  await ended
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  async 'an idle log'() {
    const topic = await (await openLog(dir)).topic('orders')
    await topic.append({ value })
    say('idle')
  },
  async 'an idle read-only log'() {
    const log = await openLog(dir, { readOnly: true })
    for await (const record of (await log.topic('orders')).records()) say('read', record.offset)
    say('idle')
  },
  async 'a live reader that nobody waits for'() {
    const topic = await (await openLog(dir)).topic('orders')
    const reader = topic.records({ live: true })
    say('read', (await reader.next()).value?.offset)
    say('idle')
  },
  async 'a pending live read'() {
    await waitLive(await openLog(dir))
  },
  async 'a pending live read of a read-only log'() {
    await waitLive(await openLog(dir, { readOnly: true }))
  },
  async 'a durable append that waits for flushMs'() {
    const topic = await lateTopic(await openLog(dir))
    void topic.append({ value }).then(({ baseOffset }) => say('acknowledged', baseOffset))
  },
  async 'a durable append behind one that nobody waits for'() {
    const topic = await lateTopic(await openLog(dir))
    await topic.append({ value }, { acks: 'written' })
    void topic.append({ value }).then(({ baseOffset }) => say('acknowledged', baseOffset))
  },
  async 'a durable array of a compressed topic'() {
    const log = await openLog(dir)
    const topic = await log.topic('packed', { compressionType: 'gzip' })
    const records = Array.from({ length: 100 }, () => ({ value }))
    void topic.append(records).then(([result]) => say('acknowledged', result?.baseOffset ?? -1))
  },
  async 'appends that wait for room'() {
    const log = await openLog(dir, { maxUnflushedBytes: 1000, maxBlockMs: -1 })
    const never = { flushRecords: -1, flushMs: -1, partitions: 3 } as const
    const { partitions } = await log.topic('never', never)
    let last = -1
    for (let count = 0; count < 50; count++) {
      for (const partition of partitions) {
        last = (await partition.append([{ value }], { acks: 'written' })).baseOffset
      }
    }
    say('acknowledged', last)
  },
  async 'a close'() {
    const log = await openLog(dir)
    const topic = await lateTopic(log)
    void topic.append({ value }, { acks: 'queued' })
    void log.close().then(() => say('acknowledged', 0))
  },
  async 'nothing after close'() {
    const before = await atWork()
    const log = await openLog(dir, { sweepIntervalMs: 1000 })
    const [group, late] = [await log.topic('orders'), await lateTopic(log)]
    const reader = await openLog(dir, { readOnly: true })
    const pending = [
      group.records({ live: true, from: 'latest' }).next(),
      (await reader.topic('orders')).records({ live: true, from: 'latest' }).next(),
    ]
    await late.append({ value }, { acks: 'written' })
    // Half a turn, so that the wait and the watch have begun.
    say('before', await atWork())
    await Promise.all([log.close(), reader.close(), ...pending])
    say('left', before, await atWork())
  },
}

await scenarios[process.argv[2] ?? '']?.()
