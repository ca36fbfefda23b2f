/**
 * Checking options where they enter, whether of a call, of a log or of a topic: a value of the wrong
 * type is a `TypeError`, a number outside its range (NaN and fractions included) a `RangeError`, a
 * name that is not an option a `TypeError`; `undefined` counts as absent.
 */

/** Says what is wrong with a value that is present, or nothing. */
export type Check = (name: string, value: unknown) => void

/**
 * Checks every option that is present, and that each is known. `owner` is whose options they are, as
 * the messages have it: `topic.append`, `a topic`. With `allowNull` (default false) every value may
 * be null.
 */
export function checkOptions(
  owner: string,
  options: unknown,
  settings: {
    readonly checks: Readonly<Record<string, Check>>
    readonly allowNull?: boolean
  },
): void {
  const { checks, allowNull = false } = settings
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`expected the options of ${owner} to be an object, got ${shown(options)}`)
  }
  // Inherited ones as well: they would be read as well.
  for (const name in options) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) throw new TypeError(unknownOption(owner, name, Object.keys(checks)))
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined && !(allowNull && value === null)) check(name, value)
  }
}

/** Accepts integers in a range that a number holds exactly; with `orNoLimit` -1 as well. */
export function integer(range: {
  readonly from: number
  readonly to?: number
  readonly orNoLimit?: boolean
}): Check {
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

/** Accepts numbers between two others, both included, with fractions. */
export function numberBetween(from: number, to: number): Check {
  const expected = `a number from ${from} to ${to}`
  return (name, value) => {
    if (typeof value !== 'number') throw new TypeError(mismatch(name, expected, value))
    // NaN is neither.
    if (!(value >= from && value <= to)) throw new RangeError(mismatch(name, expected, value))
  }
}

/** Accepts one of a few words. */
export function oneOf(...words: readonly string[]): Check {
  const expected = `one of ${words.map(word => `'${word}'`).join(', ')}`
  return (name, value) => {
    if (typeof value !== 'string') throw new TypeError(mismatch(name, expected, value))
    if (!words.includes(value)) throw new RangeError(mismatch(name, expected, value))
  }
}

/** Accepts objects that have these methods. */
export function withMethods(...methods: readonly string[]): Check {
  const expected = `an object with ${methods.join('(), ')}()`
  return (name, value) => {
    const holder = value as Readonly<Record<string, unknown>> | null
    const isObject = typeof holder === 'object' && holder !== null
    if (isObject && methods.every(method => typeof holder[method] === 'function')) return
    throw new TypeError(mismatch(name, expected, value))
  }
}

/** Accepts an offset. */
export const checkOffset: Check = integer({ from: 0 })

/** Accepts milliseconds, and -1 for no limit. */
export const checkMs: Check = integer({ from: 0, orNoLimit: true })

/** Accepts the levels of acknowledgement. */
export const checkAcks: Check = oneOf('durable', 'written', 'queued')

/** Accepts true and false. */
export const checkBoolean: Check = (name, value) => {
  if (typeof value !== 'boolean') throw new TypeError(mismatch(name, 'a boolean', value))
}

/** Accepts functions. */
export const checkFunction: Check = (name, value) => {
  if (typeof value !== 'function') throw new TypeError(mismatch(name, 'a function', value))
}

/** More names than this in one list are taken for a mistake. */
const maxNames = 1000

/**
 * Accepts names, such as that of a group: 1 to 255 characters, none of which ends a line or steers a
 * terminal, for they are stored in files of lines and shown in messages.
 */
export const checkName: Check = (name, value) => {
  if (typeof value !== 'string') throw new TypeError(mismatch(name, 'a string', value))
  if (value.length >= 1 && value.length <= 255 && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) return
  const expected = 'a name of 1 to 255 characters without control characters'
  throw new RangeError(mismatch(name, expected, value))
}

/** Accepts lists of names. */
export const checkNames: Check = (name, value) => {
  if (!Array.isArray(value)) throw new TypeError(mismatch(name, 'an array of names', value))
  if (value.length > maxNames) {
    throw new RangeError(mismatch(name, `at most ${maxNames} names`, value.length))
  }
  // By index: a hole would be passed over.
  for (let index = 0; index < value.length; index++) checkName(`${name}[${index}]`, value[index])
}

/** Accepts an `AbortSignal`, also one from another realm. */
export const checkSignal: Check = (name, value) => {
  const signal = value as Partial<AbortSignal> | null
  const isObject = typeof signal === 'object' && signal !== null
  if (isObject && typeof signal.aborted === 'boolean' && 'addEventListener' in signal) return
  throw new TypeError(mismatch(name, 'an AbortSignal', value))
}

/** Accepts a time: integer milliseconds since the epoch, or a valid Date. Returns the milliseconds. */
export function checkedTimestamp(name: string, value: unknown): number {
  const isDate = value instanceof Date
  if (!isDate && typeof value !== 'number') {
    throw new TypeError(mismatch(name, 'a number or a Date', value))
  }
  const timestamp = isDate ? value.getTime() : value
  if (Number.isSafeInteger(timestamp)) return timestamp
  throw new RangeError(mismatch(name, 'integer milliseconds', value))
}

/** A value as messages show it: `12` (number). */
export function shown(value: unknown): string {
  if (value === null) return '`null`'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'function') return 'a function'
  const text = String(value)
  return `\`${text.length > 100 ? `${text.slice(0, 100)}…` : text}\` (${typeof value})`
}

function mismatch(name: string, expected: string, value: unknown): string {
  return `expected \`${name}\` to be ${expected}, got ${shown(value)}`
}

function unknownOption(owner: string, name: string, known: readonly string[]): string {
  const hint = nearestOf(name, known) ?? `; its options are ${known.join(', ')}`
  return `\`${name}\` is not an option of ${owner}${hint}`
}

/** The question whether a known word was meant, as the end of a message; null where none is near. */
export function nearestOf(name: string, known: readonly string[]): string | null {
  const nearest = known
    .map(candidate => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0]
  const isNear = nearest !== undefined && nearest.distance <= Math.max(2, name.length / 3)
  return isNear ? `, did you mean \`${nearest.candidate}\`?` : null
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
