/**
 * Finding batches behind damage, byte by byte. A value may itself hold batches, so that a batch which
 * was found proves nothing: it counts when an unbroken chain of batches leads from it to a place
 * that is known to be a boundary, an *anchor*: a position that the index names, the recovery point,
 * or the exact end of the file.
 */
import {
  baseOffsetAt,
  batchField,
  batchHeaderBytes,
  batchMagic,
  batchPrefixBytes,
  batchSizeAt,
  checkBatch,
  leaderEpochAt,
  nextOffsetAt,
  recordCountAt,
} from '../record/batch-format.ts'
import { readBatch, scanBatches } from './batch-scan.ts'
import { type ReadableFile, readFully } from './file-io.ts'

/** Bytes searched, and batches checked, in one turn of the event loop. */
const windowBytes = 128 << 10

/** Where to search, and which batches count. */
export interface SearchRequest {
  readonly startPosition: number
  /** Size of the file. */
  readonly endPosition: number
  /** No batch begins below. */
  readonly minOffset: number
  /** No batch ends above. */
  readonly limitOffset: number
  readonly minLeaderEpoch: number
}

/** A boundary between batches: the batch at `position` ends at `nextOffset`. */
export interface Boundary {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly position: number
}

/** Batches that follow each other without a break. */
export interface Chain {
  readonly position: number
  readonly baseOffset: number
  readonly nextOffset: number
  /** Where the next search begins. */
  readonly endPosition: number
  readonly leaderEpoch: number
  readonly batchCount: number
  /** One of its boundaries is an anchor. */
  readonly isAnchored: boolean
}

/** The first chain at or behind `startPosition`; null when there is none. */
export async function findChain(
  file: ReadableFile,
  request: SearchRequest,
  isAnchor: (boundary: Boundary) => boolean,
): Promise<Chain | null> {
  const position = await findBatch(file, request)
  if (position === null) return null
  let baseOffset = -1
  let batchCount = 0
  let isAnchored = false
  const { end, ...reached } = await scanBatches(file, {
    startPosition: position,
    endPosition: request.endPosition,
    expectedOffset: null,
    minLeaderEpoch: request.minLeaderEpoch,
    limitOffset: request.limitOffset,
    chunkBytes: windowBytes,
    onBatch: (buffer, at, filePosition) => {
      const boundary = {
        baseOffset: baseOffsetAt(buffer, at),
        nextOffset: nextOffsetAt(buffer, at),
        position: filePosition,
      }
      if (batchCount === 0) baseOffset = boundary.baseOffset
      batchCount++
      isAnchored ||= isAnchor(boundary)
    },
  })
  return {
    position,
    baseOffset,
    nextOffset: reached.nextOffset ?? baseOffset,
    endPosition: reached.position,
    leaderEpoch: reached.leaderEpoch,
    batchCount,
    isAnchored: isAnchored || end.kind === 'end',
  }
}

/** What lies in a stretch of bytes: whole batches, wherever they begin. */
export interface Survey {
  readonly batchCount: number
  /** Behind the highest batch; `minOffset` when there is none. */
  readonly nextOffset: number
  readonly leaderEpoch: number
}

/** Counts the whole batches in a stretch of a file, anchored or not. */
export async function surveyBatches(file: ReadableFile, request: SearchRequest): Promise<Survey> {
  let { startPosition, minOffset: nextOffset, minLeaderEpoch: leaderEpoch } = request
  let batchCount = 0
  for (;;) {
    const chain = await findChain(file, { ...request, startPosition }, () => false)
    if (chain === null) return { batchCount, nextOffset, leaderEpoch }
    batchCount += chain.batchCount
    startPosition = chain.endPosition
    nextOffset = Math.max(nextOffset, chain.nextOffset)
    leaderEpoch = Math.max(leaderEpoch, chain.leaderEpoch)
  }
}

/** The position of the first good batch that the request lets count. */
async function findBatch(file: ReadableFile, request: SearchRequest): Promise<number | null> {
  const { endPosition } = request
  const window = Buffer.allocUnsafe(
    Math.min(windowBytes, Math.max(0, endPosition - request.startPosition)),
  )
  let windowStart = request.startPosition
  while (endPosition - windowStart >= batchHeaderBytes) {
    const wanted = Math.min(window.length, endPosition - windowStart)
    const present = await readFully(file, window.subarray(0, wanted), windowStart)
    if (present < batchHeaderBytes) return null
    const lastStart = present - batchHeaderBytes
    const inWindow = { ...request, endPosition: endPosition - windowStart }
    let position = nextCandidate(window, 0, lastStart)
    while (position !== null) {
      if (mayCount(window, position, inWindow)) {
        const found = windowStart + position
        const isInWindow = position + batchSizeAt(window, position) <= present
        const isGood = isInWindow
          ? checkBatch(window, position, { end: present, checkCrc: true }) === 'ok'
          : (await readBatch(file, { position: found, endPosition })) !== null
        if (isGood) return found
      }
      position = nextCandidate(window, position + 1, lastStart)
    }
    windowStart += lastStart + 1
  }
  return null
}

/** The next position up to `lastStart` that has the magic byte where a batch has it. */
function nextCandidate(window: Buffer, from: number, lastStart: number): number | null {
  if (from > lastStart) return null
  const found = window.indexOf(batchMagic, from + batchField.magic)
  const position = found - batchField.magic
  return found === -1 || position > lastStart ? null : position
}

/** Whether the header at `position` is one that could count, before anything is read or summed. */
function mayCount(window: Buffer, position: number, request: SearchRequest): boolean {
  const size = batchSizeAt(window, position)
  if (size < batchHeaderBytes || position + size > request.endPosition) return false
  if (size < batchPrefixBytes || recordCountAt(window, position) < 0) return false
  const baseOffset = baseOffsetAt(window, position)
  const nextOffset = nextOffsetAt(window, position)
  return (
    baseOffset >= request.minOffset &&
    nextOffset > baseOffset &&
    nextOffset <= request.limitOffset &&
    leaderEpochAt(window, position) >= request.minLeaderEpoch
  )
}
