/**
 * A log beside its writer, which may be another process. Takes no lock and writes nothing. What there
 * is and how far it may be read is learnt from the catalog and the slots, looked at again by
 * `topics()`, `topic()`, `describe()` and, as long as a live reader waits, whenever the directory
 * changes.
 */

import { ok } from 'node:assert/strict'

import { checkMs, checkOptions } from '../checks.ts'
import type { Consumer, ConsumerOptions, Group } from '../consuming.ts'
import {
  ClosedError,
  ReadOnlyError,
  TopicMismatchError,
  UnknownTopicOrPartitionError,
} from '../errors.ts'
import type { LogEvent } from '../events.ts'
import type { LockKind } from '../files/files.ts'
import { checkTopicOptions } from '../options.ts'
import type { Producer, ProducerOptions } from '../producing.ts'
import { partitionDirName } from '../storage/topic-name.ts'
import type {
  Log,
  LogDescription,
  Metrics,
  RecoveryReport,
  RetentionReport,
  SweepReport,
  Topic,
  TopicOptions,
} from '../types.ts'
import type { RepairReport, VerifyOptions, VerifyReport } from '../verification.ts'
import { planDirectories } from './adopt-directories.ts'
import { metricsOf, totalSizeBytes } from './describe.ts'
import { DirectoryFollowers } from './directory-followers.ts'
import type { LogExtension } from './extension.ts'
import { type ForeignOwner, ForeignTopic, type VisibleRange } from './foreign-topic.ts'
import { listedTopics } from './internal-topics.ts'
import type { Opening } from './opening.ts'
import {
  type DirectoryState,
  partitionDirectories,
  readDirectoryState,
} from './recover-directory.ts'
import { TopicHandle } from './topic.ts'
import { type CatalogTopic, formatVersion } from './topic-catalog.ts'
import { checkVerifyOptions, verifyLog } from './verify-log.ts'
import { slotKey } from './visible-slots.ts'

/** How often the files are read when a slot is missing, before the checkpoint has to do. */
const maxLooks = 3

const lockReason = 'a log that is open for reading only takes no lock'

/**
 * Opens a directory for reading only.
 *
 * @throws {NotALogError} when it holds something that is not a log
 * @throws {StorageError} when it is not there, or cannot be read
 */
export async function openReadOnlyLog(opening: Opening): Promise<Log> {
  const log = new ReadOnlyLog(opening)
  await log.extend()
  return log
}

class ReadOnlyLog implements Log, ForeignOwner {
  readonly dir: string
  readonly lockKind: LockKind = 'none'
  readonly recovery: RecoveryReport
  readonly #opening: Opening
  readonly #topics = new Map<string, ForeignTopic>()
  readonly #whenTopicsChanged = new Set<() => void>()
  /** Topics and partitions at the last look; another text when any have come or gone. */
  #shape = ''
  readonly #followers: DirectoryFollowers
  /** Set before anybody sees the log. */
  #extension: LogExtension | null = null
  #isClosing = false
  #closing: Promise<void> | null = null
  /** Ends the topics when what runs on the log has ended. */
  #isOpen = true

  constructor(opening: Opening) {
    const { clock } = opening.environment
    const startMs = clock.monotonicMs()
    this.dir = opening.name
    this.#opening = opening
    this.#followers = new DirectoryFollowers(opening, () => this.refresh())
    const state = this.#look()
    this.#take(state)
    this.recovery = {
      clean: state.wasClean,
      durationMs: clock.monotonicMs() - startMs,
      partitions: [],
      adoptedTopics: [],
      strayDirectories: [],
    }
  }

  #extended(): LogExtension {
    this.#assertOpen()
    ok(this.#extension !== null)
    return this.#extension
  }

