/**
 * Which of a partition's segments are given up, and why the others are kept. Pure: segments, limits and
 * a time in, a verdict for each segment out.
 *
 * The oldest segment is judged first, and the first one that is kept keeps all behind it, for a log has
 * no holes. A segment goes when
 *
 * 1. it lies below the log start, whatever the policy; else, where the policy contains `delete`,
 * 2. all of `retainUntilConsumed` have finished it; where groups are named, nothing else counts: what
 *    they have not finished is held against every limit below;
 * 3. without it the partition still holds `retentionBytes`;
 * 4. without it the partition still holds `retentionRecords`, counted by offsets;
 * 5. its newest record is older than `retentionMs`.
 *
 * The order is Kafka's (`UnifiedLog.deleteOldSegments`: log start, size, time), which adds up to the same
 * segments. Different from Kafka: age is that of the append unless `retentionBy` is `'record'`, the limits of size hold
 * for the active segment as well (KAFKA-16414), and so does the log start: an active segment in which
 * every record goes is rolled first. Nothing above the high watermark goes, and no empty segment.
 *
 * Worked example: `retentionBytes` 100 and segments of 60, 60 and 60 bytes. Without the first 120 are
 * left, so it goes; without the second 60 would be left, so it stays.
 */
import type { CleanupPolicy, DeletionReason, KeptBecause } from '../types.ts'

/** What is known of one segment. */
export interface RetainedSegment {
  readonly baseOffset: number
  /** Where the next segment begins; of the active one the end of its records. */
  readonly endOffset: number
  readonly sizeBytes: number
  /** Engine time of the newest append; where it is not known, the latest that it can have been. */
  readonly lastAppendMs: number
  /** Largest timestamp of its records; -1 when they have none or it is not needed. */
  readonly maxTimestamp: number
  readonly isActive: boolean
}

/** The part of a topic's configuration that decides. */
export interface RetentionLimits {
  readonly cleanupPolicy: CleanupPolicy
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly retentionRecords: number
  readonly retentionBy: 'append' | 'record'
  readonly retainUntilConsumed: readonly string[]
}

/** How far a group has finished a partition. */
export interface GroupPosition {
  readonly group: string
  /** Everything below is finished; null: the group does not exist, or has finished nothing. */
  readonly offset: number | null
}

/** The partition that is judged. */
export interface RetainedPartition {
  /** In offset order, the active one last. */
  readonly segments: readonly RetainedSegment[]
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly nowMs: number
  /** One for each of `retainUntilConsumed`. */
  readonly positions: readonly GroupPosition[]
}

/** What becomes of one segment. */
export type SegmentVerdict =
  | { readonly goes: DeletionReason; readonly keptBecause: null; readonly deletableAt: number }
  | {
      readonly goes: null
      readonly keptBecause: KeptBecause
      /** Engine time in ms from which a sweep deletes it, as things are; null: no time alone does that. */
      readonly deletableAt: number | null
    }

/** What is left of the partition when the segments before the one under judgement are gone. */
interface Rest {
  readonly sizeBytes: number
  readonly recordCount: number
}

/** Judges every segment, oldest first. Those that go are a prefix. */
export function judgeSegments(
  partition: RetainedPartition,
  limits: RetentionLimits,
): readonly SegmentVerdict[] {
  const verdicts: SegmentVerdict[] = []
  const { segments, logStartOffset } = partition
  const endOffset = segments.at(-1)?.endOffset ?? logStartOffset
  let sizeBytes = 0
  for (const segment of segments) sizeBytes += segment.sizeBytes
  let keptSince: SegmentVerdict | null = null
  for (const segment of segments) {
    const startOffset = Math.max(segment.baseOffset, logStartOffset)
    const rest = { sizeBytes, recordCount: endOffset - startOffset }
    const own = judge(segment, { partition, limits, rest })
    const verdict: SegmentVerdict = keptSince === null ? own : behind(keptSince, own)
    verdicts.push(verdict)
    if (verdict.goes === null) keptSince = verdict
    sizeBytes -= segment.sizeBytes
  }
  return verdicts
}

function judge(
  segment: RetainedSegment,
  of: {
    readonly partition: RetainedPartition
    readonly limits: RetentionLimits
    readonly rest: Rest
  },
): SegmentVerdict {
  const { partition, limits, rest } = of
  const { highWatermark, logStartOffset, nowMs, positions } = partition
  if (segment.isActive && segment.sizeBytes === 0) return kept('empty')
  if (segment.endOffset > highWatermark) return kept('not flushed')
  if (segment.endOffset <= logStartOffset) return goes('log start', nowMs)
  if (!limits.cleanupPolicy.includes('delete')) return kept('compacted, not deleted')
  if (limits.retainUntilConsumed.length > 0) {
    const holder = slowest(positions)
    if (holder?.offset != null && segment.endOffset <= holder.offset) return goes('consumed', nowMs)
    return kept(`held by group ${holder?.group ?? limits.retainUntilConsumed[0] ?? ''}`)
  }
  const { retentionMs, retentionBytes, retentionRecords } = limits
  if (retentionBytes !== -1 && rest.sizeBytes - segment.sizeBytes >= retentionBytes) {
    return goes('size', nowMs)
  }
  const recordCount = segment.endOffset - Math.max(segment.baseOffset, logStartOffset)
  if (retentionRecords !== -1 && rest.recordCount - recordCount >= retentionRecords) {
    return goes('records', nowMs)
  }
  if (retentionMs !== -1) {
    const deletableAt = newestMs(segment, limits) + retentionMs + 1
    return deletableAt <= nowMs
      ? { goes: 'time', keptBecause: null, deletableAt }
      : kept('within time', deletableAt)
  }
  if (retentionBytes !== -1) return kept('within size')
  if (retentionRecords !== -1) return kept('within records')
  return kept('no retention set')
}

/** A segment without timestamps has the age of its append, as Kafka falls back to the file's own time. */
function newestMs(segment: RetainedSegment, limits: RetentionLimits): number {
  const isByRecord = limits.retentionBy === 'record' && segment.maxTimestamp >= 0
  return isByRecord ? segment.maxTimestamp : segment.lastAppendMs
}

/** The group that has finished least; null when none is named. */
function slowest(positions: readonly GroupPosition[]): GroupPosition | null {
  let least: GroupPosition | null = null
  for (const position of positions) {
    if (least === null || (position.offset ?? -1) < (least.offset ?? -1)) least = position
  }
  return least
}

/** What would go by itself has to wait for what is kept before it. */
function behind(before: SegmentVerdict, own: SegmentVerdict): SegmentVerdict {
  const isKnown = before.deletableAt !== null && own.deletableAt !== null
  const deletableAt = isKnown ? Math.max(before.deletableAt, own.deletableAt) : null
  return kept(own.goes === null ? own.keptBecause : 'behind a kept segment', deletableAt)
}

function goes(reason: DeletionReason, deletableAt: number): SegmentVerdict {
  return { goes: reason, keptBecause: null, deletableAt }
}

function kept(keptBecause: KeptBecause, deletableAt: number | null = null): SegmentVerdict {
  return { goes: null, keptBecause, deletableAt }
}
