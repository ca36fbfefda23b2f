/**
 * Removing what recovery found not to belong to the log, in an order in which a crash at any point
 * leaves a directory that recovers to the same log:
 *
 * 1. the bytes to be cut are kept in `.quarantined` files, synced;
 * 2. the manifest loses its lines for what is cut, and the leader epochs end below the log end;
 * 3. index files say no more than the log will;
 * 4. later segments, strays and snapshots above the end are removed;
 * 5. the directory is synced, once for 3 and 4 together: neither builds on the other, for whatever is
 *    left of either is found and done again by the next recovery;
 * 6. only then the torn segment is truncated and synced. The other way round the log could seem to
 *    continue with a later segment that is still there.
 */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { type Survey, surveyBatches } from './batch-search.ts'
import { exchangeFile, replaceFile } from './checkpoint-file.ts'
import { attempt, isDiskFull } from './file-io.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { writeIndexFile } from './index-files.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { leaderEpochsName, manifestName, type PartitionFiles } from './partition-files.ts'
import { type CutBytes, quarantine } from './quarantine.ts'
import { segmentPath } from './segment.ts'
import {
  type DamageLine,
  formatManifest,
  type Manifest,
  type SegmentFacts,
} from './segments-manifest.ts'

/** A tail that was cut. */
export interface CutTail {
  readonly cutBytes: number
  readonly quarantinedBytes: number
  /** Whole batches that went with it. */
  readonly cutBatches: number
  /** The log end, and the end of the highest whole batch that was cut: `[from, to)`. */
  readonly from: number
  readonly to: number
}

/** What is about to be cut. */
export interface CutPlan {
  readonly bytes: readonly CutBytes[]
  readonly survey: Survey
}

/** Counts the whole batches in the bytes behind the log end. */
export async function surveyCut(
  files: Files,
  bytes: readonly CutBytes[],
  logEndOffset: number,
): Promise<CutPlan> {
  let survey: Survey = { batchCount: 0, nextOffset: logEndOffset, leaderEpoch: -1 }
  for (const { path, position, endPosition } of bytes) {
    const file = await attempt({ path, operation: 'open' }, () => files.open(path, 'read'))
    try {
      const here = await surveyBatches(file, {
        startPosition: position,
        endPosition,
        minOffset: logEndOffset,
        limitOffset: Number.MAX_SAFE_INTEGER,
        minLeaderEpoch: -1,
      })
      survey = {
        batchCount: survey.batchCount + here.batchCount,
        nextOffset: Math.max(survey.nextOffset, here.nextOffset),
        leaderEpoch: Math.max(survey.leaderEpoch, here.leaderEpoch),
      }
    } finally {
      file.close()
    }
  }
  return { bytes, survey }
}

/**
 * Removes the segments that lie wholly below the log start, and what is left of such: they are left over
 * from a retention that a crash interrupted. Returns what the directory holds then.
 */
export async function removeLeftovers(
  files: Files,
  dir: string,
  known: { readonly found: PartitionFiles; readonly logStartOffset: number },
): Promise<PartitionFiles> {
  const { found, logStartOffset } = known
  const isLeftover = (_: number, index: number): boolean =>
    (found.bases[index + 1] ?? Number.POSITIVE_INFINITY) <= logStartOffset
  const gone = new Set(found.bases.filter(isLeftover))
  // A removal that was not synced may have been undone for one file and not for the next.
  const strays = found.indexes.filter(
    it => it.baseOffset < logStartOffset && !found.bases.includes(it.baseOffset),
  )
  if (gone.size + strays.length === 0) return found
  const manifest = await keepLines(files, dir, {
    manifest: found.manifest,
    isKept: line => !gone.has(line.baseOffset),
    isDamageKept: line => line.to > logStartOffset,
  })
  for (const baseOffset of gone) await removeSegment(files, dir, baseOffset)
  for (const { name } of strays) await remove(files, join(dir, name))
  for (const offset of found.snapshots.filter(it => gone.has(it))) {
    await remove(files, segmentPath(dir, offset, 'snapshot'))
  }
  await syncDirectory(files, dir)
  return {
    ...found,
    manifest,
    bases: found.bases.filter(it => !gone.has(it)),
    snapshots: found.snapshots.filter(it => !gone.has(it)),
    indexes: found.indexes.filter(it => !gone.has(it.baseOffset) && !strays.includes(it)),
  }
}

/** Removes what a crash left of files that were being replaced; not durably, for they are never read. */
export async function removeTemporary(
  files: Files,
  dir: string,
  names: readonly string[],
): Promise<void> {
  for (const name of names) await remove(files, join(dir, name))
}

/** What is to be made true on disk. */
export interface Cleanup {
  readonly found: PartitionFiles
  readonly logEndOffset: number
  /** Where the last segment that stays is truncated, and what goes with it; null when nothing is cut. */
  readonly cut: CutPlan | null
  /** Base offset of the segment that is truncated; it and all above lose their manifest lines. */
  readonly cutBaseOffset: number
  /** Base offsets of the segments that stay. */
  readonly keptBases: ReadonlySet<number>
  /** Snapshots that cannot be read. */
  readonly damagedSnapshots: readonly number[]
  /** To be saved; null when the file is as it should be. */
  readonly epochs: LeaderEpochs | null
  readonly indexes: readonly { readonly baseOffset: number; readonly indexes: SegmentIndexes }[]
  /** Bytes were found that are no good batch: how far the log goes on behind them an index may have told. */
  readonly isDamaged: boolean
  readonly quarantineBytes: number
}

/** What could not be done without failing. */
export interface CleanupResult {
  readonly quarantinedBytes: number
  /** Base offsets of segments whose index files could not be written for want of room. */
  readonly unsavedIndexes: ReadonlySet<number>
}

