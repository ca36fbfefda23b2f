/**
 * What users may configure: every option of a log and of a topic with its range, every default in one
 * place. What checking does is in `checks.ts`.
 */
import {
  type Check,
  checkAcks,
  checkBoolean,
  checkFunction,
  checkMs,
  checkNames,
  checkOptions,
  checkSignal,
  integer,
  numberBetween,
  oneOf,
  withMethods,
} from './checks.ts'
import type { Clock } from './clock.ts'
import type { Files } from './files/files.ts'
import type {
  Acks,
  ConfigSource,
  OpenOptions,
  Partitioner,
  Serde,
  TopicConfig,
  TopicOptions,
} from './types.ts'

/** A topic's configuration with every value present; -1 means no limit. */
export type ResolvedTopicConfig = {
  readonly [C in keyof Required<TopicConfig>]: Exclude<
    NonNullable<TopicConfig[C]>,
    'delete,compact'
  >
}

/** Where each value of a resolved configuration comes from. */
export type TopicConfigSources = { readonly [C in keyof Required<TopicConfig>]: ConfigSource }

/** What `configure` takes: a value sets, null takes the override back, undefined changes nothing. */
export type TopicConfigChanges = { readonly [C in keyof TopicConfig]: TopicConfig[C] | null }

/** `OpenOptions` with every value present; what is null there is up to the log. */
export interface ResolvedOpenOptions {
  readonly readOnly: boolean
  readonly lockWaitMs: number
  readonly signal: AbortSignal | null
  readonly acks: Acks
  readonly topicDefaults: TopicConfig
  readonly maxQueuedBytes: number
  readonly maxUnflushedBytes: number
  readonly maxBlockMs: number
  readonly maxOpenFiles: number
  readonly maxParallelFlushes: number
  readonly sweepIntervalMs: number
  readonly maxTotalBytes: number
  readonly compactionMapBytes: number
  readonly compactionBytesPerSecond: number
  readonly offsetsTopicPartitions: number
  readonly offsetsRetentionMs: number
  readonly producerIdExpirationMs: number
  readonly quarantineBytes: number
  /** Null when the default holds, which is smaller on a small file system. */
  readonly diskLowBytes: number | null
  readonly diskReserveBytes: number | null
  readonly ballastBytes: number
  readonly onEvent: OpenOptions['onEvent'] | null
  readonly files: Files | null
  readonly clock: Clock | null
}

/** `TopicOptions` taken apart: what is stored, what is created, and what belongs to the handle. */
export interface CheckedTopicOptions<K, V> {
  readonly config: TopicConfig
  /** Null when the caller does not say. */
  readonly partitions: number | null
  readonly create: boolean
  readonly key: Serde<K> | undefined
  readonly value: Serde<V> | undefined
  readonly partitioner: Partitioner | undefined
}

/**
 * What a topic is without configuration. `segmentBytes` is 128 MiB and not Kafka's 1 GiB: that
 * serves brokers with terabytes, while an embedded log wants its retention in finer steps, and a
 * recovery scan and the rebuilding of an index that stay short.
 */
export const builtInTopicDefaults: ResolvedTopicConfig = {
  acks: 'durable',
  flushRecords: 1,
  flushMs: -1,
  flushBytes: -1,
  maxBatchBytes: 1_048_588,
  compressionType: 'none',
  timestampType: 'create',
  timestampAfterMaxMs: 60 * 60 * 1000,
  timestampAfterMaxAction: 'warn',
  segmentBytes: 128 * 1024 * 1024,
  segmentMs: 7 * 24 * 60 * 60 * 1000,
  indexIntervalBytes: 4096,
  retentionMs: -1,
  retentionBytes: -1,
  retentionRecords: -1,
  retentionBy: 'append',
  retainUntilConsumed: Object.freeze([]),
  cleanupPolicy: 'delete',
  deleteRetentionMs: 24 * 60 * 60 * 1000,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: -1,
}

/** How long records stay un-flushed when a flush waits for more of them and no time is set. */
const impliedFlushMs = 1000

/** More partitions than this in one topic are taken for a mistake. */
const maxPartitions = 100_000

const largestInt32 = 2 ** 31 - 1

