/** What the parts of the log contract share: a log for the time of one body, and records as values. */
import type { Log, LogRecord, RecordBatch } from '../../lib/types.ts'
import type { OpenEmptyLog } from './log-contract.ts'

/** Gives `body` an empty log and closes it afterwards. */
export async function withLog(
  open: OpenEmptyLog,
  body: (log: Log) => Promise<void>,
): Promise<void> {
  const log = await open()
  try {
    await body(log)
  } finally {
    await log.close()
  }
}

/** Everything that a reader yields until it ends. */
export async function collect<T>(reader: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of reader) items.push(item)
  return items
}

/** The values of records as text; null for a tombstone. */
export async function valuesOf(reader: AsyncIterable<LogRecord>): Promise<(string | null)[]> {
  return (await collect(reader)).map(record => record.valueBytes?.toString() ?? null)
}

/** The offsets of records. */
export async function offsetsOf(reader: AsyncIterable<LogRecord>): Promise<number[]> {
  return (await collect(reader)).map(record => record.offset)
}

/** The offsets that batches cover, as `[baseOffset, nextOffset)`. */
export function rangesOf(batches: readonly RecordBatch[]): (readonly [number, number])[] {
  return batches.map(batch => [batch.baseOffset, batch.nextOffset] as const)
}

/** Records with the values `v0`, `v1` and so on. */
export function numbered(count: number, from = 0): { readonly value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ value: `v${from + index}` }))
}