/**
 * Does all of the above; when it resolves, everything is durable.
 *
 * @throws {StorageError} when the file system fails
 */
export async function cleanUp(files: Files, dir: string, plan: Cleanup): Promise<CleanupResult> {
  const { cut, found, logEndOffset } = plan
  let quarantinedBytes = 0
  if (cut !== null) {
    const { quarantineBytes } = plan
    quarantinedBytes = await quarantine(files, dir, { cuts: cut.bytes, quarantineBytes })
    await syncDirectory(files, dir)
    const isKept = (line: SegmentFacts): boolean => line.baseOffset < plan.cutBaseOffset
    // Offsets above the end are given again, to records that are not lost.
    const isDamageKept = (line: DamageLine): boolean => line.to <= logEndOffset
    await keepLines(files, dir, { manifest: found.manifest, isKept, isDamageKept })
  }
  if (plan.epochs !== null) {
    await replace(files, join(dir, leaderEpochsName), plan.epochs.format())
  }
  const unsavedIndexes = new Set<number>()
  for (const { baseOffset, indexes } of plan.indexes) {
    const at = { baseOffset, indexes, isAtomic: cut !== null || plan.isDamaged }
    if (!(await saveIndexes(files, dir, at))) unsavedIndexes.add(baseOffset)
  }
  for (const baseOffset of found.bases.toReversed()) {
    if (!plan.keptBases.has(baseOffset)) await removeSegment(files, dir, baseOffset)
  }
  for (const { baseOffset, name } of found.indexes) {
    const isStray = baseOffset >= logEndOffset && !found.bases.includes(baseOffset)
    if (isStray) await remove(files, join(dir, name))
  }
  for (const offset of found.snapshots) {
    const isWrong = offset > logEndOffset || plan.damagedSnapshots.includes(offset)
    if (isWrong) await remove(files, segmentPath(dir, offset, 'snapshot'))
  }
  await syncDirectory(files, dir)
  const torn = cut?.bytes.find(({ baseOffset }) => baseOffset === plan.cutBaseOffset)
  if (torn !== undefined && plan.keptBases.has(torn.baseOffset)) await truncate(files, torn)
  return { quarantinedBytes, unsavedIndexes }
}

async function truncate(files: Files, { path, position }: CutBytes): Promise<void> {
  const file = await attempt({ path, operation: 'open' }, () => files.open(path, 'write'))
  try {
    await attempt({ path, operation: 'truncate' }, () => file.truncate(position))
    await attempt({ path, operation: 'sync' }, () => file.syncData())
  } finally {
    file.close()
  }
}

async function keepLines(
  files: Files,
  dir: string,
  at: {
    readonly manifest: Manifest
    readonly isKept: (line: SegmentFacts) => boolean
    readonly isDamageKept: (line: DamageLine) => boolean
  },
): Promise<Manifest> {
  const sealed = at.manifest.sealed.filter(at.isKept)
  const { active } = at.manifest
  const keptActive = active !== null && at.isKept(active) ? active : null
  const before = at.manifest.damage ?? []
  const damage = before.filter(at.isDamageKept)
  const manifest = { ...at.manifest, sealed, active: keptActive, damage }
  const isSame =
    sealed.length === at.manifest.sealed.length &&
    manifest.active === active &&
    damage.length === before.length
  if (!isSame) await replace(files, join(dir, manifestName), formatManifest(manifest))
  return manifest
}

/**
 * Makes the files what they should be; a sync of the directory makes that durable. They are written in
 * place, where a crash may leave any mixture, unless they must be either old or new: over a log in which
 * nothing is damaged the next recovery does as well without them, and a file that is made and renamed
 * has to wait for the journal each time. False when there was no room: the files are then gone, for
 * they must not claim what is not so.
 */
async function saveIndexes(
  files: Files,
  dir: string,
  of: {
    readonly baseOffset: number
    readonly indexes: SegmentIndexes
    readonly isAtomic: boolean
  },
): Promise<boolean> {
  const { baseOffset, indexes, isAtomic } = of
  const contents = [
    ['index', indexes.offsets.bytes()],
    ['timeindex', indexes.times.bytes()],
  ] as const
  let isSaved = true
  for (const [suffix, bytes] of contents) {
    const path = segmentPath(dir, baseOffset, suffix)
    const before = files.readFile(path)
    if (before === null ? bytes.length === 0 : before.equals(bytes)) continue
    try {
      await attempt({ path, operation: 'replace' }, () =>
        isAtomic
          ? exchangeFile(files, path, bytes)
          : writeIndexFile(files, { dir, baseOffset, suffix }, bytes),
      )
    } catch (error) {
      if (!isDiskFull(error)) {
        // A page that a failed sync left clean would look to the next recovery as if it were saved.
        if (!isAtomic) await files.remove(path).catch(() => {})
        throw error
      }
      isSaved = false
      if (files.stat(path) !== null) await remove(files, path)
    }
  }
  return isSaved
}

async function removeSegment(files: Files, dir: string, baseOffset: number): Promise<void> {
  for (const suffix of ['index', 'timeindex', 'log'] as const) {
    const path = segmentPath(dir, baseOffset, suffix)
    if (files.stat(path) !== null) await remove(files, path)
  }
}

function remove(files: Files, path: string): Promise<void> {
  return attempt({ path, operation: 'remove' }, () => files.remove(path))
}

function replace(files: Files, path: string, content: string | Buffer): Promise<void> {
  return attempt({ path, operation: 'replace' }, () => replaceFile(files, path, content))
}

function syncDirectory(files: Files, path: string): Promise<void> {
  return attempt({ path, operation: 'sync' }, () => files.syncDirectory(path))
}
