/**
 * A topic without a log: partitions that are arrays of batches in memory, which a spec can cut,
 * damage, hold up and make fail, and that note what is asked of them.
 */
import { EngineTime } from '../../lib/clock.ts'
import { ClosedError, type LogError, OffsetOutOfRangeError } from '../../lib/errors.ts'
import { TopicHandle } from '../../lib/log/topic.ts'
import type {
  ConfigChange,
  LiveReader,
  PartitionAccess,
  TopicState,
} from '../../lib/log/topic-state.ts'
import { builtInTopicDefaults, type ResolvedTopicConfig } from '../../lib/options.ts'
import type { AppendRequest } from '../../lib/storage/append-request.ts'
import type { Damage } from '../../lib/storage/environment.ts'
import type { ChunkRequest, LogChunk } from '../../lib/storage/readable.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type {
  AppendResult,
  LogRecord,
  Partition,
  PartitionState,
  Reader,
  RecordInput,
  RetentionReport,
  TopicDescription,
} from '../../lib/types.ts'
import { encodeBatch } from './batches.ts'

type Records = RecordInput<unknown, unknown> | readonly RecordInput<unknown, unknown>[]

/** What an append was called with. */
export interface NotedAppend {
  readonly records: Records
  readonly request: AppendRequest
}

interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly bytes: Buffer
}

/** One partition in memory; everything stored is visible at once. */
export class ScriptedPartition implements PartitionAccess {
  readonly identity: { readonly topic: string; readonly partition: number }
  readonly state: PartitionState = 'ok'
  readonly leaderEpoch: number = 0
  readonly damage: readonly Damage[] = []
  readonly appends: NotedAppend[] = []
  readonly requests: ChunkRequest[] = []
  logStartOffset = 0
  logEndOffset = 0
  /** Thrown by the next read that begins at the offset. */
  readonly failures: Map<number, Error> = new Map()
  /** Given to appends instead of a result. */
  appendFailure: Error | null = null
  /** Settled by the spec where appends are held. */
  readonly held: (() => void)[] = []
  holdsAppends = false
  #batches: StoredBatch[] = []
  #waiters = new Set<{ readonly offset: number; readonly wake: () => void }>()

  constructor(topic: string, partition: number) {
    this.identity = { topic, partition }
  }

  get highWatermark(): number {
    return this.logEndOffset
  }

  get recoveryPoint(): number {
    return this.logEndOffset
  }

  get writtenOffset(): number {
    return this.logEndOffset
  }

  get waiterCount(): number {
    return this.#waiters.size
  }

  /** Stores one batch of `count` records with the values `v<offset>`. */
  store(count: number, change: (batch: Buffer) => Buffer = batch => batch): void {
    const baseOffset = this.logEndOffset
    const records = Array.from({ length: count }, (_, index) => ({
      value: `v${baseOffset + index}`,
    }))
    this.storeRecords(records, change)
  }

  storeRecords(records: readonly RecordInput[], change: (batch: Buffer) => Buffer): void {
    const baseOffset = this.logEndOffset
    const nextOffset = baseOffset + records.length
    const bytes = change(encodeBatch(records, { baseOffset }))
    this.#batches.push({ baseOffset, nextOffset, bytes })
    this.logEndOffset = nextOffset
    for (const waiter of this.#waiters) if (waiter.offset < nextOffset) waiter.wake()
  }

  /** Ends every wait, as closing a partition does. */
  wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake()
  }

  append(records: Records, request: AppendRequest): Promise<AppendResult> {
    this.appends.push({ records, request })
    if (this.appendFailure !== null) return Promise.reject(this.appendFailure)
    const list = (Array.isArray(records) ? records : [records]) as readonly RecordInput[]
    const baseOffset = this.logEndOffset
    this.storeRecords(list, batch => batch)
    const result = {
      ...this.identity,
      baseOffset,
      nextOffset: this.logEndOffset,
      timestamp: 0,
      leaderEpoch: 0,
    }
    if (!this.holdsAppends) return Promise.resolve(result)
    return new Promise(resolve => this.held.push(() => resolve(result)))
  }

  async flush(): Promise<void> {}

