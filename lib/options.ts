/**
 * What users may configure: every option checked at the boundary, every default in one place.
 *
 * A value of the wrong type is a `TypeError`, a number out of its range (NaN and fractions included)
 * a `RangeError`, a name that is not an option a `TypeError`; `undefined` counts as absent.
 */
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
  readonly [C in keyof Required<TopicConfig>]: NonNullable<TopicConfig[C]>
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
  readonly quarantineBytes: number
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
  timestampAfterMaxMs: -1,
  segmentBytes: 128 * 1024 * 1024,
  segmentMs: 7 * 24 * 60 * 60 * 1000,
  indexIntervalBytes: 4096,
}

/** How long records stay un-flushed when a flush waits for more of them and no time is set. */
const impliedFlushMs = 1000

/** More partitions than this in one topic are taken for a mistake. */
const maxPartitions = 100_000

type Check = (name: string, value: unknown) => void

const largestInt32 = 2 ** 31 - 1

const acksRule = oneOf('durable', 'written', 'queued')

const topicRules: { readonly [C in keyof Required<TopicConfig>]: Check } = {
  acks: acksRule,
  flushRecords: integer({ from: 1, orNoLimit: true }),
  flushMs: integer({ from: 0, orNoLimit: true }),
  flushBytes: integer({ from: 1, orNoLimit: true }),
  // A batch of one record without key and value takes 68 bytes.
  maxBatchBytes: integer({ from: 68, to: largestInt32 }),
  compressionType: oneOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
  timestampType: oneOf('create', 'append'),
  timestampAfterMaxMs: integer({ from: 0, orNoLimit: true }),
  segmentBytes: integer({ from: 1024, to: largestInt32 }),
  segmentMs: integer({ from: 1, orNoLimit: true }),
  indexIntervalBytes: integer({ from: 0, to: largestInt32 }),
}

const openRules: { readonly [O in keyof Required<OpenOptions>]: Check } = {
  readOnly: ofType('boolean'),
  lockWaitMs: integer({ from: 0, orNoLimit: true }),
  signal: abortSignal,
  acks: acksRule,
  topicDefaults: (_name, value) => checkTopicConfig(value as TopicConfig),
  maxQueuedBytes: integer({ from: 1 }),
  maxUnflushedBytes: integer({ from: 1 }),
  maxBlockMs: integer({ from: 0, orNoLimit: true }),
  maxOpenFiles: integer({ from: 4 }),
  maxParallelFlushes: integer({ from: 1 }),
  sweepIntervalMs: integer({ from: 1, orNoLimit: true }),
  quarantineBytes: integer({ from: 0, orNoLimit: true }),
  onEvent: ofType('function'),
  files: withMethods('open', 'syncDirectory', 'lock'),
  clock: withMethods('wallMs', 'monotonicMs', 'setTimer'),
}

const topicOptionRules: { readonly [O in keyof Required<TopicOptions>]: Check } = {
  ...topicRules,
  partitions: checkPartitionCount,
  create: ofType('boolean'),
  key: withMethods('serialize', 'deserialize'),
  value: withMethods('serialize', 'deserialize'),
  partitioner: ofType('function'),
}

