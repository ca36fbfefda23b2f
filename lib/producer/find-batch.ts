/** Finds out where a batch is that must be in the log: by looking for the numbers that it carries. */
import { CorruptRecordError } from '../errors.ts'
import type { PartitionAccess } from '../log/topic-state.ts'
import { decodeBatchHeader } from '../record/batch-format.ts'
import type { ProducerIdentity } from '../storage/append-request.ts'
import type { AppendResult } from '../types.ts'

/** How much is read at once. */
const readBytes = 1024 * 1024

/**
 * Reads headers from `from` on, or from the log start where that is higher, until one carries the
 * numbers. Damaged offsets are passed over. Null when it is nowhere below the high watermark.
 *
 * @throws {StorageError} when the disk fails
 */
export async function findBatch(
  access: PartitionAccess,
  wanted: ProducerIdentity,
  from: number,
): Promise<AppendResult | null> {
  let next = Math.max(from, access.logStartOffset)
  while (next < access.highWatermark) {
    try {
      const chunk = await access.readChunk({ from: next, maxBytes: readBytes, checkCrcs: true })
      for (const position of chunk.positions) {
        const header = decodeBatchHeader(chunk.buffer, position)
        const isWanted =
          header.producerId === wanted.producerId &&
          header.producerEpoch === wanted.producerEpoch &&
          header.baseSequence === wanted.baseSequence
        if (!isWanted) continue
        const { topic, partition } = access.identity
        const { baseOffset, nextOffset, maxTimestamp, leaderEpoch } = header
        return { topic, partition, baseOffset, nextOffset, timestamp: maxTimestamp, leaderEpoch }
      }
      if (chunk.nextOffset <= next) return null
      next = chunk.nextOffset
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      next = Math.max(error.to, next + 1)
    }
  }
  return null
}
