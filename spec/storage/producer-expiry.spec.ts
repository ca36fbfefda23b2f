/** When a partition forgets producers: in its memory, in its snapshots, and over openings, crashes and failures. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import {
  type FaultyFiles,
  faultyFiles,
  type ManualClock,
  manualClock,
  memoryFiles,
} from '../../lib/testing/index.ts'
import type { Log, OpenOptions } from '../../lib/types.ts'
import { openPartition } from '../support/open-partition.ts'

const dayMs = 86_400_000
const first = { producerId: 1, producerEpoch: 0, baseSequence: 0 }
const request = { acks: 'durable', maxBlockMs: -1 } as const

/** Producers in the newest snapshot of the only partition; null when there is none. */
function producersOnDisk(files: Files): number | null {
  const sizes = files
    .list('/log/orders-0')
    .filter(({ name }) => name.endsWith('.snapshot'))
    .map(({ name }) => files.stat(`/log/orders-0/${name}`)?.sizeBytes ?? 0)
  const last = sizes.at(-1)
  return last === undefined ? null : (last - 10) / 46
}

async function open(files: Files, clock: ManualClock, options: OpenOptions = {}): Promise<Log> {
  return await openLog('/log', { files, clock, sweepIntervalMs: -1, ...options })
}

/** One record by an idempotent producer of its own. */
async function send(log: Log, value: string): Promise<void> {
  await log.topic('orders')
  const producer = await log.producer({ idempotent: true, deliveryTimeoutMs: 500 })
  await producer.send('orders', { value })
  await producer.close()
}

async function valuesIn(log: Log): Promise<string[]> {
  const values: string[] = []
  const topic = await log.topic('orders')
  for await (const { value } of topic.records()) values.push(String(value))
  return values
}

describe('a producer that is not heard of', () => {
  it('for a day -> forgotten by the next sweep, and not in the next snapshot', async () => {
    const files = memoryFiles()
    const clock = manualClock()
    const log = await open(files, clock)
    await send(log, 'a')
    clock.advance(1)
    await send(log, 'b')
    clock.advance(dayMs - 1)
    await log.sweep()
    await send(log, 'c')
    await log.close()
    assert.equal(producersOnDisk(files), 2)
  })

  it('all of them -> the snapshot is empty, and the log opens as one that was closed cleanly', async () => {
    const files = memoryFiles()
    const clock = manualClock()
    const log = await open(files, clock)
    await send(log, 'a')
    clock.advance(dayMs)
    await log.sweep()
    await (await log.topic('orders')).append({ value: 'b' })
    await log.close()
    assert.equal(producersOnDisk(files), 0)
    const again = await open(files, clock)
    assert.deepEqual(again.recovery.partitions, [])
    await (await again.topic('orders')).append({ value: 'c' })
    await again.close()
    const third = await open(files, clock)
    assert.deepEqual(third.recovery.partitions, [])
    assert.deepEqual(await valuesIn(third), ['a', 'b', 'c'])
    await third.close()
  })

  it('while the log is closed -> forgotten as it is opened', async () => {
    const files = memoryFiles()
    const clock = manualClock()
    const log = await open(files, clock)
    await send(log, 'a')
    await log.close()
    clock.advance(dayMs)
    const again = await open(files, clock)
    await send(again, 'b')
    await again.close()
    assert.equal(producersOnDisk(files), 1)
  })

  it('producerIdExpirationMs -> as long as it says; -1: never', async () => {
    for (const [producerIdExpirationMs, left] of [
      [1000, 1],
      [1001, 2],
      [-1, 2],
    ] as const) {
      const files = memoryFiles()
      const clock = manualClock()
      const log = await open(files, clock, { producerIdExpirationMs })
      await send(log, 'a')
      clock.advance(1000)
      await log.sweep()
      await send(log, 'b')
      await log.close()
      assert.equal(producersOnDisk(files), left, `${producerIdExpirationMs}`)
    }
  })

  it('and sends again -> taken as new, whatever its number', async () => {
    const { partition, clock } = await openPartition({ producerIdExpirationMs: 1000 })
    await partition.append([{ value: 'a' }], { ...request, producer: first })
    clock.advance(1000)
    partition.sweep(clock.wallMs())
    const later = { ...first, baseSequence: 7 }
    const { baseOffset } = await partition.append([{ value: 'b' }], { ...request, producer: later })
    assert.equal(baseOffset, 1)
    await partition.close()
  })

  it('because the partition had failed -> still known when that is recovered', async () => {
    const faulty = faultyFiles({ seed: 1 })
    const { partition, clock } = await openPartition({
      files: faulty,
      producerIdExpirationMs: 1000,
    })
    await partition.append([{ value: 'a' }], { ...request, producer: first })
    faulty.failAt({ operation: 1, kind: 'EIO', on: 'write' })
    await assert.rejects(partition.append([{ value: 'b' }], request))
    await assert.rejects(partition.flush())
    clock.advance(5000)
    partition.sweep(clock.wallMs())
    await partition.recover()
    partition.sweep(clock.wallMs())
    const again = await partition.append([{ value: 'a' }], { ...request, producer: first })
    assert.equal(again.baseOffset, 0)
    clock.advance(1000)
    partition.sweep(clock.wallMs())
    const late = await partition.append([{ value: 'a' }], { ...request, producer: first })
    assert.equal(late.baseOffset, 1)
    await partition.close()
  })
})

/** Lets time go by until it is settled: a producer tries again, and gives up. */
async function settled(work: Promise<unknown>, clock: ManualClock): Promise<void> {
  let isOver = false
  const end = (): void => {
    isOver = true
  }
  work.then(end, end)
  for (let turn = 0; !isOver; turn++) {
    assert.ok(turn < 5000, 'it does not end')
    if (turn % 50 === 49) clock.advance(100)
    await new Promise(resolve => setImmediate(resolve))
  }
  await work
}

/** Sends, lets the producer grow old, and sends by another one. */
async function work(files: FaultyFiles, clock: ManualClock, acknowledged: string[]): Promise<void> {
  const log = await open(files.currentProcess(), clock)
  try {
    for (const value of ['a', 'b', 'c']) {
      await settled(send(log, value), clock)
      acknowledged.push(value)
      clock.advance(dayMs)
      await log.sweep()
    }
  } finally {
    await settled(log.close({ timeoutMs: 1000 }), clock)
  }
}

describe('forgetting producers on a machine that loses its power', () => {
  it('at any call -> everything acknowledged is there once, and the log goes on', async () => {
    const seed = Number(process.env['SEED'] ?? 7)
    let strikes = 0
    for (let operation = 1; ; operation++) {
      const files = faultyFiles({ seed: seed + operation })
      const clock = manualClock()
      const acknowledged: string[] = []
      files.failAt({ operation, kind: 'crash' })
      await work(files, clock, acknowledged).catch(() => undefined)
      files.clearFaults()
      if (files.crashes === 0) break
      strikes++
      const log = await open(files, clock)
      const found = await valuesIn(log)
      const at = `SEED=${seed}, operation ${operation}: ${found}`
      assert.deepEqual(found, ['a', 'b', 'c'].slice(0, found.length), at)
      assert.ok(found.length >= acknowledged.length, at)
      await send(log, 'later')
      await log.close()
      const again = await open(files, clock)
      assert.deepEqual(await valuesIn(again), [...found, 'later'], at)
      await again.close()
    }
    assert.ok(strikes > 50, `${strikes}`)
  })
})
