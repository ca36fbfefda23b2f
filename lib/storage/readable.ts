/** What a reader needs of a partition, whether this process writes it or another one does. */
import type { Damage, PartitionIdentity } from './environment.ts'
import type { ReadBuffers } from './read-buffers.ts'

/** A request for the batches from an offset on. */
export interface ChunkRequest {
  /** First offset wanted, `logStartOffset <= from`. */
  readonly from: number
  /** Only batches that begin below this are given; never past the high watermark in any case. */
  readonly upTo?: number | undefined
  /** Size of the read; the first batch is given even if it is larger. */
  readonly maxBytes: number
  readonly checkCrcs: boolean
  /** Where the chunk before this one ended, to save the index lookup. */
  readonly hint?: ReadHint | undefined
  /** Where the memory for chunks comes from. @default fresh memory for each */
  readonly buffers?: ReadBuffers | undefined
}

/** A position known to hold the batch with `offset`; checked before it is believed. */
export interface ReadHint {
  readonly baseOffset: number
  readonly position: number
  readonly offset: number
  /** What lies there is being read already. */
  readonly ahead?: ReadAhead | undefined
}

/** A read that was begun before anybody asked for it. */
export interface ReadAhead {
  readonly position: number
  readonly sizeBytes: number
  /** Never rejects: null when the read failed, and whoever needs the bytes reads them anew. */
  readonly bytes: Promise<Buffer | null>
}

/** Whole batches in one buffer, which belongs to the caller, or is to be given back where it came from. */
export interface LogChunk {
  readonly buffer: Buffer
  /** Positions in `buffer` of the batches in offset order, none of them wholly below `from`. */
  readonly positions: readonly number[]
  /** Path of the segment and position in it of the first byte of `buffer`, for messages. */
  readonly path: string
  readonly filePosition: number
  /** Where reading goes on: behind the last batch, or behind a gap that compaction left. */
  readonly nextOffset: number
  readonly hint: ReadHint | undefined
}

/**
 * The reading side of a partition. Reads may overlap with each other and with appends; a chunk
 * holds only what was below the high watermark when it was read.
 */
export interface ReadablePartition {
  readonly identity: PartitionIdentity
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly damage: readonly Damage[]
  /**
   * Reads batches from `from` on. Gives a chunk without positions when there is nothing at or above
   * `from` yet, that is when `from` is the high watermark.
   *
   * @throws {OffsetOutOfRangeError} when `from` lies below the log start or above the high watermark
   * @throws {CorruptRecordError} when the batch at `from` is damaged; its `to` is where reading goes on
   * @throws {StorageError} when the disk fails
   */
  readChunk(request: ChunkRequest): Promise<LogChunk>
  /**
   * Calls `wake` once, when the high watermark is above `offset` or the partition is closed: at once
   * when that is so already. Who does not want to wait any longer calls what is returned. A callback,
   * because a live reader waits anew for every record, and a signal to end each wait costs more than
   * the wait (AbortController and its error: 8 of 45 µs from a flush to a record).
   */
  onceAbove(offset: number, wake: () => void): () => void
  /** First record at or after the timestamp: the offset, or null when there is none below the high watermark. */
  offsetForTimestamp(timestamp: number): Promise<number | null>
  /** The offset of the n-th record from the end, as far as the log reaches back. */
  offsetOfLast(count: number): Promise<number>
}
