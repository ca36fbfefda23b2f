/** The consumers and groups of one open log. */
import { checkName } from '../checks.ts'
import type { Timer } from '../clock.ts'
import type { Consumer, ConsumerOptions, Group } from '../consuming.ts'
import { ClosedError, ReadOnlyError, UnknownTopicOrPartitionError } from '../errors.ts'
import type { ExtensibleLog } from '../log/extension.ts'
import { checkIsNotInternal } from '../log/internal-topics.ts'
import { TopicHandle } from '../log/topic.ts'
import type { TopicState } from '../log/topic-state.ts'
import { MemberConsumer } from './consumer.ts'
import {
  type ResolvedConsumerOptions,
  type ResolvedRunOptions,
  resolveConsumerOptions,
} from './consumer-options.ts'
import { DeadLetters } from './dead-letters.ts'
import { GroupHandle } from './group.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import { ConsumerMember } from './member.ts'
import { expireOffsets } from './offset-expiry.ts'
import { OffsetStore, offsetsTopic, offsetsTopicConfig } from './offset-store.ts'
import { Subscription } from './subscription.ts'
import { TopicIndex } from './topic-index.ts'

/** Offsets that expire are looked for this often at least, in ms. */
const longestExpiryIntervalMs = 600_000

/** One for each open log. Calls may overlap. */
export class Consumers {
  readonly offsets: OffsetStore
  readonly #log: ExtensibleLog
  readonly #index: TopicIndex
  readonly #coordinators = new Map<string, GroupCoordinator>()
  /** When the last member of a group left, in engine time. */
  readonly #emptySince = new Map<string, number>()
  readonly #openedMs: number
  readonly #open = new Map<
    MemberConsumer<unknown, unknown>,
    { readonly subscription: Subscription; readonly coordinator: GroupCoordinator }
  >()
  #stopFollowing: (() => void) | null = null
  #expiryTimer: Timer | null = null
  #lastId = 0
  #isClosing = false

  constructor(log: ExtensibleLog) {
    this.#log = log
    this.#index = new TopicIndex(log)
    this.#openedMs = log.environment.time.nowMs()
    this.offsets = new OffsetStore({
      find: () => log.topic(offsetsTopic),
      create: () =>
        log.openTopic({
          name: offsetsTopic,
          partitions: log.options.offsetsTopicPartitions,
          config: offsetsTopicConfig,
        }),
    })
    if (!log.isReadOnly) this.#scheduleExpiry()
  }

