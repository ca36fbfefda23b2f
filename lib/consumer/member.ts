/** A consumer as the coordinator of its group has it: what it is given, and how it hands that back. */
import { ok } from 'node:assert/strict'

import type { AssignmentChange, CommittedOffset, TopicPartition } from '../consuming.ts'
import type { LogEvent } from '../events.ts'
import type { ExtensibleLog } from '../log/extension.ts'
import type { ResolvedReadOptions } from '../log/read-options.ts'
import type { From, Offset } from '../types.ts'
import { AssignedPartition } from './assigned-partition.ts'
import { keyOf, type Member } from './group-coordinator.ts'
import type { OffsetValue } from './offset-format.ts'
import type { KeyedCommit, OffsetStore } from './offset-store.ts'
import { PartitionSource } from './partition-source.ts'
import type { Subscription } from './subscription.ts'
import type { Usage } from './usage.ts'

/** Where a partition without a commit begins: by one rule, or by a list and else at the earliest record. */
export type ConsumerFrom = Exclude<From, number> | readonly CommittedOffset[]

/** What a member is made of. */
export interface MemberOptions {
  readonly id: string
  readonly group: string | null
  readonly log: ExtensibleLog
  /** Loaded, when there is a group. */
  readonly offsets: OffsetStore
  readonly subscription: Subscription
  readonly from: ConsumerFrom
  readonly read: ResolvedReadOptions
  readonly rebalanceTimeoutMs: number
}

/** A commit, and the partition that it is made for. */
export interface HeldCommit {
  readonly partition: AssignedPartition
  readonly value: OffsetValue
}

const eventTypes: Readonly<Record<AssignmentChange, LogEvent['type']>> = {
  assigned: 'partitionsAssigned',
  revoked: 'partitionsRevoked',
  lost: 'partitionsLost',
}

/** Calls come from the coordinator and from the consumer, in any order. */
export class ConsumerMember implements Member {
  readonly id: string
  readonly source: PartitionSource
  /** How the consumer is used now. */
  usage: Usage | null = null
  /** How long what is under way is waited for; closing has a time of its own. */
  timeoutMs: number
  readonly #options: MemberOptions
  /** Partitions that were there when the consumer was made: only they begin at `from`. */
  readonly #known = new Set<string>()
  readonly #commits = new Set<Promise<void>>()
  /** Partitions whose place to begin at is being looked up, and committed. */
  readonly #beginnings = new Map<AssignedPartition, Promise<void>>()
  readonly #untold: Record<'revoked' | 'lost', TopicPartition[]> = { revoked: [], lost: [] }
  /** Ends the wait for each partition that is being handed back. */
  readonly #giveUps = new Set<() => void>()
  readonly #listeners = new Map<
    AssignmentChange,
    Set<(partitions: readonly TopicPartition[]) => void>
  >()

  constructor(options: MemberOptions) {
    this.id = options.id
    this.timeoutMs = options.rebalanceTimeoutMs
    this.#options = options
    this.source = new PartitionSource(options.log.environment.clock)
    const { subscription, from } = options
    // The same for all, known or not.
    if (from === 'earliest') return
    for (const topic of subscription.names) {
      const { length } = subscription.find(topic)?.state.partitions ?? []
      for (let partition = 0; partition < length; partition++) {
        this.#known.add(keyOf({ topic, partition }))
      }
    }
  }

  topics(): readonly string[] {
    return this.#options.subscription.names
  }

