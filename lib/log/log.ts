/** The log that this process writes, as users hold it. */
import { join } from 'node:path'
import { checkMs, checkOptions } from '../checks.ts'
import type { Timer } from '../clock.ts'
import type { Consumer, ConsumerOptions, Group } from '../consuming.ts'
import {
  ClosedError,
  StorageError,
  TopicMismatchError,
  UnknownTopicOrPartitionError,
} from '../errors.ts'
import type { LogEvent } from '../events.ts'
import type { DirectoryLock, LockKind } from '../files/files.ts'
import { type CheckedTopicOptions, checkTopicOptions, topicConfigKeys } from '../options.ts'
import type { Producer, ProducerOptions } from '../producing.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import { checkTopicName } from '../storage/topic-name.ts'
import type {
  Log,
  LogDescription,
  Metrics,
  RecoveryReport,
  RetentionReport,
  SweepReport,
  Topic,
  TopicConfig,
  TopicOptions,
} from '../types.ts'
import type { RepairOptions, RepairReport, VerifyOptions, VerifyReport } from '../verification.ts'
import { firstFailure, forEachBounded } from './bounded.ts'
import { metricsOf, totalSizeBytes } from './describe.ts'
import { cleanMarkerContent, fileNames, storageWait } from './directory-layout.ts'
import type { LogExtension } from './extension.ts'
import { checkIsNotInternal, listedTopics } from './internal-topics.ts'
import type { LogServices } from './log-services.ts'
import type { OpenTopic } from './open-topic.ts'
import { type RepairableLog, repairLog } from './repair-log.ts'
import { TopicHandle } from './topic.ts'
import { formatVersion } from './topic-catalog.ts'
import type { NewTopic, TopicChanges } from './topic-changes.ts'
import { checkVerifyOptions, type VerifiableLog, verifyLog } from './verify-log.ts'

/** Partitions that are closed at the same time; each may flush and write a few small files. */
const maxParallelCloses = 16

/** What a log is made of. */
export interface WritableLogOptions {
  /** The directory as the caller named it. */
  readonly name: string
  readonly services: LogServices
  readonly changes: TopicChanges
  readonly extension: LogExtension
  readonly lock: DirectoryLock
  readonly recovery: RecoveryReport
}

/**
 * An open log. Calls may overlap. It owns its topics, their live readers, the lock and every timer:
 * `close()` ends them all, and none of them keeps the process alive.
 */
export class WritableLog implements Log {
  readonly dir: string
  readonly recovery: RecoveryReport
  readonly #services: LogServices
  readonly #changes: TopicChanges
  readonly #extension: LogExtension
  readonly #lock: DirectoryLock
  #closing: Promise<void> | null = null
  /** Ends with the last repair that was asked for; never rejects. */
  #repairing: Promise<unknown> = Promise.resolve()
  /** The partition that was flushed last because handles or room were short. */
  #pressureTurn = 0

