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

  it('a slow call -> the next 1000 go to the pool, then one is tried again', () => {
    const io = new SyncIo()
    io.note(2.1)
    const allowed = Array.from({ length: 1001 }, () => io.isAllowed(1))
    assert.equal(allowed.indexOf(true), 1000)
  })

  it('large calls after a slow one -> are no part of the 1000', () => {
    const io = new SyncIo()
    io.note(50)
    for (let count = 0; count < 2000; count++) io.isAllowed(maxSyncBytes + 1)
    assert.equal(io.isAllowed(1), false)
  })
})
