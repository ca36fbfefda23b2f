/** Where in a segment a recovery scan begins, and what is known of the part that it leaves out. */
import { dirname } from 'node:path'

import type { Files, OpenFile } from '../files/files.ts'
import { leaderEpochAt, nextOffsetAt } from '../record/batch-format.ts'
import { readBatch } from './batch-scan.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { OffsetIndex } from './offset-index.ts'
import { type ActiveSegmentState, emptySegmentState, segmentPath } from './segment.ts'
import { TimeIndex } from './time-index.ts'

/** A place to begin. */
export interface SegmentStart {
  /** The segment as it is up to there, its indexes included. */
  readonly state: ActiveSegmentState
  /** Of the last batch before; -1 at the start of the segment. */
  readonly leaderEpoch: number
  /** The index file as it was found, to resume behind damage; null when there is none that loads. */
  readonly index: OffsetIndex | null
}

/** The indexes of a segment from their files; null when one of them is missing or malformed. */
export function loadIndexes(files: Files, dir: string, baseOffset: number): SegmentIndexes | null {
  const offsets = loadOffsetIndex(files, dir, baseOffset)
  const times = loadTimeIndex(files, dir, baseOffset)
  return offsets === null || times === null ? null : { offsets, times }
}

function loadTimeIndex(files: Files, dir: string, baseOffset: number): TimeIndex | null {
  const bytes = files.readFile(segmentPath(dir, baseOffset, 'timeindex'))
  return bytes === null ? null : TimeIndex.load(baseOffset, bytes)
}

function loadOffsetIndex(files: Files, dir: string, baseOffset: number): OffsetIndex | null {
  const bytes = files.readFile(segmentPath(dir, baseOffset, 'index'))
  return bytes === null ? null : OffsetIndex.load(baseOffset, bytes)
}

/**
 * The last place below offset `target` that the index names, when a good batch lies there and both
 * indexes vouch for it; else the start of the segment.
 */
export async function locateStart(
  files: Files,
  file: OpenFile,
  at: { readonly baseOffset: number; readonly target: number; readonly endPosition: number },
): Promise<SegmentStart> {
  const { baseOffset, target, endPosition } = at
  const dir = dirname(file.path)
  const index = loadOffsetIndex(files, dir, baseOffset)
  const fromStart = { state: emptySegmentState(baseOffset), leaderEpoch: -1, index }
  const times = index === null ? null : loadTimeIndex(files, dir, baseOffset)
  const lastTime = times?.lastEntry ?? null
  const offsets = index === null ? null : OffsetIndex.load(baseOffset, Buffer.from(index.bytes()))
  if (offsets === null || times === null || lastTime === null) return fromStart
  // The two files are not written back together: where the time index has ended, timestamps of the
  // batches behind may be in neither. Up to its last entry the largest timestamp is certain.
  offsets.truncateTo(Math.min(target, lastTime.offset + 1))
  if (offsets.entryCount === 0) return fromStart
  const { offset, position } = offsets.entryAt(offsets.entryCount - 1)
  const batch = await readBatch(file, { position, endPosition })
  if (batch === null || nextOffsetAt(batch, 0) !== offset + 1) return fromStart
  times.truncateTo(offset + 1)
  const state: ActiveSegmentState = {
    ...fromStart.state,
    nextOffset: offset + 1,
    sizeBytes: position + batch.length,
    offsets,
    times,
    maxTimestamp: times.lastEntry?.timestamp ?? -1,
    maxTimestampOffset: times.lastEntry?.offset ?? -1,
    headersCrc: null,
  }
  return { state, leaderEpoch: leaderEpochAt(batch, 0), index }
}
