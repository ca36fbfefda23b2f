/**
 * Committed offsets with the power cut, kill -9 and errors at every single call: what was confirmed is
 * found again, nothing is found that nobody asked for, nothing lies above what is durable, and a topic that
 * is made again inherits nothing.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openLog } from '../../lib/open.ts'
import {
  type FaultKind,
  type FaultyFiles,
  faultyFiles,
  manualClock,
} from '../../lib/testing/index.ts'
import type { Log } from '../../lib/types.ts'

/** Nothing here waits for any time. */
const clock = manualClock()

/** What one topic's incarnation may have committed. */
interface Expected {
  confirmed: number | null
  /** Every offset that somebody tried to commit, and null as long as none was confirmed. */
  possible: (number | null)[]
}

interface World {
  readonly audit: Expected
  /** Of the topic that has the name now; null while a deletion is under way. */
  orders: Expected | null
  isDeleted: boolean
}

const fresh = (): Expected => ({ confirmed: null, possible: [null] })

async function commit(log: Log, expected: Expected, at: { topic: string; offset: number }) {
  expected.possible.push(at.offset)
  await log.group('g').resetOffsets({ to: at.offset, topics: [at.topic] })
  expected.confirmed = at.offset
  expected.possible = [at.offset]
}

/** A topic with three records, which commits can name. */
async function fill(log: Log, name: string): Promise<void> {
  const topic = await log.topic(name)
  await topic.append([0, 1, 2].map(value => ({ value: String(value) })))
}

async function work(files: FaultyFiles, world: World): Promise<void> {
  const log = await openLog('/log', { files: files.currentProcess(), clock })
  const steps = [
    () => commit(log, world.audit, { topic: 'audit', offset: 1 }),
    () => commit(log, world.orders as Expected, { topic: 'orders', offset: 3 }),
    () => commit(log, world.audit, { topic: 'audit', offset: 2 }),
    async () => {
      const before = world.orders as Expected
      world.orders = null
      try {
        await log.deleteTopic('orders')
        world.isDeleted = true
      } catch (error) {
        // It is there, or gone, or anything between the two.
        before.possible.push(null)
        throw error
      }
    },
    async () => {
      if (world.orders !== null) return
      await fill(log, 'orders')
      world.orders = fresh()
    },
    async () => {
      if (world.orders !== null) await commit(log, world.orders, { topic: 'orders', offset: 1 })
    },
    () => commit(log, world.audit, { topic: 'audit', offset: 3 }),
  ]
  for (const step of steps) await step().catch(() => undefined)
  await log.close().catch(() => undefined)
}

async function committedIn(log: Log): Promise<Map<string, number>> {
  if (!(await log.groups()).includes('g')) return new Map()
  const { offsets } = await log.group('g').describe()
  return new Map(offsets.map(({ topic, offset }) => [topic, offset]))
}

async function check(files: FaultyFiles, world: World, at: string): Promise<void> {
  const log = await openLog('/log', { files, clock })
  const found = await committedIn(log)
  const audit = found.get('audit') ?? null
  assert.ok(world.audit.possible.includes(audit), `${at}: audit ${audit}, ${shown(world.audit)}`)
  const names = await log.topics()
  if (!names.includes('orders')) {
    assert.equal(found.get('orders'), undefined, `${at}: commits of a topic that is gone`)
    await fill(log, 'orders')
    assert.equal((await committedIn(log)).get('orders'), undefined, `${at}: inherited`)
  } else if (world.orders !== null) {
    const orders = found.get('orders') ?? null
    assert.ok(world.orders.possible.includes(orders), `${at}: orders ${orders}`)
  } else if (world.isDeleted) {
    assert.equal(found.get('orders'), undefined, `${at}: inherited by a topic just made`)
  }
  for (const [name, offset] of found) {
    if (!names.includes(name)) continue
    const { highWatermark } = (await log.topic(name)).partition(0)
    assert.ok(offset <= highWatermark, `${at}: ${name} committed ${offset} of ${highWatermark}`)
  }
  await log.close()
}

function shown({ confirmed, possible }: Expected): string {
  return `confirmed ${confirmed}, possible ${possible.join()}`
}

async function atEveryCall(kind: FaultKind, end: 'crash' | 'killProcess'): Promise<number> {
  for (let operation = 1; ; operation++) {
    const files = faultyFiles({ seed: operation })
    const log = await openLog('/log', { files, clock })
    await fill(log, 'orders')
    await fill(log, 'audit')
    await log.close()
    const before = files.operations
    files.failAt({ operation, kind })
    const world: World = { audit: fresh(), orders: fresh(), isDeleted: false }
    await work(files, world).catch(() => undefined)
    const isOver = files.operations - before < operation
    files.clearFaults()
    if (kind !== 'crash') files[end]()
    await check(files, world, `${kind}, then ${end}, at call ${operation} (seed ${operation})`)
    if (isOver) return operation
  }
}

describe('committed offsets when the files fail', () => {
  it('power cut at any call -> what was confirmed is there, nothing is inherited', async () => {
    assert.ok((await atEveryCall('crash', 'crash')) > 100)
  })

  for (const kind of ['EIO', 'ENOSPC', 'short'] as const) {
    it(`${kind} at any call, then a power cut -> the same`, async () => {
      assert.ok((await atEveryCall(kind, 'crash')) > 30)
    })
  }

  it('EIO at any call, then kill -9 -> the same', async () => {
    assert.ok((await atEveryCall('EIO', 'killProcess')) > 100)
  })

  it('a write failed and the partition was recovered -> commits go on, and are found again', async () => {
    const files = faultyFiles({ seed: 1 })
    const log = await openLog('/log', { files, clock })
    await fill(log, 'audit')
    const expected = fresh()
    await commit(log, expected, { topic: 'audit', offset: 1 })
    files.failAt({ operation: 1, kind: 'EIO', path: /__consumer_offsets-0.*\.log$/ })
    await assert.rejects(commit(log, expected, { topic: 'audit', offset: 2 }))
    files.clearFaults()
    await (await log.topic('__consumer_offsets')).partition(0).recover()
    await commit(log, expected, { topic: 'audit', offset: 3 })
    files.crash()
    const again = await openLog('/log', { files, clock })
    assert.equal((await committedIn(again)).get('audit'), 3)
    await again.close()
  })
})
