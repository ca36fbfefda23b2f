/** The first half of a pass: the keys of the dirty part and the latest offset of each. */
import {
  attributesAt,
  baseOffsetAt,
  batchAttribute,
  nextOffsetAt,
  recordCountAt,
} from '../record/batch-format.ts'
import { RecordWalk } from '../record/record-walk.ts'
import { stepRecords } from './compaction-pace.ts'
import {
  type CompactionWork,
  type DamageMet,
  type RecordsSection,
  recordsOf,
  visitBatches,
} from './compaction-work.ts'
import { OffsetMap } from './offset-map.ts'
import type { SealedSegment } from './segment.ts'

/** Keys of the part `[startOffset, endOffset)`. */
export interface MappedKeys {
  readonly map: OffsetMap
  readonly startOffset: number
  readonly endOffset: number
}

/**
 * Maps the keys from `startOffset` up to `endOffset`, or to where the memory is full. Records without
 * a key are passed over, and so are those of transactions, which may have been aborted.
 */
export async function mapKeys(
  work: CompactionWork,
  sealed: readonly SealedSegment[],
  part: { readonly startOffset: number; readonly endOffset: number; readonly maxBytes: number },
): Promise<MappedKeys | DamageMet> {
  const { startOffset, endOffset, maxBytes } = part
  const map = new OffsetMap({ maxBytes, startOffset, expectedKeys: endOffset - startOffset })
  const mapping = new KeyMapping(work, map, startOffset)
  for (const segment of sealed) {
    if (segment.nextOffset <= startOffset) continue
    if (segment.baseOffset >= endOffset) break
    const met = await visitBatches(work, segment, (buffer, position) =>
      mapping.visit(buffer, position),
    )
    if (met !== null) return met
    if (mapping.fullAt !== null) return { map, startOffset, endOffset: mapping.fullAt }
  }
  return { map, startOffset, endOffset }
}

class KeyMapping {
  readonly #work: CompactionWork
  readonly #map: OffsetMap
  readonly #startOffset: number
  /** Offset of the first record that found no room. */
  fullAt: number | null = null

  constructor(work: CompactionWork, map: OffsetMap, startOffset: number) {
    this.#work = work
    this.#map = map
    this.#startOffset = startOffset
  }

  visit(buffer: Buffer, position: number): Verdict | Promise<Verdict> {
    if (nextOffsetAt(buffer, position) <= this.#startOffset) return null
    const { control, transactional } = batchAttribute
    if ((attributesAt(buffer, position) & (control | transactional)) !== 0) return null
    const recordCount = recordCountAt(buffer, position)
    if (recordCount === 0) return null
    const section = recordsOf(buffer, position)
    const baseOffset = baseOffsetAt(buffer, position)
    if (section instanceof Promise || recordCount > stepRecords) {
      return this.#mapInSlices(section, { recordCount, baseOffset })
    }
    this.#work.pace.worked(recordCount, 0)
    const walk = new RecordWalk(section.bytes, section.start)
    const verdict = this.#mapSlice(walk, { end: section.end, count: recordCount, baseOffset })
    return verdict ?? (walk.endPosition === section.end ? null : 'damaged')
  }

  async #mapInSlices(
    pending: RecordsSection | Promise<RecordsSection | null>,
    batch: { readonly recordCount: number; readonly baseOffset: number },
  ): Promise<Verdict> {
    const section = await pending
    if (section === null) return 'damaged'
    const walk = new RecordWalk(section.bytes, section.start)
    const { end } = section
    for (let left = batch.recordCount; left > 0; left -= stepRecords) {
      const count = Math.min(left, stepRecords)
      const verdict = this.#mapSlice(walk, { end, count, baseOffset: batch.baseOffset })
      if (verdict !== null) return verdict
      if (this.#work.pace.worked(count, 0)) await this.#work.pace.breathe()
    }
    return walk.endPosition === end ? null : 'damaged'
  }

  #mapSlice(
    walk: RecordWalk,
    slice: { readonly end: number; readonly count: number; readonly baseOffset: number },
  ): Verdict {
    for (let left = slice.count; left > 0; left--) {
      if (!walk.next(slice.end)) return 'damaged'
      if (walk.keySizeBytes < 0) continue
      const offset = slice.baseOffset + walk.offsetDelta
      if (offset < this.#startOffset) continue
      if (this.#map.put(walk, offset)) continue
      this.fullAt = offset
      return 'enough'
    }
    return null
  }
}

type Verdict = 'damaged' | 'enough' | null
