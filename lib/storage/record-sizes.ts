/** What records take exactly, for the few appends whose cheap upper bound is too large to go by. */
import { RecordBatchTooLargeError, RecordTooLargeError } from '../errors.ts'
import type { RecordInput } from '../types.ts'

/** Bytes of all keys and values. */
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
