/** The segments of a partition as its reader sees them, whoever writes them. */
import type { Damage } from './environment.ts'
import type { SegmentIndexes } from './index-cache.ts'

/** A segment as a reader sees it; the active one moves while it is looked at. */
export interface ReadableSegment {
  readonly baseOffset: number
  readonly nextOffset: number
  /** Bytes that hold whole batches; Infinity: up to the size of the file. */
  readonly endPosition: number
  /** Null when they are in files, or nowhere. */
  readonly indexes: SegmentIndexes | null
  /** It is sealed, and its indexes reach to its end: files that are still to be finished may not. */
  readonly isFinished: boolean
}

/** Where the segments of a partition are known. */
export interface SegmentSource {
  /** In offset order. */
  segments(): readonly ReadableSegment[]
  /**
   * Looks again after a read that went by `seen` met something that is gone, or not what it must be;
   * true when something is different now, so that the read must begin anew.
   */
  refresh(seen: readonly ReadableSegment[]): boolean
  damage(): readonly Damage[]
  /** Damage was found; does nothing when it is known. */
  noteDamage(damage: Damage): void
}

/** The offsets between which a partition can be read. */
export interface ReadableRange {
  readonly logStartOffset: number
  readonly highWatermark: number
}

/** A batch boundary. */
export interface BatchBoundary {
  readonly offset: number
  readonly baseOffset: number
  readonly position: number
}

/** Place of the last segment that begins at or below `offset`; -1 when there is none. */
export function segmentIndexFor(segments: readonly ReadableSegment[], offset: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segments[middle] as ReadableSegment).baseOffset <= offset) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The last segment that begins at or below `offset`. */
export function segmentFor(
  segments: readonly ReadableSegment[],
  offset: number,
): ReadableSegment | undefined {
  return segments[segmentIndexFor(segments, offset)]
}

/** Where the segment behind this one begins; Infinity when there is none. */
export function nextBase(segments: readonly ReadableSegment[], segment: ReadableSegment): number {
  return (
    segments[segmentIndexFor(segments, segment.baseOffset) + 1]?.baseOffset ??
    Number.POSITIVE_INFINITY
  )
}
