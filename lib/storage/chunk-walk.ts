/**
 * Walking the batches of a buffer that was read from a segment. Nothing is believed unchecked: every
 * batch must be whole, and must have the offsets that it must have there.
 */
import {
  baseOffsetAt,
  batchHeaderBytes,
  batchSizeAt,
  checkBatch,
  nextOffsetAt,
} from '../record/batch-format.ts'
import type { Damage } from './environment.ts'
import type { ReadableSegment } from './readable-segment.ts'

/** A place to start walking, and what the batch there must be: nothing is known when null. */
export interface Start {
  readonly position: number
  readonly expected: { readonly baseOffset: number } | { readonly lastOffset: number } | null
}

/**
 * What a buffer holds of what was asked for. `more`: nothing yet, read on at the position, at least
 * `neededBytes`. `damage`: the batch at the position is not what it must be.
 */
export type Walked =
  | {
      readonly kind: 'batches'
      readonly positions: readonly number[]
      readonly nextOffset: number
      readonly endPosition: number
    }
  | ({ readonly kind: 'more'; readonly neededBytes: number } & Start)
  | ({ readonly kind: 'damage'; readonly reason: Damage['reason'] } & Start)

/** Behind the last batch that was walked, or where the segment begins; undefined without a segment. */
export function reachedBy(at: Start, segment: ReadableSegment | undefined): number | undefined {
  if (at.expected === null) return segment?.baseOffset
  return 'baseOffset' in at.expected ? at.expected.baseOffset : at.expected.lastOffset + 1
}

/** The start of a segment. */
export function startOf(segment: ReadableSegment | undefined): Start {
  return {
    position: 0,
    expected: segment === undefined ? null : { baseOffset: segment.baseOffset },
  }
}

/**
 * Whether a batch has the offsets that it must have there. The base offset lies outside the CRC, so
 * that this is what tells a record that was renumbered by a flipped bit.
 */
export function isExpected(buffer: Buffer, position: number, expected: Start['expected']): boolean {
  if (expected === null) return true
  if ('baseOffset' in expected) return baseOffsetAt(buffer, position) === expected.baseOffset
  return nextOffsetAt(buffer, position) - 1 === expected.lastOffset
}

/**
 * Where a walk from the start of a batch will end if nothing is wrong with the buffer: told by the
 * sizes alone, and so to be checked against the walk. Null when it ends at or behind `upTo`.
 */
export function expectedEnd(
  buffer: Buffer,
  of: { readonly upTo: number; readonly maxBytes: number },
): number | null {
  let position = 0
  while (position + batchHeaderBytes <= buffer.length) {
    const endPosition = position + batchSizeAt(buffer, position)
    if (endPosition <= position || endPosition > buffer.length) break
    if (endPosition > of.maxBytes && position > 0) break
    if (nextOffsetAt(buffer, position) >= of.upTo) return null
    position = endPosition
  }
  return position === 0 ? null : position
}

/** Walks the batches of a buffer that was read at `at.position`. */
export function walkChunk(
  buffer: Buffer,
  at: Start & { from: number; upTo: number; maxBytes: number; checkCrcs: boolean },
): Walked {
  const positions: number[] = []
  let position = 0
  let { expected } = at
  while (position < buffer.length) {
    const check = checkBatch(buffer, position, { end: buffer.length, checkCrc: at.checkCrcs })
    if (check === 'incomplete') {
      if (positions.length > 0) break
      const neededBytes =
        position + batchHeaderBytes <= buffer.length
          ? batchSizeAt(buffer, position)
          : batchHeaderBytes
      return { kind: 'more', position: at.position + position, neededBytes, expected }
    }
    if (check !== 'ok' || !isExpected(buffer, position, expected)) {
      // What was good before it is given first; the next read begins with the damage.
      if (positions.length > 0) break
      const reason = check === 'ok' ? 'offset-order' : check
      return { kind: 'damage', position: at.position + position, reason, expected }
    }
    const baseOffset = baseOffsetAt(buffer, position)
    const nextOffset = nextOffsetAt(buffer, position)
    if (baseOffset >= at.upTo) break
    const endPosition = position + batchSizeAt(buffer, position)
    if (endPosition - (positions[0] ?? position) > at.maxBytes && positions.length > 0) break
    expected = { baseOffset: nextOffset }
    if (nextOffset > at.from) positions.push(position)
    position = endPosition
  }
  const last = positions.at(-1)
  if (last === undefined)
    return { kind: 'more', position: at.position + position, neededBytes: 0, expected }
  return {
    kind: 'batches',
    positions,
    nextOffset: nextOffsetAt(buffer, last),
    endPosition: position,
  }
}
