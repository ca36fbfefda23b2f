/** When a segment is full, when its indexes get an entry, and what is known of it when it is sealed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ActiveSegment,
  type ActiveSegmentState,
  emptySegmentState,
} from '../../lib/storage/segment.ts'
import { headersCrc } from '../../lib/storage/segments-manifest.ts'
import { makeBatch } from '../support/log-files.ts'

function segmentOf(state: Partial<ActiveSegmentState> = {}): ActiveSegment {
  return new ActiveSegment({ ...emptySegmentState(state.baseOffset ?? 0), ...state }, 1000)
}

function note(
  segment: ActiveSegment,
  batch: Buffer,
  at: { nowMs?: number; indexIntervalBytes?: number } = {},
): void {
  segment.noteBatch(batch, 0, {
    sizeBytes: batch.length,
    nowMs: 1000,
    indexIntervalBytes: 4096,
    ...at,
  })
}

describe('ActiveSegment.isFullFor', () => {
  const largest = 2 ** 31 - 1
  const rows: readonly (readonly [
    string,
    Partial<ActiveSegmentState>,
    [number, number],
    boolean,
  ])[] = [
    ['empty, a batch larger than a segment', { sizeBytes: 0 }, [9999, 1], false],
    ['exactly filled up', { sizeBytes: 900 }, [100, 10], false],
    ['one byte past it', { sizeBytes: 901 }, [100, 10], true],
    ['the last relative offset that an index takes', { sizeBytes: 1 }, [1, largest + 1], false],
    ['one relative offset past it', { sizeBytes: 1 }, [1, largest + 2], true],
  ]
  for (const [what, state, [sizeBytes, nextOffset], expected] of rows) {
    it(`${what} -> ${expected}`, () => {
      assert.equal(segmentOf(state).isFullFor({ sizeBytes, nextOffset }, 1000), expected)
    })
  }

  it('an index has no room for another entry -> true', () => {
    const segment = segmentOf({ sizeBytes: 1 })
    const { offsets } = segment.indexes
    while (!offsets.isFull(10_485_744)) offsets.append(offsets.entryCount, offsets.entryCount)
    assert.equal(segment.isFullFor({ sizeBytes: 1, nextOffset: 1 }, 1000), true)
  })
})

describe('ActiveSegment.noteBatch', () => {
  it('more than an interval since the last entry -> the next batch gets one, with its own position', () => {
    const segment = segmentOf()
    const batches = [0, 1, 2, 3, 4].map(baseOffset => makeBatch({ baseOffset, timestamp: 50 }))
    const { length } = batches[0] as Buffer
    for (const batch of batches) note(segment, batch, { indexIntervalBytes: 2 * length - 1 })
    const { offsets } = segment.indexes
    const entries = Array.from({ length: offsets.entryCount }, (_, index) => offsets.entryAt(index))
    assert.deepEqual(entries, [
      { offset: 2, position: 2 * length },
      { offset: 4, position: 4 * length },
    ])
  })

  it('exactly an interval -> no entry yet', () => {
    const segment = segmentOf()
    const batches = [0, 1].map(baseOffset => makeBatch({ baseOffset }))
    for (const batch of batches) note(segment, batch, { indexIntervalBytes: batch.length })
    assert.equal(segment.indexes.offsets.entryCount, 0)
  })

  it('timestamps go back -> the time index entry holds the largest, where it was', () => {
    const segment = segmentOf()
    for (const [baseOffset, timestamp] of [
      [0, 10],
      [1, 90],
      [2, 40],
    ] as const)
      note(segment, makeBatch({ baseOffset, timestamp }), { indexIntervalBytes: 100 })
    assert.deepEqual(segment.indexes.times.lastEntry, { timestamp: 90, offset: 1 })
    assert.deepEqual([segment.maxTimestamp, segment.maxTimestampOffset], [90, 1])
  })

  it('an offset again -> AssertionError', () => {
    const segment = segmentOf()
    const batch = makeBatch({ baseOffset: 0 })
    note(segment, batch)
    assert.throws(() => note(segment, batch), { name: 'AssertionError' })
  })
})

describe('ActiveSegment.seal', () => {
  it('a segment from its first batch on -> everything is known of it', () => {
    const segment = segmentOf({ baseOffset: 5, nextOffset: 5 })
    const [a, b] = [makeBatch({ baseOffset: 5, recordCount: 2 }), makeBatch({ baseOffset: 7 })]
    note(segment, a, { nowMs: 1001 })
    note(segment, b, { nowMs: 1009 })
    const sealed = segment.seal()
    assert.deepEqual(sealed.facts, {
      baseOffset: 5,
      nextOffset: 8,
      sizeBytes: a.length + b.length,
      firstAppendMs: 1001,
      lastAppendMs: 1009,
      headersCrc: headersCrc(headersCrc(0, a, 0), b, 0),
    })
    assert.deepEqual([sealed.nextOffset, sealed.sizeBytes], [8, a.length + b.length])
    assert.equal(sealed.pendingIndexes, segment.indexes)
  })

  it('its beginning was not seen -> no checksum, and no time of the first append', () => {
    const first = makeBatch({ baseOffset: 0 })
    const found = { nextOffset: 1, sizeBytes: first.length, headersCrc: null }
    const segment = segmentOf(found)
    note(segment, makeBatch({ baseOffset: 1 }), { nowMs: 1009 })
    const { firstAppendMs, lastAppendMs, headersCrc: crc } = segment.facts()
    assert.deepEqual([firstAppendMs, lastAppendMs, crc], [-1, 1009, null])
  })

  it('the largest timestamp lies behind the last entry -> gets one', () => {
    const segment = segmentOf()
    note(segment, makeBatch({ baseOffset: 0, timestamp: 70 }))
    note(segment, makeBatch({ baseOffset: 1, timestamp: 60 }))
    assert.equal(segment.indexes.times.entryCount, 0)
    assert.deepEqual(segment.seal().pendingIndexes?.times.lastEntry, { timestamp: 70, offset: 0 })
  })

  it('empty -> no time index entry', () => {
    assert.equal(segmentOf().seal().pendingIndexes?.times.entryCount, 0)
  })
})
