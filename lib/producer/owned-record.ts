/** Copies of records that have to wait: the caller's buffers are free when `send` returns. */
import type { PlainRecord } from '../log/serialize.ts'
import type { Bytes, HeadersInput } from '../types.ts'

/**
 * A copy of a record whose shape has been checked. Strings become bytes, so that its size is known
 * exactly; without a timestamp it gets the given one.
 */
export function ownedRecord(record: PlainRecord, nowMs: number): PlainRecord {
  const { key, value, headers, timestamp } = record
  return {
    key: ownedBytes(key),
    value: ownedBytes(value),
    headers: headers === undefined ? undefined : ownedHeaders(headers),
    timestamp: timestamp === undefined ? nowMs : Number(timestamp),
    partition: record.partition,
  }
}

function ownedBytes(bytes: unknown): Buffer | null {
  if (bytes === null || bytes === undefined) return null
  // Checked before: it is a string or bytes, of another realm perhaps.
  return typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes as Uint8Array)
}

function ownedHeaders(headers: HeadersInput): HeadersInput {
  const pairs: readonly (readonly [string, Bytes | null])[] = isPairs(headers)
    ? headers
    : Object.entries(headers)
  return pairs.map(([name, value]) => [name, ownedBytes(value)] as const)
}

function isPairs(headers: HeadersInput): headers is readonly (readonly [string, Bytes | null])[] {
  return Array.isArray(headers)
}
