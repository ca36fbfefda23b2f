/** Which size of chunk is given, and which are kept for reuse. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ChunkPool, chunkBytes, smallChunkBytes } from '../../lib/storage/chunk-pool.ts'

describe('ChunkPool', () => {
  const rows: readonly (readonly [string, number, boolean, number])[] = [
    ['little, and idle before', 100, false, smallChunkBytes],
    ['a small chunk full, and idle before', smallChunkBytes, false, smallChunkBytes],
    ['more than a small chunk', smallChunkBytes + 1, false, chunkBytes],
    ['little, but busy', 100, true, chunkBytes],
    ['more than a chunk', chunkBytes + 1, true, chunkBytes + 1],
  ]
  for (const [what, sizeBytes, isBusy, expected] of rows) {
    it(`${what} -> ${expected} bytes`, () => {
      const chunk = new ChunkPool(8 << 20).take(sizeBytes, isBusy)
      assert.equal(chunk.buffer.length, expected)
      assert.deepEqual([chunk.endPosition, chunk.writtenPosition], [0, 0])
    })
  }

  for (const sizeBytes of [100, chunkBytes]) {
    it(`a chunk for ${sizeBytes} bytes given back -> the next of its size is the same buffer, empty`, () => {
      const pool = new ChunkPool(8 << 20)
      const chunk = pool.take(sizeBytes, false)
      chunk.endPosition = chunk.writtenPosition = 50
      pool.give(chunk)
      const again = pool.take(sizeBytes, false)
      assert.equal(again.buffer, chunk.buffer)
      assert.deepEqual([again.endPosition, again.writtenPosition], [0, 0])
      assert.notEqual(pool.take(sizeBytes, false).buffer, chunk.buffer)
    })
  }

  it('more given back than the pool may hold -> the rest is let go', () => {
    const pool = new ChunkPool(2 * chunkBytes)
    const chunks = [1, 2, 3].map(() => pool.take(chunkBytes, true))
    for (const chunk of chunks) pool.give(chunk)
    const given = new Set(chunks.map(chunk => chunk.buffer))
    const reused = [1, 2, 3].map(() => given.has(pool.take(chunkBytes, true).buffer))
    assert.deepEqual(reused, [true, true, false])
  })

  it('small chunks given back -> kept up to a quarter of the bound', () => {
    const pool = new ChunkPool(8 * smallChunkBytes)
    const chunks = [1, 2, 3].map(() => pool.take(1, false))
    for (const chunk of chunks) pool.give(chunk)
    const given = new Set(chunks.map(chunk => chunk.buffer))
    const reused = [1, 2, 3].map(() => given.has(pool.take(1, false).buffer))
    assert.deepEqual(reused, [true, true, false])
  })

  it('an outsize chunk given back -> never reused', () => {
    const pool = new ChunkPool(1 << 30)
    const chunk = pool.take(2 * chunkBytes, true)
    pool.give(chunk)
    assert.notEqual(pool.take(2 * chunkBytes, true).buffer, chunk.buffer)
  })
})
