/**
 * One record of a pid file: a line of JSON that says who holds the directory and how, written and
 * synced under a temporary name and then linked, so that nobody, and no power loss, ever sees half of
 * it.
 */

import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'

import { systemClock } from '../clock.ts'
import { errnoCode } from './errno.ts'
import type { LockKind } from './files.ts'
import type { Holder } from './lock-holder.ts'

/** How the holder of a record protects the directory; `pid-file` is the record alone. */
export type HoldingKind = Exclude<LockKind, 'none'>

/** What a pid file says. */
export interface PidRecord {
  readonly id: string
  readonly kind: HoldingKind
  /** When the directory was taken, in ISO 8601. */
  readonly since: string
  readonly holder: Holder
}

/** A record, or bytes that are none, under one of the names. */
export interface FoundRecord {
  readonly id: string
  readonly record: PidRecord | null
}

const maxRecordBytes = 4096

/** Errors of link(2) that mean that the file system has no hard links. */
const noLinkCodes: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** A record for `holder`; its id is never given again, by anybody. */
export function newRecord(kind: HoldingKind, holder: Holder): PidRecord {
  const id = `${holder.pid}-${holder.thread}-${holder.startTicks || 0}-${process.hrtime.bigint()}`
  return { id, kind, since: new Date(systemClock.wallMs()).toISOString(), holder }
}

/** What is under a name, or null. Bytes that are no record get an id of their own, by which a change is noticed. */
export function findRecord(path: string): FoundRecord | null {
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

/**
 * Gives `record` the name `name`, by way of `temporary`; false when the name is taken, or when another
 * opener removed the temporary one meanwhile.
 */
export function publishRecord(name: string, record: PidRecord, temporary: string): boolean {
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

/** Whether records come whole where `temporary` lies, tried with a link of it; false when that stays open. */
export function hasHardLinks(temporary: string): boolean {
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

function writeNew(path: string, text: string): void {
  const fd = openSync(path, 'wx')
  try {
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Removes a file, or finds that it is gone already. */
export function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error
  }
}
