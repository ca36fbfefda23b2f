/** Which part of a partition is dirty, when it is to be compacted, and which segments become one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  type CompactionBounds,
  compactionRange,
  dirtyRatio,
  groupSegments,
  isCompactionDue,
} from '../../lib/storage/compaction-plan.ts'
import type { SealedSegment } from '../../lib/storage/segment.ts'

/** Segments of 100 bytes that were appended at their offsets as times. */
function segmentsAt(...bounds: readonly number[]): SealedSegment[] {
  return bounds.slice(0, -1).map((baseOffset, index) => {
    const nextOffset = bounds[index + 1] ?? baseOffset
    const times = { firstAppendMs: baseOffset, lastAppendMs: nextOffset - 1 }
    const facts = { baseOffset, nextOffset, sizeBytes: 100, headersCrc: null, ...times }
    return { baseOffset, nextOffset, sizeBytes: 100, facts, pendingIndexes: null }
  })
}

const bounds: CompactionBounds = {
  logStartOffset: 0,
  highWatermark: 40,
  firstOpenOffset: Number.POSITIVE_INFINITY,
  firstDirtyOffset: 0,
  minCompactionLagMs: 0,
  nowMs: 100,
  unknownAppendMs: 90,
}

const sealed = segmentsAt(0, 10, 20, 30, 40)

describe('compactionRange', () => {
  const rows: readonly [string, Partial<CompactionBounds>, [number, number, number, number]][] = [
    ['nothing cleaned yet', {}, [0, 40, 0, 400]],
    ['cleaned up to a segment', { firstDirtyOffset: 20 }, [20, 40, 200, 200]],
    ['cleaned up to the middle of a segment', { firstDirtyOffset: 25 }, [25, 40, 200, 200]],
    ['all cleaned', { firstDirtyOffset: 40 }, [40, 40, 400, 0]],
    [
      'a checkpoint below the log start',
      { logStartOffset: 12, firstDirtyOffset: 3 },
      [12, 40, 100, 300],
    ],
    ['a checkpoint above the end', { firstDirtyOffset: 41 }, [0, 40, 0, 400]],
    ['a high watermark inside a segment', { highWatermark: 35 }, [0, 30, 0, 300]],
    ['an open transaction', { firstOpenOffset: 20 }, [0, 20, 0, 200]],
    ['a lag that the last two are younger than', { minCompactionLagMs: 75 }, [0, 20, 0, 200]],
    ['a clock behind the last append', { nowMs: 5 }, [0, 40, 0, 400]],
    ['a lag that all are younger than', { minCompactionLagMs: 1000 }, [0, 0, 0, 0]],
  ]
  for (const [title, change, expected] of rows) {
    it(`${title} -> [${expected.slice(0, 2)}), ${expected[2]} clean and ${expected[3]} dirty bytes`, () => {
      const range = compactionRange(sealed, { ...bounds, ...change })
      const { firstDirtyOffset, endOffset, cleanBytes, dirtyBytes } = range
      assert.deepEqual([firstDirtyOffset, endOffset, cleanBytes, dirtyBytes], expected)
    })
  }

  it('append times that are not known -> as late as they can be', () => {
    const unknown = sealed.map(segment => ({ ...segment, facts: null }))
    const at = { ...bounds, minCompactionLagMs: 20 }
    assert.equal(compactionRange(unknown, at).endOffset, 0)
    assert.equal(compactionRange(unknown, { ...at, nowMs: 110 }).endOffset, 40)
    assert.equal(compactionRange(unknown, bounds).oldestDirtyMs, 90)
  })

  it('the oldest dirty append -> that of the first dirty segment', () => {
    assert.equal(compactionRange(sealed, { ...bounds, firstDirtyOffset: 25 }).oldestDirtyMs, 20)
    assert.equal(compactionRange(sealed, { ...bounds, firstDirtyOffset: 40 }).oldestDirtyMs, null)
  })
})

describe('isCompactionDue', () => {
  const rules = { minCleanableDirtyRatio: 0.5, maxCompactionLagMs: -1, nowMs: 100 }
  const range = (firstDirtyOffset: number) =>
    compactionRange(sealed, { ...bounds, firstDirtyOffset })

  it('a dirty ratio above the least -> due; at it -> not', () => {
    assert.equal(dirtyRatio(range(20)), 0.5)
    assert.equal(isCompactionDue(range(20), rules), false)
    assert.equal(isCompactionDue(range(10), rules), true)
  })

  it('the oldest dirty record as old as it may get -> due whatever the ratio', () => {
    assert.equal(isCompactionDue(range(30), { ...rules, maxCompactionLagMs: 71 }), false)
    assert.equal(isCompactionDue(range(30), { ...rules, maxCompactionLagMs: 70 }), true)
  })

  it('nothing dirty -> not due', () => {
    assert.equal(dirtyRatio(range(40)), 0)
    const always = { minCleanableDirtyRatio: 0, maxCompactionLagMs: 0, nowMs: 100 }
    assert.equal(isCompactionDue(range(40), always), false)
  })
})

describe('groupSegments', () => {
  const basesOf = (limits: { endOffset: number; segmentBytes: number }, of = sealed): number[][] =>
    groupSegments(of, limits).map(group => group.map(({ baseOffset }) => baseOffset))

  it('room for two in a segment -> pairs', () => {
    assert.deepEqual(basesOf({ endOffset: 40, segmentBytes: 299 }), [
      [0, 10],
      [20, 30],
    ])
  })

  it('segments larger than a segment may be -> each by itself', () => {
    assert.deepEqual(basesOf({ endOffset: 40, segmentBytes: 10 }), [[0], [10], [20], [30]])
  })

  it('an end inside a segment -> that one is the last', () => {
    assert.deepEqual(basesOf({ endOffset: 15, segmentBytes: 1000 }), [[0, 10]])
    assert.deepEqual(basesOf({ endOffset: 0, segmentBytes: 1000 }), [])
  })

  it('offsets that one segment cannot hold -> apart', () => {
    const wide = segmentsAt(0, 10, 2 ** 31, 2 ** 31 + 10)
    assert.deepEqual(basesOf({ endOffset: 2 ** 32, segmentBytes: 1000 }, wide), [
      [0, 10],
      [2 ** 31],
    ])
  })
})
