/** Cuts blocks of bytes into lines, as views of the blocks wherever a line lies in one. */

const newline = 0x0a

/** A line is longer than a record can be. */
export class LineTooLongError extends Error {
  constructor(lineNumber: number, maxBytes: number) {
    super(
      `line ${lineNumber} is longer than ${maxBytes} bytes, and a record has to fit into one batch`,
    )
  }
}

/**
 * The lines of one input. A line is whatever lies before a newline, or behind the last one when that is
 * not empty; carriage returns and every other byte belong to it. Holds no more than one line.
 */
export class LineSplitter {
  readonly #maxBytes: number
  /** The beginning of a line whose end has not come yet. */
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #lineCount = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * The lines that end in this block.
   *
   * @throws {LineTooLongError} when one has more than `maxBytes`, as soon as that many are there
   */
  *split(block: Buffer): Generator<Buffer, void, undefined> {
    let start = 0
    for (;;) {
      const end = block.indexOf(newline, start)
      if (end < 0) break
      yield this.#line(block.subarray(start, end))
      start = end + 1
    }
    if (start < block.length) this.#keep(block.subarray(start))
  }

  /** What lies behind the last newline; null when nothing does. */
  end(): Buffer | null {
    return this.#pieceBytes === 0 ? null : this.#line(Buffer.alloc(0))
  }

  #line(last: Buffer): Buffer {
    if (this.#pieceBytes + last.length > this.#maxBytes) this.#refuse()
    this.#lineCount++
    if (this.#pieceBytes === 0) return last
    const line = Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#pieceBytes = 0
    return line
  }

  #keep(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#pieceBytes += piece.length
    if (this.#pieceBytes > this.#maxBytes) this.#refuse()
  }

  #refuse(): never {
    throw new LineTooLongError(this.#lineCount + 1, this.#maxBytes)
  }
}
