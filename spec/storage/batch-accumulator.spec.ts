/** What lies in the chunks is what will lie in the segment: batches back to back, taken in regions. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { baseOffsetAt, batchSizeAt, checkBatch } from '../../lib/record/batch-format.ts'
import { recordSizeBound } from '../../lib/record/batch-writer.ts'
import { BatchAccumulator, type WriteRegion } from '../../lib/storage/batch-accumulator.ts'
import { ChunkPool, chunkBytes, smallChunkBytes } from '../../lib/storage/chunk-pool.ts'
import { encodeBatch } from '../support/batches.ts'

const noLimit = Number.MAX_SAFE_INTEGER

function accumulator(): { pool: ChunkPool; batches: BatchAccumulator } {
  const pool = new ChunkPool(8 << 20)
  return { pool, batches: new BatchAccumulator(pool) }
}

/** Opens a batch with one value, and completes it unless told otherwise. */
function add(batches: BatchAccumulator, baseOffset: number, valueBytes = 10): void {
  open(batches, baseOffset, valueBytes)
  batches.sealOpen({ baseOffset, leaderEpoch: 4 })
}

function open(batches: BatchAccumulator, baseOffset: number, valueBytes = 10): void {
  const record = { value: Buffer.alloc(valueBytes) }
  batches.begin(recordSizeBound(record), baseOffset, 1000).add(record, 1000)
}

/** Base offsets of the good batches in a region, which fill it exactly. */
function offsetsIn(region: WriteRegion): number[] {
  const { buffer } = region.chunk
  const end = region.position + region.sizeBytes
  const offsets: number[] = []
  for (let position = region.position; position < end; ) {
    assert.equal(checkBatch(buffer, position, { end, checkCrc: true }), 'ok')
    offsets.push(baseOffsetAt(buffer, position))
    position += batchSizeAt(buffer, position)
  }
  return offsets
}

describe('BatchAccumulator.putBack', () => {
  it('a region that could not be written -> comes first again, before what came meanwhile', () => {
    const { batches } = accumulator()
    for (const baseOffset of [0, 1, 2]) add(batches, baseOffset)
    const { pendingBytes } = batches
    const first = batches.takeRegion((batches.first?.sizeBytes ?? 0) * 2)
    assert.deepEqual(offsetsIn(first), [0, 1])
    batches.putBack(first)
    assert.equal(batches.pendingBytes, pendingBytes)
    add(batches, 3)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0, 1, 2, 3])
  })

  it('everything had been taken -> there again', () => {
    const { batches } = accumulator()
    add(batches, 5)
    const region = batches.takeRegion(noLimit)
    assert.equal(batches.isEmpty, true)
    batches.putBack(region)
    assert.equal(batches.isEmpty, false)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [5])
  })
})

describe('BatchAccumulator, the open batch', () => {
  it('a record that fits -> joins, and the batch holds both', () => {
    const { batches } = accumulator()
    const record = { value: Buffer.from('abc') }
    open(batches, 7)
    const before = batches.openBytes
    const taken = batches.join(record, recordSizeBound(record), {
      maxBatchBytes: 1000,
      nowMs: 1000,
    })
    assert.ok(taken > 0)
    assert.equal(batches.openBytes, before + taken)
    const sealed = batches.sealOpen({ baseOffset: 7, leaderEpoch: 4 })
    assert.deepEqual(
      [sealed.baseOffset, sealed.nextOffset, sealed.sizeBytes],
      [7, 9, before + taken],
    )
    assert.equal(batches.openBytes, 0)
  })

  it('none is open, the batch would be too large, the chunk is full -> does not join', () => {
    const { batches } = accumulator()
    const record = { value: Buffer.from('abc') }
    const bound = recordSizeBound(record)
    const join = (boundBytes: number, maxBatchBytes: number): number =>
      batches.join(record, boundBytes, { maxBatchBytes, nowMs: 1000 })
    assert.equal(join(bound, 1000), 0)
    open(batches, 0)
    const { openBytes } = batches
    assert.equal(join(bound, openBytes + bound - 1), 0)
    assert.equal(join(smallChunkBytes, noLimit), 0)
    assert.equal(batches.openBytes, openBytes)
    assert.ok(join(bound, openBytes + bound) > 0)
  })

  it('taken back -> nothing of it is written, and its place is used again', () => {
    const { batches } = accumulator()
    add(batches, 0)
    open(batches, 1)
    batches.discardOpen()
    assert.equal(batches.openBytes, 0)
    add(batches, 1)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0, 1])
  })

  it('filled with more than was guessed and there is room for -> none is open, and the next has the place', () => {
    const { batches } = accumulator()
    add(batches, 0)
    const at = { baseOffset: 1, nowMs: 1000, isGuessed: true }
    const large = { value: Buffer.alloc(smallChunkBytes) }
    assert.equal(batches.fill([{ value: null }, large], 100, at), 0)
    assert.equal(batches.hasOpen, false)
    add(batches, 1)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0, 1])
  })

  it('filled with more than was guessed, for which there is room -> open', () => {
    const { batches } = accumulator()
    const at = { baseOffset: 0, nowMs: 1000, isGuessed: true }
    const sizeBytes = batches.fill([{ value: null }, { value: Buffer.alloc(9000) }], 100, at)
    assert.equal(batches.openBytes, sizeBytes)
    batches.sealOpen({ baseOffset: 0, leaderEpoch: 4 })
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0])
  })

  it('a second one while one is open -> AssertionError', () => {
    const { batches } = accumulator()
    open(batches, 0)
    assert.throws(() => open(batches, 1), { name: 'AssertionError' })
  })

  it('a batch that was encoded elsewhere -> gets its offset and epoch, and keeps its checksum good', () => {
    const { batches } = accumulator()
    const at = { baseOffset: 42, recordCount: 2, leaderEpoch: 9 }
    batches.pushEncoded(encodeBatch([{ value: 'a' }, { value: 'b' }]), at)
    assert.equal(batches.first?.nextOffset, 44)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [42])
  })
})

