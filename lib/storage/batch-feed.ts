/** The batches of a sealed segment for compaction, chunk by chunk, nothing believed unchecked. */
import type { OpenFile } from '../files/files.ts'
import {
  baseOffsetAt,
  batchPrefixBytes,
  batchSizeAt,
  checkBatch,
  nextOffsetAt,
} from '../record/batch-format.ts'
import type { FileHandles } from './file-handles.ts'
import { readFully } from './file-io.ts'

/** Bytes read at once; a larger batch is read whole. */
const chunkBytes = 512 << 10

/** Whole batches, sound and without a gap between them, at `positions` of the buffer. */
export interface FedChunk {
  readonly buffer: Buffer
  readonly positions: readonly number[]
  /** Of the buffer's first byte. */
  readonly filePosition: number
  readonly sizeBytes: number
}

/** What is read: a segment, and where its next neighbor begins. */
export interface FedSegment {
  readonly path: string
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
}

/** Reads one segment from its start. No file is held between two calls; the buffer is used again. */
export class BatchFeed {
  readonly #handles: FileHandles
  readonly #segment: FedSegment
  #buffer: Buffer
  #position = 0
  /** Behind the last batch that was given. */
  reachedOffset: number

  constructor(handles: FileHandles, segment: FedSegment) {
    this.#handles = handles
    this.#segment = segment
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, segment.sizeBytes))
    this.reachedOffset = segment.baseOffset
  }

  /**
   * The next chunk, valid until the next call. `end` when the segment has been read to its exact
   * end; `damaged` when what lies at `reachedOffset` is not the batch that must be there.
   *
   * @throws {StorageError} when the file cannot be read
   */
  async next(): Promise<FedChunk | 'end' | 'damaged'> {
    const { sizeBytes, nextOffset, path } = this.#segment
    if (this.#position === sizeBytes) return this.reachedOffset === nextOffset ? 'end' : 'damaged'
    for (;;) {
      const wanted = Math.min(this.#buffer.length, sizeBytes - this.#position)
      const pin = this.#handles.pin(path, 'read')
      const present = await this.#read(pin.file, wanted).finally(() => pin.release())
      if (present < wanted) return 'damaged'
      const chunk = this.#cut(present)
      if (chunk !== null) return chunk
      // A batch that is larger than the buffer, or none at all.
      const size = present < batchPrefixBytes ? 0 : batchSizeAt(this.#buffer, 0)
      if (size <= this.#buffer.length || size > sizeBytes - this.#position) return 'damaged'
      this.#buffer = Buffer.allocUnsafeSlow(size)
    }
  }

  #read(file: OpenFile, wanted: number): Promise<number> {
    return readFully(file, this.#buffer.subarray(0, wanted), this.#position)
  }

  /** The sound batches at the start of the buffer; null when there is none. */
  #cut(present: number): FedChunk | null {
    const buffer = this.#buffer
    const positions: number[] = []
    let position = 0
    while (position < present) {
      if (checkBatch(buffer, position, { end: present, checkCrc: true }) !== 'ok') break
      const nextOffset = nextOffsetAt(buffer, position)
      if (baseOffsetAt(buffer, position) !== this.reachedOffset) break
      if (nextOffset > this.#segment.nextOffset) break
      positions.push(position)
      this.reachedOffset = nextOffset
      position += batchSizeAt(buffer, position)
    }
    const filePosition = this.#position
    this.#position += position
    return positions.length === 0 ? null : { buffer, positions, filePosition, sizeBytes: position }
  }
}
