/**
 * The pid file: the record that every writer of a directory has in place while it writes, whatever
 * else protects the directory.
 *
 *     .lock.pid                  the root record
 *     .lock.pid.after-ID         the record that follows the one called ID, whose holder is gone
 *     .lock.pid.new-ID           a record on its way to one of the two names above
 *
 * Taking over from a dead holder must have one winner among openers that all found the same record,
 * even when one of them sleeps between any two steps. Removing the dead record and putting one's own
 * in its place cannot give that: the late one removes the early one's. So the record that follows
 * record S is linked, exclusively, under a name made from S, behind the last one of the chain from
 * the root. Only then does its opener look at every link of that chain again. When all are there, the
 * claim is proved: ids never come back, so they have been there all the time; their holders are gone,
 * so none will be withdrawn; and whoever finds the chain from now on ends up behind us. The claim is
 * renamed over the root, which ends the chain. When one is missing, the claim is withdrawn. It is not
 * enough to look at the root: a withdrawn record can have been seen, and followed.
 */

import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

import type { LockHolder } from '../errors.ts'
import { LockedError } from '../errors.ts'
import type { Fate } from './lock-holder.ts'
import { currentHolder, fateOf } from './lock-holder.ts'
import type { FoundRecord, HoldingKind, PidRecord } from './pid-record.ts'
import { findRecord, hasHardLinks, newRecord, publishRecord, removeIfThere } from './pid-record.ts'

/** The name of the pid file in its directory; every name of this file's begins with it. */
export const pidFileName = '.lock.pid'

/** The pid file as this opener's own. */
export interface PidFile {
  /** Removes it, unless somebody removed or replaced it by hand. Call it once, before any flock is freed. */
  release(): void
}

/** Throws `LockedError` unless the holder of a record that was found is gone for certain. */
export type AssertGone = (found: FoundRecord) => void

/** What an opener does next. */
export type ClaimStep = 'find' | 'judge' | 'publish' | 'verify' | 'withdraw' | 'rename' | 'clean'

/** More than any chain of openers that each died in the middle of a takeover. */
const maxChain = 100
/** More than any opener loses races for without one of the winners still being there. */
const maxAttempts = 100

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
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const record = newRecord(kind, currentHolder())
    try {
      if (!run(claimSteps(dir, record, found => assertGone(dir, found, record)))) continue
    } catch (error) {
      // A failure behind the link would leave the directory to a holder that does not know it.
      releaseRecord(dir, record)
      throw error
    }
    return { release: () => releaseRecord(dir, record) }
  }
  throw new LockedError(dir, {}, new Error('too many others open and close it at this moment'))
}

/** The error for a directory whose flock somebody else holds, naming them as far as the pid file does. */
export function flockBusyError(dir: string): LockedError {
  const record = findRecord(join(dir, pidFileName))?.record ?? null
  if (record === null) return new LockedError(dir)
  const fate = fateOf(record.holder, currentHolder())
  // The record can be a dead holder's when the one who has the flock has only just got it.
  return fate.state === 'dead' ? new LockedError(dir) : new LockedError(dir, describe(record, fate))
}

/**
 * One attempt to make `record` the root record of `dir`: true when it is, false when another opener
 * was faster. Before each look at the directory and each change of it, it stops and names that step,
 * so that a spec can put other openers' steps in between; from `clean` on the record is in place.
 *
 * @throws {LockedError} when `assertGone` does; nothing is left behind.
 */
export function* claimSteps(
  dir: string,
  record: PidRecord,
  assertGone: AssertGone,
): Generator<ClaimStep, boolean> {
  const path = join(dir, pidFileName)
  const temporary = `${path}.new-${record.id}`
  yield 'find'
  const root = findRecord(path)
  if (root === null) {
    yield 'publish'
    if (!publishRecord(path, record, temporary)) return false
  } else {
    const chain = yield* followChain(dir, root, assertGone)
    const claim = followerPath(dir, chain.at(-1) ?? root.id)
    yield 'publish'
    if (!publishRecord(claim, record, temporary)) return false
    if (!(yield* proveClaim(dir, claim, chain))) return false
  }
  yield 'clean'
  yield* removeLeftovers(dir)
  return true
}

/** The ids of the records from the root to the last one, whose holders are all gone. */
function* followChain(
  dir: string,
  root: FoundRecord,
  assertGone: AssertGone,
): Generator<ClaimStep, readonly string[]> {
  const ids: string[] = []
  for (let found: FoundRecord | null = root; found !== null; ) {
    if (ids.length === maxChain) {
      throw new LockedError(dir, {}, handRemoval(dir, 'its pid files do not come to an end'))
    }
    yield 'judge'
    assertGone(found)
    ids.push(found.id)
    yield 'find'
    found = findRecord(followerPath(dir, found.id))
  }
  return ids
}

/** Makes the claim the root, or withdraws it when a record of the chain is not where it was found. */
function* proveClaim(
  dir: string,
  claim: string,
  chain: readonly string[],
): Generator<ClaimStep, boolean> {
  const root = join(dir, pidFileName)
  try {
    let path = root
    for (const id of chain) {
      yield 'verify'
      if (findRecord(path)?.id !== id) {
        yield 'withdraw'
        removeIfThere(claim)
        return false
      }
      path = followerPath(dir, id)
    }
    yield 'rename'
    renameSync(claim, root)
    return true
  } catch (error) {
    removeIfThere(claim)
    throw error
  }
}

/**
 * Removes what openers that were killed left behind. An opener at work can lose a name to this too:
 * one that lost it before its link tries again, and a claim behind any root but ours is void anyway.
 */
function* removeLeftovers(dir: string): Generator<ClaimStep, void> {
  for (const name of readdirSync(dir)) {
    if (!name.startsWith(`${pidFileName}.`)) continue
    yield 'clean'
    removeIfThere(join(dir, name))
  }
}

function run<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function followerPath(dir: string, id: string): string {
  return join(dir, `${pidFileName}.after-${id}`)
}

function assertGone(dir: string, found: FoundRecord, own: PidRecord): void {
  const hasFlock = own.kind !== 'pid-file'
  if (found.record === null) {
    if (hasFlock && hasHardLinks(join(dir, `${pidFileName}.new-${own.id}`))) return
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

function releaseRecord(dir: string, record: PidRecord): void {
  const path = join(dir, pidFileName)
  // Nobody replaces the record of a living holder, so what is found to be ours stays ours.
  if (findRecord(path)?.id === record.id) removeIfThere(path)
}
