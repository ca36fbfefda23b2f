/** A consumer as users hold it. */
import { checkFunction, checkMs, checkOffset, checkOptions, checkSignal } from '../checks.ts'
import type {
  AssignmentChange,
  CommittedOffset,
  Consumer,
  Lag,
  RecordHandler,
  RunOptions,
  TopicPartition,
} from '../consuming.ts'
import { ClosedError, NotAssignedError, UnknownTopicOrPartitionError } from '../errors.ts'
import { checkFrom } from '../log/read-options.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import type { From, LogRecord, RecordBatch } from '../types.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { inOrder } from './assignor.ts'
import { AutoCommit } from './auto-commit.ts'
import {
  checkCommittedOffsets,
  checkPartitions,
  type ResolvedConsumerOptions,
  type ResolvedRunOptions,
  resolveRunOptions,
} from './consumer-options.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { GroupCoordinator } from './group-coordinator.ts'
import { lagOf } from './lag.ts'
import type { ConsumerMember, HeldCommit } from './member.ts'
import { PollUsage } from './poll-usage.ts'
import { RunLoop } from './run-loop.ts'

/** What a consumer is made of. */
export interface ConsumerParts {
  readonly member: ConsumerMember
  readonly coordinator: GroupCoordinator
  readonly options: ResolvedConsumerOptions
  readonly environment: StorageEnvironment
  readonly openDeadLetters: (options: ResolvedRunOptions) => Promise<DeadLetters | null>
  /** A commit that nobody waits for failed. */
  readonly onCommitFailure: (error: Error) => void
  /** Called once, when nothing of the consumer is left. */
  readonly onClosed: () => void
}

const pollChecks = { maxWaitMs: checkMs, signal: checkSignal }

type Mode = 'run()' | 'poll()' | 'iteration'

/** The face of a member. */
export class MemberConsumer<K = Buffer, V = Buffer> implements Consumer<K, V> {
  readonly id: string
  readonly group: string | null
  readonly #parts: ConsumerParts
  readonly #member: ConsumerMember
  readonly #polls: PollUsage
  #loop: RunLoop | null = null
  #mode: Mode | null = null
  #closing: Promise<void> | null = null
  /** Why it was closed, where that is for pending calls to tell. */
  #ending: { readonly error: unknown } | null = null
  #commitFailure: { readonly error: unknown } | null = null
  #stopListening: () => void = () => {}

  constructor(parts: ConsumerParts) {
    const { member, options } = parts
    this.id = member.id
    this.group = options.group
    this.#parts = parts
    this.#member = member
    this.#polls = new PollUsage(member.source)
    member.usage = this.#polls
    this.#stopListening = this.#hear(options.signal)
  }

  get assignment(): readonly TopicPartition[] {
    return this.#held()
      .map(({ topic, partition }) => ({ topic, partition }))
      .sort(inOrder)
  }

