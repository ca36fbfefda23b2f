/** Options of reading: checked at the call, and every default filled in. */

import {
  type Check,
  checkBoolean,
  checkedTimestamp,
  checkOffset,
  checkOptions,
  checkSignal,
  integer,
  oneOf,
  shown,
} from '../checks.ts'
import type { From, ReadOptions } from '../types.ts'

/** Size of one read when the caller does not say, in bytes. */
export const defaultReadBytes: number = 1024 * 1024

/** `ReadOptions` without `from`, every value present. */
export interface ResolvedReadOptions {
  readonly live: boolean
  readonly signal: AbortSignal | undefined
  readonly maxBytes: number
  readonly reuseBuffers: boolean
  readonly checkCrcs: boolean
  readonly onOutOfRange: 'error' | 'earliest' | 'latest'
  readonly onCorruption: 'error' | 'skip'
}

const readChecks: { readonly [O in keyof Required<ReadOptions<unknown>>]: Check } = {
  // Depends on who is asked: `checkFrom`, `checkTopicFrom`.
  from: () => {},
  live: checkBoolean,
  signal: checkSignal,
  maxBytes: integer({ from: 1 }),
  reuseBuffers: checkBoolean,
  checkCrcs: checkBoolean,
  onOutOfRange: oneOf('error', 'earliest', 'latest'),
  onCorruption: oneOf('error', 'skip'),
}

/** Checks everything but `from`. */
export function resolveReadOptions(
  call: string,
  options: ReadOptions<unknown> | undefined,
): ResolvedReadOptions {
  if (options !== undefined) checkOptions(call, options, { checks: readChecks })
  return {
    live: options?.live ?? false,
    signal: options?.signal,
    maxBytes: options?.maxBytes ?? defaultReadBytes,
    reuseBuffers: options?.reuseBuffers ?? false,
    checkCrcs: options?.checkCrcs ?? true,
    onOutOfRange: options?.onOutOfRange ?? 'error',
    onCorruption: options?.onCorruption ?? 'error',
  }
}

/**
 * The start of a read of one partition, `'earliest'` when there is none; messages call it `name`.
 *
 * @throws {TypeError} when it is none of the forms
 * @throws {RangeError} when a number in it is negative, a fraction or NaN
 */
export function checkFrom(from: unknown, name: string = 'from'): From {
  if (from === undefined) return 'earliest'
  if (from === 'earliest' || from === 'latest') return from
  if (typeof from === 'number') {
    checkOffset(name, from)
    return from
  }
  if (isObject(from)) {
    const [form, ...others] = Object.keys(from)
    if (form === 'timestamp' && others.length === 0) {
      return { timestamp: checkedTimestamp(`${name}.timestamp`, from['timestamp']) }
    }
    if (form === 'last' && others.length === 0) {
      checkOffset(`${name}.last`, from['last'])
      return { last: from['last'] as number }
    }
  }
  throw new TypeError(
    `expected \`${name}\` to be an offset, 'earliest', 'latest', { timestamp } or { last }, got ${shown(from)}`,
  )
}

/**
 * The start of a read of a topic, as a function from partition to start. Partitions that `{ offsets }`
 * does not name are read from the earliest record, so that a position taken before partitions were
 * added misses nothing.
 *
 * @throws {TypeError} when it is none of the forms, or a bare offset for several partitions
 * @throws {RangeError} when a number in it is negative, a fraction or NaN, or names no partition
 */
export function checkTopicFrom(from: unknown, partitionCount: number): (partition: number) => From {
  if (isObject(from) && 'offsets' in from) {
    const offsets = checkOffsets(from, partitionCount)
    return partition => offsets.get(partition) ?? 'earliest'
  }
  const checked = checkFrom(from)
  if (typeof checked === 'number' && partitionCount > 1) {
    throw new TypeError(
      `\`from: ${checked}\` does not say which of the ${partitionCount} partitions is meant: use { offsets: { [partition]: offset } }`,
    )
  }
  // Partitions added later have nothing but records that are newer than the call.
  return partition => (partition < partitionCount ? checked : 'earliest')
}

function checkOffsets(
  from: Readonly<Record<string, unknown>>,
  partitionCount: number,
): ReadonlyMap<number, number> {
  const given = from['offsets']
  if (!isObject(given) || Object.keys(from).length !== 1) {
    throw new TypeError(
      `expected \`from.offsets\` to be { [partition]: offset }, got ${shown(given)}`,
    )
  }
  const offsets = new Map<number, number>()
  for (const [name, offset] of Object.entries(given)) {
    const partition = /^\d+$/.test(name) ? Number(name) : Number.NaN
    if (!(partition < partitionCount)) {
      throw new RangeError(
        `expected the keys of \`from.offsets\` to be partitions from 0 to ${partitionCount - 1}, got ${shown(name)}`,
      )
    }
    checkOffset(`from.offsets[${name}]`, offset)
    offsets.set(partition, offset as number)
  }
  return offsets
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
