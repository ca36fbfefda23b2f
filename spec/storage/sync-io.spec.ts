/** Small calls are synchronous as long as they are fast. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { maxSyncBytes, SyncIo } from '../../lib/storage/sync-io.ts'

describe('SyncIo', () => {
  it('up to 64 KiB -> allowed, a byte more -> not', () => {
    const io = new SyncIo()
    assert.equal(maxSyncBytes, 65_536)
    assert.equal(io.isAllowed(maxSyncBytes), true)
    assert.equal(io.isAllowed(maxSyncBytes + 1), false)
  })

  it('calls of up to 2 ms -> the next is allowed', () => {
    const io = new SyncIo()
    io.note(2)
    assert.equal(io.isAllowed(1), true)
  })

  it('a slow call -> the next 16 go to the pool, then one is tried again', () => {
    const io = new SyncIo()
    io.note(2.1)
    assert.equal(skipped(io), 16)
  })

  it('slow again when tried again -> twice as many each time, up to 4096', () => {
    const io = new SyncIo()
    const penalties = Array.from({ length: 11 }, () => {
      io.note(3)
      return skipped(io)
    })
    assert.deepEqual(penalties, [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096])
  })

  it('slow again behind 1023 fast calls -> twice as many; behind 1024 -> 16 again', () => {
    for (const [fast, expected] of [
      [1023, 32],
      [1024, 16],
    ] as const) {
      const io = new SyncIo()
      io.note(3)
      skipped(io)
      for (let count = 0; count < fast; count++) io.note(0.01)
      io.note(3)
      assert.equal(skipped(io), expected)
    }
  })

  it('large calls after a slow one -> are not counted among those that go to the pool', () => {
    const io = new SyncIo()
    io.note(50)
    for (let count = 0; count < 2000; count++) io.isAllowed(maxSyncBytes + 1)
    assert.equal(io.isAllowed(1), false)
  })
})

/** How many small calls go to the pool from now on. */
function skipped(io: SyncIo): number {
  let count = 0
  while (!io.isAllowed(1)) count++
  return count
}
