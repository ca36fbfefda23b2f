/**
 * The batches of a sealed segment for compaction, chunk by chunk, nothing believed unchecked. While one
 * chunk is worked on the next is read: a quarter of a compaction's time was waiting for reads.
 */
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

/**
 * Reads one segment from its start, into two buffers by turns. No file is held but while it is read;
 * `stop` it before anything is done to the file.
 */
export class BatchFeed {
  readonly #handles: FileHandles
  readonly #segment: FedSegment
  /** What the next chunk is read into. */
  #buffer: Buffer
  /** What holds the chunk that was given last. */
  #givenBuffer: Buffer
  #position = 0
  /** Bytes of the next chunk, once they are there; null when nobody reads ahead. */
  #reading: Promise<number> | null = null
  /** Behind the last batch that was given. */
  reachedOffset: number

  constructor(handles: FileHandles, segment: FedSegment) {
    this.#handles = handles
    this.#segment = segment
    const bufferBytes = Math.min(chunkBytes, segment.sizeBytes)
    this.#buffer = Buffer.allocUnsafeSlow(bufferBytes)
    this.#givenBuffer = Buffer.allocUnsafeSlow(bufferBytes)
    this.reachedOffset = segment.baseOffset
  }

  /**
   * The next chunk, valid until the next call. `end` when the segment has been read to its exact
   * end; `damaged` when what lies at `reachedOffset` is not the batch that must be there.
   *
   * @throws {StorageError} when the file cannot be read
   */
  async next(): Promise<FedChunk | 'end' | 'damaged'> {
    const { sizeBytes, nextOffset } = this.#segment
    if (this.#position === sizeBytes) return this.reachedOffset === nextOffset ? 'end' : 'damaged'
    for (;;) {
      const wanted = this.#wanted()
      const reading = this.#reading ?? this.#read(wanted)
      this.#reading = null
      const present = await reading
      if (present < wanted) return 'damaged'
      const chunk = this.#cut(present)
      if (chunk !== null) {
        this.#readAhead()
        return chunk
      }
      // A batch that is larger than the buffer, or none at all.
      const size = present < batchPrefixBytes ? 0 : batchSizeAt(this.#buffer, 0)
      if (size <= this.#buffer.length || size > sizeBytes - this.#position) return 'damaged'
      this.#buffer = Buffer.allocUnsafeSlow(size)
    }
  }

  /** Waits until no file is held any more. Nothing is read from then on. */
  async stop(): Promise<void> {
    await this.#reading?.catch(() => {})
  }

  #wanted(): number {
    return Math.min(this.#buffer.length, this.#segment.sizeBytes - this.#position)
  }

  async #read(wanted: number): Promise<number> {
    const pin = this.#handles.pin(this.#segment.path, 'read')
    try {
      return await readFully(pin.file, this.#buffer.subarray(0, wanted), this.#position)
    } finally {
      pin.release()
    }
  }

  /** Begins to read what follows, into the buffer that nobody uses now. */
  #readAhead(): void {
    const given = this.#buffer
    this.#buffer = this.#givenBuffer
    this.#givenBuffer = given
    if (this.#position === this.#segment.sizeBytes) return
    this.#reading = this.#read(this.#wanted())
    // Whoever asks for the chunk hears of it.
    this.#reading.catch(() => {})
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
