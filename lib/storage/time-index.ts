/**
 * `.timeindex`, Kafka's sparse time index of a segment. Entries of 12 bytes, sorted:
 *
 *     0  int64  timestamp        the largest timestamp in the segment up to and with that offset
 *     8  int32  relativeOffset   last offset of the batch that holds it, minus the base offset
 *
 * Worked example: in the segment with base offset 100, whose records up to offset 131 have
 * timestamps up to 1,700,000,000,005, the entry is `0000018b cfe56805 0000001f`.
 */
import assert from 'node:assert/strict'

import { readInt64, writeInt64 } from '../record/int64.ts'
import { IndexFile } from './index-file.ts'

const entryBytes = 12
const offsetField = 8
const largestInt32 = 2 ** 31 - 1

/** One entry: no record up to and with `offset` has a timestamp above `timestamp`. */
export interface TimeIndexEntry {
  readonly timestamp: number
  readonly offset: number
}

/** The time index of one segment, in memory; timestamps rise strictly, offsets do not fall. */
export class TimeIndex {
  readonly #baseOffset: number
  readonly #file: IndexFile

  /** An empty index for the segment that begins at `baseOffset`; `file` is for `load` alone. */
  constructor(baseOffset: number, file: IndexFile = new IndexFile(entryBytes)) {
    this.#baseOffset = baseOffset
    this.#file = file
  }

  /**
   * The index whose file holds `bytes`, which it takes over. Null when that is not an index: no whole
   * number of entries, timestamps that are negative, beyond 2^53 or do not rise, or offsets that
   * fall. An index that loads may still be wrong; only the batches in the `.log` are proof.
   */
  static load(baseOffset: number, bytes: Buffer): TimeIndex | null {
    if (bytes.length % entryBytes !== 0) return null
    let previousTimestamp = -1
    let previousOffset = 0
    for (let at = 0; at < bytes.length; at += entryBytes) {
      const timestamp = readInt64(bytes, at)
      const relativeOffset = bytes.readInt32BE(at + offsetField)
      if (!Number.isSafeInteger(timestamp)) return null
      if (timestamp <= previousTimestamp || relativeOffset < previousOffset) return null
      previousTimestamp = timestamp
      previousOffset = relativeOffset
    }
    return new TimeIndex(baseOffset, new IndexFile(entryBytes, bytes))
  }

  get entryCount(): number {
    return this.#file.entryCount
  }

  /** The last entry, which in a sealed segment holds its largest timestamp; null when there is none. */
  get lastEntry(): TimeIndexEntry | null {
    return this.entryCount === 0 ? null : this.entryAt(this.entryCount - 1)
  }

  /** The entry at `index`, which is below `entryCount`. */
  entryAt(index: number): TimeIndexEntry {
    assert.ok(index < this.entryCount, 'the entry is in the index')
    const at = index * entryBytes
    return {
      timestamp: readInt64(this.#file.buffer, at),
      offset: this.#baseOffset + this.#file.buffer.readInt32BE(at + offsetField),
    }
  }

  /**
   * Notes that the largest timestamp up to and with `offset` is `timestamp`. Does nothing unless the
   * timestamp is above the last entry's and the offset not below it; -1, no timestamp, is never
   * added.
   */
  append(timestamp: number, offset: number): void {
    const relativeOffset = offset - this.#baseOffset
    assert.ok(relativeOffset >= 0 && relativeOffset <= largestInt32, 'the offset is in the segment')
    assert.ok(Number.isSafeInteger(timestamp), 'a timestamp is a safe integer')
    const last = this.lastEntry ?? { timestamp: -1, offset: this.#baseOffset }
    if (timestamp <= last.timestamp || offset < last.offset) return
    const at = this.#file.add()
    writeInt64(this.#file.buffer, at, timestamp)
    this.#file.buffer.writeInt32BE(relativeOffset, at + offsetField)
  }

  /**
   * The greatest entry at or below `timestamp`: the first record with a later timestamp lies behind
   * its offset. Null when every entry is later.
   */
  lookup(timestamp: number): TimeIndexEntry | null {
    const { buffer } = this.#file
    const above = this.#file.findFirst(at => readInt64(buffer, at) > timestamp)
    return above === 0 ? null : this.entryAt(above - 1)
  }

  /** Whether a file of at most `maxBytes` has room for no more than the entry that sealing adds. */
  isFull(maxBytes: number): boolean {
    return this.entryCount >= Math.floor(maxBytes / entryBytes) - 1
  }

  /** Drops the entries at or above `offset`. */
  truncateTo(offset: number): void {
    const { buffer } = this.#file
    const relativeOffset = offset - this.#baseOffset
    this.#file.truncate(
      this.#file.findFirst(at => buffer.readInt32BE(at + offsetField) >= relativeOffset),
    )
  }

  /** The content of the file. A view: valid until the next change. */
  bytes(): Buffer {
    return this.#file.bytes()
  }
}
