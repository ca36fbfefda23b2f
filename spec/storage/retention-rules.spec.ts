/**
 * Which segments go and why the others stay, rule by rule and in combination. Rows are written as what
 * happens to each segment, oldest first: a reason to go in capitals, a reason to stay as it is.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  judgeSegments,
  type RetainedPartition,
  type RetainedSegment,
  type RetentionLimits,
} from '../../lib/storage/retention-rules.ts'
import { forEachSeed } from '../support/random.ts'

const nowMs = 1_000_000

const noLimits: RetentionLimits = {
  cleanupPolicy: 'delete',
  retentionMs: -1,
  retentionBytes: -1,
  retentionRecords: -1,
  retentionBy: 'append',
  retainUntilConsumed: [],
}

type Given = Partial<RetainedSegment> & { readonly records?: number }

/** Segments of 10 records, 100 bytes and age 0 each, one behind the other; the last one is active. */
function segmentsOf(given: readonly Given[]): RetainedSegment[] {
  let baseOffset = 0
  return given.map(({ records = 10, ...rest }, index) => {
    const segment = {
      baseOffset,
      endOffset: baseOffset + records,
      sizeBytes: 100,
      lastAppendMs: nowMs,
      maxTimestamp: -1,
      isActive: index === given.length - 1,
      ...rest,
    }
    baseOffset = segment.endOffset
    return segment
  })
}

function partitionOf(
  given: readonly Given[],
  more: Partial<RetainedPartition> = {},
): RetainedPartition {
  const segments = segmentsOf(given)
  const highWatermark = segments.at(-1)?.endOffset ?? 0
  return { segments, logStartOffset: 0, highWatermark, nowMs, positions: [], ...more }
}

function outcome(partition: RetainedPartition, limits: Partial<RetentionLimits>): string[] {
  return judgeSegments(partition, { ...noLimits, ...limits }).map(verdict =>
    verdict.goes === null ? verdict.keptBecause : verdict.goes.toUpperCase(),
  )
}

const aged = (...ages: number[]): Given[] => ages.map(age => ({ lastAppendMs: nowMs - age }))
const sized = (...sizes: number[]): Given[] => sizes.map(sizeBytes => ({ sizeBytes }))
const counted = (...counts: number[]): Given[] => counts.map(records => ({ records }))
const empty: Given = { records: 0, sizeBytes: 0 }
const time = 'within time'
const size = 'within size'
const records = 'within records'
const behind = 'behind a kept segment'

interface Row {
  readonly title: string
  readonly segments: readonly Given[]
  readonly limits?: Partial<RetentionLimits>
  readonly more?: Partial<RetainedPartition>
  readonly expected: readonly string[]
}

const none: readonly Row[] = [
  { title: 'no limit', segments: aged(9e5, 0), expected: ['no retention set', 'no retention set'] },
  { title: 'no segment', segments: [], limits: { retentionMs: 0 }, expected: [] },
  {
    title: 'compaction alone, past every limit',
    segments: aged(500, 500),
    limits: { cleanupPolicy: 'compact', retentionMs: 1, retentionBytes: 0, retentionRecords: 0 },
    expected: ['compacted, not deleted', 'compacted, not deleted'],
  },
  {
    title: 'compaction and deletion',
    segments: aged(500, 50),
    limits: { cleanupPolicy: 'compact,delete', retentionMs: 100 },
    expected: ['TIME', time],
  },
]

const byTime: readonly Row[] = [
  {
    title: 'exactly as old as the limit',
    segments: aged(100, 0),
    limits: { retentionMs: 100 },
    expected: [time, time],
  },
  {
    title: 'older by one millisecond',
    segments: aged(101, 0),
    limits: { retentionMs: 100 },
    expected: ['TIME', time],
  },
  {
    title: 'the active one as well',
    segments: aged(300, 200),
    limits: { retentionMs: 100 },
    expected: ['TIME', 'TIME'],
  },
  {
    title: 'an empty active one behind them',
    segments: [...aged(300, 200), empty],
    limits: { retentionMs: 100 },
    expected: ['TIME', 'TIME', 'empty'],
  },
  {
    title: 'an old one behind a young one',
    segments: aged(300, 50, 300, 0),
    limits: { retentionMs: 100 },
    expected: ['TIME', time, behind, time],
  },
  {
    title: 'appended in what is now the future',
    segments: aged(-5000, 0),
    limits: { retentionMs: 100 },
    expected: [time, time],
  },
  {
    title: 'old, and not flushed',
    segments: aged(300, 300),
    limits: { retentionMs: 100 },
    more: { highWatermark: 15 },
    expected: ['TIME', 'not flushed'],
  },
]

const timestamps = (...list: number[]): Given[] => list.map(maxTimestamp => ({ maxTimestamp }))

