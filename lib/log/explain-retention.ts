/** What `explainRetention()` shows. */
import type { HeldSegment } from '../storage/held-segments.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { RetentionRequest } from '../storage/partition-retention.ts'
import type { SegmentVerdict } from '../storage/retention-rules.ts'
import type {
  KeptBecause,
  PartitionRetentionReport,
  RetentionReport,
  SegmentRetention,
} from '../types.ts'

/** A topic whose retention is explained. */
export interface ExplainedTopic {
  readonly name: string
  readonly partitions: readonly PartitionLog[]
  retentionRequest(partition: PartitionLog): Promise<RetentionRequest>
  /** First offset that no compaction has looked at. */
  firstDirtyOffset(partition: PartitionLog): number
}

/** Explains every partition of the topic. */
export async function explainTopic(topic: ExplainedTopic): Promise<RetentionReport> {
  const partitions: PartitionRetentionReport[] = []
  let sizeBytes = 0
  for (const partition of topic.partitions) {
    const report = await explainPartition(partition, topic)
    partitions.push(report)
    sizeBytes += report.sizeBytes
  }
  return { topic: topic.name, sizeBytes, partitions }
}

async function explainPartition(
  partition: PartitionLog,
  topic: ExplainedTopic,
): Promise<PartitionRetentionReport> {
  const request = await topic.retentionRequest(partition)
  const firstDirtyOffset = topic.firstDirtyOffset(partition)
  const isCompacted = request.limits.cleanupPolicy.includes('compact')
  const segments: SegmentRetention[] = []
  let sizeBytes = 0
  for (const { segment, verdict } of await partition.retention.judge(request)) {
    const maxTimestamp = await partition.retention.newestTimestamp(segment)
    segments.push(
      explained(partition, segment, { verdict, maxTimestamp, firstDirtyOffset, isCompacted }),
    )
    sizeBytes += segment.sizeBytes
  }
  const { logStartOffset, highWatermark } = partition
  const id = partition.identity.partition
  return { partition: id, logStartOffset, highWatermark, sizeBytes, segments }
}

function explained(
  partition: PartitionLog,
  segment: HeldSegment,
  found: {
    readonly verdict: SegmentVerdict
    readonly maxTimestamp: number
    readonly firstDirtyOffset: number
    readonly isCompacted: boolean
  },
): SegmentRetention {
  const { baseOffset, nextOffset, endOffset, sizeBytes, isActive } = segment
  const { verdict, maxTimestamp } = found
  const isHit = (damage: { readonly from: number; readonly to: number }): boolean =>
    damage.from < endOffset && damage.to > baseOffset
  const isDamaged = partition.damage.some(isHit)
  const isDirty = endOffset > found.firstDirtyOffset
  return {
    baseOffset,
    nextOffset,
    recordCount: nextOffset - Math.max(baseOffset, Math.min(partition.logStartOffset, nextOffset)),
    sizeBytes,
    firstAppendMs: segment.firstAppendMs,
    lastAppendMs: segment.lastAppendMs,
    maxTimestamp: maxTimestamp < 0 ? null : maxTimestamp,
    isActive,
    isDamaged,
    keptBecause: isWithoutLimit(verdict.keptBecause, found.isCompacted)
      ? whereCompacted({ isActive, isDamaged, isDirty })
      : verdict.keptBecause,
    goesBecause: verdict.goes,
    deletableAt: verdict.deletableAt,
  }
}

/** Whether no rule but compaction has a say about the segment. */
function isWithoutLimit(keptBecause: KeptBecause | null, isCompacted: boolean): boolean {
  if (keptBecause === 'compacted, not deleted') return true
  return isCompacted && keptBecause === 'no retention set'
}

/** How a segment stands that only compaction makes smaller. */
function whereCompacted(segment: {
  readonly isActive: boolean
  readonly isDamaged: boolean
  readonly isDirty: boolean
}): KeptBecause {
  if (segment.isActive) return 'active'
  if (segment.isDamaged) return 'damaged'
  return segment.isDirty ? 'compaction pending' : 'compacted, not deleted'
}
