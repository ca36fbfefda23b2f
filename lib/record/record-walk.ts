/** Walks records for what compaction asks of them: where each begins and ends, its key, its timestamp. */
import { VarintCursor } from './varint.ts'

/**
 * Walks records that lie back to back, as `RecordParser` does for readers. After `next` has returned
 * true the fields describe the record it passed. Headers are passed over by the record's own length.
 */
export class RecordWalk {
  readonly bytes: Buffer
  readonly #cursor: VarintCursor
  /** Of the record's length, its first byte. */
  startPosition = 0
  /** Behind the record's last byte. */
  endPosition = 0
  /** From the batch's base timestamp. */
  timestampDelta = 0
  /** Of the offset delta, which comes behind the timestamp delta. */
  offsetDeltaPosition = 0
  /** From the batch's base offset. */
  offsetDelta = -1
  keyPosition = 0
  /** -1 without a key. */
  keySizeBytes = -1
  /** -1 for a tombstone. */
  valueSizeBytes = -1

  constructor(bytes: Buffer, position: number) {
    this.bytes = bytes
    this.#cursor = new VarintCursor(bytes, position)
    this.endPosition = position
  }

  /** Passes one record; false when it is not sound, goes past `end`, or its offset does not rise. */
  next(end: number): boolean {
    const cursor = this.#cursor
    this.startPosition = cursor.position
    const bodyBytes = cursor.readVarint()
    const bodyEnd = cursor.position + bodyBytes
    if (bodyBytes < 0 || bodyEnd > end) return false
    cursor.position++
    this.timestampDelta = cursor.readVarlong()
    this.offsetDeltaPosition = cursor.position
    const offsetDelta = cursor.readVarint()
    if (offsetDelta <= this.offsetDelta) return false
    this.offsetDelta = offsetDelta
    this.keySizeBytes = cursor.readVarint()
    this.keyPosition = cursor.position
    if (this.keySizeBytes > 0) cursor.position += this.keySizeBytes
    this.valueSizeBytes = cursor.readVarint()
    if (this.valueSizeBytes > 0) cursor.position += this.valueSizeBytes
    // At least the count of headers is left.
    const isSound =
      this.keySizeBytes >= -1 && this.valueSizeBytes >= -1 && cursor.position < bodyEnd
    cursor.position = bodyEnd
    this.endPosition = bodyEnd
    return isSound
  }
}
