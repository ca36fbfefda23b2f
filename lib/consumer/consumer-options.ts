/** Options of consumers: checked at the call, and every default filled in. */
import {
  type Check,
  checkBoolean,
  checkFunction,
  checkMs,
  checkName,
  checkOffset,
  checkOptions,
  checkSignal,
  integer,
  oneOf,
  shown,
} from '../checks.ts'
import type {
  Assignor,
  CommittedOffset,
  Concurrency,
  ConsumerOptions,
  RunOptions,
  TopicPartition,
} from '../consuming.ts'
import { checkFrom, type ResolvedReadOptions, resolveReadOptions } from '../log/read-options.ts'
import { assignCooperativeSticky } from './assignor.ts'
import type { ConsumerFrom } from './member.ts'
import type { RetryPolicy } from './retry.ts'

/** Kafka's offset.metadata.max.bytes. */
export const maxMetadataBytes = 4096

/** Handlers at work at the same time where `concurrency` does not say. */
const defaultMax = 16

/** Without `concurrency`: nothing surprises a handler that expects to be alone. */
const oneAtATime = { by: 'partition', max: 1 } as const

/** `ConsumerOptions` with every value present, but for the topics. */
export interface ResolvedConsumerOptions {
  readonly group: string | null
  readonly from: ConsumerFrom
  /** Infinite when there is no limit. */
  readonly maxRecords: number
  readonly maxWaitMs: number
  readonly assignor: Assignor
  readonly rebalanceTimeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly read: ResolvedReadOptions
}

/** `RunOptions` with every value present. */
export interface ResolvedRunOptions {
  readonly concurrency: { readonly by: Concurrency['by']; readonly max: number }
  readonly autoCommit: boolean
  readonly autoCommitIntervalMs: number
  readonly retry: RetryPolicy
  readonly deadLetterTopic: RunOptions['deadLetterTopic']
  readonly signal: AbortSignal | undefined
}

const checkAssignor: Check = (name, value) => {
  if (typeof value === 'string') oneOf('cooperative-sticky')(name, value)
  else checkFunction(name, value)
}

const anything: Check = () => {}

const consumerChecks: { readonly [O in keyof Required<ConsumerOptions>]: Check } = {
  group: checkName,
  // Depends on the log: `Subscription`.
  topics: anything,
  // `checkConsumerFrom`.
  from: anything,
  maxRecords: integer({ from: 1, orNoLimit: true }),
  maxWaitMs: checkMs,
  assignor: checkAssignor,
  rebalanceTimeoutMs: checkMs,
  signal: checkSignal,
  maxBytes: integer({ from: 1 }),
  checkCrcs: checkBoolean,
  onOutOfRange: oneOf('error', 'earliest', 'latest'),
  onCorruption: oneOf('error', 'skip'),
}

const concurrencyChecks: { readonly [O in keyof Required<Concurrency>]: Check } = {
  by: oneOf('partition', 'key'),
  max: integer({ from: 1 }),
}

const runChecks: { readonly [O in keyof Required<RunOptions>]: Check } = {
  concurrency: (_name, value) => checkOptions('concurrency', value, { checks: concurrencyChecks }),
  autoCommit: checkBoolean,
  autoCommitIntervalMs: integer({ from: 0 }),
  retries: integer({ from: 0 }),
  backoffMs: integer({ from: 0 }),
  maxBackoffMs: integer({ from: 0 }),
  // A name, or a handle of this log: `Consumers`.
  deadLetterTopic: anything,
  signal: checkSignal,
}

/** Checks the options of `log.consumer` and fills in the defaults. */
export function resolveConsumerOptions(given: ConsumerOptions): ResolvedConsumerOptions {
  checkOptions('log.consumer', given, { checks: consumerChecks })
  const { maxBytes, checkCrcs, onOutOfRange, onCorruption, maxRecords = -1 } = given
  const { assignor = 'cooperative-sticky' } = given
  return {
    group: given.group ?? null,
    from: checkConsumerFrom(given.from),
    maxRecords: maxRecords === -1 ? Number.POSITIVE_INFINITY : maxRecords,
    maxWaitMs: given.maxWaitMs ?? 500,
    assignor: assignor === 'cooperative-sticky' ? assignCooperativeSticky : assignor,
    rebalanceTimeoutMs: given.rebalanceTimeoutMs ?? 60_000,
    signal: given.signal,
    read: {
      ...resolveReadOptions('log.consumer', { maxBytes, checkCrcs, onOutOfRange, onCorruption }),
      live: true,
    },
  }
}

