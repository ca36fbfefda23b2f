/** One topic of a log that this process writes: what its handles share, and its partitions. */
import type { Clock, EngineTime } from '../clock.ts'
import type { CompactionReport } from '../compaction.ts'
import { type LogError, PolicyViolationError, UnknownTopicOrPartitionError } from '../errors.ts'
import { isCompacted, type ResolvedTopicConfig, resolveTopicConfig } from '../options.ts'
import type { Damage, PartitionIdentity, PartitionListener } from '../storage/environment.ts'
import { PartitionLog } from '../storage/partition-log.ts'
import type { RetentionRequest } from '../storage/partition-retention.ts'
import type { RecoveredPartition } from '../storage/recover-partition.ts'
import type { RetentionLimits } from '../storage/retention-rules.ts'
import type { PartitionState, RetentionReport, TopicDescription } from '../types.ts'
import { firstFailure } from './bounded.ts'
import type { CheckpointHandle } from './checkpointer.ts'
import { corruptionEvent } from './corruption-event.ts'
import { describeTopic } from './describe.ts'
import { partitionPath } from './directory-layout.ts'
import { explainTopic } from './explain-retention.ts'
import type { LogServices } from './log-services.ts'
import type { CatalogTopic } from './topic-catalog.ts'
import { TopicLife } from './topic-life.ts'
import type { ConfigChange, LiveReader, TopicState } from './topic-state.ts'
import type { SlotHandle } from './visible-slots.ts'

/** What an open topic asks of its log, because the catalog must know. */
export interface TopicOwner {
  readonly isOpen: boolean
  configure(topic: OpenTopic, changes: ConfigChange): Promise<void>
  addPartitions(topic: OpenTopic, total: number): Promise<void>
}

/** Of the log's limit each segment takes at most one part of so many. */
const segmentsInTotal = 8

/** No topic may be configured with less. */
const leastSegmentBytes = 1024

/** Retention of a topic of which nobody has said how long it is to be kept. */
const keepingAll: RetentionLimits = {
  cleanupPolicy: 'delete',
  retentionMs: -1,
  retentionBytes: -1,
  retentionRecords: -1,
  retentionBy: 'append',
  retainUntilConsumed: [],
}

/** The shared object of a topic's handles. */
export class OpenTopic implements TopicState {
  readonly name: string
  readonly id: string
  readonly partitions: PartitionLog[] = []
  readonly readers: Set<LiveReader> = new Set()
  readonly clock: Clock
  readonly time: EngineTime
  readonly maxBlockMs: number
  readonly maxQueuedBytes: number
  readonly #services: LogServices
  readonly #owner: TopicOwner
  readonly #life: TopicLife
  #resolved: ReturnType<typeof resolveTopicConfig>
  #config: ResolvedTopicConfig
  #isAdopted: boolean

  /** A topic without partitions; `attach` adds them. */
  constructor(topic: CatalogTopic, services: LogServices, owner: TopicOwner) {
    this.name = topic.name
    this.id = topic.id
    this.clock = services.environment.clock
    this.time = services.environment.time
    this.maxBlockMs = services.options.maxBlockMs
    this.maxQueuedBytes = services.options.maxQueuedBytes
    this.#services = services
    this.#owner = owner
    this.#life = new TopicLife(topic.name, owner)
    this.#resolved = this.#resolve(topic)
    this.#config = partitionConfig(this.#resolved.config, this.#services.options.maxTotalBytes)
    this.#isAdopted = topic.isAdopted === true
  }

  get config(): ResolvedTopicConfig {
    return this.#config
  }

  /** The whole configuration, as `describe` shows it. */
  get resolvedConfig(): ResolvedTopicConfig {
    return this.#resolved.config
  }

  /** It was found without a line in the catalog, and nobody has said since how long it is to be kept. */
  get isAdopted(): boolean {
    return this.#isAdopted
  }

  get isUsable(): boolean {
    return this.#life.isUsable
  }

