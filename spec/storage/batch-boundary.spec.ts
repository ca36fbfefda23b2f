/**
 * The batch that holds an offset, found by headers of which any may be damaged. The reader of these
 * specs gives up after so many reads as no walk over a small segment takes.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type BoundaryLookup, findBoundary } from '../../lib/storage/batch-boundary.ts'
import type { Start } from '../../lib/storage/chunk-walk.ts'
import type { BatchBoundary, ReadableSegment } from '../../lib/storage/readable-segment.ts'
import { makeBatch } from '../support/log-files.ts'

const baseOffset = 10
const recordCount = 3

/** Batches of three records each from offset 10 on; the third is larger than what a walk reads at once. */
const batches = Array.from({ length: 6 }, (_, index) =>
  makeBatch({
    baseOffset: baseOffset + index * recordCount,
    recordCount,
    valueBytes: index === 2 ? 9000 : 40,
  }),
)

/** Where the batches begin, and where the last one ends. */
const positions = [0]
for (const { length } of batches) positions.push((positions.at(-1) ?? 0) + length)

const nextOffset = baseOffset + batches.length * recordCount
const segmentStart: Start = { position: 0, expected: { baseOffset } }

interface Wanted {
  readonly offset: number
  readonly bytes?: Buffer
  readonly start?: Start
  readonly startAnew?: Start
  readonly endPosition?: number
}

function find(wanted: Wanted): Promise<BatchBoundary> {
  const { bytes = Buffer.concat(batches), start = segmentStart, startAnew = segmentStart } = wanted
  const { endPosition = bytes.length } = wanted
  const known = { indexes: null, isFinished: true }
  const segment: ReadableSegment = { baseOffset, nextOffset, endPosition, ...known }
  let reads = 0
  const lookup: BoundaryLookup = {
    files: {
      readAt: (_, { position, sizeBytes }) => {
        assert.ok(++reads < 50, 'the walk comes to an end')
        assert.ok(position >= 0)
        return bytes.subarray(position, position + sizeBytes)
      },
    },
    start: () => start,
    startAnew: async () => startAnew,
  }
  return findBoundary(lookup, segment, wanted.offset)
}

function at(boundary: BatchBoundary): [number, number] {
  assert.equal(boundary.baseOffset, baseOffset)
  return [boundary.offset, boundary.position]
}

/** Place and base offset of the batch with this number. */
function startOf(index: number): [number, number] {
  return [baseOffset + index * recordCount, positions[index] ?? -1]
}

function withLength(index: number, length: number): Buffer {
  const bytes = Buffer.concat(batches)
  bytes.writeInt32BE(length, (positions[index] ?? 0) + 8)
  return bytes
}

describe('findBoundary', () => {
  it('every offset of a sound segment -> the start of its batch', async () => {
    for (let offset = baseOffset; offset < nextOffset; offset++) {
      const index = Math.floor((offset - baseOffset) / recordCount)
      assert.deepEqual(at(await find({ offset })), startOf(index), `offset ${offset}`)
    }
  })

  it('an offset behind the last batch -> the end of the segment, with that offset', async () => {
    for (const endPosition of [undefined, Number.POSITIVE_INFINITY]) {
      const end = positions.at(-1)
      const wanted = endPosition === undefined ? {} : { endPosition }
      assert.deepEqual(at(await find({ offset: nextOffset, ...wanted })), [nextOffset, end])
      assert.deepEqual(at(await find({ offset: nextOffset + 5, ...wanted })), [nextOffset + 5, end])
    }
  })

  it('an index that leads elsewhere than to the batch that it names -> the log decides', async () => {
    const lastOffset = baseOffset + 2 * recordCount - 1
    const [, right = 0] = startOf(1)
    const end = positions.at(-1) ?? 0
    for (const endPosition of [end, Number.POSITIVE_INFINITY]) {
      for (const position of [right + 1, positions[4] ?? 0, end - 10, end, end + 4096]) {
        const start = { position, expected: { lastOffset } }
        const found = await find({ offset: lastOffset + 1, start, endPosition })
        assert.deepEqual(at(found), startOf(2), `an entry for position ${position}`)
      }
    }
  })
})

describe('findBoundary in a file that has lost its end', () => {
  it('an offset of the lost part -> where the file ends, with the offset of that place', async () => {
    const [offset, position] = startOf(4)
    const endPosition = positions.at(-1) ?? 0
    const bytes = Buffer.concat(batches).subarray(0, position + 20)
    const found = await find({ bytes, endPosition, offset: nextOffset - 1 })
    assert.deepEqual(at(found), [offset, position])
  })
})

describe('findBoundary with a damaged length on its way', () => {
  const lengths = [-(2 ** 31), -100, -13, -12, 0, 48, 2 ** 31 - 1]

  it('no way past it -> where the damage begins', async () => {
    for (const index of batches.keys()) {
      for (const length of lengths) {
        const found = await find({ bytes: withLength(index, length), offset: nextOffset - 1 })
        assert.deepEqual(at(found), startOf(index), `batch ${index}, length ${length}`)
      }
    }
  })

  it('a length that leads into the batch itself -> none is seen there', async () => {
    const [offset, position] = startOf(3)
    const found = await find({ bytes: withLength(3, 50), offset: nextOffset - 1 })
    assert.deepEqual(at(found), [offset + recordCount, position + 62])
  })

  it('a length that leads over the next batch -> the one behind is not taken for it', async () => {
    const [offset] = startOf(1)
    const bytes = withLength(0, (positions[2] ?? 0) - 12)
    const found = await find({ bytes, offset: offset + 1 })
    assert.deepEqual(at(found), [offset, positions[2]])
  })

  it('the offset lies before it -> its batch', async () => {
    for (const length of lengths) {
      const found = await find({ bytes: withLength(4, length), offset: baseOffset + 10 })
      assert.deepEqual(at(found), startOf(3))
    }
  })

  it('an index made anew leads behind it -> the batch that holds the offset', async () => {
    for (const length of lengths) {
      const [offset, position] = startOf(4)
      const startAnew = { position, expected: { lastOffset: offset + recordCount - 1 } }
      const bytes = withLength(2, length)
      const found = await find({ bytes, startAnew, offset: nextOffset - 1 })
      assert.deepEqual(at(found), startOf(5))
    }
  })
})
