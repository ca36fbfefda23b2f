/** Memory for the chunks of one reader who is done with a chunk when he asks for the one behind the next. */

/** Chunks that are read over and over again: the reader's, the next one, and one that is being read. */
const maxFree = 3

/** Lends memory and takes it back. What is never given back is the garbage collector's. */
export class ReadBuffers {
  readonly #free: ArrayBuffer[] = []
  readonly #lent = new WeakSet<Buffer>()

  /** A buffer of exactly this size, with anything in it. */
  take(sizeBytes: number): Buffer {
    const index = this.#free.findIndex(({ byteLength }) => byteLength >= sizeBytes)
    const memory = index < 0 ? undefined : this.#free.splice(index, 1)[0]
    const buffer =
      memory === undefined ? Buffer.allocUnsafeSlow(sizeBytes) : Buffer.from(memory, 0, sizeBytes)
    this.#lent.add(buffer)
    return buffer
  }

  /** Nobody looks into the buffer any more. One that was not lent here is left alone. */
  give(buffer: Buffer): void {
    if (!this.#lent.delete(buffer)) return
    if (this.#free.length === maxFree) this.#free.shift()
    this.#free.push(buffer.buffer as ArrayBuffer)
  }
}
