/** A chunk of the log made ready to be shown: batches decompressed, markers of transactions left out. */
import { BatchView, type RecordContext } from '../record/batch-reader.ts'
import { decompressRecords, maxDecompressedBytes } from '../record/codecs.ts'
import type { LogChunk } from '../storage/readable.ts'
import type { Offset } from '../types.ts'

/** Batches of one partition in offset order, ready to be iterated. */
export interface ReadyChunk {
  readonly partition: number
  /** Records below this offset may be in the first batch, and were not asked for. */
  readonly from: Offset
  readonly batches: readonly BatchView<unknown, unknown>[]
  /** Where reading goes on. */
  readonly nextOffset: Offset
}

/**
 * Makes the batches of a chunk ready. When one of them, not the first, cannot be decompressed the
 * chunk ends before it, so that what lies before the trouble is seen before the trouble.
 *
 * @throws {CorruptRecordError} when the first batch does not decompress
 * @throws {CodecMissingError} when the first batch needs a package that is not installed
 */
export async function openChunk(
  chunk: LogChunk,
  context: RecordContext,
  from: Offset = 0,
): Promise<ReadyChunk> {
  const batches: BatchView<unknown, unknown>[] = []
  const { topic, partition, key, value } = context
  const inFile: RecordContext = { topic, partition, key, value, path: chunk.path }
  let nextOffset = chunk.nextOffset
  for (const position of chunk.positions) {
    const batch = new BatchView<unknown, unknown>(inFile, { buffer: chunk.buffer, position })
    // Markers, and what compaction has left of batches, have nothing to show.
    if (batch.isControl || batch.recordCount === 0) continue
    if (batch.compressionType === 'none') {
      batches.push(batch)
      continue
    }
    try {
      batches.push(await decompressed(chunk, position, { context: inFile, batch }))
    } catch (error) {
      if (batches.length === 0) throw error
      nextOffset = batch.baseOffset
      break
    }
  }
  return { partition, from, batches, nextOffset }
}

async function decompressed(
  chunk: LogChunk,
  position: number,
  { context, batch }: { context: RecordContext; batch: BatchView<unknown, unknown> },
): Promise<BatchView<unknown, unknown>> {
  const bytes = chunk.buffer.subarray(position, position + batch.sizeBytes)
  const records = await decompressRecords(bytes, {
    maxBytes: maxDecompressedBytes,
    path: chunk.path,
    position: chunk.filePosition + position,
  })
  return new BatchView<unknown, unknown>(context, { buffer: chunk.buffer, position, records })
}
