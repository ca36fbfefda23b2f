/**
 * Deleting a topic that is being used, on a file system that refuses to rename or remove what is open, as
 * some do: readers and appenders hear of it, the files go when nobody has them open, and a topic that
 * takes the name shares nothing with the one before.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import type { Files, OpenFile } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import type { Log, Topic } from '../../lib/types.ts'

function busy(path: string): Error {
  return Object.assign(new Error(`EBUSY: ${path}`), { code: 'EBUSY', syscall: 'rename', path })
}

interface StrictFiles extends Files {
  /** Paths that were to be renamed or removed while they were open. */
  readonly violations: string[]
  /** Removing a path that matches fails; null: none. */
  stuck: RegExp | null
  /** Reads of `.log` files wait until this is called. */
  holdReads(): () => void
}

/** Files in memory that refuse to rename or remove what is open. */
function strictFiles(): StrictFiles {
  const inner = memoryFiles()
  const open = new Map<string, number>()
  const violations: string[] = []
  let held: Promise<void> = Promise.resolve()
  const count = (path: string, by: number): void => {
    open.set(path, (open.get(path) ?? 0) + by)
  }
  const check = (path: string): void => {
    for (const [other, handles] of open) {
      if (handles === 0 || (other !== path && !other.startsWith(`${path}/`))) continue
      violations.push(other)
      throw busy(other)
    }
  }
  const wrap = (file: OpenFile): OpenFile => ({
    path: file.path,
    read: async (buffer, position) => {
      if (file.path.endsWith('.log')) await held
      return file.read(buffer, position)
    },
    // Reads go the long way, so that a test can stop them half way.
    readSync: (buffer, position) => file.readSync(buffer, position),
    write: (buffer, position) => file.write(buffer, position),
    writeSync: (buffer, position) => file.writeSync(buffer, position),
    syncData: () => file.syncData(),
    truncate: sizeBytes => file.truncate(sizeBytes),
    sizeBytes: () => file.sizeBytes(),
    close: () => {
      count(file.path, -1)
      file.close()
    },
  })
  const files: StrictFiles = {
    kind: inner.kind,
    violations,
    stuck: null,
    holdReads: () => {
      let letGo = (): void => {}
      held = new Promise(resolve => {
        letGo = resolve
      })
      return letGo
    },
    open: (path, mode) => {
      const file = inner.open(path, mode)
      count(path, 1)
      return wrap(file)
    },
    readFile: path => inner.readFile(path),
    list: dir => inner.list(dir),
    stat: path => inner.stat(path),
    makeDirectory: path => inner.makeDirectory(path),
    rename: (from, to) => {
      check(from)
      inner.rename(from, to)
    },
    replace: (from, to) => inner.replace(from, to),
    link: (from, to) => inner.link(from, to),
    remove: async path => {
      check(path)
      if (files.stuck?.test(path)) throw busy(path)
      await inner.remove(path)
    },
    removeDirectory: path => inner.removeDirectory(path),
    syncDirectory: path => inner.syncDirectory(path),
    freeSpace: path => inner.freeSpace(path),
    watch: (dir, onChange) => inner.watch(dir, onChange),
    lock: dir => inner.lock(dir),
  }
  return files
}

const unknown = { code: 'UNKNOWN_TOPIC_OR_PARTITION' }

/** A value that is read by the asynchronous way. */
const large = Buffer.alloc(400_000, 'x')

async function openOrders(files: Files): Promise<{ log: Log; topic: Topic }> {
  const log = await openLog('/log', { files })
  const topic = await log.createTopic('orders', { segmentBytes: 1 << 20 })
  for (let n = 0; n < 4; n++) await topic.append({ value: large })
  return { log, topic }
}

function directories(files: Files): string[] {
  return files
    .list('/log')
    .filter(entry => entry.isDirectory)
    .map(({ name }) => name)
}

describe('deleting a topic that is in use', () => {
  it('a read is under way → it ends, the file goes only then, the next read is refused', async () => {
    const files = strictFiles()
    const { log, topic } = await openOrders(files)
    const letGo = files.holdReads()
    const read = topic.partition(0).read({ from: 0 })
    const settled = read.then(
      () => 'read',
      (error: { code?: string }) => error.code,
    )
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    const deleted = log.deleteTopic('orders')
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    letGo()
    await deleted
    assert(['read', unknown.code].includes(String(await settled)), String(await settled))
    await assert.rejects(async () => topic.partition(0).read({ from: 0 }), unknown)
    await log.close()
    assert.deepEqual(files.violations, [])
    assert.deepEqual(directories(files), [])
  })

  it('appenders and live readers do not stop → each hears of it, and no file is touched while open', async () => {
    const files = strictFiles()
    const { log, topic } = await openOrders(files)
    let isOver = false
    const appending = (async () => {
      for (let n = 0; ; n++) {
        try {
          await topic.append({ value: large })
        } catch (error) {
          return error
        }
        assert(!isOver || n < 100, 'an append is acknowledged for a topic that is gone')
      }
    })()
    const reading = (async () => {
      try {
        for await (const record of topic.records({ live: true })) void record.offset
        return 'ended'
      } catch (error) {
        return error
      }
    })()
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    await log.deleteTopic('orders')
    isOver = true
    for (const error of [await appending, await reading]) {
      assert.equal((error as { code?: string }).code, unknown.code)
    }
    await log.close()
    assert.deepEqual(files.violations, [])
    assert.deepEqual(directories(files), [])
  })

  it('a reader is paused → nothing waits for it, and it hears of it when it goes on', async () => {
    const files = strictFiles()
    const { log, topic } = await openOrders(files)
    const reader = topic.records({ maxBytes: 1 })
    assert.equal((await reader.next()).done, false)
    await log.deleteTopic('orders')
    await assert.rejects(async () => {
      for (;;) if ((await reader.next()).done) return
    }, unknown)
    await log.close()
    assert.deepEqual(files.violations, [])
  })

  it('the name is used at once, under appenders → another id, offsets from 0, records of its own only', async () => {
    const files = strictFiles()
    const { log, topic } = await openOrders(files)
    const before = Array.from({ length: 20 }, () => topic.append({ value: 'old' }))
    const settled = Promise.allSettled(before)
    const deleted = log.deleteTopic('orders')
    const again = await log.createTopic('orders')
    await deleted
    await settled
    assert.notEqual(again.id, topic.id)
    assert.equal((await again.append({ value: 'new' })).baseOffset, 0)
    await assert.rejects(topic.append({ value: 'old' }), unknown)
    await log.close()
    const next = await openLog('/log', { files })
    const values: string[] = []
    for await (const { value } of (await next.topic('orders')).records()) values.push(String(value))
    assert.deepEqual(values, ['new'])
    await next.close()
    assert.deepEqual(directories(files), ['orders-0'])
  })

  it('a file cannot be removed → told, the name is free all the same, and the next opening removes it', async () => {
    const files = strictFiles()
    const { log } = await openOrders(files)
    const events: LogEvent[] = []
    log.on('backgroundFailed', event => events.push(event))
    files.stuck = /-delete\/.*\.log$/
    await log.deleteTopic('orders')
    const again = await log.createTopic('orders')
    await again.append({ value: 'new' })
    await log.close()
    assert.equal(events.length, 1)
    assert.equal(directories(files).length, 2)
    files.stuck = null
    const next = await openLog('/log', { files })
    assert.deepEqual(next.recovery.strayDirectories, [])
    await next.close()
    assert.deepEqual(directories(files), ['orders-0'])
  })
})
