/**
 * What both index files are: entries of one fixed size back to back, sorted, without header or
 * checksum. They are kept in memory in exactly that form, in a buffer that grows by doubling.
 */
import assert from 'node:assert/strict'

const firstCapacity = 64

/** The entries of one index file. Holds no memory before the first entry. */
export class IndexFile {
  readonly #entryBytes: number
  #buffer: Buffer
  #entryCount: number

  /** `bytes`, whole entries, becomes the content; it is taken over, not copied. */
  constructor(entryBytes: number, bytes: Buffer = Buffer.alloc(0)) {
    assert.equal(bytes.length % entryBytes, 0, 'an index file holds whole entries')
    this.#entryBytes = entryBytes
    this.#buffer = bytes
    this.#entryCount = bytes.length / entryBytes
  }

  get entryCount(): number {
    return this.#entryCount
  }

  /** The memory that the entries are in, from position 0; valid until the next `add`. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** The entries as they are in the file. A view: valid until the next change. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#entryCount * this.#entryBytes)
  }

  /** Makes room for one more entry and returns the position in `buffer` where it is to be written. */
  add(): number {
    const position = this.#entryCount * this.#entryBytes
    if (position === this.#buffer.length) {
      const entries = Math.max(firstCapacity, this.#entryCount * 2)
      const grown = Buffer.alloc(entries * this.#entryBytes)
      this.#buffer.copy(grown)
      this.#buffer = grown
    }
    this.#entryCount += 1
    return position
  }

  /** Keeps the first `entryCount` entries. */
  truncate(entryCount: number): void {
    assert.ok(entryCount <= this.#entryCount, 'truncating does not add entries')
    this.#entryCount = entryCount
  }

  /** The index of the first entry for which `isAbove`, given its position in `buffer`, holds; it holds for all that follow. */
  findFirst(isAbove: (position: number) => boolean): number {
    let low = 0
    let high = this.#entryCount
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAbove(middle * this.#entryBytes)) high = middle
      else low = middle + 1
    }
    return low
  }
}
