/**
 * Indexes of sealed segments, loaded when a lookup needs them and kept up to a bound, the least
 * recently used going first: a log of any length needs a fixed amount of memory for them.
 */
import type { OffsetIndex } from './offset-index.ts'
import type { TimeIndex } from './time-index.ts'

/** The two sparse indexes of a segment. */
export interface SegmentIndexes {
  readonly offsets: OffsetIndex
  readonly times: TimeIndex
}

/**
 * Under what the indexes of the segment whose log lies at `path` are kept. What was loaded, or made,
 * before a segment was finished may end before it does: nobody finds it there afterwards, also where
 * that took longer than the finishing.
 */
export function indexKey(path: string, isFinished: boolean): string {
  return isFinished ? path : `${path} growing`
}

/** An LRU by the bytes of the indexes. */
export class IndexCache {
  readonly #maxBytes: number
  readonly #entries = new Map<string, { indexes: SegmentIndexes; sizeBytes: number }>()
  #sizeBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The indexes of the segment with that `indexKey`, from memory or by `load`. */
  get(path: string, load: () => SegmentIndexes): SegmentIndexes {
    const known = this.#entries.get(path)
    if (known !== undefined) {
      this.#entries.delete(path)
      this.#entries.set(path, known)
      return known.indexes
    }
    const indexes = load()
    const sizeBytes = indexes.offsets.bytes().length + indexes.times.bytes().length
    this.#entries.set(path, { indexes, sizeBytes })
    this.#sizeBytes += sizeBytes
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.#maxBytes || oldest === path) break
      this.forget(oldest)
    }
    return indexes
  }

  /** The segment was removed or its indexes are not to be believed. */
  forget(path: string): void {
    const entry = this.#entries.get(path)
    if (entry === undefined) return
    this.#entries.delete(path)
    this.#sizeBytes -= entry.sizeBytes
  }
}