/** Checks the options of `consumer.run` and fills in the defaults. */
export function resolveRunOptions(given: RunOptions = {}): ResolvedRunOptions {
  checkOptions('consumer.run', given, { checks: runChecks })
  const { concurrency } = given
  if (concurrency !== undefined && concurrency.by === undefined) {
    throw new TypeError("expected `concurrency.by` to be 'partition' or 'key', got undefined")
  }
  return {
    concurrency:
      concurrency === undefined
        ? oneAtATime
        : { by: concurrency.by, max: concurrency.max ?? defaultMax },
    autoCommit: given.autoCommit ?? true,
    autoCommitIntervalMs: given.autoCommitIntervalMs ?? 100,
    retry: {
      retries: given.retries ?? 0,
      backoffMs: given.backoffMs ?? 100,
      maxBackoffMs: given.maxBackoffMs ?? 30_000,
    },
    deadLetterTopic: given.deadLetterTopic,
    signal: given.signal,
  }
}

/** Beforehand, so that no name is put together for a message that nobody gets. */
function isOffset(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Checks a list of partitions, and copies it. */
export function checkPartitions(name: string, value: unknown): readonly TopicPartition[] {
  checkArray(name, value)
  return value.map((item, index) => {
    checkPartition(name, index, item)
    return { topic: item.topic, partition: item.partition }
  })
}

/**
 * Checks a list of offsets, and copies it.
 *
 * @throws {RangeError} when an offset is not one, or metadata is larger than Kafka takes
 */
export function checkCommittedOffsets(
  name: string,
  value: unknown,
): readonly Required<CommittedOffset>[] {
  checkArray(name, value)
  // Many a commit comes this way that nobody waits for: one object for each, and no names of what is right.
  return value.map((item, index) => {
    checkPartition(name, index, item)
    const { topic, partition, offset, metadata = '' } = item as CommittedOffset
    if (!isOffset(offset)) checkOffset(`${name}[${index}].offset`, offset)
    if (metadata !== '') checkMetadata(`${name}[${index}].metadata`, metadata)
    return { topic, partition, offset, metadata }
  })
}

function checkArray(
  name: string,
  value: unknown,
): asserts value is (Partial<CommittedOffset> | null)[] {
  if (Array.isArray(value)) return
  throw new TypeError(`expected \`${name}\` to be an array of partitions, got ${shown(value)}`)
}

function checkPartition(
  name: string,
  index: number,
  item: Partial<TopicPartition> | null,
): asserts item is TopicPartition {
  if (typeof item?.topic !== 'string') {
    throw new TypeError(`expected \`${name}[${index}].topic\` to be a string`)
  }
  if (!isOffset(item.partition)) checkOffset(`${name}[${index}].partition`, item.partition)
}

function checkMetadata(name: string, metadata: unknown): void {
  if (typeof metadata !== 'string') throw new TypeError(`expected \`${name}\` to be a string`)
  const sizeBytes = Buffer.byteLength(metadata)
  if (sizeBytes > maxMetadataBytes) {
    throw new RangeError(
      `expected \`${name}\` to have at most ${maxMetadataBytes} bytes, got ${sizeBytes}`,
    )
  }
}

function checkConsumerFrom(from: unknown): ConsumerFrom {
  if (Array.isArray(from)) return checkCommittedOffsets('from', from)
  const checked = checkFrom(from)
  if (typeof checked === 'number') {
    throw new TypeError(
      `\`from: ${checked}\` does not say which partition is meant: use [{ topic, partition, offset }]`,
    )
  }
  return checked
}
