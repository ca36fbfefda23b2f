/** A part of a record batch: what lies at and behind a position, or as many records as were asked for. */
import { type Inspect, inspectSymbol } from '../record/record-json.ts'
import type { CompressionType, LogRecord, RecordBatch } from '../types.ts'

/**
 * The records of a batch with offsets in `[from, to)`, `recordCount` of them. `sizeBytes` is that of the
 * whole batch: records have no place of their own on the disk.
 */
export class BatchSlice<K = Buffer, V = Buffer> implements RecordBatch<K, V> {
  readonly recordCount: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly #batch: RecordBatch<K, V>

  constructor(
    batch: RecordBatch<K, V>,
    part: { readonly from: number; readonly to: number; readonly recordCount: number },
  ) {
    this.#batch = batch
    this.baseOffset = part.from
    this.nextOffset = part.to
    this.recordCount = part.recordCount
  }

  get topic(): string {
    return this.#batch.topic
  }

  get partition(): number {
    return this.#batch.partition
  }

  get maxTimestamp(): number {
    return this.#batch.maxTimestamp
  }

  get leaderEpoch(): number {
    return this.#batch.leaderEpoch
  }

  get sizeBytes(): number {
    return this.#batch.sizeBytes
  }

  get compressionType(): CompressionType {
    return this.#batch.compressionType
  }

  *[Symbol.iterator](): IterableIterator<LogRecord<K, V>> {
    for (const record of this.#batch) {
      if (record.offset >= this.nextOffset) return
      if (record.offset >= this.baseOffset) yield record
    }
  }

  /** The part with its records. */
  toJSON(): unknown {
    return { ...this.#facts(), records: Array.from(this, record => record.toJSON()) }
  }

  /** The part without its records. @internal */
  [inspectSymbol](_depth: number, options: object, inspect: Inspect): string {
    return `RecordBatch ${inspect(this.#facts(), options)}`
  }

  #facts(): object {
    const { topic, partition, baseOffset, nextOffset, recordCount, maxTimestamp } = this
    return { topic, partition, baseOffset, nextOffset, recordCount, maxTimestamp }
  }
}

/**
 * The first `maxRecords` records of a batch at or behind `from`; the batch itself when that is all of it,
 * null when there are none.
 */
export function sliceBatch<K, V>(
  batch: RecordBatch<K, V>,
  { from, maxRecords }: { readonly from: number; readonly maxRecords: number },
): RecordBatch<K, V> | null {
  if (from <= batch.baseOffset && batch.recordCount <= maxRecords) return batch
  let recordCount = 0
  let first = from
  let to = batch.nextOffset
  for (const { offset } of batch) {
    if (offset < from) continue
    if (recordCount === maxRecords) {
      to = offset
      break
    }
    if (recordCount === 0) first = offset
    recordCount++
  }
  return recordCount === 0 ? null : new BatchSlice(batch, { from: first, to, recordCount })
}