  async run(handler: RecordHandler<K, V>, options?: RunOptions): Promise<void> {
    checkFunction('handler', handler)
    const resolved = resolveRunOptions(options)
    resolved.signal?.throwIfAborted()
    const release = this.#claim('run()')
    const unhear = this.#hear(resolved.signal)
    try {
      await this.#run(handler as RecordHandler<unknown, unknown>, resolved)
    } finally {
      unhear()
      release()
    }
    if (this.#ending !== null) throw this.#ending.error
  }

  async poll(
    options: {
      readonly maxWaitMs?: number | undefined
      readonly signal?: AbortSignal | undefined
    } = {},
  ): Promise<readonly RecordBatch<K, V>[]> {
    checkOptions('consumer.poll', options, { checks: pollChecks })
    const { signal, maxWaitMs = this.#parts.options.maxWaitMs } = options
    signal?.throwIfAborted()
    const release = this.#claim('poll()')
    const wake = (): void => this.#member.source.wake()
    signal?.addEventListener('abort', wake)
    try {
      const isOver = (): boolean => {
        signal?.throwIfAborted()
        return this.#isOver()
      }
      const maxBatches = Number.POSITIVE_INFINITY
      return await this.#next({ maxBatches, maxWaitMs, isOver })
    } finally {
      signal?.removeEventListener('abort', wake)
      release()
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<RecordBatch<K, V>> {
    const release = this.#claim('iteration')
    let isPending = false
    let isDone = false
    const end = (): IteratorReturnResult<undefined> => {
      if (!isDone) release()
      isDone = true
      return { value: undefined, done: true }
    }
    return {
      [Symbol.asyncIterator]() {
        return this
      },
      next: async () => {
        if (isPending) throw new TypeError('a next() of this iterator is pending already')
        if (isDone) return end()
        isPending = true
        try {
          const isOver = (): boolean => isDone || this.#isOver()
          const [batch] = await this.#next({ maxBatches: 1, maxWaitMs: -1, isOver })
          return batch === undefined ? end() : { value: batch, done: false }
        } catch (error) {
          end()
          throw error
        } finally {
          isPending = false
        }
      },
      return: async () => {
        const result = end()
        this.#polls.done()
        this.#member.source.wake()
        return result
      },
    }
  }

  commit(upTo: LogRecord<K, V> | RecordBatch<K, V> | readonly CommittedOffset[]): Promise<void> {
    // Not an async function, which would cost more than all the rest. A promise for each call: those that
    // share a write share its promise, and each has to tell of a failure that nobody hears.
    try {
      return this.#commit(upTo).then(nothing)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #commit(upTo: unknown): Promise<void> {
    const { group } = this
    if (group === null) {
      throw new TypeError('a consumer without a group has nowhere to commit to: keep `position()`')
    }
    const offsets = offsetsOf(upTo)
    if (this.#closing !== null && this.#held().length === 0) throw new ClosedError('the consumer')
    const commits = offsets.map((of): HeldCommit => {
      const { topic, partition, offset, metadata } = of
      const held = this.#find(of)
      const highWatermark = held.access?.highWatermark ?? 0
      if (offset > highWatermark) {
        throw new RangeError(
          `expected the offset of ${topic}-${partition} to be at most its high watermark, ${highWatermark}, got ${offset}`,
        )
      }
      return { partition: held, value: this.#member.valueOf(offset, metadata) }
    })
    return this.#member.commit(commits, of => {
      throw new NotAssignedError(of, group)
    })
  }

  async seek(to: From, partitions?: readonly TopicPartition[]): Promise<void> {
    this.#assertOpen()
    // Everywhere else the beginning is the default; here a value that is missing would rewind a group.
    if (to === undefined) throw new TypeError('expected `to`: where to go on')
    const from = checkFrom(to, 'to')
    const held = this.#select(partitions)
    if (typeof from === 'number' && held.length !== 1) {
      throw new TypeError(
        `an offset is of one partition, and ${held.length} are meant: name it as the second argument`,
      )
    }
    await Promise.all(held.map(partition => partition.seek(from)))
    for (const partition of held) this.#member.source.enqueue(partition)
  }

  pause(of?: readonly TopicPartition[]): void {
    this.#assertOpen()
    for (const partition of this.#select(of)) partition.isPaused = true
  }

  resume(of?: readonly TopicPartition[]): void {
    this.#assertOpen()
    for (const partition of this.#select(of)) {
      partition.isPaused = false
      this.#member.source.enqueue(partition)
    }
    this.#loop?.resumed()
  }

  position(): readonly CommittedOffset[] {
    const known = this.#held().flatMap(({ topic, partition, position }) =>
      position === null ? [] : { topic, partition, offset: position },
    )
    return known.sort(inOrder)
  }

  async lag(): Promise<readonly Lag[]> {
    this.#assertOpen()
    const lags: Lag[] = []
    for (const held of this.#held()) {
      const { access, position, prefix } = held
      if (access === undefined || position === null) continue
      const behind = this.#loop === null ? position : prefix.offset
      try {
        lags.push(await lagOf(access, behind, this.#parts.environment))
      } catch (error) {
        if (held.state.isUsable) throw error
      }
    }
    return lags
  }

  on(
    change: AssignmentChange,
    listener: (partitions: readonly TopicPartition[]) => void,
  ): () => void {
    checkFunction('listener', listener)
    return this.#member.on(change, listener)
  }

  /**
   * Fires the handlers' signals, waits for them, commits what is finished under `run()`, and leaves the
   * group. Idempotent. A handler must not wait for it: it would wait for itself.
   */
  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    if (this.#closing !== null) return this.#closing
    try {
      checkOptions('consumer.close', options, { checks: { timeoutMs: checkMs } })
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closing = this.#close(options.timeoutMs ?? -1)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What is still waited for is given up. */
  giveUp(): void {
    this.#member.giveUp()
  }

  async #run(handler: RecordHandler<unknown, unknown>, run: ResolvedRunOptions): Promise<void> {
    const { member, environment, openDeadLetters, options } = this.#parts
    const deadLetters = await openDeadLetters(run)
    if (this.#closing !== null) return await this.#closing
    const autoCommit = run.autoCommit && this.group !== null ? this.#autoCommit(run) : null
    const loop = new RunLoop({
      source: member.source,
      clock: environment.clock,
      handler,
      concurrency: run.concurrency,
      retry: run.retry,
      group: this.group,
      autoCommit,
      deadLetters,
      onCommitFailure: error => {
        this.#commitFailure ??= { error }
      },
    })
    this.#polls.done()
    this.#loop = loop
    member.usage = loop
    try {
      await loop.run()
    } catch (error) {
      this.#ending ??= { error }
    }
    try {
      await this.close({ timeoutMs: options.rebalanceTimeoutMs })
    } finally {
      autoCommit?.stop()
    }
  }

  #autoCommit(run: ResolvedRunOptions): AutoCommit {
    const { environment, onCommitFailure } = this.#parts
    return new AutoCommit({
      clock: environment.clock,
      intervalMs: run.autoCommitIntervalMs,
      commit: async offsets => {
        const commits = [...offsets].map(
          ([partition, offset]): HeldCommit => ({ partition, value: this.#member.valueOf(offset) }),
        )
        await this.#member.commit(commits)
      },
      onFailure: onCommitFailure,
    })
  }

  async #next(of: {
    readonly maxBatches: number
    readonly maxWaitMs: number
    readonly isOver: () => boolean
  }): Promise<readonly RecordBatch<K, V>[]> {
    const { environment, options } = this.#parts
    this.#member.usage = this.#polls
    const monotonicMs = (): number => environment.clock.monotonicMs()
    const { maxRecords } = options
    const batches = await this.#polls.next({ ...of, maxRecords, monotonicMs })
    return batches as readonly RecordBatch<K, V>[]
  }

  /** Whether it was closed. @throws what it was closed by */
  #isOver(): boolean {
    if (this.#ending !== null) throw this.#ending.error
    return this.#closing !== null
  }

  async #close(timeoutMs: number): Promise<void> {
    const { coordinator, environment, onClosed } = this.#parts
    this.#stopListening()
    this.#loop?.stop()
    this.#polls.done()
    this.#member.source.wake()
    this.#member.timeoutMs = -1
    const late = (): void => this.#member.giveUp()
    const timer =
      timeoutMs === -1 ? null : environment.clock.setTimer(timeoutMs, late, { keepAlive: true })
    await coordinator.leave(this.#member)
    timer?.cancel()
    this.#member.source.rest()
    onClosed()
    if (this.#commitFailure !== null) throw this.#commitFailure.error
  }

  /** Leaves when the signal fires; returns what ends that. */
  #hear(signal: AbortSignal | undefined): () => void {
    if (signal === undefined) return () => {}
    const abort = (): void => {
      this.#ending ??= { error: signal.reason }
      // What goes wrong is heard by whoever uses the consumer, and by `close()`.
      this.close({ timeoutMs: this.#parts.options.rebalanceTimeoutMs }).catch(() => {})
    }
    signal.addEventListener('abort', abort, { once: true })
    return () => signal.removeEventListener('abort', abort)
  }

  #claim(mode: Mode): () => void {
    this.#isOver()
    this.#assertOpen()
    if (this.#mode !== null) {
      throw new TypeError(`the consumer is used by ${this.#mode} and cannot be used by ${mode}`)
    }
    this.#mode = mode
    return () => {
      this.#mode = null
    }
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new ClosedError('the consumer')
  }

  #held(): readonly AssignedPartition[] {
    return this.#member.source.partitions
  }

  #select(of: readonly TopicPartition[] | undefined): readonly AssignedPartition[] {
    if (of === undefined) return this.#held()
    return checkPartitions('partitions', of).map(partition => this.#find(partition))
  }

  #find(of: TopicPartition): AssignedPartition {
    const held = this.#member.source.find(of)
    if (held !== undefined) return held
    if (this.group !== null) throw new NotAssignedError(of, this.group)
    throw new UnknownTopicOrPartitionError(of.topic, of.partition)
  }
}

function nothing(): void {}

function offsetsOf(upTo: unknown): readonly Required<CommittedOffset>[] {
  if (Array.isArray(upTo)) return checkCommittedOffsets('offsets', upTo)
  const given = upTo as Partial<RecordBatch & LogRecord> | null
  const isNamed = typeof given === 'object' && given !== null && typeof given.topic === 'string'
  const offset = given?.nextOffset ?? (given?.offset === undefined ? undefined : given.offset + 1)
  if (!isNamed || offset === undefined) {
    throw new TypeError('expected a record, a batch, or an array of { topic, partition, offset }')
  }
  checkOffset('offset', offset)
  const { topic = '', partition = 0 } = given
  return [{ topic, partition, offset, metadata: '' }]
}
