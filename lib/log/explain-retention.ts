/** What `explainRetention()` shows. */
import type { HeldSegment } from '../storage/held-segments.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { RetentionRequest } from '../storage/partition-retention.ts'
import type { SegmentVerdict } from '../storage/retention-rules.ts'
import type { PartitionRetentionReport, RetentionReport, SegmentRetention } from '../types.ts'

/** A topic whose retention is explained. */
export interface ExplainedTopic {
  readonly name: string
  readonly partitions: readonly PartitionLog[]
  retentionRequest(partition: PartitionLog): Promise<RetentionRequest>
}

/** Explains every partition of the topic. */
export async function explainTopic(topic: ExplainedTopic): Promise<RetentionReport> {
  const partitions: PartitionRetentionReport[] = []
  let sizeBytes = 0
  for (const partition of topic.partitions) {
    const report = await explainPartition(partition, await topic.retentionRequest(partition))
    partitions.push(report)
    sizeBytes += report.sizeBytes
  }
  return { topic: topic.name, sizeBytes, partitions }
}

async function explainPartition(
  partition: PartitionLog,
  request: RetentionRequest,
): Promise<PartitionRetentionReport> {
  const segments: SegmentRetention[] = []
  let sizeBytes = 0
  for (const { segment, verdict } of await partition.retention.judge(request)) {
    const maxTimestamp = await partition.retention.newestTimestamp(segment)
    segments.push(explained(partition, segment, { verdict, maxTimestamp }))
    sizeBytes += segment.sizeBytes
  }
  const { logStartOffset, highWatermark } = partition
  const id = partition.identity.partition
  return { partition: id, logStartOffset, highWatermark, sizeBytes, segments }
}

function explained(
  partition: PartitionLog,
  segment: HeldSegment,
  found: { readonly verdict: SegmentVerdict; readonly maxTimestamp: number },
): SegmentRetention {
  const { baseOffset, nextOffset, endOffset, sizeBytes, isActive } = segment
  const { verdict, maxTimestamp } = found
  const isHit = (damage: { readonly from: number; readonly to: number }): boolean =>
    damage.from < endOffset && damage.to > baseOffset
  return {
    baseOffset,
    nextOffset,
    recordCount: nextOffset - Math.max(baseOffset, Math.min(partition.logStartOffset, nextOffset)),
    sizeBytes,
    firstAppendMs: segment.firstAppendMs,
    lastAppendMs: segment.lastAppendMs,
    maxTimestamp: maxTimestamp < 0 ? null : maxTimestamp,
    isActive,
    isDamaged: partition.damage.some(isHit),
    keptBecause: verdict.keptBecause,
    goesBecause: verdict.goes,
    deletableAt: verdict.deletableAt,
  }
}
