/**
 * An idempotent producer on a disk of which one call fails, each in turn: the partition is recovered
 * when it has failed, and every record is in the log once, in order, and where its promise says; also
 * after a power cut. And on a disk that loses its power at each call.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Fault } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { AppendResult, Log } from '../../lib/types.ts'
import { collect } from '../contracts/contract-helpers.ts'
import { seeds } from '../support/random.ts'

const recordCount = 30

interface Run {
  readonly files: FaultyFiles
  readonly clock: ManualClock
  /** By the number that is a record's value. */
  readonly acknowledged: Map<number, AppendResult>
  readonly refused: Map<number, Error>
}

async function turn(): Promise<void> {
  for (let turns = 0; turns < 4; turns++) await new Promise(resolve => setImmediate(resolve))
}

async function prepare(seed: number): Promise<Run> {
  const files = faultyFiles({ seed })
  const clock = manualClock()
  const log = await openLog('/data', { files: files.currentProcess(), clock })
  await log.topic('orders', { segmentBytes: 1024 })
  await log.close()
  return { files, clock, acknowledged: new Map(), refused: new Map() }
}

/** Sends the records, a few a turn, in batches of about four; recovers the partition when it fails. */
async function sendAll(run: Run, log: Log): Promise<void> {
  const { clock, acknowledged, refused, files } = run
  const { crashes } = files
  const topic = await log.topic('orders')
  const [partition] = topic.partitions
  assert.ok(partition !== undefined)
  const producer = await log.producer({ idempotent: true, batchBytes: 300 })
  for (let number = 0; number < recordCount; number++) {
    producer.send('orders', { value: Buffer.alloc(40, `${number}.`) }).then(
      result => acknowledged.set(number, result),
      (error: Error) => refused.set(number, error),
    )
    if (number % 6 === 5) await turn()
  }
  for (let rounds = 0; rounds < 300; rounds++) {
    if (acknowledged.size + refused.size === recordCount || files.crashes > crashes) return
    await turn()
    if (partition.state === 'failed') await partition.recover().catch(() => undefined)
    clock.advance(50)
  }
  throw new Error('not settled')
}

/** The numbers of the records in the log. */
async function numbersIn(log: Log): Promise<readonly number[]> {
  const records = await collect((await log.topic('orders')).records())
  return records.map(({ value }) => Number.parseInt(value?.toString() ?? '', 10))
}

const all = Array.from({ length: recordCount }, (_, number) => number)

function message({ files }: Run, call: number): string {
  return `call ${call}, SEED=${files.seed}\n${files.trace.slice(-40).join('\n')}`
}

/** Runs with the fault at the first, the second, … call until `body` says that it did not strike. */
async function strikeEach(
  fault: Omit<Fault, 'operation'>,
  body: (run: Run) => Promise<boolean>,
): Promise<number> {
  let most = 0
  for (const seed of seeds(1)) {
    for (let call = 1; ; call++) {
      const run = await prepare(seed * 1000 + call)
      run.files.failAt({ ...fault, operation: call })
      const isStruck = await body(run).catch((error: unknown) => {
        throw new Error(message(run, call), { cause: error })
      })
      if (!isStruck) break
      most = Math.max(most, call)
    }
  }
  return most
}

/** A run that nothing but the fault disturbs: every record arrives. */
async function arrives(run: Run): Promise<boolean> {
  const { files, clock, acknowledged, refused } = run
  const log = await openLog('/data', { files: files.currentProcess(), clock })
  await sendAll(run, log)
  const isStruck = files.trace.some(line => /-> (EIO|ENOSPC|short)/.test(line))
  files.clearFaults()
  assert.deepEqual([...refused], [])
  assert.deepEqual([...acknowledged.keys()], all)
  assert.deepEqual(await numbersIn(log), all)
  for (const [number, { baseOffset }] of acknowledged) assert.equal(baseOffset, number)
  files.crash()
  const again = await openLog('/data', { files: files.currentProcess(), clock })
  assert.deepEqual(await numbersIn(again), all)
  await again.close()
  return isStruck
}

describe('an idempotent producer on a disk that fails once', () => {
  const logFiles = /orders-0\/.*\.log$/

  it('EIO at each write of the log -> every record once, in order', async () => {
    const count = await strikeEach({ kind: 'EIO', on: 'write', path: logFiles }, arrives)
    assert.ok(count >= 6, String(count))
  })

  it('EIO at each sync of the log -> every record once, in order', async () => {
    const count = await strikeEach({ kind: 'EIO', on: 'sync', path: logFiles }, arrives)
    assert.ok(count >= 6, String(count))
  })

  for (const kind of ['ENOSPC', 'short'] as const) {
    it(`${kind} at each write of the log -> every record once, in order`, async () => {
      const count = await strikeEach({ kind, on: 'write', path: logFiles }, arrives)
      assert.ok(count >= 6, String(count))
    })
  }
})

describe('an idempotent producer whose machine loses its power', () => {
  it('at each call -> what was acknowledged is there, nothing twice, all in order', async () => {
    const count = await strikeEach({ kind: 'crash' }, async run => {
      const { files, clock, acknowledged } = run
      const { crashes } = files
      const log = await openLog('/data', { files: files.currentProcess(), clock }).catch(() => null)
      if (log !== null) await sendAll(run, log).catch(() => undefined)
      const isStruck = files.crashes > crashes
      files.clearFaults()
      if (!isStruck) files.crash()
      const again = await openLog('/data', { files: files.currentProcess(), clock })
      const numbers = await numbersIn(again)
      assert.deepEqual(numbers, all.slice(0, numbers.length))
      for (const number of acknowledged.keys()) assert.ok(number < numbers.length, String(number))
      const producer = await again.producer({ idempotent: true })
      const result = await producer.send('orders', { value: String(numbers.length) })
      assert.equal(result.baseOffset, numbers.length)
      await again.close()
      return isStruck
    })
    assert.ok(count > 30, String(count))
  })
})