const topicRules: { readonly [C in keyof Required<TopicConfig>]: Check } = {
  acks: checkAcks,
  flushRecords: integer({ from: 1, orNoLimit: true }),
  flushMs: checkMs,
  flushBytes: integer({ from: 1, orNoLimit: true }),
  // A batch of one record without key and value takes 68 bytes.
  maxBatchBytes: integer({ from: 68, to: largestInt32 }),
  compressionType: oneOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
  timestampType: oneOf('create', 'append'),
  timestampAfterMaxMs: checkMs,
  timestampAfterMaxAction: oneOf('warn', 'reject'),
  segmentBytes: integer({ from: 1024, to: largestInt32 }),
  segmentMs: integer({ from: 1, orNoLimit: true }),
  indexIntervalBytes: integer({ from: 0, to: largestInt32 }),
  retentionMs: checkMs,
  retentionBytes: integer({ from: 0, orNoLimit: true }),
  retentionRecords: integer({ from: 0, orNoLimit: true }),
  retentionBy: oneOf('append', 'record'),
  retainUntilConsumed: checkNames,
  cleanupPolicy: oneOf('delete', 'compact', 'compact,delete', 'delete,compact'),
  deleteRetentionMs: integer({ from: 0 }),
  minCleanableDirtyRatio: numberBetween(0, 1),
  minCompactionLagMs: integer({ from: 0 }),
  maxCompactionLagMs: integer({ from: 1, orNoLimit: true }),
}

const openRules: { readonly [O in keyof Required<OpenOptions>]: Check } = {
  readOnly: checkBoolean,
  lockWaitMs: checkMs,
  signal: checkSignal,
  acks: checkAcks,
  topicDefaults: (_name, value) => checkTopicConfig(value as TopicConfig),
  maxQueuedBytes: integer({ from: 1 }),
  maxUnflushedBytes: integer({ from: 1 }),
  maxBlockMs: checkMs,
  maxOpenFiles: integer({ from: 4 }),
  maxParallelFlushes: integer({ from: 1 }),
  sweepIntervalMs: integer({ from: 1, orNoLimit: true }),
  maxTotalBytes: integer({ from: 1, orNoLimit: true }),
  compactionMapBytes: integer({ from: 1024, to: largestInt32 }),
  compactionBytesPerSecond: integer({ from: 1, orNoLimit: true }),
  offsetsTopicPartitions: checkPartitionCount,
  offsetsRetentionMs: integer({ from: 1, orNoLimit: true }),
  producerIdExpirationMs: integer({ from: 1, orNoLimit: true }),
  quarantineBytes: integer({ from: 0, orNoLimit: true }),
  diskLowBytes: integer({ from: 0 }),
  diskReserveBytes: integer({ from: 0 }),
  ballastBytes: integer({ from: 0, to: 1 << 30 }),
  onEvent: checkFunction,
  files: withMethods('open', 'syncDirectory', 'lock'),
  clock: withMethods('wallMs', 'monotonicMs', 'setTimer'),
}

const topicOptionRules: { readonly [O in keyof Required<TopicOptions>]: Check } = {
  ...topicRules,
  partitions: checkPartitionCount,
  create: checkBoolean,
  key: withMethods('serialize', 'deserialize'),
  value: withMethods('serialize', 'deserialize'),
  partitioner: checkFunction,
}

/** Checks the options of `openLog` and fills in the defaults. */
export function resolveOpenOptions(options: OpenOptions | undefined): ResolvedOpenOptions {
  const given: OpenOptions = options === undefined ? {} : options
  checkOptions('openLog', given, { checks: openRules })
  return {
    readOnly: given.readOnly ?? false,
    lockWaitMs: given.lockWaitMs ?? 0,
    signal: given.signal ?? null,
    acks: given.acks ?? given.topicDefaults?.acks ?? builtInTopicDefaults.acks,
    topicDefaults: changedTopicConfig({}, given.topicDefaults ?? {}),
    maxQueuedBytes: given.maxQueuedBytes ?? 32 * 1024 * 1024,
    maxUnflushedBytes: given.maxUnflushedBytes ?? 128 * 1024 * 1024,
    maxBlockMs: given.maxBlockMs ?? 60_000,
    maxOpenFiles: given.maxOpenFiles ?? 128,
    maxParallelFlushes: given.maxParallelFlushes ?? defaultParallelFlushes(),
    sweepIntervalMs: given.sweepIntervalMs ?? 300_000,
    maxTotalBytes: given.maxTotalBytes ?? -1,
    compactionMapBytes: given.compactionMapBytes ?? 32 * 1024 * 1024,
    compactionBytesPerSecond: given.compactionBytesPerSecond ?? 64 * 1024 * 1024,
    offsetsTopicPartitions: given.offsetsTopicPartitions ?? 1,
    offsetsRetentionMs: given.offsetsRetentionMs ?? -1,
    producerIdExpirationMs: given.producerIdExpirationMs ?? 86_400_000,
    quarantineBytes: noLimit(given.quarantineBytes ?? 64 * 1024 * 1024),
    diskLowBytes: given.diskLowBytes ?? null,
    diskReserveBytes: given.diskReserveBytes ?? null,
    ballastBytes: given.ballastBytes ?? 1024 * 1024,
    onEvent: given.onEvent ?? null,
    files: given.files ?? null,
    clock: given.clock ?? null,
  }
}

