/** How keys and values become bytes, and bytes become keys and values. */
import { shown } from '../checks.ts'
import { InvalidRecordError, type RecordIssue } from '../errors.ts'
import type { Bytes, Serde } from '../types.ts'

/** One thing that a schema found wrong. */
export type StandardIssue = RecordIssue

/** What validating gave: the value, as the schema wants it, or issues. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

/**
 * A schema of any library that follows Standard Schema, version 1 (standardschema.dev): the part of
 * it that is used here.
 */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>
  }
}

/**
 * The serdes that come with the package.
 *
 * `bytes` hands Buffers through; reading gives a view that keeps its chunk in memory.
 *
 * `string` is UTF-8; what is not valid UTF-8 reads as U+FFFD.
 *
 * `json` is JSON text. With a schema, values are validated both before they are written and after
 * they were read, and it is the schema's result that counts; a schema that transforms must
 * therefore accept what it gives out. Serializing throws `InvalidRecordError` with the issues; on
 * reading that error is the cause of a `DeserializationError`. A schema that validates with a
 * promise, something that is no schema, and a value that JSON cannot hold, is a `TypeError`.
 */
export const serde: {
  readonly bytes: Serde<Buffer>
  readonly string: Serde<string>
  readonly json: <T>(schema?: StandardSchema<T>) => Serde<T>
} = {
  bytes: { serialize: bytes => bytes, deserialize: bytes => bytes },
  string: { serialize: text => text, deserialize: bytes => bytes.toString('utf8') },
  json: makeJsonSerde,
}

function makeJsonSerde<T>(schema?: StandardSchema<T>): Serde<T> {
  if (schema !== undefined) checkSchema(schema)
  return {
    serialize(value: T): Bytes {
      let checked = value
      if (schema !== undefined) {
        const result = validate(schema, value)
        if (result.issues !== undefined) throw refusalBy(result.issues)
        checked = result.value
      }
      // Typed as a string, but undefined for undefined, functions and symbols.
      const text: string | undefined = JSON.stringify(checked)
      if (text === undefined) throw new TypeError(`JSON has no form for ${typeof checked}`)
      return text
    },
    deserialize(bytes: Buffer): T {
      const parsed: unknown = JSON.parse(bytes.toString('utf8'))
      if (schema === undefined) return parsed as T
      const result = validate(schema, parsed)
      if (result.issues !== undefined) throw refusalBy(result.issues)
      return result.value
    },
  }
}

/** Schemas of older versions of a library are none, and would let everything pass. */
function checkSchema(schema: unknown): void {
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function'
  const standard: unknown = isObject ? Reflect.get(schema, '~standard') : undefined
  const isStandard = typeof standard === 'object' && standard !== null
  if (isStandard && typeof Reflect.get(standard, 'validate') === 'function') return
  throw new TypeError(`expected the schema to follow Standard Schema, got ${shown(schema)}`)
}

function validate<T>(schema: StandardSchema<T>, value: unknown): StandardResult<T> {
  const result: unknown = schema['~standard'].validate(value)
  if (typeof result !== 'object' || result === null) {
    throw new TypeError(`expected the schema to give a result, got ${shown(result)}`)
  }
  if (isThenable(result)) {
    // The answer comes too late for anybody; a rejection of it must not end the process.
    result.then(undefined, () => {})
    throw new TypeError(
      `the schema (${schema['~standard'].vendor}) validates with a promise; serde.json needs a synchronous one`,
    )
  }
  return result as StandardResult<T>
}

/** A promise of any kind: one that a library made itself is no `Promise`. */
function isThenable(result: object): result is PromiseLike<unknown> {
  return 'then' in result && typeof result.then === 'function'
}

function refusalBy(issues: readonly StandardIssue[]): InvalidRecordError {
  return new InvalidRecordError(listIssues(issues), issues)
}

function listIssues(issues: readonly StandardIssue[]): string {
  const lines = issues.map(({ message, path }) => {
    const keys = path?.map(part => String(typeof part === 'object' ? part.key : part)) ?? []
    return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
  })
  return `the schema refuses the value: ${lines.join('; ')}`
}
