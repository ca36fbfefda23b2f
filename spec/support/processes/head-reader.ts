/**
 * A process that only reads, while another deletes and compacts what it reads: `node head-reader.js DIR`.
 * It does what a line on its standard input says:
 *
 *     start TOPIC JUMP    begins a reader at the log start; JUMP is `earliest` or `throw`
 *     next COUNT          reads on with it; says `saw OFFSET...` or what it ended with
 *     all TOPIC           reads everything anew; says `all OFFSET...`
 *     loop TOPIC          reads everything over and over until `stop`; says `looping` after the first time
 *
 * Every record is checked: it says in its value at which offset it was appended.
 */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'

import { openLog } from '../../../lib/index.ts'
import type { Log, LogRecord, Topic } from '../../../lib/types.ts'
import { say } from './say.ts'

const smallReads = { maxBytes: 1 } as const

class HeadReader {
  readonly #log: Log
  #reader: AsyncIterator<LogRecord> | null = null
  #isStopped = false
  #loop: Promise<void> = Promise.resolve()

  constructor(log: Log) {
    this.#log = log
  }

  async obey(line: string): Promise<void> {
    const [what = '', name = '', how = ''] = line.split(' ')
    if (what === 'start') await this.#start(name, how)
    else if (what === 'next') await this.#next(Number(name))
    else if (what === 'all') say('all', ...(await offsetsOf(await this.#log.topic(name))))
    else if (what === 'loop') this.#loop = this.#readOver(await this.#log.topic(name))
    else await this.#stop()
  }

  async #start(name: string, how: string): Promise<void> {
    const topic = await this.#log.topic(name)
    const jump = how === 'earliest' ? { onOutOfRange: 'earliest' as const } : {}
    const records = topic.partition(0).records({ ...smallReads, ...jump })
    this.#reader = records[Symbol.asyncIterator]()
    say('started')
  }

  async #next(count: number): Promise<void> {
    const offsets: number[] = []
    try {
      while (offsets.length < count) {
        const { done, value } = (await this.#reader?.next()) ?? { done: true, value: null }
        if (done === true) break
        offsets.push(checked(value as LogRecord))
      }
      say('saw', ...offsets)
    } catch (error) {
      say('ended', (error as { code?: string }).code ?? String(error), ...offsets)
    }
  }

  async #readOver(topic: Topic): Promise<void> {
    for (let round = 0; !this.#isStopped; round++) {
      await offsetsOf(topic)
      if (round === 0) say('looping')
    }
  }

  async #stop(): Promise<void> {
    this.#isStopped = true
    await this.#loop
    say('stopped')
  }
}

async function offsetsOf(topic: Topic): Promise<number[]> {
  const offsets: number[] = []
  const partition = topic.partition(0)
  for await (const record of partition.records({ ...smallReads, onOutOfRange: 'earliest' })) {
    const offset = checked(record)
    assert(offset > (offsets.at(-1) ?? -1), 'offsets rise')
    offsets.push(offset)
  }
  return offsets
}

function checked(record: LogRecord): number {
  assert.equal(Number.parseInt(String(record.value), 10), record.offset)
  return record.offset
}

async function main(): Promise<void> {
  const log = await openLog(process.argv[2] ?? '', {
    readOnly: true,
    onEvent: event => {
      if (event.type === 'corruption') say('corruption', event.path)
    },
  })
  const reader = new HeadReader(log)
  say('open')
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'close') break
    await reader.obey(line)
  }
  await log.close()
  say('closed')
  process.stdin.destroy()
}

await main()
