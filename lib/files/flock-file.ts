/**
 * An exclusive flock(2) on one file, by fs-ext or by the `flock` program. A flock belongs to the
 * open file, not to the process: a second open in the same process is refused too, and the kernel
 * frees it when the last descriptor is closed, however the process (or worker thread) ended.
 *
 * The program is given our own descriptor and ends at once. What it locked is the open file that it
 * shares with us, so the lock stays here: there is no second process to keep alive, to lose, or to
 * be hit by a Ctrl-C meant for us.
 */

import type { SpawnSyncReturns } from 'node:child_process'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

import { errnoCode } from './errno.ts'
import { loadNative, nativeFailure } from './natives.ts'

/** The two ways to a flock; both lock the same thing and exclude each other. */
export type FlockKind = 'flock' | 'flock-helper'

/** What an attempt to lock a file came to. */
export type FlockAttempt =
  | {
      readonly outcome: 'held'
      readonly kind: FlockKind
      readonly reason: string
      /** Frees the file; call it once. */
      release(): void
    }
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'unavailable'; readonly reason: string }

/** How one way of locking an open file ended: a text says why it cannot be used here. */
type Locking = 'held' | 'busy' | { readonly unavailable: string }

type FlockSync = (fd: number, flags: 'exnb' | 'un') => void

/** `flock -n` answers at once; past this it hangs on a dead network file system. */
const programTimeoutMs = 10_000

/**
 * Tries to lock the file at `path` for this opener alone, without waiting; makes the file if it is
 * absent and never removes it, for a lock on a removed file excludes nobody. Only the `kinds` given
 * are tried, the strongest first.
 *
 * Throws the errno error when the file cannot be opened for writing.
 */
export function takeFlock(path: string, kinds: readonly string[]): FlockAttempt {
  const flockSync = kinds.includes('flock') ? loadFlockSync() : 'it may not be used'
  const hasProgram = kinds.includes('flock-helper')
  const noAddon = typeof flockSync === 'string' ? flockSync : undefined
  if (noAddon !== undefined && !hasProgram) {
    return {
      outcome: 'unavailable',
      reason: `no fs-ext (${noAddon}), and the flock program may not be used`,
    }
  }
  const fd = openSync(path, 'a')
  const locking = typeof flockSync === 'string' ? byProgram(fd) : byAddon(fd, flockSync)
  if (locking === 'held') {
    return {
      outcome: 'held',
      kind: noAddon === undefined ? 'flock' : 'flock-helper',
      reason:
        noAddon === undefined
          ? 'flock by fs-ext'
          : `flock by the flock program, because there is no fs-ext: ${noAddon}`,
      release: () => release(fd, flockSync),
    }
  }
  closeSync(fd)
  if (locking === 'busy') return { outcome: 'busy' }
  const addon = noAddon === undefined ? '' : `no fs-ext (${noAddon}), `
  return { outcome: 'unavailable', reason: `${addon}${locking.unavailable}` }
}

function release(fd: number, flockSync: FlockSync | string): void {
  try {
    // A child that another thread is just starting holds a copy of the descriptor until its exec;
    // unlocking reaches through the copy, closing alone would not. The program cannot be had here
    // for that: its few milliseconds are not worth those microseconds.
    if (typeof flockSync !== 'string') flockSync(fd, 'un')
  } finally {
    closeSync(fd)
  }
}

/** The addon's call, or why there is none. Its asynchronous forms are never used: waiting ones block the thread pool. */
function loadFlockSync(): FlockSync | string {
  const native = loadNative('fs-ext')
  if (native === null) return nativeFailure('fs-ext') ?? 'it does not load'
  if (typeof native === 'object' && 'flockSync' in native) {
    if (typeof native.flockSync === 'function') return native.flockSync as FlockSync
  }
  return 'it has no flockSync'
}

function byAddon(fd: number, flockSync: FlockSync): Locking {
  try {
    flockSync(fd, 'exnb')
    return 'held'
  } catch (error) {
    const code = errnoCode(error)
    if (code === 'EAGAIN' || code === 'EWOULDBLOCK') return 'busy'
    return { unavailable: `flock by fs-ext does not work on this file: ${code ?? String(error)}` }
  }
}

function byProgram(fd: number): Locking {
  let result: SpawnSyncReturns<Buffer>
  try {
    result = spawnSync('flock', ['-n', '3'], {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      timeout: programTimeoutMs,
      windowsHide: true,
    })
  } catch (error) {
    // Node's permission model throws where a missing program is only reported.
    return { unavailable: `no flock program (${errnoCode(error) ?? String(error)})` }
  }
  if (result.error !== undefined)
    return { unavailable: `no flock program (${result.error.message})` }
  if (result.status === 0) return 'held'
  const complaint = result.stderr.toString('utf8').trim()
  // util-linux and BusyBox both end with 1 and say nothing when another one holds the lock; every
  // other failure of theirs comes with a complaint.
  if (result.status === 1 && complaint === '') return 'busy'
  const ending = result.signal ?? `status ${result.status}`
  return { unavailable: `the flock program failed (${complaint === '' ? ending : complaint})` }
}
