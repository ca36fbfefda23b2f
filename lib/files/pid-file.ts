/**
 * The pid file: the record that every writer of a directory has in place while it writes, whatever
 * else protects the directory. One line of JSON, written and synced under a temporary name and then
 * linked, so that nobody, and no power loss, ever sees half of it:
 *
 *     .lock.pid                  the root record
 *     .lock.pid.after-ID         the record that follows the one called ID, whose holder is gone
 *     .lock.pid.new-ID           a record on its way to one of the two names above
 *
 * Taking over from a dead holder must have one winner among openers that all found the same record,
 * even when one of them sleeps between any two steps. Removing the dead record and putting one's own
 * in its place cannot give that: the late one removes the early one's. So nothing is removed. The
 * record that follows record S is linked, exclusively, under a name made from S, and whoever gets it
 * checks that the root is still the one it started from. While it is, the chain from the root only
 * grows, and only behind a holder that is gone, so the check proves the claim; then the record is
 * renamed over the root, which ends the chain. When the root has changed, the claim is void. Ids
 * never come back, so a root that is still there has been there all the time.
 */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

import { systemClock } from '../clock.ts'
import type { LockHolder } from '../errors.ts'
import { LockedError } from '../errors.ts'
import { errnoCode } from './errno.ts'
import type { LockKind } from './files.ts'
import type { Fate, Holder } from './lock-holder.ts'
import { currentHolder, fateOf } from './lock-holder.ts'

/** The name of the pid file in its directory; every name of this file's begins with it. */
export const pidFileName = '.lock.pid'

/** How the holder of a record protects the directory; `pid-file` is the record alone. */
export type HoldingKind = Exclude<LockKind, 'none'>

/** The pid file as this opener's own. */
export interface PidFile {
  /** Removes it, unless somebody removed or replaced it by hand. Call it once, before any flock is freed. */
  release(): void
}

/** What a pid file says. */
interface PidRecord {
  readonly id: string
  readonly kind: HoldingKind
  /** When the directory was taken, in ISO 8601. */
  readonly since: string
  readonly holder: Holder
}

/** A record, or bytes that are none, under one of the names. */
interface Found {
  readonly id: string
  readonly record: PidRecord | null
}

/** More than any chain of openers that each died in the middle of a takeover. */
const maxChain = 100
/** More than any opener loses races for without one of the winners still being there. */
const maxAttempts = 100
const maxRecordBytes = 4096

/** Errors of link(2) that mean that the file system has no hard links. */
const noLinkCodes: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/**
 * Puts this thread's record in place as the pid file of `dir`, taking over from a holder that is
 * gone: one that used flock when `kind` says that this opener has the flock now, else one proved
 * dead. Bytes that are no record are taken over by an opener that has the flock and by no other:
 * whoever wrote them with a flock is gone, and without one records only come whole (Limit: not on a
 * file system without hard links, where records can be torn, and torn ones are never taken over).
 *
 * @throws {LockedError} when another holder lives or cannot be proved dead; `cause` says the latter.
 */
export function claimPidFile(dir: string, kind: HoldingKind): PidFile {
  const path = join(dir, pidFileName)
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const record = newRecord(kind)
    try {
      if (!tryClaim(dir, record)) continue
      removeLeftovers(dir)
    } catch (error) {
      // A failure behind the link would leave the directory to a holder that does not know it.
      releaseRecord(path, record)
      throw error
    }
    return { release: () => releaseRecord(path, record) }
  }
  throw new LockedError(dir, {}, new Error('too many others open and close it at this moment'))
}

/** The error for a directory whose flock somebody else holds, naming them as far as the pid file does. */
export function flockBusyError(dir: string): LockedError {
  const record = find(join(dir, pidFileName))?.record ?? null
  if (record === null) return new LockedError(dir)
  const fate = fateOf(record.holder, currentHolder())
  // The record can be a dead holder's when the one who has the flock has only just got it.
  return fate.state === 'dead' ? new LockedError(dir) : new LockedError(dir, describe(record, fate))
}

/** Makes `record` the root record of the directory; false when another opener was faster. */
function tryClaim(dir: string, record: PidRecord): boolean {
  const path = join(dir, pidFileName)
  const root = find(path)
  if (root === null) return publish(path, record, path)
  const claim = endOfChain(dir, root, record)
  if (!publish(claim, record, path)) return false
  try {
    if (find(path)?.id === root.id) {
      renameSync(claim, path)
      return true
    }
  } catch (error) {
    removeIfThere(claim)
    throw error
  }
  removeIfThere(claim)
  return false
}

/** The name behind the last record of the chain, all of whose holders are gone. */
function endOfChain(dir: string, root: Found, own: PidRecord): string {
  let found = root
  for (let length = 0; length < maxChain; length += 1) {
    assertGone(dir, found, own)
    const next = join(dir, `${pidFileName}.after-${found.id}`)
    const follower = find(next)
    if (follower === null) return next
    found = follower
  }
  throw new LockedError(dir, {}, handRemoval(dir, 'its pid files do not come to an end'))
}