describe('BatchAccumulator.takeRegion', () => {
  it('several batches in one chunk -> one region, in order', () => {
    const { batches } = accumulator()
    for (const offset of [0, 1, 2]) add(batches, offset)
    const region = batches.takeRegion(noLimit)
    assert.deepEqual(offsetsIn(region), [0, 1, 2])
    assert.deepEqual([batches.pendingBytes, batches.isEmpty], [0, true])
  })

  it('little room in the segment -> as many as fit, but at least one', () => {
    const { batches } = accumulator()
    for (const offset of [0, 1, 2]) add(batches, offset)
    const { sizeBytes } = batches.first ?? { sizeBytes: 0 }
    assert.deepEqual(offsetsIn(batches.takeRegion(2 * sizeBytes)), [0, 1])
    assert.equal(batches.pendingBytes, sizeBytes)
    assert.deepEqual(offsetsIn(batches.takeRegion(0)), [2])
  })

  it('batches in different chunks -> a region of each', () => {
    const { batches } = accumulator()
    add(batches, 0)
    add(batches, 1, smallChunkBytes)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0])
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [1])
  })

  it('one is open -> is no part of it', () => {
    const { batches } = accumulator()
    add(batches, 0)
    open(batches, 1)
    assert.deepEqual(offsetsIn(batches.takeRegion(noLimit)), [0])
    assert.equal(batches.isEmpty, false)
  })

  it('thousands, one at a time -> all of them, once', () => {
    const { batches } = accumulator()
    for (let offset = 0; offset < 3000; offset++) add(batches, offset)
    const taken: number[] = []
    while (!batches.isEmpty) {
      const region = batches.takeRegion(0)
      taken.push(...offsetsIn(region))
      batches.wrote(region)
    }
    assert.deepEqual(
      taken,
      Array.from({ length: 3000 }, (_, offset) => offset),
    )
  })
})

describe('BatchAccumulator, when a chunk is given back', () => {
  /** The buffers that were given back. */
  function watch(pool: ChunkPool): Buffer[] {
    const given: Buffer[] = []
    const { give } = pool
    pool.give = chunk => {
      given.push(chunk.buffer)
      give.call(pool, chunk)
    }
    return given
  }

  it('the last batch is written -> the chunk goes back, once', () => {
    const { pool, batches } = accumulator()
    const given = watch(pool)
    add(batches, 0)
    add(batches, 1)
    const [first, second] = [batches.takeRegion(0), batches.takeRegion(0)]
    batches.wrote(first)
    assert.deepEqual(given, [])
    batches.wrote(second)
    assert.deepEqual(given, [first.chunk.buffer])
  })

  it('a batch is open in it -> stays', () => {
    const { pool, batches } = accumulator()
    const given = watch(pool)
    add(batches, 0)
    open(batches, 1)
    batches.wrote(batches.takeRegion(noLimit))
    assert.deepEqual(given, [])
  })

  it('full and replaced while its write is under way -> goes back when that ends', () => {
    const { pool, batches } = accumulator()
    const given = watch(pool)
    add(batches, 0)
    const region = batches.takeRegion(noLimit)
    add(batches, 1, smallChunkBytes)
    assert.deepEqual(given, [])
    batches.wrote(region)
    assert.deepEqual(given, [region.chunk.buffer])
  })

  it('replaced after its last write has ended -> goes back then', () => {
    const { pool, batches } = accumulator()
    const given = watch(pool)
    add(batches, 0)
    const region = batches.takeRegion(noLimit)
    open(batches, 1)
    batches.wrote(region)
    batches.discardOpen()
    add(batches, 1, smallChunkBytes)
    assert.deepEqual(given, [region.chunk.buffer])
  })

  it('more than a small chunk since the partition was idle -> large chunks, until it is idle again', () => {
    const { batches } = accumulator()
    add(batches, 0, smallChunkBytes - 200)
    add(batches, 1)
    add(batches, 2)
    add(batches, 3)
    const [first, second] = [batches.takeRegion(noLimit), batches.takeRegion(noLimit)]
    assert.equal(first.chunk.buffer.length, smallChunkBytes)
    const { length } = second.chunk.buffer
    assert.equal(length, chunkBytes)
    batches.wrote(first)
    batches.wrote(second)
    add(batches, 4)
    assert.equal(batches.takeRegion(noLimit).chunk.buffer.length, smallChunkBytes)
  })
})

describe('BatchAccumulator.clear', () => {
  it('complete and open batches -> dropped and counted; what is being written is not', () => {
    const { batches } = accumulator()
    for (const offset of [0, 1]) add(batches, offset)
    const region = batches.takeRegion(0)
    open(batches, 2)
    const expected = batches.pendingBytes + batches.openBytes
    assert.equal(batches.clear(), expected)
    assert.deepEqual([batches.isEmpty, batches.pendingBytes, batches.openBytes], [true, 0, 0])
    assert.deepEqual(offsetsIn(region), [0])
  })

  it('a write is under way -> the chunk that it reads from is not used for the next batch', () => {
    const { batches } = accumulator()
    for (const offset of [0, 1]) add(batches, offset)
    const region = batches.takeRegion(0)
    batches.clear()
    add(batches, 1, 100)
    assert.notEqual(batches.takeRegion(noLimit).chunk.buffer, region.chunk.buffer)
    assert.deepEqual(offsetsIn(region), [0])
  })
})
