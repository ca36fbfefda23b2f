/** A partition as users hold it. */
import { ok } from 'node:assert/strict'
import {
  type Check,
  checkBoolean,
  checkedTimestamp,
  checkMs,
  checkOffset,
  checkOptions,
  checkSignal,
  integer,
  shown,
} from '../checks.ts'
import type { RecordContext } from '../record/batch-reader.ts'
import type { LogChunk } from '../storage/readable.ts'
import type {
  AppendOptions,
  AppendResult,
  From,
  LogRecord,
  Offset,
  Partition,
  PartitionReadOptions,
  PartitionReadResult,
  PartitionState,
  Reader,
  ReadOptions,
  RecordBatch,
  RecordInput,
} from '../types.ts'
import { type AppendRules, partitionAppendChecks } from './append-rules.ts'
import { checkFrom, defaultReadBytes, resolveReadOptions } from './read-options.ts'
import { openBatchReader, openRecordReader } from './reader.ts'
import { openChunk } from './ready-chunk.ts'
import type { PlainRecord, RecordSerializer } from './serialize.ts'
import { ChunkFeed } from './topic-reader.ts'
import type { PartitionAccess, TopicState } from './topic-state.ts'

const readChecks: { readonly [O in keyof Required<PartitionReadOptions>]: Check } = {
  from: checkOffset,
  maxBytes: integer({ from: 1 }),
  maxWaitMs: checkMs,
  signal: checkSignal,
  checkCrcs: checkBoolean,
}

/** What the handles of one topic that were opened together have in common. */
export interface HandleParts {
  readonly state: TopicState
  readonly serializer: RecordSerializer
  readonly rules: AppendRules
}

/**
 * One partition under the serdes of its handle. Holds no state of its own: everything is asked of the
 * log at each call, also after the partition was recovered.
 */
export class PartitionHandle<K = Buffer, V = Buffer> implements Partition<K, V> {
  readonly id: number
  readonly #state: TopicState
  readonly #serializer: RecordSerializer
  readonly #rules: AppendRules
  /** Made for the first read. */
  #context: RecordContext | null = null

  constructor({ state, serializer, rules }: HandleParts, id: number) {
    this.id = id
    this.#state = state
    this.#serializer = serializer
    this.#rules = rules
  }

  get topic(): string {
    return this.#state.name
  }

  get state(): PartitionState {
    return this.#access().state
  }

  get logStartOffset(): Offset {
    return this.#access().logStartOffset
  }

  get highWatermark(): Offset {
    return this.#access().highWatermark
  }

  get recoveryPoint(): Offset {
    return this.#access().recoveryPoint
  }

  get writtenOffset(): Offset {
    return this.#access().writtenOffset
  }

  get logEndOffset(): Offset {
    return this.#access().logEndOffset
  }

  get leaderEpoch(): number {
    return this.#access().leaderEpoch
  }

