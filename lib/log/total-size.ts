/**
 * `maxTotalBytes`: when the log as a whole takes more, the sealed segment that was appended to longest ago goes, in
 * whatever topic, until it fits or nothing may be deleted any more. Internal topics, those that are
 * compacted only, and what a group has not finished are left alone.
 */
import type { HeldSegment } from '../storage/held-segments.ts'
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

  /** Deletes until the log fits, or nothing may be deleted; stops between two partitions when `isOver` says so. */
  async enforce(isOver: () => boolean): Promise<void> {
    const { raise, deleted, failed, setOverLimit } = this.#options
    /** Partitions that gave nothing up although they should have. */
    const stuck = new Set<PartitionLog>()
    if (this.#excessBytes() > 0) await this.#askGroups(stuck)
    while (!isOver()) {
      const plan = this.#plan(stuck)
      if (plan.size === 0) break
      for (const [partition, offset] of plan) {
        if (isOver()) return
        try {
          const { retention } = partition
          const segments = await retention.giveUpBelow(offset, 'total size', raise(partition))
          if (segments.length === 0) stuck.add(partition)
          deleted(partition, segments)
        } catch (error) {
          stuck.add(partition)
          failed(partition, error as Error)
        }
      }
    }
    setOverLimit(this.#excessBytes() > 0 && this.#plan(stuck).size === 0)
  }

  /** Whether the limit is exceeded and nothing may be deleted, as things are. */
  get isHopeless(): boolean {
    return this.#excessBytes() > 0 && this.#plan(new Set()).size === 0
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

  #excessBytes(): number {
    const { maxTotalBytes, topics } = this.#options
    return maxTotalBytes === -1 ? 0 : totalSegmentBytes(topics()) - maxTotalBytes
  }

  /** Up to where each partition is to be given up, so that the log fits or has given all that it may. */
  #plan(stuck: ReadonlySet<PartitionLog>): ReadonlyMap<PartitionLog, number> {
    const plan = new Map<PartitionLog, number>()
    let excessBytes = this.#excessBytes()
    if (excessBytes <= 0) return plan
    const deletable = this.#deletable(stuck).sort((a, b) => a.orderMs - b.orderMs)
    for (const { partition, segment } of deletable) {
      plan.set(partition, segment.endOffset)
      excessBytes -= segment.sizeBytes
      if (excessBytes <= 0) break
    }
    return plan
  }

  /** Every segment that may go, with the time that says when it is its turn: in a partition that never goes back. */
  #deletable(stuck: ReadonlySet<PartitionLog>): DeletableSegment[] {
    const found: DeletableSegment[] = []
    for (const topic of this.#options.topics()) {
      if (!topic.config.cleanupPolicy.includes('delete')) continue
      if (isInternalTopic(topic.name) || topic.isAdopted) continue
      for (const partition of topic.partitions) {
        if (partition.state === 'failed' || stuck.has(partition)) continue
        const limitOffset = this.#heldAt(topic, partition)
        let orderMs = Number.NEGATIVE_INFINITY
        for (const segment of partition.retention.sealed()) {
          if (segment.endOffset > limitOffset) break
          orderMs = Math.max(orderMs, segment.lastAppendMs)
          found.push({ partition, segment, orderMs })
        }
      }
    }
    return found
  }

  /** Everything below may go; above it some group holds it. */
  #heldAt({ config }: OpenTopic, { identity }: PartitionLog): number {
    const positions = this.#options.consumed.known(config.retainUntilConsumed, identity)
    return Math.min(Number.POSITIVE_INFINITY, ...positions.map(({ offset }) => offset ?? -1))
  }
}

interface DeletableSegment {
  readonly partition: PartitionLog
  readonly segment: HeldSegment
  readonly orderMs: number
}
