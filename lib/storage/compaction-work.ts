/** What the steps of one compaction share, and the one way in which they look at records. */
import { CorruptRecordError } from '../errors.ts'
import {
  attributesAt,
  baseOffsetAt,
  batchHeaderBytes,
  batchSizeAt,
  compressionTypeOf,
  nextOffsetAt,
} from '../record/batch-format.ts'
import { decompressRecords, maxDecompressedBytes } from '../record/codecs.ts'
import { BatchFeed } from './batch-feed.ts'
import type { CompactionPace } from './compaction-pace.ts'
import type { Damage, StorageEnvironment } from './environment.ts'
import { type SealedSegment, segmentPath } from './segment.ts'

/** Made for one compaction of one partition. */
export interface CompactionWork {
  readonly environment: StorageEnvironment
  readonly dir: string
  readonly pace: CompactionPace
}

/**
 * What lies at this offset is not the sound batch that must be there; or it is one, and its records
 * make no sense, which reading batches does not show: then `damage` says which.
 */
export interface DamageMet {
  readonly damagedAt: number
  readonly damage: Damage | null
}

/** Records of a batch, not compressed: `[start, end)` of `bytes`. */
export interface RecordsSection {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** Sees one sound batch; a promise is awaited before the buffer changes. `damaged` ends the reading. */
export type BatchVisitor = (
  buffer: Buffer,
  position: number,
) => 'damaged' | 'enough' | null | Promise<'damaged' | 'enough' | null>

/** Shows every batch of a segment in order, until the visitor has enough. */
export async function visitBatches(
  work: CompactionWork,
  segment: SealedSegment,
  visit: BatchVisitor,
): Promise<DamageMet | null> {
  const path = segmentPath(work.dir, segment.baseOffset, 'log')
  const feed = new BatchFeed(work.environment.handles, { ...segment, path })
  try {
    return await visitChunks(work.pace, { feed, path }, visit)
  } finally {
    await feed.stop()
  }
}

async function visitChunks(
  pace: CompactionPace,
  { feed, path }: { readonly feed: BatchFeed; readonly path: string },
  visit: BatchVisitor,
): Promise<DamageMet | null> {
  for (;;) {
    const chunk = await feed.next()
    if (chunk === 'end') return null
    if (chunk === 'damaged') return { damagedAt: feed.reachedOffset, damage: null }
    pace.moved(chunk.sizeBytes)
    for (const position of chunk.positions) {
      const seen = visit(chunk.buffer, position)
      const verdict = seen instanceof Promise ? await seen : seen
      if (verdict === 'enough') return null
      if (verdict === 'damaged') {
        const from = baseOffsetAt(chunk.buffer, position)
        const to = nextOffsetAt(chunk.buffer, position)
        const at = { path, position: chunk.filePosition + position, reason: 'record' } as const
        return { damagedAt: from, damage: { from, to, ...at } }
      }
      const isFull = pace.worked(1, batchSizeAt(chunk.buffer, position))
      if (isFull) await pace.breathe()
    }
  }
}

/** The records of the batch at `position`; null when they do not decompress. */
export function recordsOf(
  buffer: Buffer,
  position: number,
): RecordsSection | Promise<RecordsSection | null> {
  const end = position + batchSizeAt(buffer, position)
  if (compressionTypeOf(attributesAt(buffer, position)) === 'none') {
    return { bytes: buffer, start: position + batchHeaderBytes, end }
  }
  return decompressed(buffer.subarray(position, end))
}

async function decompressed(batch: Buffer): Promise<RecordsSection | null> {
  try {
    const bytes = await decompressRecords(batch, { maxBytes: maxDecompressedBytes })
    return { bytes, start: 0, end: bytes.length }
  } catch (error) {
    if (error instanceof CorruptRecordError) return null
    throw error
  }
}
