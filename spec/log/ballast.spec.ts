/**
 * The ballast, and a log on a disk without a free byte: what must go on goes on with the space that is
 * given up. The disk is a model with a limit, so that any call can fail, and the power go, at any time.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import { Ballast } from '../../lib/log/ballast.ts'
import { openLog } from '../../lib/open.ts'
import { type FaultKind, type FaultyFiles, faultyFiles } from '../../lib/testing/index.ts'
import type { Log, OpenOptions } from '../../lib/types.ts'

const capacityBytes = 200_000
const path = '/log/.ballast'

async function valuesOf(log: Log, name: string): Promise<string[]> {
  const values: string[] = []
  const topic = await log.topic(name, { create: false })
  for await (const { value } of topic.records()) values.push(String(value))
  return values
}

/** A disk of 200,000 bytes. */
function smallDisk(seed = 1): FaultyFiles {
  const files = faultyFiles({ seed })
  files.setCapacity(capacityBytes)
  return files
}

/** Another program takes every byte that is left. */
async function takeAll(files: FaultyFiles): Promise<void> {
  const { freeBytes } = await files.freeSpace('/')
  if (freeBytes === 0) return
  const file = files.open(`/other-${files.operations}`, 'create')
  await file.write(Buffer.alloc(freeBytes), 0)
  await file.syncData()
  file.close()
}

async function giveAllBack(files: FaultyFiles): Promise<void> {
  for (const { name } of files.list('/')) {
    if (name.startsWith('other-')) await files.remove(`/${name}`)
  }
}

/** A log with a record, closed or killed, and no free byte but for its ballast. */
async function fullDisk(
  seed: number,
  end: 'closed' | 'killed',
  options: OpenOptions = {},
): Promise<FaultyFiles> {
  const files = smallDisk(seed)
  const log = await openLog('/log', { files: files.currentProcess(), ...options })
  await (await log.topic('orders')).append({ value: 'kept' })
  if (end === 'closed') await log.close()
  else files.killProcess()
  await takeAll(files)
  return files
}

describe('Ballast', () => {
  it('made → bytes that are written and synced, and do not repeat within a piece', async () => {
    const files = smallDisk()
    files.makeDirectory('/log')
    const ballast = new Ballast(files, '/log')
    await ballast.make(100_000)
    assert.equal(ballast.sizeBytes, 100_000)
    const piece = files.readFile(path)?.subarray(0, 65_536) ?? Buffer.alloc(0)
    const blocks = new Set(
      Array.from({ length: 4096 }, (_, n) => piece.toString('hex', n * 16, n * 16 + 16)),
    )
    assert.equal(blocks.size, 4096)
  })

  it('no room for all of it → none, and the error', async () => {
    const files = smallDisk()
    files.makeDirectory('/log')
    const ballast = new Ballast(files, '/log')
    await assert.rejects(ballast.make(300_000), { code: 'ENOSPC' })
    assert.equal(files.stat(path), null)
  })

  it('released → its space is free; a second time there is nothing to give', async () => {
    const files = smallDisk()
    files.makeDirectory('/log')
    const ballast = new Ballast(files, '/log')
    await ballast.make(8192)
    assert.equal(await ballast.release(), true)
    assert.equal((await files.freeSpace('/')).freeBytes, capacityBytes)
    assert.equal(await ballast.release(), false)
  })
})