/** Checks the options of `openLog` and fills in the defaults. */
export function resolveOpenOptions(options: OpenOptions | undefined): ResolvedOpenOptions {
  const given: OpenOptions = options === undefined ? {} : options
  checkAll('openLog', given, openRules)
  return {
    readOnly: given.readOnly ?? false,
    lockWaitMs: given.lockWaitMs ?? 0,
    signal: given.signal ?? null,
    acks: given.acks ?? given.topicDefaults?.acks ?? builtInTopicDefaults.acks,
    topicDefaults: given.topicDefaults ?? {},
    maxQueuedBytes: given.maxQueuedBytes ?? 32 * 1024 * 1024,
    maxUnflushedBytes: given.maxUnflushedBytes ?? 128 * 1024 * 1024,
    maxBlockMs: given.maxBlockMs ?? 60_000,
    maxOpenFiles: given.maxOpenFiles ?? 128,
    maxParallelFlushes: given.maxParallelFlushes ?? defaultParallelFlushes(),
    sweepIntervalMs: given.sweepIntervalMs ?? 300_000,
    quarantineBytes: noLimit(given.quarantineBytes ?? 64 * 1024 * 1024),
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
  checkAll('topic', config, topicRules)
}

/** Checks the options of `log.topic` and `log.createTopic` and takes them apart. */
export function checkTopicOptions<K, V>(
  options: TopicOptions<K, V> | undefined,
): CheckedTopicOptions<K, V> {
  const given: TopicOptions<K, V> = options === undefined ? {} : options
  checkAll('topic', given, topicOptionRules)
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
  checkAll('topic', changes, topicRules, { allowNull: true })
}

/** Checks a topic's number of partitions. */
export function checkPartitionCount(name: string, value: unknown): void {
  integer({ from: 1, to: maxPartitions })(name, value)
}

/** The overrides with checked changes applied, in the order of the defaults, without absent values. */
export function changedTopicConfig(
  overrides: TopicConfig,
  changes: TopicConfigChanges,
): TopicConfig {
  const merged: Record<string, unknown> = {}
  for (const key of topicConfigKeys) {
    const change = changes[key]
    const value = change === undefined ? overrides[key] : change
    if (value !== undefined && value !== null) merged[key] = value
  }
  return merged as TopicConfig
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

function checkAll(
  what: string,
  options: object,
  rules: Readonly<Record<string, Check>>,
  { allowNull = false }: { readonly allowNull?: boolean } = {},
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`expected the ${what} options to be an object, got ${shown(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) throw new TypeError(unknownOption(what, name, Object.keys(rules)))
    if (value !== undefined && !(allowNull && value === null)) rule(name, value)
  }
}

function unknownOption(what: string, name: string, known: readonly string[]): string {
  const nearest = known
    .map(candidate => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0]
  const isNear = nearest !== undefined && nearest.distance <= Math.max(2, name.length / 3)
  const hint = isNear ? `, did you mean \`${nearest.candidate}\`?` : ''
  return `\`${name}\` is not a ${what} option${hint}`
}

/** How many letters must be changed, put in or left out to make one word of the other, case aside. */
function editDistance(from: string, to: string): number {
  const [a, b] = [from.toLowerCase(), to.toLowerCase()]
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let line = 1; line <= a.length; line++) {
    const next = [line]
    for (let column = 1; column <= b.length; column++) {
      const swap = (row[column - 1] ?? 0) + (a[line - 1] === b[column - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function integer(range: { from: number; to?: number; orNoLimit?: boolean }): Check {
  const { from, to = Number.MAX_SAFE_INTEGER, orNoLimit = false } = range
  const upTo = range.to === undefined ? `from ${from} up` : `from ${from} to ${to}`
  const expected = `an integer ${upTo}${orNoLimit ? ', or -1 for no limit' : ''}`
  return (name, value) => {
    if (typeof value !== 'number') throw new TypeError(mismatch(name, expected, value))
    if (orNoLimit && value === -1) return
    if (!Number.isSafeInteger(value) || value < from || value > to) {
      throw new RangeError(mismatch(name, expected, value))
    }
  }
}

function oneOf(...values: readonly string[]): Check {
  const expected = `one of ${values.map(value => `'${value}'`).join(', ')}`
  return (name, value) => {
    if (typeof value !== 'string') throw new TypeError(mismatch(name, expected, value))
    if (!values.includes(value)) throw new RangeError(mismatch(name, expected, value))
  }
}

function ofType(type: 'boolean' | 'function'): Check {
  return (name, value) => {
    if (typeof value !== type) throw new TypeError(mismatch(name, `a ${type}`, value))
  }
}

function withMethods(...methods: readonly string[]): Check {
  return (name, value) => {
    const holder = value as Record<string, unknown> | null
    const hasAll = typeof value === 'object' && value !== null
    if (!hasAll || methods.some(method => typeof holder?.[method] !== 'function')) {
      throw new TypeError(mismatch(name, `an object with ${methods.join('(), ')}()`, value))
    }
  }
}

function abortSignal(name: string, value: unknown): void {
  if (!(value instanceof AbortSignal)) throw new TypeError(mismatch(name, 'an AbortSignal', value))
}

function mismatch(name: string, expected: string, value: unknown): string {
  return `expected \`${name}\` to be ${expected}, got ${shown(value)}`
}

function shown(value: unknown): string {
  if (value === null) return '`null`'
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'function') return 'a function'
  return `\`${String(value)}\` (${typeof value})`
}
