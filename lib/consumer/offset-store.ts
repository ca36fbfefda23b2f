/**
 * The committed offsets of all groups: the last value of each key of `__consumer_offsets`, kept in memory
 * from the first use on, and written there. Memory follows the disk: a commit shows when it is durable.
 *
 * Order against the deletion of a topic: the catalog's `deleting` line, the directories renamed, the
 * offsets taken back here (durably), and only then the name may be used again and the line may go. A crash
 * before the last of these leaves the line, and opening takes the offsets back; after it there is nothing
 * of the old topic left that a new one of that name could take for its own.
 */
import { ok } from 'node:assert/strict'

import { UnknownTopicOrPartitionError } from '../errors.ts'
import { PartitionCursor } from '../log/partition-cursor.ts'
import { defaultReadBytes } from '../log/read-options.ts'
import type { TopicState } from '../log/topic-state.ts'
import type { TopicConfig } from '../types.ts'
import { type CommitEntry, CommitLane, type CommitListener } from './commit-lane.ts'
import { keyOf } from './group-coordinator.ts'
import {
  type OffsetKey,
  type OffsetValue,
  offsetsPartitionOf,
  parseOffsetsKey,
  parseOffsetValue,
} from './offset-format.ts'

/** Kafka's name for it. */
export const offsetsTopic = '__consumer_offsets'

/** What the topic is created with, whatever the log's `topicDefaults` say. */
export const offsetsTopicConfig: TopicConfig = {
  acks: 'durable',
  flushRecords: 1,
  flushBytes: -1,
  maxBatchBytes: 1_048_588,
  compressionType: 'none',
  timestampType: 'create',
  // Only sealed segments are compacted, and all of it is read at the first use.
  segmentBytes: 16 * 1024 * 1024,
  retentionMs: -1,
  retentionBytes: -1,
  retentionRecords: -1,
  retainUntilConsumed: [],
  cleanupPolicy: 'compact',
}

/** How the store gets at its topic. */
export interface OffsetsTopicAccess {
  /** The topic, if it has been created. */
  find(): TopicState | undefined
  create(): Promise<TopicState>
}

/** A commit as it is asked for. */
export interface OffsetCommit {
  readonly topic: string
  readonly partition: number
  readonly value: OffsetValue
}

/** A commit as it is to be written, and `keyOf` its partition. */
export type KeyedCommit = OffsetCommit & { readonly key: string }

type TopicOffsets = Map<number, OffsetValue>

/** Calls may overlap. */
export class OffsetStore implements CommitListener {
  readonly #access: OffsetsTopicAccess
  /** By group and topic. */
  readonly #groups = new Map<string, Map<string, TopicOffsets>>()
  /** Keys of writes that failed: they may be in the log all the same. By topic. */
  readonly #uncertain = new Map<string, Map<string, OffsetKey>>()
  #lanes: readonly CommitLane[] = []
  #loading: Promise<void> | null = null
  #isLoaded = false

  constructor(access: OffsetsTopicAccess) {
    this.#access = access
  }

