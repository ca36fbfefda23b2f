/** Batches for specs: encoded, read back, damaged, and written by hand. */
import { batchHeaderBytes, decodeBatchHeader, sealBatch } from '../../lib/record/batch-format.ts'
import { BatchView, type RecordContext } from '../../lib/record/batch-reader.ts'
import {
  BatchWriter,
  type BatchWriterHeader,
  recordSizeBound,
} from '../../lib/record/batch-writer.ts'
import type { LogRecord, RecordInput } from '../../lib/types.ts'

export const baseTimestamp = 1700000000000

export const plainContext: RecordContext = { topic: 'orders', partition: 3, key: null, value: null }

/** A finished batch in a Buffer of its own size. */
export function encodeBatch(
  records: readonly RecordInput[],
  header: Partial<BatchWriterHeader> = {},
): Buffer {
  const bound = records.reduce((sum, record) => sum + recordSizeBound(record), batchHeaderBytes)
  const target = Buffer.alloc(bound)
  const writer = new BatchWriter()
  writer.begin(target, 0)
  for (const record of records) writer.add(record, baseTimestamp)
  return target.subarray(0, writer.finish({ baseOffset: 0, leaderEpoch: 0, ...header }))
}

/** A batch with a right checksum around a records section that is given as bytes. */
export function batchOf(records: Buffer, recordCount: number, lastOffsetDelta = 9): Buffer {
  const batch = Buffer.concat([encodeBatch([{ value: null }]).subarray(0, 61), records])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(lastOffsetDelta, 23)
  batch.writeInt32BE(recordCount, 57)
  sealBatch(batch, 0, batch.length)
  return batch
}

export function viewOf(batch: Buffer, records?: Buffer): BatchView {
  return new BatchView(plainContext, { buffer: batch, position: 0, records })
}

export function readRecords(batch: Buffer, records?: Buffer): LogRecord[] {
  return [...viewOf(batch, records)]
}

/** What a record holds, in a form that `deepEqual` compares. */
export function contentOf(record: LogRecord): unknown {
  return {
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.keyBytes?.toString() ?? null,
    value: record.valueBytes?.toString() ?? null,
    headers: record.headers.map(([name, value]) => [name, value?.toString() ?? null]),
  }
}

/** Encodes the records of an uncompressed batch once more, with the header that it had. */
export function encodeAgain(batch: Buffer): Buffer {
  const header = decodeBatchHeader(batch, 0)
  const records = readRecords(batch).map(record => ({
    key: record.keyBytes,
    value: record.valueBytes,
    headers: record.headers,
    timestamp: record.timestamp,
  }))
  return encodeBatch(records, header)
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
}
