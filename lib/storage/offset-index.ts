/**
 * `.index`, Kafka's sparse offset index of a segment. Entries of 8 bytes, sorted:
 *
 *     0  int32  relativeOffset   last offset of a batch, minus the segment's base offset
 *     4  int32  position         where that batch begins in the `.log`
 *
 * Worked example: in the segment with base offset 100, the batch that begins at position 4200 and
 * ends with offset 131 has the entry `0000001f 00001068`.
 */
import assert from 'node:assert/strict'

import { IndexFile } from './index-file.ts'

const entryBytes = 8
const positionField = 4
const largestInt32 = 2 ** 31 - 1

/** One entry: a batch's last offset, and the position where the batch begins. */
export interface OffsetIndexEntry {
  readonly offset: number
  readonly position: number
}

/** The offset index of one segment, in memory; offsets and positions rise strictly. */
export class OffsetIndex {
  readonly #baseOffset: number
  readonly #file: IndexFile

  /** An empty index for the segment that begins at `baseOffset`; `file` is for `load` alone. */
  constructor(baseOffset: number, file: IndexFile = new IndexFile(entryBytes)) {
    this.#baseOffset = baseOffset
    this.#file = file
  }

  /**
   * The index whose file holds `bytes`, which it takes over. Null when that is not an index: no whole
   * number of entries, or offsets or positions that do not rise. An index that loads may still be
   * wrong; only the batches in the `.log` are proof.
   */
  static load(baseOffset: number, bytes: Buffer): OffsetIndex | null {
    if (bytes.length % entryBytes !== 0) return null
    let previousOffset = -1
    let previousPosition = -1
    for (let at = 0; at < bytes.length; at += entryBytes) {
      const relativeOffset = bytes.readInt32BE(at)
      const position = bytes.readInt32BE(at + positionField)
      if (relativeOffset <= previousOffset || position <= previousPosition) return null
      previousOffset = relativeOffset
      previousPosition = position
    }
    return new OffsetIndex(baseOffset, new IndexFile(entryBytes, bytes))
  }

  get entryCount(): number {
    return this.#file.entryCount
  }

  /** The offset of the last entry; the base offset when there is none. */
  get lastOffset(): number {
    return this.entryCount === 0 ? this.#baseOffset : this.entryAt(this.entryCount - 1).offset
  }

  /** The entry at `index`, which is below `entryCount`. */
  entryAt(index: number): OffsetIndexEntry {
    assert.ok(index < this.entryCount, 'the entry is in the index')
    const at = index * entryBytes
    return {
      offset: this.#baseOffset + this.#file.buffer.readInt32BE(at),
      position: this.#file.buffer.readInt32BE(at + positionField),
    }
  }

  /** Adds the batch that begins at `position` and ends with `offset`; both lie above the last entry's. */
  append(offset: number, position: number): void {
    const relativeOffset = offset - this.#baseOffset
    assert.ok(relativeOffset >= 0 && relativeOffset <= largestInt32, 'the offset is in the segment')
    assert.ok(position >= 0 && position <= largestInt32, 'the position is in the segment')
    if (this.entryCount > 0) {
      const last = this.entryAt(this.entryCount - 1)
      assert.ok(offset > last.offset, 'offsets rise')
      assert.ok(position > last.position, 'positions rise')
    }
    const at = this.#file.add()
    this.#file.buffer.writeInt32BE(relativeOffset, at)
    this.#file.buffer.writeInt32BE(position, at + positionField)
  }

  /** Where to begin scanning for `offset`: the position of the greatest entry at or below it, else 0. */
  lookup(offset: number): number {
    const above = this.#firstAbove(offset)
    return above === 0 ? 0 : this.entryAt(above - 1).position
  }

  /** The greatest entry at or below `offset`; null when there is none. */
  floor(offset: number): OffsetIndexEntry | null {
    const above = this.#firstAbove(offset)
    return above === 0 ? null : this.entryAt(above - 1)
  }

  /** The position of the first batch known to end above `offset`; null when no entry does. */
  nextPosition(offset: number): number | null {
    const above = this.#firstAbove(offset)
    return above === this.entryCount ? null : this.entryAt(above).position
  }

  /** The first entry for a batch that begins behind `position`; null when there is none. */
  entryBehind(position: number): OffsetIndexEntry | null {
    const { buffer } = this.#file
    const index = this.#file.findFirst(at => buffer.readInt32BE(at + positionField) > position)
    return index === this.entryCount ? null : this.entryAt(index)
  }

  /** Whether a file of at most `maxBytes` has no room for another entry. */
  isFull(maxBytes: number): boolean {
    return this.entryCount >= Math.floor(maxBytes / entryBytes)
  }

  /** Drops the entries at or above `offset`. */
  truncateTo(offset: number): void {
    this.#file.truncate(this.#firstAbove(offset - 1))
  }

  /** The content of the file. A view: valid until the next change. */
  bytes(): Buffer {
    return this.#file.bytes()
  }

  #firstAbove(offset: number): number {
    const { buffer } = this.#file
    const relativeOffset = offset - this.#baseOffset
    return this.#file.findFirst(at => buffer.readInt32BE(at) > relativeOffset)
  }
}
