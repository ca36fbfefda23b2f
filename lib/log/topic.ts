/** A topic as users hold it. */

import { checkFunction } from '../checks.ts'
import type { CompactionReport } from '../compaction.ts'
import { UnknownTopicOrPartitionError } from '../errors.ts'
import { recordSizeBound } from '../record/batch-writer.ts'
import { allAppends } from '../storage/append-failures.ts'
import { isInternalTopic } from '../storage/topic-name.ts'
import type {
  AppendOptions,
  AppendProgress,
  AppendResult,
  LogRecord,
  Partition,
  Partitioner,
  Reader,
  ReadOptions,
  RecordBatch,
  RecordInput,
  RetentionReport,
  Serde,
  Topic,
  TopicDescription,
  TopicFrom,
} from '../types.ts'
import { BulkAppend, type BulkTarget } from './append-from.ts'
import { AppendRules, appendChecks } from './append-rules.ts'
import { checkIsNotInternal } from './internal-topics.ts'
import { type HandleParts, PartitionHandle } from './partition.ts'
import { checkPartition, PartitionChooser } from './partitioner.ts'
import { checkTopicFrom, resolveReadOptions } from './read-options.ts'
import { openBatchReader, openRecordReader } from './reader.ts'
import { type PlainRecord, RecordSerializer } from './serialize.ts'
import { ChunkFeed } from './topic-reader.ts'
import type { ConfigChange, TopicState } from './topic-state.ts'

/** What belongs to a handle and is never stored; checked by `lib/options.ts`. */
export interface TopicHandleOptions<K, V> {
  readonly key?: Serde<K> | undefined
  readonly value?: Serde<V> | undefined
  readonly partitioner?: Partitioner | undefined
}

/** A handle taken apart. */
export interface TopicHandleParts extends HandleParts {
  readonly partitioner: Partitioner | undefined
}

type AppendFromOptions = AppendOptions & {
  readonly onProgress?: ((sent: AppendProgress) => void) | undefined
}

const appendFromChecks = { ...appendChecks, onProgress: checkFunction }

/**
 * One handle of a topic: its serdes, its partitioner, and otherwise what all handles of the topic
 * share. Calls may overlap; appends to one partition are ordered by arrival.
 */