function assertGone(dir: string, found: Found, own: PidRecord): void {
  const hasFlock = own.kind !== 'pid-file'
  if (found.record === null) {
    if (hasFlock && hasHardLinks(dir, own)) return
    throw new LockedError(dir, {}, handRemoval(dir, 'its pid file cannot be read'))
  }
  if (hasFlock && found.record.kind !== 'pid-file') return
  const fate = fateOf(found.record.holder, own.holder)
  if (fate.state === 'dead') return
  const cause = fate.state === 'unknown' ? handRemoval(dir, fate.reason) : undefined
  throw new LockedError(dir, describe(found.record, fate), cause)
}

function describe(record: PidRecord, fate: Fate): LockHolder {
  const { pid, host } = record.holder
  // Only of a holder whose pid means something here can it be told that it is alive.
  const sameProcess = fate.state === 'alive' && pid === process.pid
  return { pid, host, since: new Date(record.since), sameProcess }
}

function handRemoval(dir: string, reason: string): Error {
  return new Error(
    `whether the holder is gone cannot be told: ${reason}; when it is for certain, remove ${join(dir, pidFileName)}*`,
  )
}

/** Gives `record` the name `name`; false when that is taken, or another opener cleaned up meanwhile. */
function publish(name: string, record: PidRecord, path: string): boolean {
  const temporary = `${path}.new-${record.id}`
  writeNew(temporary, `${JSON.stringify(record)}\n`)
  try {
    linkSync(temporary, name)
    return true
  } catch (error) {
    const code = errnoCode(error) ?? ''
    if (code === 'EEXIST' || code === 'ENOENT') return false
    if (!noLinkCodes.has(code)) throw error
    return publishWithoutLinks(name, record)
  } finally {
    removeIfThere(temporary)
  }
}

function publishWithoutLinks(name: string, record: PidRecord): boolean {
  try {
    writeNew(name, `${JSON.stringify(record)}\n`)
    return true
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false
    throw error
  }
}

/** Whether records come whole in this directory, tried with a link; false when that stays open. */
function hasHardLinks(dir: string, own: PidRecord): boolean {
  const temporary = join(dir, `${pidFileName}.new-${own.id}`)
  writeNew(temporary, '')
  try {
    linkSync(temporary, `${temporary}-link`)
    return true
  } catch (error) {
    const code = errnoCode(error) ?? ''
    if (code === 'ENOENT' || noLinkCodes.has(code)) return false
    throw error
  } finally {
    removeIfThere(`${temporary}-link`)
    removeIfThere(temporary)
  }
}

function releaseRecord(path: string, record: PidRecord): void {
  // Nobody replaces the record of a living holder, so what is found to be ours stays ours.
  if (find(path)?.id === record.id) removeIfThere(path)
}

/**
 * Removes what openers that were killed left behind. An opener at work can lose a name to this too:
 * one that lost it before its link tries again, and a claim behind any root but ours is void anyway.
 */
function removeLeftovers(dir: string): void {
  for (const name of readdirSync(dir)) {
    if (name.startsWith(`${pidFileName}.`)) removeIfThere(join(dir, name))
  }
}

function newRecord(kind: HoldingKind): PidRecord {
  const holder = currentHolder()
  const id = `${holder.pid}-${holder.thread}-${holder.startTicks || 0}-${process.hrtime.bigint()}`
  return { id, kind, since: new Date(systemClock.wallMs()).toISOString(), holder }
}

/** What is under a name, or null. Bytes that are no record get an id of their own, by which a change is noticed. */
function find(path: string): Found | null {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null
    throw error
  }
  try {
    const bytes = Buffer.alloc(maxRecordBytes)
    const record = parseRecord(bytes.toString('utf8', 0, readSync(fd, bytes, 0, maxRecordBytes, 0)))
    const { ino, mtimeMs } = fstatSync(fd)
    return { id: record?.id ?? `torn-${ino}-${Math.floor(mtimeMs)}`, record }
  } finally {
    closeSync(fd)
  }
}

function parseRecord(text: string): PidRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  return isRecord(value) ? value : null
}

function isRecord(value: unknown): value is PidRecord {
  if (!isObject(value) || !isObject(value['holder'])) return false
  const { id, kind, since, holder } = value
  // The id becomes part of a file name, so it must not lead out of the directory.
  if (typeof id !== 'string' || !/^[\w-]{1,100}$/.test(id)) return false
  if (kind !== 'flock' && kind !== 'flock-helper' && kind !== 'pid-file') return false
  if (typeof since !== 'string' || Number.isNaN(Date.parse(since))) return false
  const texts = ['startTicks', 'bootId', 'namespaces', 'machineId', 'host']
  if (!texts.every(name => typeof holder[name] === 'string')) return false
  // Zero and negative numbers mean groups of processes to kill(2).
  return (
    Number.isInteger(holder['thread']) &&
    Number(holder['pid']) > 0 &&
    Number.isInteger(holder['pid'])
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function writeNew(path: string, text: string): void {
  const fd = openSync(path, 'wx')
  try {
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error
  }
}
