/** One topic of a log that another process writes: what its handles share. */
import type { Clock, EngineTime } from '../clock.ts'
import type { CompactionReport } from '../compaction.ts'
import { type LogError, ReadOnlyError } from '../errors.ts'
import { type ResolvedTopicConfig, resolveTopicConfig } from '../options.ts'
import type { Damage } from '../storage/environment.ts'
import type { RetentionReport, TopicDescription } from '../types.ts'
import { corruptionEvent } from './corruption-event.ts'
import { describeTopic } from './describe.ts'
import { partitionPath } from './directory-layout.ts'
import { ForeignPartition, type ForeignWatch } from './foreign-partition.ts'
import type { Opening } from './opening.ts'
import type { CatalogTopic } from './topic-catalog.ts'
import { TopicLife } from './topic-life.ts'
import type { LiveReader, TopicState } from './topic-state.ts'
import type { SlotSource } from './visible-slots.ts'

/** What a foreign topic knows of its log. */
export interface ForeignOwner extends ForeignWatch {
  readonly isOpen: boolean
}

/** The shared object of a topic's handles. */
export class ForeignTopic implements TopicState {
  readonly name: string
  readonly id: string
  readonly partitions: ForeignPartition[] = []
  readonly readers: Set<LiveReader> = new Set()
  readonly clock: Clock
  readonly time: EngineTime
  readonly maxBlockMs: number
  readonly maxQueuedBytes: number
  readonly #opening: Opening
  readonly #owner: ForeignOwner
  readonly #life: TopicLife
  #resolved: ReturnType<typeof resolveTopicConfig>

  /** A topic without partitions; `update` adds them. */
  constructor(topic: CatalogTopic, opening: Opening, owner: ForeignOwner) {
    this.name = topic.name
    this.id = topic.id
    this.clock = opening.environment.clock
    this.time = opening.environment.time
    this.maxBlockMs = opening.options.maxBlockMs
    this.maxQueuedBytes = opening.options.maxQueuedBytes
    this.#opening = opening
    this.#owner = owner
    this.#life = new TopicLife(topic.name, owner)
    this.#resolved = this.#resolve(topic)
  }

  get config(): ResolvedTopicConfig {
    return this.#resolved.config
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

  async configure(): Promise<void> {
    throw new ReadOnlyError(`configure topic ${this.name}`)
  }

  async addPartitions(): Promise<void> {
    throw new ReadOnlyError(`add partitions to topic ${this.name}`)
  }

  async compact(): Promise<CompactionReport> {
    throw new ReadOnlyError(`compact topic ${this.name}`)
  }

  async explainRetention(): Promise<RetentionReport> {
    throw new ReadOnlyError(`explain the retention of topic ${this.name}`)
  }

  async deleteRecords(): Promise<void> {
    throw new ReadOnlyError(`delete records of topic ${this.name}`)
  }

  async recover(): Promise<void> {
    throw new ReadOnlyError(`recover a partition of topic ${this.name}`)
  }

  async flush(): Promise<void> {
    throw new ReadOnlyError(`flush topic ${this.name}`)
  }

  async describe(): Promise<TopicDescription> {
    this.#life.assertUsable()
    this.#owner.refresh()
    return this.description()
  }

  /** What is known without another look. */
  description(): TopicDescription {
    const { name, id, partitions } = this
    return describeTopic({ name, id, partitions, resolved: this.#resolved })
  }

  /** Takes in what catalog and slots say by now; `visible` is null for what they do not say. */
  update(topic: CatalogTopic, visible: (partition: number) => VisibleRange | null): void {
    this.#resolved = this.#resolve(topic)
    for (const partition of this.partitions) {
      const found = visible(partition.identity.partition)
      // While a slot is being rewritten there is only the checkpoint, which lags: what the slot said
      // last holds until it can be read again.
      const isNews =
        found !== null && (found.isSlot || found.highWatermark > partition.highWatermark)
      if (isNews) partition.update(found)
    }
    const known = this.partitions.length
    for (let partition = known; partition < topic.partitions; partition++) {
      const { environment, path, events } = this.#opening
      const identity = { topic: this.name, partition }
      this.partitions.push(
        new ForeignPartition({
          environment,
          dir: partitionPath(path, this.name, partition),
          identity,
          watch: this.#owner,
          visible: visible(partition) ?? nothingVisible,
          onDamage: damage => events.emit(corruptionEvent(identity, damage)),
        }),
      )
    }
    if (topic.partitions > known) this.#life.tellPartitionsAdded()
  }

  /** The log is closed: live readers end; or the topic is gone: they learn that. */
  end(isGone: boolean): void {
    if (isGone) this.#life.end()
    else for (const reader of [...this.readers]) reader.end()
    for (const partition of this.partitions) partition.end()
  }

  #resolve(topic: CatalogTopic): ReturnType<typeof resolveTopicConfig> {
    const { topicDefaults, acks } = this.#opening.options
    return resolveTopicConfig(topic.config, topicDefaults, acks)
  }
}

/** How far a partition may be read, and whether its slot says so. */
export interface VisibleRange extends SlotSource {
  readonly isSlot: boolean
}

const nothingVisible: SlotSource = {
  leaderEpoch: 0,
  logStartOffset: 0,
  highWatermark: 0,
  recoveryPoint: 0,
}