  #onTopicsChanged(callback: () => void): () => void {
    this.#whenTopicsChanged.add(callback)
    const unfollow = this.follow()
    return () => {
      this.#whenTopicsChanged.delete(callback)
      unfollow()
    }
  }

  /** Makes what is built on the log. */
  async extend(): Promise<void> {
    const { path, options, environment, events, extend } = this.#opening
    this.#extension = await extend({
      dir: path,
      isReadOnly: true,
      options,
      environment,
      events,
      useConsumedOffsets: () => {},
      topic: name => {
        this.refresh()
        return this.#topics.get(name)
      },
      topics: () => {
        this.refresh()
        return [...this.#topics.values()]
      },
      largestProducerId: () => -1,
      openTopic: async ({ name }) => {
        this.refresh()
        const topic = this.#topics.get(name)
        if (topic === undefined) throw new ReadOnlyError(`create topic ${name}`)
        return topic
      },
      onTopicsChanged: callback => this.#onTopicsChanged(callback),
    })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get state(): Log['state'] {
    return this.#isClosing ? 'closed' : 'ok'
  }

  async consumer<K = Buffer, V = Buffer>(options: ConsumerOptions<K, V>): Promise<Consumer<K, V>> {
    return await this.#extended().consumer(options)
  }

  async groups(): Promise<readonly string[]> {
    return await this.#extended().groups()
  }

  group(name: string): Group {
    return this.#extended().group(name)
  }

  async topic<K = Buffer, V = Buffer>(
    name: string,
    options?: TopicOptions<K, V>,
  ): Promise<Topic<K, V>> {
    this.#assertOpen()
    const checked = checkTopicOptions(options)
    if (Object.keys(checked.config).length > 0) throw new ReadOnlyError(`configure topic ${name}`)
    this.refresh()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new UnknownTopicOrPartitionError(name)
    const { partitions } = checked
    if (partitions !== null && partitions !== topic.partitions.length) {
      throw new TopicMismatchError(name, topic.partitions.length, partitions)
    }
    return new TopicHandle(topic, checked)
  }

  async createTopic<K = Buffer, V = Buffer>(name: string): Promise<Topic<K, V>> {
    this.#assertOpen()
    throw new ReadOnlyError(`create topic ${name}`)
  }

  async deleteTopic(name: string): Promise<void> {
    this.#assertOpen()
    throw new ReadOnlyError(`delete topic ${name}`)
  }

  async topics(
    options: { readonly internal?: boolean | undefined } = {},
  ): Promise<readonly string[]> {
    this.#assertOpen()
    this.refresh()
    return listedTopics(this.#topics.keys(), options)
  }

  async describe(): Promise<LogDescription> {
    const names = await this.topics({ internal: true })
    const topics = names.flatMap(name => this.#topics.get(name)?.description() ?? [])
    return {
      dir: this.dir,
      state: this.state,
      readOnly: true,
      formatVersion,
      lock: { kind: this.lockKind, reason: lockReason },
      sizeBytes: totalSizeBytes(topics),
      topics,
    }
  }

  async producer(options?: ProducerOptions): Promise<Producer> {
    this.#assertOpen()
    return await (this.#extension as LogExtension).producer(options)
  }

  async explainRetention(): Promise<readonly RetentionReport[]> {
    this.#assertOpen()
    throw new ReadOnlyError('explain retention')
  }

  async sweep(): Promise<SweepReport> {
    this.#assertOpen()
    throw new ReadOnlyError('sweep')
  }

  metrics(): Metrics {
    const partitions = [...this.#topics.values()].flatMap(topic => topic.partitions)
    const log = { topics: this.#topics.size, partitions, state: this.state }
    return metricsOf(this.#opening.environment, log)
  }

  /** There is nothing of this process to flush. */
  async flush(): Promise<void> {
    this.#assertOpen()
  }

  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    this.#assertOpen()
    checkVerifyOptions('verify', options)
    const { environment, files, path } = this.#opening
    const isOpen = (): boolean => !this.#isClosing
    const log = {
      environment,
      files,
      dir: path,
      topics: () => [...this.#topics.values()],
      refresh: () => this.refresh(),
      isOpen,
    }
    const { report } = await verifyLog(log, options)
    return report
  }

  async repair(): Promise<RepairReport> {
    this.#assertOpen()
    throw new ReadOnlyError('repair')
  }

  on<T extends LogEvent['type']>(
    type: T,
    listener: (event: Extract<LogEvent, { type: T }>) => void,
  ): () => void {
    return this.#opening.events.on(type, listener)
  }

  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    checkOptions('close', options, { checks: { timeoutMs: checkMs } })
    this.#closing ??= this.#close(options.timeoutMs ?? -1)
    await this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  refresh(): void {
    this.#take(this.#look())
  }

  follow(): () => void {
    return this.#followers.follow()
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#isClosing = true
    const giveUp = new AbortController()
    const ended = this.#extension?.close(giveUp.signal) ?? null
    let failure: { readonly error: unknown } | null = null
    if (ended !== null) {
      const { clock } = this.#opening.environment
      const late = (): void => giveUp.abort()
      const timer = timeoutMs === -1 ? null : clock.setTimer(timeoutMs, late, { keepAlive: true })
      await ended.catch(error => {
        failure = { error }
      })
      timer?.cancel()
    }
    this.#isOpen = false
    for (const topic of this.#topics.values()) topic.end(false)
    this.#followers.end()
    this.#opening.environment.handles.forgetAll('')
    this.#opening.events.emit({ type: 'stateChanged', state: 'closed' })
    if (failure !== null) throw (failure as { readonly error: unknown }).error
  }

  #assertOpen(): void {
    if (this.#isClosing) throw new ClosedError()
  }

  /** Reads again when a slot could not be read: a write of it that is under way takes no time. */
  #look(): DirectoryState {
    const { files, path } = this.#opening
    let state = readDirectoryState(files, path)
    for (let look = 1; look < maxLooks && isSlotMissing(state); look++) {
      state = readDirectoryState(files, path)
    }
    return state
  }

  #take(state: DirectoryState): void {
    const catalog = state.catalog?.topics ?? this.#topicsByDirectories()
    for (const [name, topic] of this.#topics) {
      if (catalog.get(name)?.id === topic.id) continue
      this.#topics.delete(name)
      topic.end(true)
    }
    for (const topic of catalog.values()) {
      const open = this.#topics.get(topic.name) ?? new ForeignTopic(topic, this.#opening, this)
      open.update(topic, partition => visibleOf(state, topic, partition))
      this.#topics.set(topic.name, open)
    }
    const shape = [...this.#topics.values()].map(
      ({ id, partitions }) => `${id}:${partitions.length}`,
    )
    if (shape.join() === this.#shape) return
    this.#shape = shape.join()
    for (const callback of [...this.#whenTopicsChanged]) callback()
  }

  /** Without a catalog, as the next writer would adopt them; those known already keep their ids. */
  #topicsByDirectories(): ReadonlyMap<string, CatalogTopic> {
    const { files, path } = this.#opening
    const unnamed = 'unnamed'
    const { topics } = planDirectories(null, partitionDirectories(files, path), () => unnamed)
    return topics
  }
}

function isSlotMissing(state: DirectoryState): boolean {
  if (state.catalog === null) return false
  for (const { id, partitions } of state.catalog.topics.values()) {
    for (let partition = 0; partition < partitions; partition++) {
      if (state.slots?.slots.has(slotKey(id, partition)) !== true) return true
    }
  }
  return false
}

/**
 * How far a partition may be read: what its slot says; without one what is checkpointed, which after a
 * clean close is everything.
 */
function visibleOf(
  state: DirectoryState,
  topic: CatalogTopic,
  partition: number,
): VisibleRange | null {
  const slot = state.slots?.slots.get(slotKey(topic.id, partition))
  const key = partitionDirName(topic.name, partition)
  if (slot !== undefined) {
    // A slot is not synced: after a power cut the checkpoint may know better, and the files with it.
    const known = Math.max(slot.logStartOffset, state.logStarts?.get(key) ?? 0)
    return { ...slot, logStartOffset: Math.min(known, slot.highWatermark), isSlot: true }
  }
  const recoveryPoint = state.recoveryPoints?.get(key)
  if (recoveryPoint === undefined) return null
  const logStartOffset = Math.min(state.logStarts?.get(key) ?? 0, recoveryPoint)
  const offsets = { logStartOffset, highWatermark: recoveryPoint, recoveryPoint }
  return { leaderEpoch: 0, ...offsets, isSlot: false }
}
