/**
 * What a compaction of a partition works at, by what is known of its segments alone. The *dirty* part
 * begins at the first offset that no compaction has looked at and ends before the first of:
 *
 * - the active segment, the high watermark and the oldest open transaction;
 * - the first segment that was appended to less than `minCompactionLagMs` ago.
 *
 * Everything below the dirty part is *clean*: it holds at most one record of each key, and that one
 * goes when the dirty part has a later one. Only whole segments are dirty, but for the first one,
 * in which the last compaction may have stopped.
 */
import type { SealedSegment } from './segment.ts'

/** Offsets of one segment are at most this far apart: relative offsets are int32. */
const offsetsPerSegment = 2 ** 31

/** What bounds the dirty part from above. */
export interface CompactionBounds {
  readonly logStartOffset: number
  readonly highWatermark: number
  /** First offset of the oldest transaction that is open; Infinity when none is. */
  readonly firstOpenOffset: number
  /** Where the last compaction came to; below the log start or above the end it counts as lost. */
  readonly firstDirtyOffset: number
  readonly minCompactionLagMs: number
  readonly nowMs: number
  /** When a segment was last appended to of which that is not known: as late as possible. */
  readonly unknownAppendMs: number
}

/** What there is to compact. */
export interface CompactionRange {
  readonly firstDirtyOffset: number
  /** Exclusive end of the dirty part; `firstDirtyOffset` when there is nothing. */
  readonly endOffset: number
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** Engine time of the oldest append in the dirty part; null when there is nothing. */
  readonly oldestDirtyMs: number | null
}

/** Finds the dirty part. `sealed` are the sealed segments in offset order. */
export function compactionRange(
  sealed: readonly SealedSegment[],
  bounds: CompactionBounds,
): CompactionRange {
  const { logStartOffset, highWatermark, firstOpenOffset, nowMs, unknownAppendMs } = bounds
  const { minCompactionLagMs } = bounds
  const isKnown =
    bounds.firstDirtyOffset >= logStartOffset && bounds.firstDirtyOffset <= highWatermark
  const firstDirtyOffset = isKnown ? bounds.firstDirtyOffset : logStartOffset
  const limitOffset = Math.min(highWatermark, firstOpenOffset)
  let endOffset = firstDirtyOffset
  let cleanBytes = 0
  let dirtyBytes = 0
  let oldestDirtyMs: number | null = null
  for (const { nextOffset, sizeBytes, facts } of sealed) {
    if (nextOffset <= firstDirtyOffset) {
      cleanBytes += sizeBytes
      continue
    }
    const lastAppendMs = facts?.lastAppendMs ?? unknownAppendMs
    // Without a lag the clock has no say: after a restart it may be behind the last append.
    const isTooYoung = minCompactionLagMs > 0 && nowMs - lastAppendMs < minCompactionLagMs
    if (nextOffset > limitOffset || isTooYoung) break
    endOffset = nextOffset
    dirtyBytes += sizeBytes
    oldestDirtyMs ??= facts?.firstAppendMs ?? unknownAppendMs
  }
  return { firstDirtyOffset, endOffset, cleanBytes, dirtyBytes, oldestDirtyMs }
}

/** Share of what a compaction would read that is dirty, 0 to 1. */
export function dirtyRatio({ cleanBytes, dirtyBytes }: CompactionRange): number {
  return dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes)
}

/** Whether it is time, by the dirty ratio or because the oldest dirty record is too old. */
export function isCompactionDue(
  range: CompactionRange,
  rules: {
    readonly minCleanableDirtyRatio: number
    /** -1: no limit. */
    readonly maxCompactionLagMs: number
    readonly nowMs: number
  },
): boolean {
  if (range.oldestDirtyMs === null) return false
  if (dirtyRatio(range) > rules.minCleanableDirtyRatio) return true
  const { maxCompactionLagMs, nowMs } = rules
  return maxCompactionLagMs >= 0 && nowMs - range.oldestDirtyMs >= maxCompactionLagMs
}

/**
 * The segments below `endOffset` in runs, each of which becomes one segment: no larger than
 * `segmentBytes` before compaction, and not wider than relative offsets reach.
 */
export function groupSegments(
  sealed: readonly SealedSegment[],
  limits: { readonly endOffset: number; readonly segmentBytes: number },
): readonly (readonly SealedSegment[])[] {
  const groups: SealedSegment[][] = []
  let sizeBytes = 0
  for (const segment of sealed) {
    if (segment.baseOffset >= limits.endOffset) break
    const group = groups.at(-1)
    const base = group?.[0]?.baseOffset ?? segment.baseOffset
    const fits =
      sizeBytes + segment.sizeBytes <= limits.segmentBytes &&
      segment.nextOffset - base <= offsetsPerSegment
    if (group !== undefined && fits) {
      group.push(segment)
      sizeBytes += segment.sizeBytes
    } else {
      groups.push([segment])
      sizeBytes = segment.sizeBytes
    }
  }
  return groups
}
