/**
 * `maxTotalBytes`: when the log as a whole takes more, the sealed segment that was appended to longest ago goes, in
 * whatever topic, until it fits or nothing may be deleted any more. Internal topics, those that are
 * compacted only, and what a group has not finished are left alone.
 */
import type { PartitionLog } from '../storage/partition-log.ts'
import type { DeletedSegment, RaiseLogStart } from '../storage/partition-retention.ts'
import { isInternalTopic } from '../storage/topic-name.ts'
import type { ConsumedOffsets } from './consumed-offsets.ts'
import type { OpenTopic } from './open-topic.ts'

/** What the limit is held on. */
export interface TotalSizeOptions {
  readonly maxTotalBytes: number
  readonly topics: () => Iterable<OpenTopic>
  readonly consumed: ConsumedOffsets
  readonly raise: (partition: PartitionLog) => RaiseLogStart
  readonly deleted: (partition: PartitionLog, segments: readonly DeletedSegment[]) => void
  readonly failed: (partition: PartitionLog, error: Error) => void
  /** The log exceeds the limit and nothing may be deleted; or that is over. */
  readonly setOverLimit: (isOverLimit: boolean) => void
}

/** What all segments of the topics take. */
export function totalSegmentBytes(topics: Iterable<OpenTopic>): number {
  let total = 0
  for (const { partitions } of topics) {
    for (const partition of partitions) total += partition.sizeBytes
  }
  return total
}

/** Keeps a log below its limit. One `enforce` at a time. */
export class TotalSize {
  readonly #options: TotalSizeOptions

  constructor(options: TotalSizeOptions) {
    this.#options = options
  }

  /** Deletes until the log fits, or nothing may be deleted; stops between two segments when `isOver` says so. */
  async enforce(isOver: () => boolean): Promise<void> {
    const { raise, deleted, failed, setOverLimit } = this.#options
    /** Partitions that gave nothing up although they should have. */
    const stuck = new Set<PartitionLog>()
    if (this.#isExceeded()) await this.#askGroups(stuck)
    while (this.#isExceeded() && !isOver()) {
      const partition = this.#oldest(stuck)
      if (partition === null) break
      try {
        const segments = await partition.retention.giveUpOldest('total size', raise(partition))
        if (segments.length === 0) stuck.add(partition)
        else deleted(partition, segments)
      } catch (error) {
        stuck.add(partition)
        failed(partition, error as Error)
      }
    }
    setOverLimit(this.#isExceeded() && this.#oldest(stuck) === null)
  }

  /** Whether the limit is exceeded and nothing may be deleted, as things are. */
  get isHopeless(): boolean {
    return this.#isExceeded() && this.#oldest(new Set()) === null
  }

  /** Learns how far the groups are that hold something. */
  async #askGroups(stuck: Set<PartitionLog>): Promise<void> {
    const { topics, consumed, failed } = this.#options
    for (const { config, partitions } of topics()) {
      if (config.retainUntilConsumed.length === 0) continue
      for (const partition of [...partitions]) {
        try {
          await consumed.positions(config.retainUntilConsumed, partition.identity)
        } catch (error) {
          stuck.add(partition)
          failed(partition, error as Error)
        }
      }
    }
  }

  #isExceeded(): boolean {
    const { maxTotalBytes, topics } = this.#options
    return maxTotalBytes !== -1 && totalSegmentBytes(topics()) > maxTotalBytes
  }

  /** The partition whose oldest segment is the one to go; null when there is none. */
  #oldest(stuck: ReadonlySet<PartitionLog>): PartitionLog | null {
    let oldest: PartitionLog | null = null
    let oldestMs = Number.POSITIVE_INFINITY
    for (const topic of this.#options.topics()) {
      if (!topic.config.cleanupPolicy.includes('delete')) continue
      if (isInternalTopic(topic.name) || topic.isAdopted) continue
      for (const partition of topic.partitions) {
        const lastAppendMs = stuck.has(partition) ? null : this.#deletableMs(topic, partition)
        if (lastAppendMs === null || lastAppendMs >= oldestMs) continue
        oldest = partition
        oldestMs = lastAppendMs
      }
    }
    return oldest
  }

  /** When the partition's oldest segment was appended to last; null when it may not be deleted. */
  #deletableMs(topic: OpenTopic, partition: PartitionLog): number | null {
    if (partition.state === 'failed') return null
    const segment = partition.retention.oldest()
    if (segment === null) return null
    const groups = topic.config.retainUntilConsumed
    const positions = this.#options.consumed.known(groups, partition.identity)
    const isHeld = positions.some(({ offset }) => (offset ?? -1) < segment.endOffset)
    return isHeld ? null : segment.lastAppendMs
  }
}
