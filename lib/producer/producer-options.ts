/** What a producer may be told: every option with its range, every default in one place. */
import {
  type Check,
  checkAcks,
  checkBoolean,
  checkFunction,
  checkMs,
  checkOptions,
  checkSignal,
  integer,
  oneOf,
} from '../checks.ts'
import type { ProducerOptions, ProducerPartitioner, SendOptions } from '../producing.ts'
import type { Acks, CompressionType } from '../types.ts'

/** `ProducerOptions` with every value present; what is undefined there is up to the topic. */
export interface ResolvedProducerOptions {
  readonly acks: Acks | undefined
  readonly lingerMs: number
  readonly batchBytes: number
  readonly compressionType: CompressionType | undefined
  readonly partitioner: ProducerPartitioner | undefined
  readonly maxInFlightBytes: number
  readonly maxBlockMs: number
  readonly idempotent: boolean
  readonly deliveryTimeoutMs: number
  readonly retryBackoffMs: number
}

const largestInt32 = 2 ** 31 - 1

const namedPartitioner = oneOf('murmur2', 'sticky', 'round-robin')

const checkPartitioner: Check = (name, value) => {
  if (typeof value === 'string') namedPartitioner(name, value)
  else checkFunction(name, value)
}

const producerChecks: { readonly [O in keyof Required<ProducerOptions>]: Check } = {
  acks: checkAcks,
  lingerMs: integer({ from: 0, to: largestInt32 }),
  batchBytes: integer({ from: 1, to: largestInt32 }),
  compressionType: oneOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
  partitioner: checkPartitioner,
  maxInFlightBytes: integer({ from: 1 }),
  maxBlockMs: checkMs,
  idempotent: checkBoolean,
  deliveryTimeoutMs: checkMs,
  retryBackoffMs: integer({ from: 1, to: largestInt32 }),
}

const sendChecks: { readonly [O in keyof Required<SendOptions>]: Check } = { signal: checkSignal }

/**
 * Checks the options of a producer and fills in the defaults. `batchBytes` is four times Kafka's
 * `batch.size`, which counts memory that a client sets aside for every partition; here a batch takes
 * what is in it, and 64 KiB compress better.
 *
 * @throws {TypeError | RangeError} when an option is wrong or unknown
 */
export function resolveProducerOptions(
  options: ProducerOptions | undefined,
  log: { readonly maxBlockMs: number },
): ResolvedProducerOptions {
  const given = options === undefined ? {} : options
  checkOptions('a producer', given, { checks: producerChecks })
  const idempotent = given.idempotent ?? false
  if (idempotent && given.acks !== undefined && given.acks !== 'durable') {
    // What is written and not flushed can be lost after it was acknowledged: a hole in the numbers.
    throw new TypeError(
      `expected \`acks\` to be 'durable' with \`idempotent\`, got '${given.acks}'`,
    )
  }
  return {
    acks: idempotent ? 'durable' : given.acks,
    lingerMs: given.lingerMs ?? 0,
    batchBytes: given.batchBytes ?? 64 * 1024,
    compressionType: given.compressionType,
    partitioner: given.partitioner,
    maxInFlightBytes: given.maxInFlightBytes ?? 32 * 1024 * 1024,
    maxBlockMs: given.maxBlockMs ?? log.maxBlockMs,
    idempotent,
    deliveryTimeoutMs: given.deliveryTimeoutMs ?? 2 * 60 * 1000,
    retryBackoffMs: given.retryBackoffMs ?? 100,
  }
}

/** @throws {TypeError} when an option is wrong or unknown; the signal's reason when it has aborted */
export function checkSendOptions(options: SendOptions | undefined): void {
  if (options === undefined) return
  checkOptions('producer.send', options, { checks: sendChecks })
  options.signal?.throwIfAborted()
}