export class TopicHandle<K = Buffer, V = Buffer> implements Topic<K, V> {
  /** What a handle is made of, for the layers above; null for everything that is no handle. */
  static partsOf(topic: unknown): TopicHandleParts | null {
    if (typeof topic !== 'object' || topic === null || !(#state in topic)) return null
    return {
      state: topic.#state,
      serializer: topic.#serializer,
      rules: topic.#rules,
      partitioner: topic.#partitioner,
    }
  }

  readonly #state: TopicState
  readonly #serializer: RecordSerializer
  readonly #rules: AppendRules
  readonly #partitioner: Partitioner | undefined
  readonly #chooser: PartitionChooser
  /** Nothing of this handle stands between a record and the only partition of its topic. */
  readonly #isPlain: boolean
  /** Grows with the topic. */
  #partitions: readonly PartitionHandle<K, V>[] = []

  constructor(state: TopicState, options: TopicHandleOptions<K, V> = {}) {
    const { key, value, partitioner } = options
    this.#state = state
    this.#serializer = new RecordSerializer(
      (key as Serde<unknown> | undefined) ?? null,
      (value as Serde<unknown> | undefined) ?? null,
    )
    this.#rules = new AppendRules(state)
    this.#partitioner = partitioner
    this.#chooser = new PartitionChooser(state, partitioner)
    // Appends to a topic of the log's own take the long way, where they are refused.
    const isOwn = isInternalTopic(state.name)
    this.#isPlain = this.#serializer.isIdentity && partitioner === undefined && !isOwn
  }

  get name(): string {
    return this.#state.name
  }

  get id(): string {
    return this.#state.id
  }

  get partitions(): readonly Partition<K, V>[] {
    const count = this.#state.partitions.length
    if (this.#partitions.length !== count) {
      const parts = { state: this.#state, serializer: this.#serializer, rules: this.#rules }
      this.#partitions = Array.from(
        { length: count },
        (_, id) => this.#partitions[id] ?? new PartitionHandle<K, V>(parts, id),
      )
    }
    return this.#partitions
  }

  partition(id: number): Partition<K, V> {
    checkPartition(this.#state.name, id, this.#state.partitions.length)
    const partition = this.partitions[id]
    if (partition === undefined) throw new UnknownTopicOrPartitionError(this.#state.name, id)
    return partition
  }

  append(record: RecordInput<K, V>, options?: AppendOptions): Promise<AppendResult>
  append(
    records: readonly RecordInput<K, V>[],
    options?: AppendOptions,
  ): Promise<readonly AppendResult[]>
  // Not an async function: the promise of the partition is handed on as it is, which is faster and
  // keeps the order in which promises settle.
  append(
    records: RecordInput<K, V> | readonly RecordInput<K, V>[],
    options?: AppendOptions,
  ): Promise<AppendResult | readonly AppendResult[]> {
    const isMany = Array.isArray(records)
    if (!isMany && this.#isPlain && options === undefined) {
      const { partitions, isUsable } = this.#state
      const only = partitions[0]
      const record = records as PlainRecord | null
      if (partitions.length === 1 && only !== undefined && isUsable) {
        if (record?.partition === undefined && !this.#rules.checksRecords) {
          return only.append(record as PlainRecord, this.#rules.defaultRequest)
        }
      }
    }
    try {
      return isMany
        ? this.#appendMany(records as readonly PlainRecord[], options)
        : this.#appendOne(records as PlainRecord, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async appendFrom(
    source: Iterable<RecordInput<K, V>> | AsyncIterable<RecordInput<K, V>>,
    options?: AppendFromOptions,
  ): Promise<readonly AppendResult[]> {
    const request = this.#rules.request('topic.appendFrom', options, appendFromChecks)
    const { signal } = request
    const state = this.#state
    const target: BulkTarget = {
      maxBatchBytes: state.config.maxBatchBytes,
      maxQueuedBytes: state.maxQueuedBytes,
      prepare: record => this.#prepare(record as PlainRecord),
      choosePartition: record => this.#chooser.choose(record, state.partitions.length),
      advancePartition: () => this.#chooser.advance(),
      append: async (partition, records) => {
        if (!state.isUsable) throw state.refusal()
        const access = state.partitions[partition]
        if (access === undefined) throw new UnknownTopicOrPartitionError(state.name, partition)
        return await access.append(records, request)
      },
    }
    return await new BulkAppend(target, { source, signal, onProgress: options?.onProgress }).run()
  }

  records(options?: ReadOptions<TopicFrom>): Reader<LogRecord<K, V>> {
    return openRecordReader(this.#feed('topic.records', options))
  }

  batches(options?: ReadOptions<TopicFrom>): Reader<RecordBatch<K, V>> {
    return openBatchReader(this.#feed('topic.batches', options))
  }

  async configure(config: ConfigChange): Promise<void> {
    this.#assertUsable()
    await this.#state.configure(config)
  }

  async addPartitions(total: number): Promise<void> {
    this.#assertUsable()
    checkIsNotInternal(this.name)
    await this.#state.addPartitions(total)
  }

  async describe(): Promise<TopicDescription> {
    this.#assertUsable()
    return await this.#state.describe()
  }

  async explainRetention(): Promise<RetentionReport> {
    this.#assertUsable()
    return await this.#state.explainRetention()
  }

  async flush(): Promise<void> {
    this.#assertUsable()
    await this.#state.flush()
  }

  async compact(): Promise<CompactionReport> {
    this.#assertUsable()
    return await this.#state.compact()
  }

  #assertUsable(): void {
    if (!this.#state.isUsable) throw this.#state.refusal()
  }

  /** The record with serdes and rules applied. */
  #prepare(record: PlainRecord): PlainRecord {
    const plain = this.#serializer.record(record)
    if (this.#rules.checksRecords) this.#rules.check([plain])
    return plain
  }

  #appendOne(record: PlainRecord, options: AppendOptions | undefined): Promise<AppendResult> {
    const request = this.#rules.request('topic.append', options, appendChecks)
    const plain = this.#prepare(record)
    // A key that is no key must be refused before somebody computes with it.
    recordSizeBound(plain)
    const partition = this.#chooser.choose(plain, this.#state.partitions.length)
    this.#chooser.endOfCall()
    return this.#partitionLog(partition).append(plain, request)
  }

  #appendMany(
    records: readonly PlainRecord[],
    options: AppendOptions | undefined,
  ): Promise<readonly AppendResult[]> {
    const request = this.#rules.request('topic.append', options, appendChecks)
    if (records.length === 0) return Promise.resolve([])
    const plain = this.#serializer.records(records)
    this.#rules.check(plain)
    if (this.#state.partitions.length === 1 && this.#isPlain) {
      for (const record of plain) {
        const partition: unknown = (record as PlainRecord | null | undefined)?.partition
        if (partition !== undefined) checkPartition(this.#state.name, partition, 1)
      }
      return allAppends([this.#partitionLog(0).append(plain, request)])
    }
    const groups = this.#group(plain)
    const partitions = [...groups.keys()].sort((a, b) => a - b)
    return allAppends(
      partitions.map(partition =>
        this.#partitionLog(partition).append(groups.get(partition) ?? [], request),
      ),
    )
  }

  /** The records by partition. All are checked first: a bad one must not leave half of a call in the log. */
  #group(records: readonly PlainRecord[]): ReadonlyMap<number, PlainRecord[]> {
    for (const record of records) recordSizeBound(record)
    const groups = new Map<number, PlainRecord[]>()
    const count = this.#state.partitions.length
    for (const record of records) {
      const partition = this.#chooser.choose(record, count)
      const group = groups.get(partition)
      if (group === undefined) groups.set(partition, [record])
      else group.push(record)
    }
    this.#chooser.endOfCall()
    return groups
  }

  #partitionLog(partition: number): TopicState['partitions'][number] {
    const access = this.#state.partitions[partition]
    if (access === undefined) {
      throw new UnknownTopicOrPartitionError(this.#state.name, partition)
    }
    return access
  }

  #feed(call: string, options: ReadOptions<TopicFrom> | undefined): ChunkFeed {
    const resolved = resolveReadOptions(call, options)
    const partitions = this.#state.partitions.map((_, id) => id)
    return new ChunkFeed({
      state: this.#state,
      serializer: this.#serializer,
      options: resolved,
      partitions,
      from: checkTopicFrom(options?.from, partitions.length),
      followsTopic: true,
    })
  }
}
