/**
 * The latest offset of every key in a part of the log, in a fixed amount of memory: open addressing
 * with linear probing over 128-bit hashes of the keys, in one Int32Array. A slot has five words: the
 * hash, and the offset as its distance from the start of the part plus one; 0 there is a free slot.
 */
import assert from 'node:assert/strict'

import { KeyHash } from '../record/key-hash.ts'

const wordsPerSlot = 5
const offsetWord = 4

/** Memory that one key takes, in bytes. */
export const offsetMapSlotBytes: number = wordsPerSlot * 4

/** Above this share of used slots probing gets long; Kafka's load factor. */
const maxLoad = 0.9

/** Distances are unsigned 32-bit numbers, and 0 is taken. */
const largestDistance = 2 ** 32 - 2

/** Where a key lies; a `RecordWalk` that has passed a record with a key is one. */
export interface KeyPlace {
  readonly bytes: Uint8Array
  readonly keyPosition: number
  readonly keySizeBytes: number
}

/** Maps keys to offsets. Keys are never compared, only their hashes (see `KeyHash`). */
export class OffsetMap {
  readonly #slotCount: number
  readonly #words: Int32Array
  readonly #hash: KeyHash
  readonly #startOffset: number
  #keyCount = 0

  /**
   * An empty map for offsets from `startOffset` on, that takes at most `maxBytes` and no more than
   * `expectedKeys` need.
   */
  constructor(options: {
    readonly maxBytes: number
    readonly expectedKeys: number
    readonly startOffset: number
    readonly hash?: KeyHash
  }) {
    const wanted = Math.ceil(options.expectedKeys / maxLoad) + 1
    this.#slotCount = Math.max(
      2,
      Math.min(wanted, Math.floor(options.maxBytes / offsetMapSlotBytes)),
    )
    this.#words = new Int32Array(this.#slotCount * wordsPerSlot)
    this.#startOffset = options.startOffset
    this.#hash = options.hash ?? new KeyHash()
  }

  /** Keys that the map holds. */
  get keyCount(): number {
    return this.#keyCount
  }

  /**
   * Notes that the latest record of a key lies at `offset`; offsets come in rising order. False, with
   * nothing noted, when there is no room for another key, or the offset is too far from the start.
   */
  put(key: KeyPlace, offset: number): boolean {
    const distance = offset - this.#startOffset + 1
    assert(distance > 0)
    if (distance > largestDistance) return false
    const at = this.#find(key)
    const words = this.#words
    if (words[at + offsetWord] === 0) {
      if (this.#keyCount >= this.#slotCount * maxLoad || this.#keyCount >= this.#slotCount - 1)
        return false
      words.set(this.#hash.words, at)
      this.#keyCount++
    }
    words[at + offsetWord] = distance
    return true
  }

  /** The latest offset of a key; -1 when the map does not know it. */
  latest(key: KeyPlace): number {
    if (this.#keyCount === 0) return -1
    const distance = (this.#words[this.#find(key) + offsetWord] as number) >>> 0
    return distance === 0 ? -1 : this.#startOffset + distance - 1
  }

  /** Index of the first word of the key's slot, or of the free one where it belongs. */
  #find(key: KeyPlace): number {
    this.#hash.hash(key.bytes, key.keyPosition, key.keyPosition + key.keySizeBytes)
    const hash = this.#hash.words
    const h0 = hash[0] as number
    const h1 = hash[1] as number
    const h2 = hash[2] as number
    const h3 = hash[3] as number
    const words = this.#words
    let slot = (h0 >>> 0) % this.#slotCount
    for (;;) {
      const at = slot * wordsPerSlot
      if (words[at + offsetWord] === 0) return at
      if (words[at] === h0 && words[at + 1] === h1 && words[at + 2] === h2 && words[at + 3] === h3)
        return at
      slot = slot + 1 === this.#slotCount ? 0 : slot + 1
    }
  }
}
