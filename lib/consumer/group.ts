/** A group as users hold it. */
import { checkBoolean, checkNames, checkOptions } from '../checks.ts'
import type {
  Group,
  GroupDescription,
  GroupOffset,
  OffsetReset,
  ResetOffsetsOptions,
} from '../consuming.ts'
import {
  GroupNotEmptyError,
  ReadOnlyError,
  UnknownGroupError,
  UnknownTopicOrPartitionError,
} from '../errors.ts'
import type { ExtensibleLog } from '../log/extension.ts'
import { checkFrom } from '../log/read-options.ts'
import type { PartitionAccess } from '../log/topic-state.ts'
import type { From, Offset } from '../types.ts'
import { inOrder } from './assignor.ts'
import { type GroupCoordinator, keyOf } from './group-coordinator.ts'
import type { KeyedCommit, OffsetCommit, OffsetStore } from './offset-store.ts'

/** What a handle asks. */
export interface GroupParts {
  readonly log: ExtensibleLog
  readonly offsets: OffsetStore
  /** Undefined when the group has no members. */
  readonly coordinator: () => GroupCoordinator | undefined
}

const resetChecks = {
  // `checkFrom`.
  to: () => {},
  topics: checkNames,
  dryRun: checkBoolean,
}

/** Holds no state of its own: everything is asked at each call. */
export class GroupHandle implements Group {
  readonly name: string
  readonly #parts: GroupParts

  constructor(name: string, parts: GroupParts) {
    this.name = name
    this.#parts = parts
  }

  async describe(): Promise<GroupDescription> {
    const { offsets } = this.#parts
    await offsets.load()
    const coordinator = this.#parts.coordinator()
    const commits = offsets.offsetsOf(this.name)
    if (coordinator === undefined && commits.length === 0) throw new UnknownGroupError(this.name)
    return {
      name: this.name,
      state:
        coordinator === undefined ? 'empty' : coordinator.isSettling ? 'rebalancing' : 'stable',
      generation: coordinator?.generation ?? 0,
      members: coordinator?.members() ?? [],
      offsets: commits.map(commit => this.#describe(commit)).sort(inOrder),
    }
  }

  async resetOffsets(options: ResetOffsetsOptions): Promise<readonly OffsetReset[]> {
    checkOptions('group.resetOffsets', options, { checks: resetChecks })
    if (options.to === undefined) throw new TypeError('expected `to`: where the group is to go on')
    const to = checkFrom(options.to, 'to')
    const { offsets } = this.#parts
    await this.#prepare('reset offsets')
    const partitions = this.#partitionsOf(options.topics)
    const resets: OffsetReset[] = []
    for (const access of partitions) {
      const { topic, partition } = access.identity
      const from = offsets.committed(this.name, topic, partition)?.offset ?? null
      resets.push({ topic, partition, from, to: await resolveFrom(access, to) })
    }
    if (options.dryRun === true) return resets
    const commitTimestamp = this.#parts.log.environment.time.nowMs()
    await offsets.commit(this.name, () => {
      this.#assertEmpty()
      return resets.map(({ topic, partition, to: offset }, index): KeyedCommit => {
        if (this.#partition(topic, partition) !== partitions[index]) {
          throw new UnknownTopicOrPartitionError(topic, partition)
        }
        const value = { offset, leaderEpoch: -1, metadata: '', commitTimestamp }
        return { topic, partition, key: keyOf({ topic, partition }), value }
      })
    })
    return resets
  }

  async delete(): Promise<void> {
    await this.#prepare('delete a group')
    if (this.#parts.offsets.offsetsOf(this.name).length === 0) {
      throw new UnknownGroupError(this.name)
    }
    await this.#parts.offsets.forget(this.name, () => {
      this.#assertEmpty()
      return true
    })
  }

  async #prepare(operation: string): Promise<void> {
    const { log, offsets } = this.#parts
    if (log.isReadOnly) throw new ReadOnlyError(operation)
    await offsets.load()
    this.#assertEmpty()
  }

  #assertEmpty(): void {
    const members = this.#parts.coordinator()?.members().length ?? 0
    if (members > 0) throw new GroupNotEmptyError(this.name, members)
  }

  #describe({ topic, partition, value }: OffsetCommit): GroupOffset {
    const access = this.#partition(topic, partition)
    const { offset, metadata, commitTimestamp } = value
    return {
      topic,
      partition,
      offset,
      metadata,
      committedAt: new Date(commitTimestamp),
      lag: access === undefined ? null : Math.max(0, access.highWatermark - offset),
    }
  }

  #partitionsOf(topics: readonly string[] | undefined): readonly PartitionAccess[] {
    const committed = this.#parts.offsets.offsetsOf(this.name)
    if (topics === undefined) {
      if (committed.length === 0) throw new UnknownGroupError(this.name)
      return committed.toSorted(inOrder).flatMap(({ topic, partition }) => {
        return this.#partition(topic, partition) ?? []
      })
    }
    return topics.flatMap(topic => {
      const state = this.#parts.log.topic(topic)
      if (state === undefined) throw new UnknownTopicOrPartitionError(topic)
      return state.partitions
    })
  }

  #partition(topic: string, partition: number): PartitionAccess | undefined {
    return this.#parts.log.topic(topic)?.partitions[partition]
  }
}

async function resolveFrom(access: PartitionAccess, to: From): Promise<Offset> {
  const { highWatermark, logStartOffset } = access
  if (to === 'earliest') return logStartOffset
  if (to === 'latest') return highWatermark
  if (typeof to === 'object') {
    if ('last' in to) return await access.offsetOfLast(to.last)
    return (await access.offsetForTimestamp(Number(to.timestamp))) ?? highWatermark
  }
  if (to < logStartOffset || to > highWatermark) {
    const { topic, partition } = access.identity
    throw new RangeError(
      `expected an offset of ${topic}-${partition} from ${logStartOffset} to ${highWatermark}, got ${to}`,
    )
  }
  return to
}