  /**
   * Reads the topic, the first time that it is asked for; one that failed is tried again. A damaged
   * record is passed over and told as an event: what its group committed before counts again.
   */
  load(): Promise<void> {
    if (this.#loading === null) {
      this.#loading = this.#load()
      this.#loading.catch(() => {
        this.#loading = null
      })
    }
    return this.#loading
  }

  /** What the group committed of a partition. The store has been loaded. */
  committed(group: string, topic: string, partition: number): OffsetValue | undefined {
    ok(this.#isLoaded)
    return this.#groups.get(group)?.get(topic)?.get(partition)
  }

  /** Names of the groups that have commits. The store has been loaded. */
  groups(): readonly string[] {
    ok(this.#isLoaded)
    return [...this.#groups.keys()]
  }

  /** Everything that a group committed. The store has been loaded. */
  offsetsOf(group: string): readonly OffsetCommit[] {
    ok(this.#isLoaded)
    const found: OffsetCommit[] = []
    for (const [topic, offsets] of this.#groups.get(group) ?? []) {
      for (const [partition, value] of offsets) found.push({ topic, partition, value })
    }
    return found
  }

  /**
   * Commits offsets of a group. Resolves when they survive power loss. Commits of one key that overlap
   * may be written as the last of them alone. `commits` is called when they can be written, in the
   * very turn: the first commit of all has to create a topic, and meanwhile another topic may be deleted,
   * or a partition given to another member.
   *
   * @throws {StorageError} when they could not be written; they may show after the next open all the same
   */
  commit(group: string, commits: () => readonly KeyedCommit[]): Promise<void> {
    // Not an async function: calls that share a write share its promise, and a commit costs little more
    // than its place among those that wait.
    if (this.#lanes.length > 0) return this.#put(group, commits())
    return this.#prepare().then(() => this.#put(group, commits()))
  }

  #put(group: string, commits: readonly KeyedCommit[]): Promise<void> {
    const lane = this.#laneOf(group)
    // All of them come into one round: nothing happens in between.
    let done: Promise<void> | null = null
    for (const { topic, partition, key, value } of commits) {
      done = lane.put({ group, topic, partition, key, value })
    }
    return done ?? Promise.resolve()
  }

  /** Takes back what a group committed: everything, or of some partitions. Resolves when that survives power loss. */
  async forget(group: string, isMeant: (of: OffsetCommit) => boolean = () => true): Promise<void> {
    await this.load()
    if (this.#lanes.length === 0) return
    await this.#laneOf(group).settled()
    const keys: OffsetKey[] = this.offsetsOf(group)
      .filter(isMeant)
      .map(({ topic, partition }) => ({ group, topic, partition }))
    const uncertain = [...this.#uncertain.values()].flatMap(found => [...found.values()])
    await this.#takeBack([...keys, ...uncertain.filter(key => key.group === group)])
  }

  /**
   * Takes back what all groups committed of a topic that is being deleted and accepts no commits any
   * more. Resolves when that survives power loss. Writes nothing, and loads nothing, when there is
   * nothing.
   */
  async forgetTopic(topic: string): Promise<void> {
    if (this.#access.find() === undefined) return
    await this.load()
    for (const lane of this.#lanes) lane.drop(entry => entry.topic === topic)
    for (const lane of this.#lanes) await lane.settled()
    const keys = new Map<string, OffsetKey>(this.#uncertain.get(topic))
    for (const [group, topics] of this.#groups) {
      for (const partition of topics.get(topic)?.keys() ?? []) {
        keys.set(`${partition} ${group}`, { group, topic, partition })
      }
    }
    await this.#takeBack([...keys.values()])
    this.#uncertain.delete(topic)
  }

  get isWriting(): boolean {
    return this.#lanes.some(lane => lane.isWriting)
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    for (const lane of this.#lanes) await lane.settled()
  }

  written(entries: readonly CommitEntry[]): void {
    for (const entry of entries) this.#take(entry, entry.value)
  }

  uncertain(entries: readonly CommitEntry[]): void {
    for (const { group, topic, partition } of entries) {
      const keys = this.#uncertain.get(topic) ?? new Map<string, OffsetKey>()
      keys.set(`${partition} ${group}`, { group, topic, partition })
      this.#uncertain.set(topic, keys)
    }
  }

  async #takeBack(keys: readonly OffsetKey[]): Promise<void> {
    await Promise.all(
      keys.map(({ group, topic, partition }) => {
        const entry = { group, topic, partition, key: keyOf({ topic, partition }), value: null }
        return this.#laneOf(group).put(entry)
      }),
    )
  }

  /** Loaded, and with a topic to write to. */
  async #prepare(): Promise<void> {
    await this.load()
    if (this.#lanes.length > 0) return
    const state = await this.#access.create()
    if (this.#lanes.length === 0) this.#attach(state)
  }

  async #load(): Promise<void> {
    const state = this.#access.find()
    if (state !== undefined) {
      this.#groups.clear()
      for (const partition of state.partitions.keys()) await this.#replay(state, partition)
      this.#attach(state)
    }
    this.#isLoaded = true
  }

  #attach(state: TopicState): void {
    this.#lanes = state.partitions.map(
      (_, partition) =>
        new CommitLane(
          () => {
            if (!state.isUsable) throw state.refusal()
            const access = state.partitions[partition]
            if (access === undefined) throw new UnknownTopicOrPartitionError(state.name, partition)
            return access
          },
          { maxBlockMs: state.maxBlockMs, listener: this },
        ),
    )
  }

  async #replay(state: TopicState, partition: number): Promise<void> {
    const cursor = new PartitionCursor({
      state,
      context: { topic: state.name, partition, key: null, value: null },
      from: 'earliest',
      options: {
        live: false,
        signal: undefined,
        maxBytes: defaultReadBytes,
        reuseBuffers: false,
        checkCrcs: true,
        onOutOfRange: 'earliest',
        onCorruption: 'skip',
      },
    })
    while (cursor.isReady) {
      const chunk = await cursor.fetch()
      for (const batch of chunk?.batches ?? []) {
        try {
          for (const { keyBytes, valueBytes } of batch) this.#replayRecord(keyBytes, valueBytes)
        } catch (error) {
          if (!cursor.skip(error)) throw error
        }
      }
    }
  }

  /** What this version does not know stays in the topic as it is. */
  #replayRecord(keyBytes: Buffer | null, valueBytes: Buffer | null): void {
    const key = keyBytes === null ? null : parseOffsetsKey(keyBytes)
    if (key === null || key.type !== 'offset') return
    const value = valueBytes === null ? null : parseOffsetValue(valueBytes)
    if (value === null && valueBytes !== null) return
    this.#take(key, value)
  }

  #take({ group, topic, partition }: OffsetKey, value: OffsetValue | null): void {
    const topics = this.#groups.get(group) ?? new Map<string, TopicOffsets>()
    const offsets = topics.get(topic) ?? new Map<number, OffsetValue>()
    if (value === null) offsets.delete(partition)
    else offsets.set(partition, value)
    if (offsets.size > 0) topics.set(topic, offsets)
    else topics.delete(topic)
    if (topics.size > 0) this.#groups.set(group, topics)
    else this.#groups.delete(group)
  }

  #laneOf(group: string): CommitLane {
    const lane = this.#lanes[offsetsPartitionOf(group, this.#lanes.length)]
    ok(lane !== undefined)
    return lane
  }
}