  // Not an async function: what the partition promises is handed on as it is, so that promises of
  // appends settle in offset order whichever way they were made.
  append(
    records: RecordInput<K, V> | readonly RecordInput<K, V>[],
    options?: AppendOptions & { readonly expectedOffset?: Offset | undefined },
  ): Promise<AppendResult> {
    try {
      const request = this.#rules.request('partition.append', options, partitionAppendChecks)
      if (!Array.isArray(records)) {
        const record = this.#serializer.record(records as PlainRecord)
        this.#checkIsMeantForThis(record)
        if (this.#rules.checksRecords) this.#rules.check([record])
        return this.#access().append(record, request)
      }
      if (records.length === 0) {
        throw new TypeError('expected at least one record, got an empty array: it has no offsets')
      }
      const batch = this.#serializer.records(records as readonly PlainRecord[])
      for (const record of batch) this.#checkIsMeantForThis(record)
      this.#rules.check(batch)
      return this.#access().append(batch, request)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async read(options: PartitionReadOptions): Promise<PartitionReadResult<K, V>> {
    checkOptions('partition.read', options, { checks: readChecks })
    checkOffset('from', options.from)
    const { signal, maxWaitMs = 0 } = options
    signal?.throwIfAborted()
    let chunk = await this.#readChunk(options)
    if (chunk.positions.length === 0 && chunk.nextOffset === options.from && maxWaitMs !== 0) {
      await this.#waitAbove(options.from, maxWaitMs, signal)
      chunk = await this.#readChunk(options)
    }
    const ready = await openChunk(chunk, this.#recordContext())
    signal?.throwIfAborted()
    const { highWatermark, logStartOffset } = this.#access()
    return {
      batches: ready.batches as readonly RecordBatch<K, V>[],
      nextOffset: ready.nextOffset,
      highWatermark,
      logStartOffset,
    }
  }

  records(options?: ReadOptions<From>): Reader<LogRecord<K, V>> {
    return openRecordReader(this.#feed('partition.records', options))
  }

  batches(options?: ReadOptions<From>): Reader<RecordBatch<K, V>> {
    return openBatchReader(this.#feed('partition.batches', options))
  }

  async offsetForTimestamp(timestamp: number | Date): Promise<Offset | null> {
    const timestampMs = checkedTimestamp('timestamp', timestamp)
    this.#assertUsable()
    return await this.#access().offsetForTimestamp(timestampMs)
  }

  async deleteRecords(beforeOffset: Offset): Promise<void> {
    checkOffset('beforeOffset', beforeOffset)
    this.#assertUsable()
    await this.#state.deleteRecords(this.id, beforeOffset)
  }

  async flush(): Promise<void> {
    this.#assertUsable()
    await this.#access().flush()
  }

  async recover(): Promise<void> {
    this.#assertUsable()
    await this.#state.recover(this.id)
  }

  #access(): PartitionAccess {
    const access = this.#state.partitions[this.id]
    ok(access !== undefined)
    return access
  }

  #recordContext(): RecordContext {
    const { key, value } = this.#serializer
    this.#context ??= { topic: this.topic, partition: this.id, key, value }
    return this.#context
  }

  #assertUsable(): void {
    if (!this.#state.isUsable) throw this.#state.refusal()
  }

  #checkIsMeantForThis(record: PlainRecord): void {
    const partition: unknown = (record as PlainRecord | null | undefined)?.partition
    if (partition === undefined || partition === this.id) return
    throw new TypeError(
      `expected a record for partition ${this.id}, got one with \`partition\` ${shown(partition)}: that is for topic.append`,
    )
  }

  async #readChunk(options: PartitionReadOptions): Promise<LogChunk> {
    this.#assertUsable()
    return await this.#access().readChunk({
      from: options.from,
      maxBytes: options.maxBytes ?? defaultReadBytes,
      checkCrcs: options.checkCrcs ?? true,
    })
  }

  /** Waits for something at `from`, at most `maxWaitMs`; -1 waits for ever. */
  async #waitAbove(from: Offset, maxWaitMs: number, signal?: AbortSignal): Promise<void> {
    let end = (): void => {}
    const ended = new Promise<void>(resolve => {
      end = resolve
    })
    const timer = maxWaitMs === -1 ? null : this.#state.clock.setTimer(maxWaitMs, end)
    signal?.addEventListener('abort', end)
    const leave = this.#access().onceAbove(from, end)
    try {
      await ended
      signal?.throwIfAborted()
    } finally {
      leave()
      timer?.cancel()
      signal?.removeEventListener('abort', end)
    }
  }

  #feed(call: string, options: ReadOptions<From> | undefined): ChunkFeed {
    const resolved = resolveReadOptions(call, options)
    const from = checkFrom(options?.from)
    return new ChunkFeed({
      state: this.#state,
      serializer: this.#serializer,
      options: resolved,
      partitions: [this.id],
      from: () => from,
      followsTopic: false,
    })
  }
}
