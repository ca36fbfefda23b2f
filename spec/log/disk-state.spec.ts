/** The state of the disk as a function of free bytes, thresholds and the state before. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ballastSize,
  bytesUntilLook,
  type DiskState,
  nextDiskState,
  thresholdsFor,
} from '../../lib/log/disk-state.ts'

const mib = 1024 * 1024
const gib = 1024 * mib
const byDefault = { diskLowBytes: null, diskReserveBytes: null, ballastBytes: mib }

describe('nextDiskState', () => {
  const thresholds = { lowBytes: 1000, reserveBytes: 100 }
  const rows: readonly (readonly [DiskState, number, DiskState])[] = [
    ['ok', 1000, 'ok'],
    ['ok', 999, 'low'],
    ['ok', 100, 'low'],
    ['ok', 99, 'read-only'],
    ['low', 99, 'read-only'],
    ['low', 1000, 'low'],
    ['low', 1249, 'low'],
    ['low', 1250, 'ok'],
    ['read-only', 100, 'read-only'],
    ['read-only', 124, 'read-only'],
    ['read-only', 125, 'low'],
    ['read-only', 1249, 'low'],
    ['read-only', 1250, 'ok'],
    ['read-only', 0, 'read-only'],
  ]
  for (const [state, freeBytes, next] of rows) {
    it(`${state}, ${freeBytes} bytes free → ${next}`, () => {
      assert.equal(nextDiskState(state, freeBytes, thresholds), next)
    })
  }

  it('thresholds of 0 → ok, however little is free', () => {
    assert.equal(nextDiskState('ok', 0, { lowBytes: 0, reserveBytes: 0 }), 'ok')
  })
})

describe('thresholdsFor', () => {
  const space = (totalBytes: number) => ({ freeBytes: 0, totalBytes })

  it('a file system of 16 GiB or more → 1 GiB and 64 MiB', () => {
    const expected = { lowBytes: gib, reserveBytes: 64 * mib }
    assert.deepEqual(thresholdsFor(byDefault, space(16 * gib)), expected)
    assert.deepEqual(thresholdsFor(byDefault, space(4096 * gib)), expected)
  })

  it('a small file system → a sixteenth of it', () => {
    const expected = { lowBytes: 4 * mib, reserveBytes: 4 * mib }
    assert.deepEqual(thresholdsFor(byDefault, space(64 * mib)), expected)
  })

  it('numbers that were given → taken as they are, whatever the size', () => {
    const given = { diskLowBytes: 5 * gib, diskReserveBytes: 0, ballastBytes: 0 }
    assert.deepEqual(thresholdsFor(given, space(mib)), { lowBytes: 5 * gib, reserveBytes: 0 })
  })
})

describe('bytesUntilLook', () => {
  const thresholds = { lowBytes: gib, reserveBytes: 64 * mib }

  it('far from a threshold → a quarter of the way to the next one', () => {
    assert.equal(bytesUntilLook(5 * gib, thresholds), gib)
    assert.equal(bytesUntilLook(gib - 1, thresholds), Math.floor((gib - 1 - 64 * mib) / 4))
  })

  it('at a threshold or below → a quarter of the reserve', () => {
    assert.equal(bytesUntilLook(64 * mib, thresholds), 16 * mib)
    assert.equal(bytesUntilLook(0, thresholds), 16 * mib)
  })

  it('without thresholds and space → a block', () => {
    assert.equal(bytesUntilLook(0, { lowBytes: 0, reserveBytes: 0 }), 4096)
  })
})

describe('ballastSize', () => {
  it('a large disk → what was asked for', () => {
    assert.equal(ballastSize(byDefault, { freeBytes: gib, totalBytes: 100 * gib }), mib)
  })

  it('a small file system → an eighth of it, in whole blocks', () => {
    assert.equal(ballastSize(byDefault, { freeBytes: 200_000, totalBytes: 200_000 }), 24_576)
  })

  it('hardly anything is free → half of that', () => {
    assert.equal(ballastSize(byDefault, { freeBytes: 20_000, totalBytes: gib }), 8192)
    assert.equal(ballastSize(byDefault, { freeBytes: 8000, totalBytes: gib }), 0)
  })

  it('not wanted, or space without a limit → none', () => {
    const none = { ...byDefault, ballastBytes: 0 }
    assert.equal(ballastSize(none, { freeBytes: gib, totalBytes: gib }), 0)
    const unlimited = Number.MAX_SAFE_INTEGER
    assert.equal(ballastSize(byDefault, { freeBytes: unlimited, totalBytes: unlimited }), 0)
  })
})
