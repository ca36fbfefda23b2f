/** The segments of a partition as retention judges them. */
import type { ActiveSegment, SealedSegment } from './segment.ts'

/** A segment as retention sees it. */
export interface HeldSegment {
  /** The object that stands for the segment as long as its files are what they are. */
  readonly identity: object
  readonly baseOffset: number
  /** Behind its last record. */
  readonly nextOffset: number
  /** Where the next segment begins, or `nextOffset`. */
  readonly endOffset: number
  readonly sizeBytes: number
  /** Null when it is not known. */
  readonly firstAppendMs: number | null
  /** Where it is not known, the time at which the partition was opened. */
  readonly lastAppendMs: number
  /** Null when it must be looked up. */
  readonly maxTimestamp: number | null
  readonly isActive: boolean
}

/** Lists them in offset order. `openedMs` stands for append times that are not known. */
export function heldSegments(
  sealed: readonly SealedSegment[],
  active: ActiveSegment | null,
  openedMs: number,
): readonly HeldSegment[] {
  const list: HeldSegment[] = sealed.map((segment, index) => {
    const { baseOffset, nextOffset, sizeBytes, facts } = segment
    return {
      identity: segment,
      baseOffset,
      nextOffset,
      endOffset: (sealed[index + 1] ?? active)?.baseOffset ?? nextOffset,
      sizeBytes,
      firstAppendMs: knownMs(facts?.firstAppendMs),
      lastAppendMs: knownMs(facts?.lastAppendMs) ?? openedMs,
      maxTimestamp: segment.maxTimestamp ?? null,
      isActive: false,
    }
  })
  if (active === null) return list
  const { baseOffset, nextOffset, sizeBytes, firstAppendMs, maxTimestamp } = active
  list.push({
    identity: active,
    baseOffset,
    nextOffset,
    endOffset: nextOffset,
    sizeBytes,
    firstAppendMs,
    lastAppendMs: active.lastAppendMs ?? openedMs,
    maxTimestamp,
    isActive: true,
  })
  return list
}

function knownMs(ms: number | undefined): number | null {
  return ms === undefined || ms < 0 ? null : ms
}
