/**
 * The buffers that accepted appends are encoded into. Batches are written to disk straight from
 * here, so a chunk is given back only when its last byte is with the operating system.
 */

/**
 * Size of a chunk, and of the largest write that several batches share: a batch of Kafka's largest
 * default size, 1 MiB + 12, with what `recordSizeBound` allows beyond the bytes that it takes.
 */
export const chunkBytes: number = (1 << 20) + (128 << 10)

/** A partition that was idle starts with one of these, so that a thousand slow topics stay cheap. */
export const smallChunkBytes: number = 16 << 10

/** A buffer under construction: `[0, endPosition)` holds accepted batches. */
export interface Chunk {
  readonly buffer: Buffer
  /** Behind the last accepted batch. */
  endPosition: number
  /** Behind the last batch that is written. */
  writtenPosition: number
}

/** Recycles chunks of the two sizes; larger ones, for a single large batch, come and go. */
export class ChunkPool {
  readonly #large: Buffer[] = []
  readonly #small: Buffer[] = []
  readonly #maxPooledBytes: number

  constructor(maxPooledBytes: number) {
    this.#maxPooledBytes = maxPooledBytes
  }

  /** A chunk with room for `sizeBytes`; the content is arbitrary. */
  take(sizeBytes: number, isBusy: boolean): Chunk {
    return { buffer: this.#buffer(sizeBytes, isBusy), endPosition: 0, writtenPosition: 0 }
  }

  /** Gives a chunk back; nobody may touch it afterwards. */
  give(chunk: Chunk): void {
    const { buffer } = chunk
    if (buffer.length === chunkBytes) {
      if ((this.#large.length + 1) * chunkBytes <= this.#maxPooledBytes) this.#large.push(buffer)
    } else if (buffer.length === smallChunkBytes) {
      if ((this.#small.length + 1) * smallChunkBytes <= this.#maxPooledBytes / 4)
        this.#small.push(buffer)
    }
  }

  #buffer(sizeBytes: number, isBusy: boolean): Buffer {
    if (sizeBytes > chunkBytes) return Buffer.allocUnsafeSlow(sizeBytes)
    if (isBusy || sizeBytes > smallChunkBytes)
      return this.#large.pop() ?? Buffer.allocUnsafeSlow(chunkBytes)
    return this.#small.pop() ?? Buffer.allocUnsafeSlow(smallChunkBytes)
  }
}