  constructor(options: WritableLogOptions) {
    this.dir = options.name
    this.recovery = options.recovery
    this.#services = options.services
    this.#changes = options.changes
    this.#extension = options.extension
    this.#lock = options.lock
    const { handles, budget } = options.services.environment
    handles.onPressure(() => this.#relievePressure())
    budget.onPressure(() => this.#relievePressure())
    options.services.disk.onShut(error => {
      for (const partition of this.#partitions()) partition.refuseWaiting(error)
    })
    options.services.sweeper.start()
  }

  get state(): Log['state'] {
    return this.#closing === null ? this.#services.disk.state : 'closed'
  }

  get lockKind(): LockKind {
    return this.#lock.kind
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
    checkNameType(name)
    await this.#changes.whenNameIsQuiet(name)
    this.#assertOpen()
    const known = this.#changes.topics.get(name)
    if (known === undefined && !checked.create) throw new UnknownTopicOrPartitionError(name)
    if (known === undefined) checkIsNotInternal(name)
    const found =
      known === undefined
        ? await this.#changes.findOrCreate(newTopic(name, checked))
        : { topic: known, isNew: false }
    if (!found.isNew) await this.#adjust(found.topic, checked)
    return new TopicHandle(found.topic, checked)
  }

  async createTopic<K = Buffer, V = Buffer>(
    name: string,
    options?: TopicOptions<K, V>,
  ): Promise<Topic<K, V>> {
    this.#assertOpen()
    const checked = checkTopicOptions(options)
    checkNameType(name)
    checkIsNotInternal(name)
    return new TopicHandle(await this.#changes.create(newTopic(name, checked)), checked)
  }

  async deleteTopic(name: string): Promise<void> {
    this.#assertOpen()
    checkNameType(name)
    checkIsNotInternal(name)
    await this.#changes.delete(name)
  }

  async topics(
    options: { readonly internal?: boolean | undefined } = {},
  ): Promise<readonly string[]> {
    this.#assertOpen()
    return listedTopics(this.#changes.topics.keys(), options)
  }

  async producer(options?: ProducerOptions): Promise<Producer> {
    this.#assertOpen()
    return await this.#extension.producer(options)
  }

  async describe(): Promise<LogDescription> {
    this.#assertOpen()
    const names = await this.topics({ internal: true })
    const topics = names.flatMap(name => this.#changes.topics.get(name)?.description() ?? [])
    return {
      dir: this.dir,
      state: this.state,
      readOnly: false,
      formatVersion,
      lock: { kind: this.#lock.kind, reason: this.#lock.reason },
      sizeBytes: totalSizeBytes(topics),
      topics,
    }
  }

  async explainRetention(): Promise<readonly RetentionReport[]> {
    this.#assertOpen()
    const reports: RetentionReport[] = []
    for (const topic of [...this.#changes.topics.values()]) {
      if (topic.isUsable) reports.push(await topic.explainRetention())
    }
    return reports.sort((a, b) => b.sizeBytes - a.sizeBytes)
  }

  async sweep(): Promise<SweepReport> {
    this.#assertOpen()
    return await this.#services.sweeper.sweep()
  }

  metrics(): Metrics {
    return metricsOf(this.#services.environment, {
      topics: this.#changes.topics.size,
      partitions: this.#partitions(),
      state: this.state,
    })
  }

  async flush(): Promise<void> {
    this.#assertOpen()
    const failure = await firstFailure(this.#partitions().map(partition => partition.flush()))
    if (failure !== null) throw failure
  }

  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    this.#assertOpen()
    checkVerifyOptions('verify', options)
    const { report } = await verifyLog(this.#verifiable(), options)
    return report
  }

  async repair(options: RepairOptions = {}): Promise<RepairReport> {
    this.#assertOpen()
    checkVerifyOptions('repair', options)
    const repaired = this.#repairing.then(() => {
      this.#assertOpen()
      return repairLog(this.#repairable(), options)
    })
    this.#repairing = repaired.catch(() => undefined)
    return await repaired
  }

  on<T extends LogEvent['type']>(
    type: T,
    listener: (event: Extract<LogEvent, { type: T }>) => void,
  ): () => void {
    return this.#services.events.on(type, listener)
  }

  /**
   * Ends live readers, flushes everything accepted and gives the directory up. Idempotent: further
   * calls get the same promise. Rejects with the first failure when something accepted could not be
   * flushed; the lock is released all the same.
   *
   * After `timeoutMs` (-1, the default: no limit) it rejects with `StorageError`, and what is pending
   * with it; the lock then goes as soon as the operating system has ended what it was given.
   */
  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    if (this.#closing !== null) return this.#closing
    try {
      checkOptions('close', options, { checks: { timeoutMs: checkMs } })
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closing = this.#close(options.timeoutMs ?? -1)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Applies what was given for a topic that is there. */
  async #adjust<K, V>(topic: OpenTopic, checked: CheckedTopicOptions<K, V>): Promise<void> {
    const { partitions, config } = checked
    if (partitions !== null && partitions !== topic.partitions.length) {
      throw new TopicMismatchError(topic.name, topic.partitions.length, partitions)
    }
    const known = this.#services.catalog.current.topics.get(topic.name)?.config ?? {}
    const differs = (key: keyof TopicConfig) =>
      config[key] !== undefined && config[key] !== known[key]
    if (topicConfigKeys.some(differs)) await topic.configure(config)
  }

  #verifiable(): VerifiableLog {
    const { environment, dir } = this.#services
    const isOpen = (): boolean => this.#closing === null
    return {
      environment,
      files: environment.files,
      dir,
      topics: () => [...this.#changes.topics.values()],
      // Partitions of this process are as they are.
      refresh: () => {},
      isOpen,
    }
  }

  #repairable(): RepairableLog {
    const { catalog, checkpointer } = this.#services
    return {
      ...this.#verifiable(),
      topics: () => [...this.#changes.topics.values()],
      rewriteCatalog: () => catalog.commit(current => current),
      rewriteCheckpoints: () => checkpointer.rewrite(),
    }
  }

  #partitions(): readonly PartitionLog[] {
    return [...this.#changes.topics.values()].flatMap(topic => topic.partitions)
  }

  #extended(): LogExtension {
    this.#assertOpen()
    return this.#extension
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new ClosedError()
  }

  /** Bytes that are not flushed pin all file handles, or keep appends waiting: partitions are flushed in turn. */
  #relievePressure(): void {
    const partitions = this.#partitions()
    for (let step = 1; step <= partitions.length; step++) {
      const index = (this.#pressureTurn + step) % partitions.length
      const partition = partitions[index]
      // A failed one will never be flushed; what it held is given up.
      if (partition === undefined || partition.state === 'failed') continue
      if (!partition.hasUnflushed) continue
      this.#pressureTurn = index
      partition.flushSoon()
      return
    }
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#services.checkpointer.close()
    const giveUp = new AbortController()
    const closed = this.#endAll(giveUp.signal)
    if (timeoutMs === -1) return await closed
    const { environment, dir } = this.#services
    let timer: Timer | undefined
    const tooLate = new Promise<never>((_resolve, reject) => {
      const end = (): void => {
        giveUp.abort()
        this.#giveUp(dir, timeoutMs, reject)
      }
      timer = environment.clock.setTimer(timeoutMs, end, { keepAlive: true })
    })
    await Promise.race([closed, tooLate]).finally(() => timer?.cancel())
  }

  /** First what runs on the log, which may append to the last; then readers; then the log itself. */
  async #endAll(giveUp: AbortSignal): Promise<void> {
    let failure: unknown = null
    const note = (error: unknown): void => {
      failure ??= error
    }
    const ended = this.#extension.close(giveUp)
    // Without anything to wait for, handles are refused in this very turn.
    if (ended !== null) await ended.catch(note)
    for (const topic of this.#changes.topics.values()) {
      for (const reader of [...topic.readers]) reader.end()
    }
    await this.#finishAndRelease(note)
    if (failure !== null) throw failure
  }

  /** Refuses what is pending and lets the rest of closing go on unattended. */
  #giveUp(dir: string, timeoutMs: number, reject: (error: Error) => void): void {
    const late = new StorageError(dir, 'close', new Error(`not finished within ${timeoutMs} ms`))
    this.#changes.stopRemoving()
    for (const partition of this.#partitions()) partition.abandon(late).catch(() => undefined)
    reject(late)
  }

  async #finishAndRelease(note: (error: unknown) => void): Promise<void> {
    const isSound = await this.#finish(note).catch(note)
    if (isSound === true) await this.#markClean().catch(note)
    await this.#services.disk.close()
    this.#services.slots.close()
    this.#services.environment.handles.forgetAll('')
    // Not before every operation has ended: a rename that is late would hit the next writer's files.
    await this.#lock.release().catch(note)
    this.#services.events.emit({ type: 'stateChanged', state: 'closed' })
  }

  /** Flushes and finishes everything, whatever fails; says whether all is as it should be. */
  async #finish(note: (error: unknown) => void): Promise<boolean> {
    let isSound = true
    const noteFailure = (error: unknown): void => {
      isSound = false
      note(error)
    }
    const swept = Promise.all([this.#services.compactor.close(), this.#services.sweeper.close()])
    await this.#changes.close()
    await swept
    const partitions = this.#partitions()
    await forEachBounded(partitions, maxParallelCloses, partition =>
      partition.close().catch(noteFailure),
    )
    await this.#services.checkpointer.write().catch(noteFailure)
    return isSound && partitions.every(partition => partition.state !== 'failed')
  }

  /** Last of all, for it says that everything else is in order. */
  async #markClean(): Promise<void> {
    const { dir, environment } = this.#services
    const path = join(dir, fileNames.cleanMarker)
    const { files, room } = environment
    await room.insist(() =>
      storageWait(path, 'create', () => replaceFile(files, path, cleanMarkerContent)),
    )
  }
}

function newTopic<K, V>(name: string, { config, partitions }: CheckedTopicOptions<K, V>): NewTopic {
  return { name, config, partitions: partitions ?? 1 }
}

// Of a name only the type matters here: a topic that is there may have any name that Kafka allows.
function checkNameType(name: unknown): asserts name is string {
  if (typeof name !== 'string') checkTopicName(name as string)
}