function noLimit(bytes: number): number {
  return bytes === -1 ? Number.MAX_SAFE_INTEGER : bytes
}

/** Two threads of libuv's pool, whose size is 4 unless the environment says otherwise, stay free for the host. */
function defaultParallelFlushes(): number {
  const poolSize = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  return Math.max(1, (Number.isInteger(poolSize) ? poolSize : 4) - 2)
}

/** Checks a topic's configuration; nothing is filled in. */
export function checkTopicConfig(config: TopicConfig): void {
  checkOptions('a topic', config, { checks: topicRules })
}

/** Checks the options of `log.topic` and `log.createTopic` and takes them apart. */
export function checkTopicOptions<K, V>(
  options: TopicOptions<K, V> | undefined,
): CheckedTopicOptions<K, V> {
  const given: TopicOptions<K, V> = options === undefined ? {} : options
  checkOptions('a topic', given, { checks: topicOptionRules })
  const { partitions, create, key, value, partitioner, ...config } = given
  return {
    config: changedTopicConfig({}, config),
    partitions: partitions ?? null,
    create: create ?? true,
    key,
    value,
    partitioner,
  }
}

/** Checks what `configure` was given: a topic's configuration in which null is allowed, too. */
export function checkTopicConfigChanges(changes: TopicConfigChanges): void {
  checkOptions('a topic', changes, { checks: topicRules, allowNull: true })
}

/** Checks a topic's number of partitions. */
export function checkPartitionCount(name: string, value: unknown): void {
  integer({ from: 1, to: maxPartitions })(name, value)
}

/**
 * The overrides with checked changes applied, in the order of the defaults, without absent values. What
 * comes out shares nothing with the caller and says each thing in one way only.
 */
export function changedTopicConfig(
  overrides: TopicConfig,
  changes: TopicConfigChanges,
): TopicConfig {
  const merged: Record<string, unknown> = {}
  for (const key of topicConfigKeys) {
    const change = changes[key]
    const value = change === undefined ? overrides[key] : change
    if (value !== undefined && value !== null) merged[key] = settled(value)
  }
  return merged as TopicConfig
}

function settled(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze([...new Set(value)])
  return value === 'delete,compact' ? 'compact,delete' : value
}

/** Every key of a topic's configuration, in the order in which files and descriptions show them. */
export const topicConfigKeys: readonly (keyof TopicConfig)[] = Object.keys(
  builtInTopicDefaults,
) as (keyof TopicConfig)[]

/**
 * The configuration that holds for a topic: its own overrides, then the log's `topicDefaults`, then
 * the log's `acks`, then what is built in. All are checked already.
 */
export function resolveTopicConfig(
  overrides: TopicConfig,
  logDefaults: TopicConfig,
  logAcks: Acks,
): { readonly config: ResolvedTopicConfig; readonly sources: TopicConfigSources } {
  const config: Record<string, unknown> = {}
  const sources: Record<string, ConfigSource> = {}
  for (const key of topicConfigKeys) {
    const own = overrides[key]
    const shared = logDefaults[key]
    config[key] = own ?? shared ?? builtInTopicDefaults[key]
    sources[key] = own !== undefined ? 'topic' : shared !== undefined ? 'log' : 'default'
  }
  if (sources['acks'] === 'default' && logAcks !== builtInTopicDefaults.acks) {
    config['acks'] = logAcks
    sources['acks'] = 'log'
  }
  const waitsForMore = config['flushRecords'] !== 1 || config['flushBytes'] !== -1
  if (sources['flushMs'] === 'default' && waitsForMore) config['flushMs'] = impliedFlushMs
  return { config: config as ResolvedTopicConfig, sources: sources as TopicConfigSources }
}

/** Whether the topic's records are compacted. */
export function isCompacted(config: { readonly cleanupPolicy: string }): boolean {
  return config.cleanupPolicy !== 'delete'
}