  async readChunk(request: ChunkRequest): Promise<LogChunk> {
    this.requests.push(request)
    const { from, upTo = this.logEndOffset, maxBytes } = request
    if (from < this.logStartOffset || from > this.logEndOffset) {
      const at = { ...this.identity, offset: from }
      throw new OffsetOutOfRangeError(at, this.logStartOffset, this.logEndOffset)
    }
    const failure = this.failures.get(from)
    if (failure !== undefined) throw failure
    const batches: StoredBatch[] = []
    let sizeBytes = 0
    for (const batch of this.#batches) {
      if (batch.nextOffset <= from || batch.baseOffset >= upTo) continue
      if (batches.length > 0 && sizeBytes + batch.bytes.length > maxBytes) break
      if (batches.length > 0 && this.failures.has(batch.baseOffset)) break
      batches.push(batch)
      sizeBytes += batch.bytes.length
    }
    let position = 0
    const positions = batches.map(batch => {
      position += batch.bytes.length
      return position - batch.bytes.length
    })
    return {
      buffer: Buffer.concat(batches.map(batch => batch.bytes)),
      positions,
      path: `${this.identity.topic}-${this.identity.partition}/0.log`,
      filePosition: 0,
      nextOffset: batches.at(-1)?.nextOffset ?? from,
      hint: undefined,
    }
  }

  onceAbove(offset: number, wake: () => void): () => void {
    if (this.logEndOffset > offset) {
      wake()
      return () => {}
    }
    const waiter = {
      offset,
      wake: () => {
        this.#waiters.delete(waiter)
        wake()
      },
    }
    this.#waiters.add(waiter)
    return () => void this.#waiters.delete(waiter)
  }

  async offsetForTimestamp(timestamp: number): Promise<number | null> {
    return timestamp < this.logEndOffset ? timestamp : null
  }

  async offsetOfLast(count: number): Promise<number> {
    return Math.max(this.logStartOffset, this.logEndOffset - count)
  }
}

/** A topic of scripted partitions. */
export class ScriptedTopic implements TopicState {
  readonly name: string = 'orders'
  readonly id: string = 'AAAAAAAAAAAAAAAAAAAAAA'
  readonly maxBlockMs: number = 60_000
  readonly maxQueuedBytes: number = 16 * 1024 * 1024
  readonly clock: ManualClock = manualClock()
  readonly time: EngineTime = new EngineTime(this.clock)
  readonly readers: Set<LiveReader> = new Set()
  readonly partitions: ScriptedPartition[] = []
  readonly corruptions: { readonly partition: number; readonly damage: Damage }[] = []
  config: ResolvedTopicConfig = builtInTopicDefaults
  isUsable = true
  readonly #followers = new Set<() => void>()

  constructor(partitionCount = 1) {
    this.grow(partitionCount)
  }

  get followerCount(): number {
    return this.#followers.size
  }

  /** A partition that must be there. */
  at(partition: number): ScriptedPartition {
    const found = this.partitions[partition]
    if (found === undefined) throw new RangeError(`no partition ${partition}`)
    return found
  }

  grow(partitionCount: number): void {
    while (this.partitions.length < partitionCount) {
      this.partitions.push(new ScriptedPartition(this.name, this.partitions.length))
    }
    for (const callback of this.#followers) callback()
  }

  /** What closing a log does to a topic, in its order. */
  close(): void {
    this.isUsable = false
    for (const reader of [...this.readers]) reader.end()
    for (const partition of this.partitions) partition.wakeAll()
  }

  refusal(): LogError {
    return new ClosedError()
  }

  onPartitionsAdded(callback: () => void): () => void {
    this.#followers.add(callback)
    return () => this.#followers.delete(callback)
  }

  noteDamage(partition: number, damage: Damage): void {
    this.corruptions.push({ partition, damage })
  }

  async configure(_config: ConfigChange): Promise<void> {}

  async addPartitions(total: number): Promise<void> {
    this.grow(total)
  }

  describe(): Promise<TopicDescription> {
    return Promise.reject(new Error('a scripted topic has no description'))
  }

  explainRetention(): Promise<RetentionReport> {
    return Promise.reject(new Error('a scripted topic has no retention'))
  }

  deleteRecords(partition: number, beforeOffset: number): Promise<void> {
    this.at(partition).logStartOffset = beforeOffset
    return Promise.resolve()
  }

  async flush(): Promise<void> {}

  async recover(_partition: number): Promise<void> {}

  async compact(): Promise<never> {
    throw new Error('not scripted')
  }
}

/** A scripted topic and the handle of its first partition. */
export interface Scene {
  readonly topic: ScriptedTopic
  readonly partition: Partition
}

/** A partition with batches of these sizes. */
export function sceneOf(...batchSizes: readonly number[]): Scene {
  const topic = new ScriptedTopic()
  for (const size of batchSizes) topic.at(0).store(size)
  return { topic, partition: new TopicHandle(topic).partition(0) }
}

/** Offsets of everything that the reader gives. */
export async function offsetsOf(reader: AsyncIterable<LogRecord>): Promise<number[]> {
  const offsets: number[] = []
  for await (const record of reader) offsets.push(record.offset)
  return offsets
}

/** Offset of the next record; undefined at the end. */
export async function nextOffsetOf(reader: Reader<LogRecord>): Promise<number | undefined> {
  const step = await reader.next()
  return step.done === true ? undefined : step.value.offset
}
