/** Finds the parts of one record after another without decoding them. */
import { VarintCursor } from './varint.ts'

/**
 * Walks records that lie back to back. After `parseNext` has returned true the fields describe the
 * record it passed. It proves what the rest of the reader relies on: every length stays inside the
 * record, and the record is consumed exactly.
 */
export class RecordParser {
  readonly #cursor: VarintCursor
  /** Of the record's attributes byte, the first one behind its length. */
  bodyPosition = 0
  /** From the batch's base offset. */
  offsetDelta = 0
  valuePosition = 0
  /** -1 for a null value. */
  valueSizeBytes = -1
  /** Behind the record's last byte. */
  endPosition = 0

  constructor(bytes: Buffer, position: number) {
    this.#cursor = new VarintCursor(bytes, position)
  }

  /** Position of the next record. */
  get position(): number {
    return this.#cursor.position
  }

  /** Passes one record; false when it does not hold what it declares or goes past `end`. */
  parseNext(end: number): boolean {
    const cursor = this.#cursor
    const bodyBytes = cursor.readVarint()
    const bodyPosition = cursor.position
    const bodyEnd = bodyPosition + bodyBytes
    if (bodyBytes < 0 || bodyEnd > end) return false
    this.bodyPosition = bodyPosition
    this.endPosition = bodyEnd
    cursor.position = bodyPosition + 1
    cursor.readVarlong()
    this.offsetDelta = cursor.readVarint()
    if (!this.#skipField()) return false
    const valueSizeBytes = cursor.readVarint()
    if (valueSizeBytes < -1) return false
    this.valueSizeBytes = valueSizeBytes
    this.valuePosition = cursor.position
    if (valueSizeBytes > 0) cursor.position += valueSizeBytes
    const headerCount = cursor.readVarint()
    if (headerCount !== 0 && !this.#skipHeaders(headerCount)) return false
    return cursor.position === bodyEnd
  }

  #skipHeaders(headerCount: number): boolean {
    if (headerCount < 0) return false
    for (let index = 0; index < headerCount; index++) {
      // A count that is far too large must not keep the loop going past the record.
      if (this.#cursor.position >= this.endPosition) return false
      const nameSizeBytes = this.#cursor.readVarint()
      if (nameSizeBytes < 0) return false
      this.#cursor.position += nameSizeBytes
      if (!this.#skipField()) return false
    }
    return true
  }

  #skipField(): boolean {
    const sizeBytes = this.#cursor.readVarint()
    if (sizeBytes > 0) this.#cursor.position += sizeBytes
    return sizeBytes >= -1
  }
}