const byRecord: readonly Row[] = [
  {
    title: 'record timestamps of the distant past, 0 and none, by append',
    segments: timestamps(1, 0, -1),
    limits: { retentionMs: 100 },
    expected: [time, time, time],
  },
  {
    title: 'record timestamps of the future, by append',
    segments: [{ maxTimestamp: nowMs * 2, lastAppendMs: nowMs - 500 }, {}],
    limits: { retentionMs: 100 },
    expected: ['TIME', time],
  },
  {
    title: 'record timestamps of the past, by record',
    segments: timestamps(1, nowMs - 100, 5),
    limits: { retentionMs: 100, retentionBy: 'record' },
    expected: ['TIME', time, behind],
  },
  {
    title: 'record timestamps of the future, by record',
    segments: [{ maxTimestamp: nowMs * 2, lastAppendMs: 0 }, {}],
    limits: { retentionMs: 100, retentionBy: 'record' },
    expected: [time, time],
  },
  {
    title: 'no timestamps, by record',
    segments: [{ maxTimestamp: -1, lastAppendMs: nowMs - 500 }, { maxTimestamp: -1 }],
    limits: { retentionMs: 100, retentionBy: 'record' },
    expected: ['TIME', time],
  },
]

const bySize: readonly Row[] = [
  {
    title: 'exactly as much as the limit is left without it',
    segments: sized(60, 60, 60),
    limits: { retentionBytes: 120 },
    expected: ['SIZE', size, size],
  },
  {
    title: 'one byte less would be left',
    segments: sized(60, 60, 60),
    limits: { retentionBytes: 121 },
    expected: [size, size, size],
  },
  {
    title: 'a small one behind a large one that stays',
    segments: sized(500, 1, 60),
    limits: { retentionBytes: 62 },
    expected: [size, size, size],
  },
  {
    title: 'nothing is to be left',
    segments: sized(60, 60),
    limits: { retentionBytes: 0 },
    expected: ['SIZE', 'SIZE'],
  },
  {
    title: 'the active one alone is larger',
    segments: sized(60, 500),
    limits: { retentionBytes: 100 },
    expected: ['SIZE', size],
  },
]

const byCount: readonly Row[] = [
  {
    title: 'exactly as many as the limit are left without it',
    segments: counted(10, 10, 10),
    limits: { retentionRecords: 20 },
    expected: ['RECORDS', records, records],
  },
  {
    title: 'one less would be left',
    segments: counted(10, 10, 10),
    limits: { retentionRecords: 21 },
    expected: [records, records, records],
  },
  {
    title: 'records below the log start do not count',
    segments: counted(10, 10, 10),
    limits: { retentionRecords: 20 },
    more: { logStartOffset: 9 },
    expected: ['RECORDS', records, records],
  },
]

const byLogStart: readonly Row[] = [
  {
    title: 'below it, without any limit',
    segments: aged(0, 0, 0),
    more: { logStartOffset: 10 },
    expected: ['LOG START', 'no retention set', 'no retention set'],
  },
  {
    title: 'one record above it is left',
    segments: aged(0, 0),
    more: { logStartOffset: 9 },
    expected: ['no retention set', 'no retention set'],
  },
  {
    title: 'everything is below it, under compaction',
    segments: aged(0, 0),
    limits: { cleanupPolicy: 'compact' },
    more: { logStartOffset: 20 },
    expected: ['LOG START', 'LOG START'],
  },
  {
    title: 'below it, and held by a group',
    segments: aged(0, 0),
    limits: { retainUntilConsumed: ['a'] },
    more: { logStartOffset: 10, positions: [{ group: 'a', offset: null }] },
    expected: ['LOG START', 'held by group a'],
  },
]

const groups: Partial<RetentionLimits> = { retainUntilConsumed: ['a', 'b'] }
const at = (a: number | null, b: number | null): Partial<RetainedPartition> => ({
  positions: [
    { group: 'a', offset: a },
    { group: 'b', offset: b },
  ],
})

const byGroups: readonly Row[] = [
  {
    title: 'a group that does not exist',
    segments: aged(500, 500),
    limits: groups,
    more: at(20, null),
    expected: ['held by group b', 'held by group b'],
  },
  {
    title: 'all have finished the first segment',
    segments: aged(0, 0),
    limits: groups,
    more: at(10, 15),
    expected: ['CONSUMED', 'held by group a'],
  },
  {
    title: 'one lacks the last record of it',
    segments: aged(0, 0),
    limits: groups,
    more: at(9, 20),
    expected: ['held by group a', 'held by group a'],
  },
  {
    title: 'all have finished everything',
    segments: aged(0, 0),
    limits: groups,
    more: at(20, 20),
    expected: ['CONSUMED', 'CONSUMED'],
  },
  {
    title: 'past all other limits, and not finished',
    segments: aged(500, 500),
    limits: { ...groups, retentionMs: 1, retentionBytes: 0, retentionRecords: 0 },
    more: at(0, 0),
    expected: ['held by group a', 'held by group a'],
  },
  {
    title: 'finished, under compaction alone',
    segments: aged(0, 0),
    limits: { ...groups, cleanupPolicy: 'compact' },
    more: at(20, 20),
    expected: ['compacted, not deleted', 'compacted, not deleted'],
  },
]

