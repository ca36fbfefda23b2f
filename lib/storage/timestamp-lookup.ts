/**
 * Looks a timestamp up, KIP-79's offset for a timestamp: the time index gives the place to start, the
 * batches and records from there on decide. Nothing of the index is believed unchecked.
 */
import { batchHeaderBytes, maxTimestampAt, nextOffsetAt } from '../record/batch-format.ts'
import { BatchView } from '../record/batch-reader.ts'
import { decompressRecords, maxDecompressedBytes } from '../record/codecs.ts'
import type { PartitionIdentity } from './environment.ts'
import type { IndexLoader } from './index-loader.ts'
import type { ChunkRequest, LogChunk, ReadHint } from './readable.ts'
import {
  type BatchBoundary,
  nextBase,
  type ReadableRange,
  type ReadableSegment,
} from './readable-segment.ts'
import type { SegmentFileReader } from './segment-file-reader.ts'
import type { TimeIndexEntry } from './time-index.ts'

/** What a lookup needs of the partition's reader. */
export interface TimestampSource {
  readonly identity: PartitionIdentity
  readonly files: SegmentFileReader
  readonly indexes: IndexLoader
  segments(): readonly ReadableSegment[]
  boundaryAt(offset: number): Promise<BatchBoundary>
  /** Reads within the range of the lookup. */
  readChunk(request: ChunkRequest): Promise<LogChunk>
}

/** One lookup. Its range may move while it looks. */
export class TimestampLookup {
  readonly #source: TimestampSource
  readonly #timestamp: number
  readonly #range: ReadableRange

  constructor(source: TimestampSource, timestamp: number, range: ReadableRange) {
    this.#source = source
    this.#timestamp = timestamp
    this.#range = range
  }

  /** The offset of the first record at or after the timestamp; null when the range holds none. */
  async offset(): Promise<number | null> {
    const segments = this.#source.segments()
    const timestamp = this.#timestamp
    for (const segment of segments) {
      if (
        segment.nextOffset <= this.#range.logStartOffset &&
        segment.endPosition !== Number.POSITIVE_INFINITY
      )
        continue
      let indexes = await this.#source.indexes.of(segment)
      const used = [indexes.times.lookup(timestamp - 1), indexes.times.lastEntry]
      if (!(await this.#areTimesSound(segment, used))) {
        indexes = await this.#source.indexes.rebuild(segment)
      }
      const startOffset = Math.max(
        indexes.times.lookup(timestamp - 1)?.offset ?? segment.baseOffset,
        segment.baseOffset,
      )
      const newest = indexes.times.lastEntry
      // Only in a finished segment the last entry holds the largest timestamp.
      if (segment.isFinished && newest !== null && newest.timestamp < timestamp) continue
      const found = await this.#scan(segment, startOffset)
      if (found !== null) return found
    }
    return null
  }

  /** The largest timestamp in a sealed segment, -1 when its records have none. */
  async newestIn(segment: ReadableSegment): Promise<number> {
    let { times } = await this.#source.indexes.of(segment)
    if (times.lastEntry === null || !(await this.#areTimesSound(segment, [times.lastEntry]))) {
      times = (await this.#source.indexes.rebuild(segment)).times
    }
    return times.lastEntry?.timestamp ?? -1
  }

  /** Whether the batches that the entries name end there and have those timestamps. */
  async #areTimesSound(
    segment: ReadableSegment,
    entries: readonly (TimeIndexEntry | null)[],
  ): Promise<boolean> {
    for (const entry of entries) {
      if (entry === null) continue
      const { offset, baseOffset, position } = await this.#source.boundaryAt(entry.offset)
      if (baseOffset !== segment.baseOffset || offset > entry.offset) return false
      const header = await this.#source.files.readAt(segment, {
        position,
        sizeBytes: batchHeaderBytes,
      })
      if (header.length < batchHeaderBytes) return false
      const isSame =
        nextOffsetAt(header, 0) === entry.offset + 1 &&
        maxTimestampAt(header, 0) === entry.timestamp
      if (!isSame) return false
    }
    return true
  }

  async #scan(segment: ReadableSegment, startOffset: number): Promise<number | null> {
    const { logStartOffset, highWatermark } = this.#range
    let from = Math.max(startOffset, logStartOffset)
    let hint: ReadHint | undefined
    const upTo = Math.min(highWatermark, nextBase(this.#source.segments(), segment))
    while (from < upTo) {
      const request = { from, upTo, maxBytes: 64 << 10, checkCrcs: true, hint }
      const chunk = await this.#source.readChunk(request)
      for (const position of chunk.positions) {
        if (maxTimestampAt(chunk.buffer, position) < this.#timestamp) continue
        const found = await this.#firstAtOrAfter(chunk, position)
        if (found !== null) return found
      }
      if (chunk.nextOffset <= from) return null
      from = chunk.nextOffset
      hint = chunk.hint
    }
    return null
  }

  async #firstAtOrAfter(chunk: LogChunk, position: number): Promise<number | null> {
    const { logStartOffset } = this.#range
    const context = { ...this.#source.identity, key: null, value: null, path: chunk.path }
    let batch = new BatchView(context, { buffer: chunk.buffer, position })
    if (batch.compressionType !== 'none') {
      const bytes = chunk.buffer.subarray(position, position + batch.sizeBytes)
      const records = await decompressRecords(bytes, {
        maxBytes: maxDecompressedBytes,
        path: chunk.path,
      })
      batch = new BatchView(context, { buffer: chunk.buffer, position, records })
    }
    for (const { timestamp, offset } of batch) {
      if (timestamp >= this.#timestamp && offset >= logStartOffset) return offset
    }
    return null
  }
}
