/**
 * The two kinds of segment as values in memory; their bytes lie in `<base offset>.log`. An active
 * segment is appended to; `seal()` consumes it and gives a sealed one, which never changes again.
 */
import assert from 'node:assert/strict'
import { sep } from 'node:path'

import { maxTimestampAt, nextOffsetAt } from '../record/batch-format.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { OffsetIndex } from './offset-index.ts'
import { headersCrc, type SegmentFacts } from './segments-manifest.ts'
import { TimeIndex } from './time-index.ts'
import { type SegmentSuffix, segmentFileName } from './topic-name.ts'

/** Path of one of a segment's files. Every read asks for it, so the parts are put together as they are. */
export function segmentPath(dir: string, baseOffset: number, suffix: SegmentSuffix): string {
  return `${dir}${sep}${segmentFileName(baseOffset, suffix)}`
}

/** A segment that is complete. */
export interface SealedSegment {
  readonly baseOffset: number
  /** Behind its last record; a damaged segment may end before the next one begins. */
  readonly nextOffset: number
  readonly sizeBytes: number
  /** What the manifest says of it; null is unknown, never damaged. */
  readonly facts: SegmentFacts | null
  /** The largest timestamp of its records, -1 when none has one; absent: to be looked up in its time index. */
  readonly maxTimestamp?: number | undefined
  /** Its indexes as long as their files are not complete on disk. */
  pendingIndexes: SegmentIndexes | null
}

/** What an active segment begins with: nothing, or what recovery found. */
export interface ActiveSegmentState {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
  readonly offsets: OffsetIndex
  readonly times: TimeIndex
  readonly maxTimestamp: number
  readonly maxTimestampOffset: number
  /** Null when the append times, or the checksum over the headers, are not known from the start. */
  readonly firstAppendMs: number | null
  readonly lastAppendMs: number | null
  readonly headersCrc: number | null
}

/** The state of a segment without a batch. */
export function emptySegmentState(baseOffset: number): ActiveSegmentState {
  return {
    baseOffset,
    nextOffset: baseOffset,
    sizeBytes: 0,
    offsets: new OffsetIndex(baseOffset),
    times: new TimeIndex(baseOffset),
    maxTimestamp: -1,
    maxTimestampOffset: -1,
    firstAppendMs: null,
    lastAppendMs: null,
    headersCrc: 0,
  }
}

/** Size at which an index is full: Kafka's segment.index.bytes, rounded to whole entries of either kind. */
const maxIndexBytes = 10_485_744

/** The segment at the end of the log. Only the partition's single writer touches it. */
export class ActiveSegment {
  readonly baseOffset: number
  readonly createdMs: number
  readonly indexes: SegmentIndexes
  nextOffset: number
  /** Behind the last batch that is written; where the next one goes. */
  sizeBytes: number
  maxTimestamp: number
  maxTimestampOffset: number
  firstAppendMs: number | null
  lastAppendMs: number | null
  #headersCrc: number | null
  #bytesSinceEntry = 0
  /** How much of each index is in its file. */
  savedOffsetEntries = 0
  savedTimeEntries = 0

  constructor(state: ActiveSegmentState, createdMs: number) {
    this.baseOffset = state.baseOffset
    this.createdMs = createdMs
    this.indexes = { offsets: state.offsets, times: state.times }
    this.nextOffset = state.nextOffset
    this.sizeBytes = state.sizeBytes
    this.maxTimestamp = state.maxTimestamp
    this.maxTimestampOffset = state.maxTimestampOffset
    this.firstAppendMs = state.firstAppendMs
    this.lastAppendMs = state.lastAppendMs
    this.#headersCrc = state.headersCrc
  }

  /** Whether a batch must go to a new segment. An empty segment takes a batch of any size. */
  isFullFor(batch: { sizeBytes: number; nextOffset: number }, segmentBytes: number): boolean {
    if (this.sizeBytes === 0) return false
    if (this.sizeBytes + batch.sizeBytes > segmentBytes) return true
    if (batch.nextOffset - 1 - this.baseOffset > 0x7fffffff) return true
    return this.indexes.offsets.isFull(maxIndexBytes) || this.indexes.times.isFull(maxIndexBytes)
  }

  /** Notes the batch at `position` of `buffer`, which has been written at the segment's end. */
  noteBatch(
    buffer: Buffer,
    position: number,
    at: { sizeBytes: number; nowMs: number; indexIntervalBytes: number },
  ): void {
    const nextOffset = nextOffsetAt(buffer, position)
    const maxTimestamp = maxTimestampAt(buffer, position)
    assert(nextOffset > this.nextOffset)
    if (maxTimestamp > this.maxTimestamp) {
      this.maxTimestamp = maxTimestamp
      this.maxTimestampOffset = nextOffset - 1
    }
    if (this.#bytesSinceEntry > at.indexIntervalBytes) {
      this.indexes.offsets.append(nextOffset - 1, this.sizeBytes)
      this.#noteTime()
      this.#bytesSinceEntry = 0
    }
    if (this.#headersCrc !== null) this.#headersCrc = headersCrc(this.#headersCrc, buffer, position)
    if (this.sizeBytes === 0) this.firstAppendMs = at.nowMs
    this.lastAppendMs = at.nowMs
    this.#bytesSinceEntry += at.sizeBytes
    this.sizeBytes += at.sizeBytes
    this.nextOffset = nextOffset
  }

  /** What is known of the bytes so far, for the manifest. */
  facts(): SegmentFacts {
    return {
      baseOffset: this.baseOffset,
      nextOffset: this.nextOffset,
      sizeBytes: this.sizeBytes,
      firstAppendMs: this.firstAppendMs ?? -1,
      lastAppendMs: this.lastAppendMs ?? -1,
      headersCrc: this.#headersCrc,
    }
  }

  /** Ends the segment: its last time index entry holds its largest timestamp, as Kafka's do. */
  seal(): SealedSegment {
    this.#noteTime()
    return {
      baseOffset: this.baseOffset,
      nextOffset: this.nextOffset,
      sizeBytes: this.sizeBytes,
      facts: this.facts(),
      maxTimestamp: this.maxTimestamp,
      pendingIndexes: this.indexes,
    }
  }

  /** A time index entry for the largest timestamp so far, as Kafka adds on roll and on close. */
  finishTimeIndex(): void {
    this.#noteTime()
  }

  #noteTime(): void {
    if (this.maxTimestampOffset >= 0)
      this.indexes.times.append(this.maxTimestamp, this.maxTimestampOffset)
  }
}
