/**
 * Finds the batch that holds an offset by the headers alone: to cut the log there, or to see whether a
 * time index tells the truth. A walk from header to header believes none of them: a length that damage
 * has left would lead it into the middle of a batch, or round and round. Every batch must begin where
 * the one before it ends, in position and offset, and so the walk only ever goes up.
 */
import {
  baseOffsetAt,
  batchHeaderBytes,
  batchSizeAt,
  checkBatch,
  nextOffsetAt,
} from '../record/batch-format.ts'
import { isExpected, type Start } from './chunk-walk.ts'
import type { BatchBoundary, ReadableSegment } from './readable-segment.ts'
import type { SegmentFileReader } from './segment-file-reader.ts'

/** What a lookup needs at least: an index step and a batch of common size. */
const lookupBytes = 16 << 10

/** Where walks may begin, as `SegmentReader` knows it. */
export interface BoundaryLookup {
  readonly files: Pick<SegmentFileReader, 'readAt'>
  /** The place that the index names; it may be wrong. */
  start(segment: ReadableSegment, offset: number): Start | Promise<Start>
  /** The place that an index made anew from the log names. */
  startAnew(segment: ReadableSegment, offset: number): Promise<Start>
}

/**
 * The boundary of the batch that holds `offset`, or where the segment ends. Where damage covers the
 * offset it is the place at which the damage begins, and the offset of that place.
 */
export async function findBoundary(
  lookup: BoundaryLookup,
  segment: ReadableSegment,
  offset: number,
): Promise<BatchBoundary> {
  const { files } = lookup
  const found = await walk(files, segment, { ...(await lookup.start(segment, offset)), offset })
  if (found.isSound) return found
  // The index is wrong, or there is damage; one that is made anew leads past damage where it can.
  return await walk(files, segment, { ...(await lookup.startAnew(segment, offset)), offset })
}

/** `isSound`: nothing was met on the way that is not what it must be. */
type Walk = BatchBoundary & { readonly isSound: boolean }

async function walk(
  files: BoundaryLookup['files'],
  segment: ReadableSegment,
  from: Start & { readonly offset: number },
): Promise<Walk> {
  const { offset } = from
  const { baseOffset, endPosition } = segment
  let { position, expected } = from
  for (;;) {
    const buffer = await files.readAt(segment, { position, sizeBytes: lookupBytes })
    let at = 0
    while (at + batchHeaderBytes <= buffer.length) {
      const check = checkBatch(buffer, at, { end: buffer.length, checkCrc: false })
      const isSound =
        (check === 'ok' || check === 'incomplete') &&
        position + at + batchSizeAt(buffer, at) <= endPosition &&
        isExpected(buffer, at, expected)
      if (!isSound) return damaged(segment, { position: position + at, expected }, offset)
      const nextOffset = nextOffsetAt(buffer, at)
      if (nextOffset > offset) {
        const batchOffset = Math.min(offset, baseOffsetAt(buffer, at))
        return { offset: batchOffset, baseOffset, position: position + at, isSound }
      }
      expected = { baseOffset: nextOffset }
      at += batchSizeAt(buffer, at)
    }
    position += at
    if (at > 0) continue
    // A segment that another process writes ends where its file does.
    const isEnd = position >= endPosition || endPosition === Number.POSITIVE_INFINITY
    const isWalked = expected === null || 'baseOffset' in expected
    if (isEnd && isWalked) return { offset, baseOffset, position, isSound: true }
    return damaged(segment, { position, expected }, offset)
  }
}

function damaged(segment: ReadableSegment, at: Start, offset: number): Walk {
  const { expected, position } = at
  const reached = expected !== null && 'baseOffset' in expected ? expected.baseOffset : offset
  const { baseOffset } = segment
  return { offset: Math.min(offset, reached), baseOffset, position, isSound: false }
}