const combined: readonly Row[] = [
  {
    title: 'size gives up the first, time the second',
    segments: [
      { sizeBytes: 100, lastAppendMs: nowMs },
      { sizeBytes: 100, lastAppendMs: nowMs - 500 },
      { sizeBytes: 150 },
    ],
    limits: { retentionBytes: 200, retentionMs: 100 },
    expected: ['SIZE', 'TIME', time],
  },
  {
    title: 'time gives up a large one, and less is left than the size would keep',
    segments: [{ sizeBytes: 500, lastAppendMs: nowMs - 500 }, { sizeBytes: 10 }, { sizeBytes: 60 }],
    limits: { retentionBytes: 75, retentionMs: 100 },
    expected: ['TIME', time, time],
  },
  {
    title: 'size and number, neither reached',
    segments: sized(10, 10),
    limits: { retentionBytes: 100, retentionRecords: 100 },
    expected: [size, size],
  },
  {
    title: 'log start, then time',
    segments: aged(0, 500, 0),
    limits: { retentionMs: 100 },
    more: { logStartOffset: 10 },
    expected: ['LOG START', 'TIME', time],
  },
]

const tables: readonly (readonly [string, readonly Row[]])[] = [
  ['without deletion', none],
  ['by time', byTime],
  ['by record timestamps', byRecord],
  ['by size', bySize],
  ['by number', byCount],
  ['by log start', byLogStart],
  ['by groups', byGroups],
  ['by several rules', combined],
]

for (const [name, rows] of tables) {
  describe(`judgeSegments ${name}`, () => {
    for (const { title, segments, limits = {}, more = {}, expected } of rows) {
      it(`${title} -> ${expected.join(', ') || 'nothing'}`, () => {
        assert.deepEqual(outcome(partitionOf(segments, more), limits), expected)
      })
    }
  })
}

describe('deletableAt', () => {
  function times(given: readonly Given[], limits: Partial<RetentionLimits>): (number | null)[] {
    const verdicts = judgeSegments(partitionOf(given), { ...noLimits, ...limits })
    return verdicts.map(({ deletableAt }) => deletableAt)
  }

  it('within time -> the first millisecond at which a sweep deletes it', () => {
    const given = aged(40, 0)
    const [first] = times(given, { retentionMs: 100 })
    assert.equal(first, nowMs - 40 + 101)
    const verdictAt = (ms: number): unknown =>
      judgeSegments(partitionOf(given, { nowMs: ms }), { ...noLimits, retentionMs: 100 })[0]?.goes
    assert.deepEqual([verdictAt(first - 1), verdictAt(first)], [null, 'time'])
  })

  it('behind a younger one -> not before that', () => {
    const [first, second] = times(aged(0, 500, 0), { retentionMs: 100 })
    assert.deepEqual([first, second], [nowMs + 101, nowMs + 101])
  })

  it('within size, and behind it -> null', () => {
    assert.deepEqual(times(sized(10, 10), { retentionBytes: 1000 }), [null, null])
  })
})

describe('judgeSegments of any partition', () => {
  it('any segments and limits -> a prefix goes, and as much is left as was asked for', async () => {
    await forEachSeed(300, random => {
      const pick = <T>(...list: readonly T[]): T => list[random.below(list.length)] as T
      const given = Array.from({ length: 1 + random.below(6) }, () => ({
        records: 1 + random.below(20),
        sizeBytes: 1 + random.below(100),
      }))
      const limits = {
        ...noLimits,
        retentionBytes: pick(-1, random.below(300)),
        retentionRecords: pick(-1, random.below(60)),
      }
      const partition = partitionOf(given)
      const verdicts = judgeSegments(partition, limits)
      const count = verdicts.filter(({ goes }) => goes !== null).length
      assert.ok(verdicts.slice(count).every(({ goes }) => goes === null))
      const behindLast = (reason: string): readonly RetainedSegment[] =>
        partition.segments.slice(verdicts.findLastIndex(({ goes }) => goes === reason) + 1)
      const bytes = behindLast('size').reduce((total, { sizeBytes }) => total + sizeBytes, 0)
      const counted = behindLast('records')
      const end = partition.highWatermark
      if (behindLast('size').length < given.length) assert.ok(bytes >= limits.retentionBytes)
      if (counted.length < given.length) {
        assert.ok(end - (counted[0]?.baseOffset ?? end) >= limits.retentionRecords)
      }
    })
  })
})