  /** Makes a consumer; with a group it is a member from here on. */
  async consumer<K, V>(given: ConsumerOptions<K, V>): Promise<Consumer<K, V>> {
    const options = resolveConsumerOptions(given as ConsumerOptions)
    const { group, signal } = options
    signal?.throwIfAborted()
    if (group !== null) {
      if (this.#log.isReadOnly) throw new ReadOnlyError(`join group ${group}`)
      await this.offsets.load()
      signal?.throwIfAborted()
    }
    if (this.#isClosing) throw new ClosedError()
    // From here on without a pause: what changes is heard.
    if (this.#stopFollowing === null) this.#follow()
    try {
      return this.#join(options, new Subscription(given.topics, this.#index)) as Consumer<K, V>
    } finally {
      this.#unfollowIfUnused()
    }
  }

  /** Names of the groups with members or commits, sorted. */
  async groups(): Promise<readonly string[]> {
    await this.offsets.load()
    return [...new Set([...this.offsets.groups(), ...this.#coordinators.keys()])].sort()
  }

  /** A handle; the group need not exist. */
  group(name: string): Group {
    checkName('name', name)
    return new GroupHandle(name, {
      log: this.#log,
      offsets: this.offsets,
      coordinator: () => this.#coordinators.get(name),
    })
  }

  /** What the group committed of a partition; null when nothing. */
  async consumedOffset(
    group: string,
    of: { readonly topic: string; readonly partition: number },
  ): Promise<number | null> {
    await this.offsets.load()
    return this.offsets.committed(group, of.topic, of.partition)?.offset ?? null
  }

  /** Closes every consumer. Null when there is none, and nothing is being written. */
  close(giveUp: AbortSignal): Promise<void> | null {
    this.#isClosing = true
    this.#expiryTimer?.cancel()
    const consumers = [...this.#open.keys()]
    const endAll = (): void => {
      for (const consumer of consumers) consumer.giveUp()
    }
    giveUp.addEventListener('abort', endAll, { once: true })
    const closed = consumers.map(consumer => consumer.close())
    if (closed.length === 0 && !this.offsets.isWriting) return null
    return this.#settle(closed)
  }

  async #settle(closed: readonly Promise<void>[]): Promise<void> {
    const outcomes = await Promise.allSettled(closed)
    await this.offsets.settled()
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  #join(
    options: ResolvedConsumerOptions,
    subscription: Subscription,
  ): MemberConsumer<unknown, unknown> {
    const { group, from, read, rebalanceTimeoutMs } = options
    const log = this.#log
    const coordinator = this.#coordinatorOf(group)
    const id = `${group ?? 'consumer'}-${++this.#lastId}`
    const { offsets } = this
    const member = new ConsumerMember({
      id,
      group,
      log,
      offsets,
      subscription,
      from,
      read,
      rebalanceTimeoutMs,
    })
    const consumer = new MemberConsumer<unknown, unknown>({
      member,
      coordinator,
      options,
      environment: log.environment,
      openDeadLetters: run => this.#openDeadLetters(run, subscription),
      onCommitFailure: error => this.#failed(`committing offsets of group ${group}`, error),
      onClosed: () => this.#closed(consumer, group),
    })
    this.#open.set(consumer, { subscription, coordinator })
    coordinator.join(member, options.assignor)
    return consumer
  }

  #coordinatorOf(group: string | null): GroupCoordinator {
    const known = group === null ? undefined : this.#coordinators.get(group)
    if (known !== undefined) return known
    const coordinator = new GroupCoordinator({
      partitionCount: topic => this.#index.topic(topic)?.partitions.length ?? 0,
      onAssignorFailure: error => this.#failed(`assigning the partitions of group ${group}`, error),
    })
    if (group !== null) this.#coordinators.set(group, coordinator)
    return coordinator
  }

  #closed(consumer: MemberConsumer<unknown, unknown>, group: string | null): void {
    this.#open.delete(consumer)
    if (group !== null && this.#coordinators.get(group)?.isEmpty === true) {
      this.#coordinators.delete(group)
      this.#emptySince.set(group, this.#log.environment.time.nowMs())
    }
    this.#unfollowIfUnused()
  }

  #follow(): void {
    this.#stopFollowing = this.#log.onTopicsChanged(() => this.#topicsChanged())
    this.#topicsChanged()
  }

  #unfollowIfUnused(): void {
    if (this.#open.size > 0) return
    this.#stopFollowing?.()
    this.#stopFollowing = null
  }

  #topicsChanged(): void {
    this.#index.refresh(() => {
      for (const { subscription } of this.#open.values()) subscription.refresh()
      for (const coordinator of new Set(
        [...this.#open.values()].map(({ coordinator }) => coordinator),
      )) {
        coordinator.rebalance()
      }
    })
  }

  async #openDeadLetters(
    { deadLetterTopic }: ResolvedRunOptions,
    subscription: Subscription,
  ): Promise<DeadLetters | null> {
    if (deadLetterTopic === undefined) return null
    const state = await this.#deadLetterState(deadLetterTopic)
    if (subscription.matches(state.name)) {
      throw new TypeError(
        `the dead-letter topic ${state.name} is one of the topics that are read: its records would come back for ever`,
      )
    }
    return new DeadLetters(new TopicHandle(state))
  }

  async #deadLetterState(given: unknown): Promise<TopicState> {
    if (this.#log.isReadOnly) throw new ReadOnlyError('append dead letters')
    if (typeof given === 'string') {
      checkIsNotInternal(given)
      return await this.#log.openTopic({ name: given, partitions: 1, config: {} })
    }
    const state = TopicHandle.partsOf(given)?.state
    if (state === undefined) {
      throw new TypeError('expected `deadLetterTopic` to be the name or the handle of a topic')
    }
    if (this.#log.topic(state.name) !== state) throw new UnknownTopicOrPartitionError(state.name)
    return state
  }

  #scheduleExpiry(): void {
    const { environment, options } = this.#log
    const { offsetsRetentionMs } = options
    if (offsetsRetentionMs === -1) return
    const delayMs = Math.min(offsetsRetentionMs, longestExpiryIntervalMs)
    this.#expiryTimer = environment.clock.setTimer(delayMs, () => {
      this.#scheduleExpiry()
      void this.#expire(offsetsRetentionMs)
    })
  }

  async #expire(retentionMs: number): Promise<void> {
    try {
      await expireOffsets(this.offsets, {
        beforeMs: this.#log.environment.time.nowMs() - retentionMs,
        // Of a group that nobody has joined since opening it is not known when it became empty.
        emptySinceMs: group =>
          this.#coordinators.has(group) ? null : (this.#emptySince.get(group) ?? this.#openedMs),
      })
    } catch (error) {
      this.#failed('expiring committed offsets', error as Error)
    }
  }

  #failed(what: string, error: Error): void {
    this.#log.events.emit({ type: 'backgroundFailed', what, error })
  }
}
