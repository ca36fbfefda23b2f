/** What `describe()` and `metrics()` show, put together from what is known in memory. */
import { type ResolvedTopicConfig, type TopicConfigSources, topicConfigKeys } from '../options.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import { isInternalTopic } from '../storage/topic-name.ts'
import type { Log, Metrics, PartitionDescription, TopicDescription } from '../types.ts'
import type { PartitionAccess } from './topic-state.ts'

/** A partition and what of it lies on the disk. */
export interface DescribedPartition extends PartitionAccess {
  readonly dir: string
  readonly segmentCount: number
  readonly sizeBytes: number
}

/** Describes one partition. */
export function describePartition(partition: DescribedPartition): PartitionDescription {
  return {
    partition: partition.identity.partition,
    dir: partition.dir,
    state: partition.state,
    leaderEpoch: partition.leaderEpoch,
    logStartOffset: partition.logStartOffset,
    highWatermark: partition.highWatermark,
    recoveryPoint: partition.recoveryPoint,
    writtenOffset: partition.writtenOffset,
    logEndOffset: partition.logEndOffset,
    segmentCount: partition.segmentCount,
    sizeBytes: partition.sizeBytes,
  }
}

/** Describes a topic: every configuration value with where it comes from, and every partition. */
export function describeTopic(topic: {
  readonly name: string
  readonly id: string
  readonly resolved: { readonly config: ResolvedTopicConfig; readonly sources: TopicConfigSources }
  readonly partitions: readonly DescribedPartition[]
}): TopicDescription {
  const { config, sources } = topic.resolved
  const shown = topicConfigKeys.map(key => [key, { value: config[key], source: sources[key] }])
  return {
    name: topic.name,
    id: topic.id,
    internal: isInternalTopic(topic.name),
    config: Object.fromEntries(shown),
    partitions: topic.partitions.map(describePartition),
  }
}

/** The sum of what the topics take on the disk. */
export function totalSizeBytes(topics: readonly TopicDescription[]): number {
  let sizeBytes = 0
  for (const { partitions } of topics) {
    for (const partition of partitions) sizeBytes += partition.sizeBytes
  }
  return sizeBytes
}

/** A snapshot of the counters and gauges. */
export function metricsOf(
  environment: StorageEnvironment,
  log: {
    readonly topics: number
    readonly partitions: readonly PartitionAccess[]
    readonly state: Log['state']
  },
): Metrics {
  const { counters, budget, handles } = environment
  return {
    appendedRecords: counters.appendedRecords,
    appendedBytes: counters.appendedBytes,
    rejectedAppends: counters.rejectedAppends,
    writes: counters.writes,
    writtenBytes: counters.writtenBytes,
    flushes: counters.flushes,
    failedFlushes: counters.failedFlushes,
    flushMs: counters.flushMs(),
    reads: counters.reads,
    readBytes: counters.readBytes,
    queuedBytes: budget.queuedBytes,
    unflushedBytes: budget.unflushedBytes,
    waitingAppends: budget.waitingCount,
    waitingBytes: budget.waitingBytes,
    openFiles: handles.openCount,
    topics: log.topics,
    partitions: log.partitions.length,
    failedPartitions: log.partitions.filter(partition => partition.state === 'failed').length,
    segmentsRolled: counters.segmentsRolled,
    state: log.state,
  }
}
