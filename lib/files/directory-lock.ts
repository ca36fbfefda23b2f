/**
 * One writer per directory. An opener first takes flock on `.lock`, by fs-ext or by the `flock`
 * program, when either is there; then, whatever it has, it puts its record in place as `.lock.pid`.
 * It needs both. Openers with flock exclude each other by it, and the pid file excludes those
 * without: any two openers, with whatever means each, meet at the pid file at the latest.
 *
 * Giving up goes the other way round: the pid file first, while the flock still keeps everybody who
 * might take it over away from it. An opener that comes in between finds the flock taken, or no pid
 * file, and neither lets it remove what is not its own. `.lock` stays: a lock on a file that was
 * removed excludes nobody.
 *
 * A killed holder is found out by its flock being free, else by its process being gone. Limits: a
 * holder with the pid file alone, killed inside a container, cannot be proved dead from another
 * container and needs its pid file removed by hand; and removing `.lock` by hand while it is held
 * lets a second writer in.
 */

import { join } from 'node:path'

import type { DirectoryLock } from './files.ts'
import type { FlockAttempt } from './flock-file.ts'
import { takeFlock } from './flock-file.ts'
import type { PidFile } from './pid-file.ts'
import { claimPidFile, flockBusyError } from './pid-file.ts'
import type { HoldingKind } from './pid-record.ts'

/** The name of the file that flock is taken on. */
export const lockFileName = '.lock'

/** How a directory is locked. */
export interface LockDirectoryOptions {
  /**
   * The means that this opener may use, for specs of how they exclude each other.
   * @default all; the strongest that is there is used
   */
  readonly kinds?: readonly HoldingKind[]
}

const allKinds: readonly HoldingKind[] = ['flock', 'flock-helper', 'pid-file']

/**
 * Takes an existing directory for one writer, without waiting: no other process, worker thread or
 * second call in this thread gets it until `release()`, or until this thread or process has ended in
 * whatever way. A stopped process keeps it. The lock does not keep the process alive.
 *
 * Rejects with the errno error when the directory cannot be written to.
 *
 * @throws {LockedError} when another writer holds the directory, or may hold it.
 */
export async function lockDirectory(
  dir: string,
  options: LockDirectoryOptions = {},
): Promise<DirectoryLock> {
  const kinds = options.kinds ?? allKinds
  const flock = takeFlock(join(dir, lockFileName), kinds)
  if (flock.outcome === 'busy') throw flockBusyError(dir)
  if (flock.outcome === 'unavailable' && !kinds.includes('pid-file')) {
    throw new Error(`none of ${kinds.join(', ')} can be had: ${flock.reason}`)
  }
  const kind = flock.outcome === 'held' ? flock.kind : 'pid-file'
  let pidFile: PidFile
  try {
    pidFile = claimPidFile(dir, kind)
  } catch (error) {
    freeFlock(flock)
    throw error
  }
  let isHeld = true
  return {
    kind,
    reason: flock.outcome === 'held' ? flock.reason : `a pid file only: ${flock.reason}`,
    async release() {
      if (!isHeld) return
      isHeld = false
      try {
        pidFile.release()
      } finally {
        freeFlock(flock)
      }
    },
  }
}

function freeFlock(flock: FlockAttempt): void {
  if (flock.outcome === 'held') flock.release()
}