  assign(partitions: readonly TopicPartition[]): void {
    const { subscription, read } = this.#options
    for (const { topic, partition } of partitions) {
      const found = subscription.find(topic)
      ok(found !== undefined, 'what is assigned was subscribed to')
      const { state, serializer } = found
      const assigned = new AssignedPartition({ state, partition, serializer, read })
      this.source.add(assigned)
      const begun = this.#begin(assigned)
      this.#beginnings.set(assigned, begun)
      void begun.then(() => this.#beginnings.delete(assigned))
    }
    this.#tell('assigned', partitions)
  }

  async revoke(of: TopicPartition): Promise<void> {
    const partition = this.source.find(of)
    if (partition === undefined) return
    partition.isEnding = true
    await this.#beginnings.get(partition)
    const isInOrder = await this.#ended(partition)
    if (!isInOrder) this.usage?.abandon(partition)
    // Whoever reads it next begins where it was committed.
    while (this.#commits.size > 0) await Promise.allSettled([...this.#commits])
    // It may be gone with its topic by now, and that has been told.
    if (this.source.find(of) !== partition) return
    this.source.remove(partition)
    this.#tellSoon(isInOrder ? 'revoked' : 'lost', of)
  }

  lose(partitions: readonly TopicPartition[]): void {
    for (const of of partitions) {
      this.#known.delete(keyOf(of))
      const partition = this.source.find(of)
      if (partition === undefined) continue
      partition.isEnding = true
      this.usage?.abandon(partition)
      this.source.remove(partition)
    }
    this.source.wake()
    this.#tell('lost', partitions)
  }

  /**
   * Commits offsets of partitions. Those that are not in hand any more when it comes to writing are
   * passed over, or told to `refuse`, which throws.
   */
  commit(
    commits: readonly HeldCommit[],
    refuse: (of: AssignedPartition) => void = () => {},
  ): Promise<void> {
    const { group, offsets } = this.#options
    ok(group !== null)
    const written = offsets.commit(group, () => {
      const kept: KeyedCommit[] = []
      for (const { partition: held, value } of commits) {
        const { topic, partition, key } = held
        if (this.source.has(held) && held.state.isUsable)
          kept.push({ topic, partition, key, value })
        else refuse(held)
      }
      return kept
    })
    // Calls that share a write have one promise.
    if (!this.#commits.has(written)) {
      const forget = (): void => {
        this.#commits.delete(written)
      }
      this.#commits.add(written)
      written.then(forget, forget)
    }
    return written
  }

  /** What is committed, as it is stored. */
  valueOf(offset: Offset, metadata: string = ''): OffsetValue {
    const commitTimestamp = this.#options.log.environment.time.nowMs()
    return { offset, leaderEpoch: -1, metadata, commitTimestamp }
  }

  /** Hears what becomes of partitions. */
  on(
    change: AssignmentChange,
    listener: (partitions: readonly TopicPartition[]) => void,
  ): () => void {
    const listeners = this.#listeners.get(change) ?? new Set()
    this.#listeners.set(change, listeners)
    // One of its own for each call: the same function may be added twice.
    const own = (partitions: readonly TopicPartition[]): void => listener(partitions)
    listeners.add(own)
    return () => {
      listeners.delete(own)
    }
  }

  /** Finds where the partition begins, and gives it its turn. What goes wrong is heard by whoever reads it. */
  async #begin(partition: AssignedPartition): Promise<void> {
    const { group, offsets, log } = this.#options
    try {
      const committed =
        group === null ? undefined : offsets.committed(group, partition.topic, partition.partition)
      const from = committed?.offset ?? this.#startOf(partition)
      const offset = await partition.seek(from)
      if (group !== null && committed === undefined && from !== 'earliest' && !log.isReadOnly) {
        // Otherwise whoever gets the partition after this one would begin at another place, and records
        // in between would be read by nobody.
        await this.commit([{ partition, value: this.valueOf(offset) }])
      }
    } catch (error) {
      if (!partition.state.isUsable) return
      partition.fail(error)
    }
    this.source.enqueue(partition)
  }

  #startOf(partition: AssignedPartition): From {
    const { from } = this.#options
    const key = keyOf(partition)
    if (typeof from === 'object' && !('timestamp' in from) && !('last' in from)) {
      const given = from.find(offset => keyOf(offset) === key)
      return this.#known.has(key) && given !== undefined ? given.offset : 'earliest'
    }
    return this.#known.has(key) ? from : 'earliest'
  }

  /** False when it took too long. */
  async #ended(partition: AssignedPartition): Promise<boolean> {
    const ended = (this.usage?.end(partition) ?? Promise.resolve()).then(() => true)
    let giveUp = (): void => {}
    const tooLate = new Promise<boolean>(resolve => {
      giveUp = () => resolve(false)
    })
    const { clock } = this.#options.log.environment
    const { timeoutMs } = this
    const timer = timeoutMs === -1 ? null : clock.setTimer(timeoutMs, giveUp, { keepAlive: true })
    this.#giveUps.add(giveUp)
    try {
      return await Promise.race([ended, tooLate])
    } finally {
      timer?.cancel()
      this.#giveUps.delete(giveUp)
    }
  }

  /** What is still waited for is lost now. */
  giveUp(): void {
    for (const giveUp of [...this.#giveUps]) giveUp()
  }

  /** What is handed back in the same turn is told together, and before anybody else gets it. */
  #tellSoon(change: 'revoked' | 'lost', of: TopicPartition): void {
    const waiting = this.#untold[change]
    waiting.push(of)
    if (waiting.length > 1) return
    queueMicrotask(() => this.#tell(change, waiting.splice(0)))
  }

  #tell(change: AssignmentChange, partitions: readonly TopicPartition[]): void {
    const { log, group } = this.#options
    const type = eventTypes[change]
    log.events.emit({ type, group, member: this.id, partitions } as LogEvent)
    for (const listener of [...(this.#listeners.get(change) ?? [])]) {
      try {
        listener(partitions)
      } catch (error) {
        const warning = new Error(`a listener of ${change} partitions threw`, { cause: error })
        warning.name = 'ListenerWarning'
        process.emitWarning(warning)
      }
    }
  }
}