  refusal(): LogError {
    return this.#life.refusal()
  }

  onPartitionsAdded(callback: () => void): () => void {
    return this.#life.onPartitionsAdded(callback)
  }

  noteDamage(partition: number, damage: Damage): void {
    this.partitions[partition]?.noteDamage(damage)
  }

  configure(changes: ConfigChange): Promise<void> {
    return this.#owner.configure(this, changes)
  }

  addPartitions(total: number): Promise<void> {
    return this.#owner.addPartitions(this, total)
  }

  async describe(): Promise<TopicDescription> {
    this.#life.assertUsable()
    return this.description()
  }

  /** As `describe`, for a log that has checked that it is open. */
  description(): TopicDescription {
    const { name, id, partitions } = this
    return describeTopic({ name, id, partitions, resolved: this.#resolved })
  }

  async explainRetention(): Promise<RetentionReport> {
    this.#life.assertUsable()
    return await explainTopic(this)
  }

  firstDirtyOffset({ identity }: PartitionLog): number {
    return this.#services.compactor.cleaned.firstDirtyOffset(identity)
  }

  /** What a partition's retention goes by now. */
  async retentionRequest({ identity }: PartitionLog): Promise<RetentionRequest> {
    const limits = this.isAdopted ? keepingAll : this.config
    const { consumed } = this.#services
    const positions = await consumed.positions(limits.retainUntilConsumed, identity)
    return { limits, positions, nowMs: this.time.nowMs() }
  }

  async deleteRecords(partition: number, beforeOffset: number): Promise<void> {
    this.#life.assertUsable()
    const log = this.partitions[partition]
    if (log === undefined) throw new UnknownTopicOrPartitionError(this.name, partition)
    const { cleanupPolicy } = this.config
    if (!cleanupPolicy.includes('delete')) {
      throw new PolicyViolationError(this.name, cleanupPolicy, 'records go by compaction only')
    }
    await this.#services.sweeper.deleteRecords(log, beforeOffset)
  }

  async flush(): Promise<void> {
    this.#life.assertUsable()
    const failure = await firstFailure(this.partitions.map(partition => partition.flush()))
    if (failure !== null) throw failure
  }

  async compact(): Promise<CompactionReport> {
    this.#life.assertUsable()
    const { cleanupPolicy } = this.resolvedConfig
    if (!isCompacted(this.resolvedConfig)) {
      throw new PolicyViolationError(this.name, cleanupPolicy, 'it is not compacted')
    }
    try {
      return await this.#services.compactor.compact(this)
    } catch (error) {
      // Closing the log or deleting the topic ends it; what the caller hears is which.
      throw this.isUsable ? error : this.refusal()
    }
  }

  async recover(partition: number): Promise<void> {
    this.#life.assertUsable()
    const log = this.partitions[partition]
    if (log === undefined) throw new UnknownTopicOrPartitionError(this.name, partition)
    await log.recover()
  }

  /** Takes in what the catalog says by now. */
  reconfigure(topic: CatalogTopic): void {
    this.#isAdopted = topic.isAdopted === true
    this.#resolved = this.#resolve(topic)
    this.#config = partitionConfig(this.#resolved.config, this.#services.options.maxTotalBytes)
    for (const partition of this.partitions) partition.configure(this.config)
  }

  /** A partition over what recovery found; it is not part of the topic before `attach`. */
  partitionLog(partition: number, recovered: RecoveredPartition): AttachablePartition {
    const identity = { topic: this.name, partition }
    const notices = new PartitionNotices(identity, this.#services)
    const log = new PartitionLog({
      environment: this.#services.environment,
      dir: partitionPath(this.#services.dir, this.name, partition),
      identity,
      config: this.config,
      listener: notices,
      recovered,
    })
    return { log, notices }
  }

  /** Puts partitions, the next ones in order, into service; readers that follow the topic hear of them. */
  attach(added: readonly AttachablePartition[]): void {
    const { slots, checkpointer } = this.#services
    for (const { log, notices } of added) {
      const { partition } = log.identity
      notices.slot = slots.handle(this.id, partition, log)
      notices.checkpoint = checkpointer.add(log)
      this.partitions.push(log)
    }
    this.#life.tellPartitionsAdded()
  }

  /** Refuses everything from now on; what is pending rejects, live readers among it. */
  async abandon(error: LogError): Promise<void> {
    this.#life.end()
    for (const { identity } of this.partitions) {
      this.#services.slots.remove(this.id, identity.partition)
      this.#services.checkpointer.remove(identity)
    }
    await firstFailure(this.partitions.map(partition => partition.abandon(error)))
  }

  #resolve(topic: CatalogTopic): ReturnType<typeof resolveTopicConfig> {
    const { topicDefaults, acks } = this.#services.options
    return resolveTopicConfig(topic.config, topicDefaults, acks)
  }
}

/**
 * What the partitions go by. Kafka rolls the segments of compacted topics no later than they must be
 * compacted; here those of topics with little traffic are not kept for `segmentMs` before they begin to
 * get old either.
 */
function partitionConfig(config: ResolvedTopicConfig, maxTotalBytes: number): ResolvedTopicConfig {
  const { cleanupPolicy, retentionMs, maxCompactionLagMs } = config
  const ages = [config.segmentMs]
  if (isCompacted(config)) ages.push(maxCompactionLagMs)
  if (cleanupPolicy.includes('delete')) ages.push(retentionMs)
  const set = ages.filter(age => age >= 0)
  const segmentMs = set.length === 0 ? -1 : Math.max(Math.min(...set), 1)
  // Whole sealed segments go, so there must be some well before the log's limit is reached.
  const shareBytes = Math.max(leastSegmentBytes, Math.floor(maxTotalBytes / segmentsInTotal))
  const segmentBytes = Math.min(
    config.segmentBytes,
    maxTotalBytes === -1 ? Number.POSITIVE_INFINITY : shareBytes,
  )
  return { ...config, segmentMs, segmentBytes }
}

/** A partition and the listener that `attach` connects. */
export interface AttachablePartition {
  readonly log: PartitionLog
  readonly notices: PartitionNotices
}

/** Hears one partition and tells its slot, the checkpoints and whoever listens to the log. */
export class PartitionNotices implements PartitionListener {
  slot: SlotHandle | null = null
  checkpoint: CheckpointHandle | null = null
  readonly #identity: PartitionIdentity
  readonly #services: LogServices

  constructor(identity: PartitionIdentity, services: LogServices) {
    this.#identity = identity
    this.#services = services
  }

  flushed(flushedBytes: number): void {
    this.slot?.write()
    this.checkpoint?.flushed(flushedBytes)
    this.#services.sweeper.flushed(flushedBytes)
  }

  segmentSealed(segment: { baseOffset: number; nextOffset: number; sizeBytes: number }): void {
    const { baseOffset, nextOffset, sizeBytes } = segment
    this.#services.checkpointer.writeSoon()
    const sealed = { type: 'segmentSealed', baseOffset, nextOffset, sizeBytes } as const
    this.#services.events.emit({ ...sealed, ...this.#identity })
  }

  logStartMoved(): void {
    this.slot?.write()
  }

  stateChanged(state: PartitionState, error: Error | undefined): void {
    this.#services.events.emit({ type: 'partitionStateChanged', state, error, ...this.#identity })
  }

  flushFailed(error: Error): void {
    this.#services.events.emit({ type: 'flushFailed', error, ...this.#identity })
  }

  diskFull(error: Error): void {
    this.#services.events.emit({ type: 'diskFull', error, ...this.#identity })
    this.#services.disk.refused(error)
  }

  corruption(damage: Damage): void {
    this.#services.events.emit(corruptionEvent(this.#identity, damage))
  }

  backgroundFailed(what: string, error: Error): void {
    this.#services.events.emit({ type: 'backgroundFailed', what, error })
  }
}