describe('a log on a disk with a limit', () => {
  it('opened → the ballast is an eighth of a small disk, and stays when the log is closed', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files })
    assert.equal(files.stat(path)?.sizeBytes, 24_576)
    await log.close()
    assert.equal(files.stat(path)?.sizeBytes, 24_576)
  })

  it('ballastBytes: 0 → none', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files, ballastBytes: 0 })
    assert.equal(files.stat(path), null)
    await log.close()
  })

  it('half of it is left after a crash → whole again when the log is opened', async () => {
    const files = smallDisk()
    await (await openLog('/log', { files })).close()
    const file = files.open(path, 'write')
    file.truncate(1000)
    file.close()
    const log = await openLog('/log', { files })
    assert.equal(files.stat(path)?.sizeBytes, 24_576)
    await log.close()
  })

  for (const end of ['closed', 'killed'] as const) {
    it(`full to the last byte, ${end} before → opens read-only, reads, refuses, and goes on with room`, async () => {
      const files = await fullDisk(1, end)
      const events: LogEvent[] = []
      const log = await openLog('/log', { files, onEvent: event => events.push(event) })
      await takeAll(files)
      assert.deepEqual(await valuesOf(log, 'orders'), ['kept'])
      const topic = await log.topic('orders')
      await assert.rejects(topic.append({ value: 'x' }), { code: 'DISK_FULL' })
      // A write that fails is what makes the log look; the state follows.
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      assert.equal(log.state, 'read-only')
      await giveAllBack(files)
      await topic.append({ value: 'after' })
      assert.equal(log.state, 'ok')
      assert.deepEqual(await valuesOf(log, 'orders'), ['kept', 'after'])
      await log.close()
      const again = await openLog('/log', { files })
      assert.equal(again.recovery.clean, true)
      assert.deepEqual(await valuesOf(again, 'orders'), ['kept', 'after'])
      await again.close()
    })
  }

  it('full while it is open → a topic is deleted, which makes the room for the others', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files })
    await (await log.createTopic('old')).append({ value: Buffer.alloc(60_000) })
    const orders = await log.createTopic('orders')
    await takeAll(files)
    await assert.rejects(orders.append({ value: 'x' }), { code: 'DISK_FULL' })
    await log.deleteTopic('old')
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    await orders.append({ value: 'fits' })
    assert.deepEqual(await valuesOf(log, 'orders'), ['fits'])
    await log.close()
  })

  it('full while it is open → offsets are committed with the space of the ballast, and survive', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files })
    const orders = await log.createTopic('orders')
    await orders.append([{ value: 'a' }, { value: 'b' }])
    const offsetOf = async (of: Log): Promise<number | undefined> =>
      (await of.group('billing').describe()).offsets[0]?.offset ?? undefined
    await log.group('billing').resetOffsets({ to: 'earliest', topics: ['orders'] })
    assert.equal(await offsetOf(log), 0)
    await takeAll(files)
    await assert.rejects(orders.append({ value: 'x' }), { code: 'DISK_FULL' })
    await log.group('billing').resetOffsets({ to: 'latest', topics: ['orders'] })
    assert.equal(await offsetOf(log), 2)
    await log.close()
    await giveAllBack(files)
    const again = await openLog('/log', { files })
    assert.equal(await offsetOf(again), 2)
    await again.close()
  })

  it('full while it is open → closes cleanly with the space of the ballast', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files })
    await (await log.createTopic('orders')).append({ value: 'kept' })
    await takeAll(files)
    await log.close()
    await giveAllBack(files)
    const again = await openLog('/log', { files })
    assert.equal(again.recovery.clean, true)
    await again.close()
  })

  it('full, and there is no ballast → close() rejects with what failed, no clean marker, the lock is free', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files, ballastBytes: 0 })
    await (await log.createTopic('orders')).append({ value: 'kept' })
    await takeAll(files)
    await assert.rejects(log.close(), { code: 'STORAGE_FAILED' })
    assert.equal(files.stat('/log/.kafka_cleanshutdown'), null)
    await giveAllBack(files)
    const again = await openLog('/log', { files })
    assert.deepEqual(await valuesOf(again, 'orders'), ['kept'])
    await again.close()
  })

  it('full, and there is no ballast → a topic is not created, and nothing of it is left', async () => {
    const files = smallDisk()
    const log = await openLog('/log', { files, ballastBytes: 0, diskReserveBytes: 0 })
    for (const room of [0, 1, 50, 100]) {
      await takeAll(files)
      files.setCapacity(capacityBytes + room)
      await assert.rejects(log.createTopic('more', { partitions: 3 }), { code: 'DISK_FULL' })
      const left = files.list('/log').filter(({ name }) => name.startsWith('more'))
      assert.deepEqual(left, [], `${room} bytes`)
      files.setCapacity(capacityBytes)
    }
    await giveAllBack(files)
    await log.createTopic('more', { partitions: 3 })
    await log.close()
  })
})

describe('opening on a full disk', () => {
  async function atEveryCall(kind: FaultKind, end: 'closed' | 'killed'): Promise<number> {
    for (let operation = 1; ; operation++) {
      const files = await fullDisk(operation, end)
      const before = files.operations
      files.failAt({ operation, kind })
      const log = await openLog('/log', { files: files.currentProcess() }).catch(() => null)
      const calls = files.operations - before
      files.clearFaults()
      await log?.close().catch(() => undefined)
      if (kind === 'crash') files.killProcess()
      await giveAllBack(files)
      const again = await openLog('/log', { files })
      const at = `${kind} at call ${operation}`
      assert.deepEqual(await valuesOf(again, 'orders'), ['kept'], at)
      await (await again.topic('orders')).append({ value: 'on' })
      await again.close()
      if (operation > calls) return operation
    }
  }

  for (const end of ['closed', 'killed'] as const) {
    for (const kind of ['crash', 'EIO', 'ENOSPC'] as const) {
      it(`${end} before, ${kind} at any call → the next opening has everything and appends`, async () => {
        const calls = await atEveryCall(kind, end)
        assert(calls > 20, `${calls} calls`)
      })
    }
  }
})
