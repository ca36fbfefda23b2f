/**
 * What a repair changes beside the batches of a partition: index files, manifest lines, and what is on
 * record as damaged. Each change waits for its turn among the work on the set's files, and leaves the
 * old statement, none, or the new one.
 */
import { replaceFile } from './checkpoint-file.ts'
import type { Damage, StorageEnvironment } from './environment.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { writeIndexFiles } from './index-files.ts'
import { type SealedSegment, segmentPath } from './segment.ts'
import type { SegmentSet } from './segment-set.ts'
import type { SegmentFacts } from './segments-manifest.ts'

/** Where the segments lie. */
export interface RestatedSegments {
  readonly environment: StorageEnvironment
  readonly dir: string
  readonly segments: SegmentSet
}

/**
 * Gives a sealed segment new index files and a new manifest line. The old line goes first, durably:
 * a crash leaves a segment of which nothing is said. False when it is not the segment that was `seen`
 * any more, or its files are not finished.
 */
export function restateSegment(
  { environment, dir, segments }: RestatedSegments,
  seen: SealedSegment,
  by: { readonly indexes: SegmentIndexes; readonly facts: SegmentFacts | null },
): Promise<boolean> {
  const { list } = segments
  return segments.inTurn(async () => {
    if (!list.has(seen) || seen.pendingIndexes !== null) return false
    const { baseOffset } = seen
    const { files, indexes } = environment
    const unknown = { ...seen, facts: null }
    list.restate(seen, unknown)
    await segments.writeManifest(null)
    const { offsets, times } = by.indexes
    await replaceFile(files, segmentPath(dir, baseOffset, 'index'), offsets.bytes())
    await replaceFile(files, segmentPath(dir, baseOffset, 'timeindex'), times.bytes())
    indexes.forget(segmentPath(dir, baseOffset, 'log'))
    list.restate(unknown, { ...seen, facts: by.facts })
    await segments.writeManifest(null)
    return true
  })
}

/** Writes the index files of the active segment from what is known of it. */
export function restateActive({ environment, dir, segments }: RestatedSegments): Promise<void> {
  return segments.inTurn(async () => {
    const { active } = segments
    if (active === null) return
    const { offsets, times } = active.indexes
    const copies = { offsets: Buffer.from(offsets.bytes()), times: Buffer.from(times.bytes()) }
    await writeIndexFiles(environment.files, { dir, baseOffset: active.baseOffset }, copies)
    // Entries that were saved meanwhile were cut again: the next time all are written.
    active.savedOffsetEntries = 0
    active.savedTimeEntries = 0
  })
}

/** The file of a sealed segment is gone: what it held is a gap between its neighbors. */
export function dropMissing(segments: SegmentSet, seen: SealedSegment): Promise<void> {
  return segments.inTurn(async () => {
    segments.list.drop(seen)
    await segments.writeManifest(null)
  })
}

/** Puts other damage on record in the place of what is known. Nothing has changed when it rejects. */
export function restateDamage(
  segments: SegmentSet,
  change: (known: readonly Damage[]) => readonly Damage[],
): Promise<void> {
  const { record } = segments
  return segments.inTurn(async () => {
    const before = record.damage
    record.damage = [...change(before)]
    try {
      await segments.writeManifest(null)
    } catch (error) {
      record.damage = before
      throw error
    }
  })
}
