/**
 * The options of single calls (append, read, records, batches), checked where they enter: a wrong
 * type or an unknown name is a `TypeError`, a number outside its range a `RangeError`, `undefined`
 * counts as absent. The options of opening and of topics are checked in `lib/options.ts`.
 */
import type { Acks } from '../types.ts'

/** Says what is wrong with a value that is present, or nothing. */
export type Check = (name: string, value: unknown) => void

/** Checks every option that is present, and that each is known. */
export function checkOptions(
  call: string,
  options: unknown,
  checks: Readonly<Record<string, Check>>,
): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`expected the options of ${call} to be an object, got ${shown(options)}`)
  }
  for (const name in options) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) {
      const known = Object.keys(checks).join(', ')
      throw new TypeError(`\`${name}\` is not an option of ${call}; its options are ${known}`)
    }
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined) check(name, value)
  }
}

/** Accepts integers from `least` up that a number holds exactly. */
export function integerFrom(least: number): Check {
  return (name, value) => {
    const expected = `expected \`${name}\` to be an integer from ${least} up, got ${shown(value)}`
    if (typeof value !== 'number') throw new TypeError(expected)
    if (!Number.isSafeInteger(value) || value < least) throw new RangeError(expected)
  }
}

/** Accepts an offset. */
export const checkOffset: Check = integerFrom(0)

/** Accepts milliseconds, and -1 for no limit. */
export const checkMs: Check = integerFrom(-1)

/** Accepts one of a few words. */
export function oneOf(...words: readonly string[]): Check {
  return (name, value) => {
    const list = words.map(word => `'${word}'`).join(' | ')
    const expected = `expected \`${name}\` to be ${list}, got ${shown(value)}`
    if (typeof value !== 'string') throw new TypeError(expected)
    if (!words.includes(value)) throw new RangeError(expected)
  }
}

/** Accepts the levels of acknowledgement. */
export const checkAcks: Check = oneOf('durable', 'written', 'queued' satisfies Acks)

/** Accepts true and false. */
export const checkBoolean: Check = (name, value) => {
  if (typeof value === 'boolean') return
  throw new TypeError(`expected \`${name}\` to be a boolean, got ${shown(value)}`)
}

/** Accepts functions. */
export const checkFunction: Check = (name, value) => {
  if (typeof value === 'function') return
  throw new TypeError(`expected \`${name}\` to be a function, got ${shown(value)}`)
}

/** Accepts an `AbortSignal`, also one from another realm. */
export const checkSignal: Check = (name, value) => {
  const signal = value as Partial<AbortSignal> | null
  const isSignal = typeof signal === 'object' && signal !== null
  if (isSignal && typeof signal.aborted === 'boolean' && 'addEventListener' in signal) return
  throw new TypeError(`expected \`${name}\` to be an AbortSignal, got ${shown(value)}`)
}

/** Accepts a time: integer milliseconds since the epoch, or a valid Date. Returns the milliseconds. */
export function checkedTimestamp(name: string, value: unknown): number {
  const isDate = value instanceof Date
  if (!isDate && typeof value !== 'number') {
    throw new TypeError(`expected \`${name}\` to be a number or a Date, got ${shown(value)}`)
  }
  const timestamp = isDate ? value.getTime() : value
  if (Number.isSafeInteger(timestamp)) return timestamp
  throw new RangeError(`expected \`${name}\` to be integer milliseconds, got ${shown(value)}`)
}

/** A value as it is shown in a message: `12` (number). */
export function shown(value: unknown): string {
  if (value === null) return '`null`'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'function') return 'a function'
  const text = String(value)
  return `\`${text.length > 100 ? `${text.slice(0, 100)}…` : text}\` (${typeof value})`
}
