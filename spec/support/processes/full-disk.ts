/**
 * Fills file systems that are mounted for it, in a mount namespace of this process alone:
 *
 *     full-disk.js MOUNTPOINT KIND SIZE...
 *
 * KIND is `tmpfs` (SIZE in bytes), `inodes` (SIZE is their number) or `ext4` (SIZE in bytes). Says a
 * line `SIZE OUTCOME` for each: how far the log came on it, after everything that must hold was checked.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import type { LogError } from '../../../lib/errors.ts'
import type { LogEvent } from '../../../lib/events.ts'
import { openLog } from '../../../lib/index.ts'
import type { Log, Topic } from '../../../lib/types.ts'
import { say } from './say.ts'

/** More than a log needs for an epoch, a segment and a checkpoint. */
const spareInodes = 12

const [, , mountPoint = '', kind = '', ...sizes] = process.argv

function mount(size: string): void {
  if (kind === 'ext4') {
    const image = `${mountPoint}.img`
    rmSync(image, { force: true })
    execFileSync('truncate', ['-s', size, image])
    execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-m', '0', '-N', '2000', image])
    execFileSync('mount', ['-o', 'loop', image, mountPoint])
    return
  }
  const option = kind === 'inodes' ? `size=8m,nr_inodes=${size}` : `size=${size}`
  execFileSync('mount', ['-t', 'tmpfs', '-o', option, 'tmpfs', mountPoint])
}

/** Writes a file of up to `sizeBytes`, as another program would; fills the disk when it is larger. */
function occupy(name: string, sizeBytes: number): void {
  let fd = -1
  try {
    fd = openSync(join(mountPoint, name), 'w')
    const piece = Buffer.alloc(4096, name)
    for (let done = 0; done < sizeBytes; done += piece.length) writeSync(fd, piece)
    fsyncSync(fd)
  } catch {
    // Full: that is what was wanted.
  } finally {
    if (fd >= 0) closeSync(fd)
  }
}

/** The code of the error that a promise rejects with; null when it resolves. */
async function codeOf(promise: Promise<unknown>): Promise<string | null> {
  return promise.then(
    () => null,
    (error: LogError) => {
      assert(typeof error.code === 'string' && /^[A-Z_]+$/.test(error.code), String(error))
      return error.code
    },
  )
}

const batch = (n: number) => [`${n} a`, `${n} b`].map(head => ({ value: head.padEnd(300, '.') }))

/** What was acknowledged, or may be there although it was not. */
class Appended {
  readonly #topic: string
  count = 0

  constructor(topic: string) {
    this.#topic = topic
  }

  /** Appends batches until one is refused, `most` at most; gives the code of the refusal. */
  async until(log: Log, most: number): Promise<string | null> {
    const topic = await log.topic(this.#topic, { create: false })
    for (let appended = 0; appended < most; appended++) {
      const code = await codeOf(topic.partition(0).append(batch(this.count)))
      if (code !== null) return code
      this.count++
    }
    return null
  }

  /** Everything that was acknowledged is there, in whole batches, and nothing else. */
  async check(log: Log): Promise<void> {
    const topic: Topic = await log.topic(this.#topic, { create: false })
    const values: string[] = []
    for await (const { value } of topic.records()) values.push(String(value))
    const expected = Array.from({ length: this.count }, (_, n) => batch(n)).flat()
    assert.deepEqual(
      values,
      expected.map(({ value }) => value),
    )
  }
}

/** Takes a quarter of the disk, which is more than the margin of the thresholds, or a few inodes. */
function takeShare(size: number): void {
  if (kind !== 'inodes') occupy('share', size / 4)
  else for (let n = 0; n < spareInodes; n++) occupy(`share-${n}`, 0)
}

function takeTheRest(name: string, size: number): void {
  if (kind !== 'inodes') occupy(name, 2 * size)
  else for (let n = 0; n < size; n++) occupy(`${name}-${n}`, 0)
}

function freeAll(): void {
  for (const name of readdirSync(mountPoint)) {
    if (/^(share|rest)/.test(name)) rmSync(join(mountPoint, name))
  }
}

/** What the log that was opened first has told of its state. */
let told = new Set<string>()

function onEvent(event: LogEvent): void {
  if (event.type === 'stateChanged') told.add(event.state)
}

/**
 * Space there is by its own account, but there are no inodes: the state says so. One may be free for a
 * moment, where a file is replaced, so the first refusal need not be the one.
 */
async function becomesReadOnly(log: Log, appended: Appended): Promise<void> {
  for (let tries = 0; tries < 100 && !told.has('read-only'); tries++) {
    assert.equal(await appended.until(log, 100_000), 'DISK_FULL')
  }
  assert(told.has('read-only'))
}

/** Fills a new log, then the disk behind it; opens the log on the full disk, makes room and goes on. */
async function fill(dir: string, size: number): Promise<string> {
  takeShare(size)
  told = new Set()
  let first: Log
  try {
    first = await openLog(dir, { onEvent })
  } catch (error) {
    assertNoRoom(error as LogError)
    return 'no-log'
  }
  const refused = await codeOf(first.createTopic('orders', { segmentBytes: 4096 }))
  if (refused !== null) {
    assert.equal(refused, 'DISK_FULL')
    assert.deepEqual(await first.topics(), [])
    assert(!existsSync(join(dir, 'orders-0')))
    await first.close().catch(assertNoRoom)
    return 'no-topic'
  }
  const appended = new Appended('orders')
  assert.equal(await appended.until(first, 100_000), 'DISK_FULL')
  if (kind === 'inodes') await becomesReadOnly(first, appended)
  await appended.check(first)
  takeTheRest('rest', size)
  const code = await appended.until(first, 1)
  // Without inodes the segment that is there may have room for one more.
  assert(code === 'DISK_FULL' || kind === 'inodes', String(code))
  await appended.check(first)
  await first.close().catch(assertNoRoom)
  takeTheRest('rest-again', size)
  const outcome = await goOn(dir, appended)
  try {
    const last = await openLog(dir)
    await appended.check(last)
    await last.close()
  } catch (error) {
    assertNoRoom(error as LogError)
    return `${outcome} crowded`
  }
  return outcome
}

async function goOn(dir: string, appended: Appended): Promise<string> {
  let outcome = 'opened-full'
  let log: Log
  try {
    log = await openLog(dir)
    await appended.check(log)
    // What opening did not need of the ballast may have room for a batch.
    await appended.until(log, 1)
    freeAll()
  } catch (error) {
    assertNoRoom(error as LogError)
    outcome = 'opened-later'
    freeAll()
    log = await openLog(dir)
    await appended.check(log)
  }
  const before = appended.count
  await appended.until(log, 2)
  if (appended.count > before) outcome += ' went-on'
  if (appended.count > before && kind === 'inodes') assert.equal(log.state, 'ok')
  await appended.check(log)
  await log.close().catch(assertNoRoom)
  return outcome
}

/** Whatever cannot be done on a full disk says so, and not something else. */
function assertNoRoom(error: LogError): void {
  assert.match(String(error.code), /^(DISK_FULL|STORAGE_FAILED)$/, error)
  const { cause = error } = error as { cause?: { code?: string } }
  assert.match(String(cause.code), /^(DISK_FULL|ENOSPC)$/, error)
}

for (const size of sizes) {
  mount(size)
  try {
    say(size, await fill(join(mountPoint, 'log'), Number(size)))
  } finally {
    execFileSync('umount', ['-l', mountPoint])
  }
}
say('done')
