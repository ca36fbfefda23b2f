/** What is to be known of the records of one append before they are encoded. */
import { RecordBatchTooLargeError, RecordTooLargeError } from '../errors.ts'
import type { RecordInput } from '../types.ts'

/** Whether a call has several records; one may be given by itself. */
export function isArray<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value)
}

/** The timestamp that a record has, or gets by being appended at `nowMs`. */
export function timestampOf(record: RecordInput, nowMs: number): number {
  return record.timestamp === undefined ? nowMs : Number(record.timestamp)
}

/** Bytes of all keys and values, exactly: for the few whose cheap upper bound is too large to go by. */
export function byteLengths(records: readonly RecordInput[]): number {
  let sizeBytes = 0
  for (const { key, value } of records) sizeBytes += byteLength(key) + byteLength(value)
  return sizeBytes
}

/** By how much the bounds of string keys and values exceed what they take. */
export function overestimatedBytes(records: readonly RecordInput[]): number {
  let bytes = 0
  for (const { key, value } of records) {
    if (typeof key === 'string') bytes += 3 * key.length - Buffer.byteLength(key)
    if (typeof value === 'string') bytes += 3 * value.length - Buffer.byteLength(value)
  }
  return bytes
}

/** The refusal of a batch, or of the only record in it. */
export function tooLarge(
  recordCount: number,
  size: { readonly sizeBytes: number; readonly maxBatchBytes: number },
): Error {
  return recordCount === 1
    ? new RecordTooLargeError(size.sizeBytes, size.maxBatchBytes)
    : new RecordBatchTooLargeError(size.sizeBytes, size.maxBatchBytes)
}

function byteLength(bytes: unknown): number {
  if (typeof bytes === 'string') return Buffer.byteLength(bytes)
  return bytes instanceof Uint8Array ? bytes.length : 0
}
