/**
 * The sparse indexes of the segments that are read: from memory, from their files, or made anew from
 * the log when the files are gone or do not make sense.
 */
import { StorageError } from '../errors.ts'
import type { StorageEnvironment } from './environment.ts'
import { indexKey, type SegmentIndexes } from './index-cache.ts'
import { OffsetIndex } from './offset-index.ts'
import type { ReadableSegment } from './readable-segment.ts'
import { rebuildIndexes } from './rebuild-indexes.ts'
import { segmentPath } from './segment.ts'
import type { SegmentFileReader } from './segment-file-reader.ts'
import { TimeIndex } from './time-index.ts'

/** Gives the indexes of one partition's segments. Calls may overlap. */
export class IndexLoader {
  readonly #environment: StorageEnvironment
  readonly #files: SegmentFileReader

  constructor(environment: StorageEnvironment, files: SegmentFileReader) {
    this.#environment = environment
    this.#files = files
  }

  /** The indexes of the segment as they are known, at once unless they are made anew; a lookup checks what they say. */
  of(segment: ReadableSegment): SegmentIndexes | Promise<SegmentIndexes> {
    if (segment.indexes !== null) return segment.indexes
    let isSound = true
    const indexes = this.#environment.indexes.get(this.#keyOf(segment), () => {
      const loaded = this.#loadIndexes(segment)
      isSound = loaded !== null
      return (
        loaded ?? {
          offsets: new OffsetIndex(segment.baseOffset),
          times: new TimeIndex(segment.baseOffset),
        }
      )
    })
    return isSound ? indexes : this.rebuild(segment)
  }

  /** Forgets the indexes of the segment, which are not to be believed, and makes them anew from its log. */
  async rebuild(segment: ReadableSegment): Promise<SegmentIndexes> {
    const path = this.#files.pathOf(segment)
    this.#environment.indexes.forget(this.#keyOf(segment))
    const indexes = await this.#files.withFile(path, file => rebuildIndexes(file, segment))
    // Those of a segment that still grows would be kept for the sealed one.
    if (segment.indexes !== null) return indexes
    return this.#environment.indexes.get(this.#keyOf(segment), () => indexes)
  }

  #keyOf(segment: ReadableSegment): string {
    return indexKey(this.#files.pathOf(segment), segment.isFinished)
  }

  #loadIndexes(segment: ReadableSegment): SegmentIndexes | null {
    const offsetBytes = this.#readSideFile(segment, 'index')
    const timeBytes = this.#readSideFile(segment, 'timeindex')
    if (offsetBytes === null || timeBytes === null) return null
    const offsets = OffsetIndex.load(segment.baseOffset, offsetBytes)
    const times = TimeIndex.load(segment.baseOffset, timeBytes)
    return offsets === null || times === null ? null : { offsets, times }
  }

  #readSideFile(segment: ReadableSegment, suffix: 'index' | 'timeindex'): Buffer | null {
    const path = segmentPath(this.#files.dir, segment.baseOffset, suffix)
    try {
      return this.#environment.files.readFile(path)
    } catch (error) {
      throw new StorageError(path, 'read', error, 'not-written')
    }
  }
}
