/**
 * Kafka's `.timeindex` bytes, what is refused as one, and lookups against a scan of the entries.
 * `SEED=<n>` replays a run.
 *
 * Worked example: in the segment with base offset 100 the largest timestamp is 1,700,000,000,005
 * (0x18bcfe56805) up to offset 131 (31 = 0x1f) and two milliseconds later up to 163 (0x3f): the
 * file is `0000018bcfe56805 0000001f 0000018bcfe56807 0000003f`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { TimeIndex } from '../../lib/storage/time-index.ts'

const replay = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

const example = '0000018bcfe568050000001f0000018bcfe568070000003f'
const early = 1_700_000_000_005
const late = 1_700_000_000_007

function exampleIndex(): TimeIndex {
  const index = new TimeIndex(100)
  index.append(early, 131)
  index.append(late, 163)
  return index
}

describe('TimeIndex', () => {
  it('two entries → the worked example, and back', () => {
    assert.equal(exampleIndex().bytes().toString('hex'), example)
    const loaded = TimeIndex.load(100, Buffer.from(example, 'hex'))
    assert.equal(loaded?.entryCount, 2)
    assert.deepEqual(loaded?.entryAt(0), { timestamp: early, offset: 131 })
    assert.deepEqual(loaded?.lastEntry, { timestamp: late, offset: 163 })
  })

  it('no entry → no bytes and nothing found', () => {
    const index = new TimeIndex(100)
    assert.equal(index.bytes().length, 0)
    assert.equal(index.lookup(late), null)
    assert.equal(index.lastEntry, null)
  })

  it('the largest safe timestamp → kept', () => {
    const index = new TimeIndex(0)
    index.append(2 ** 53 - 1, 2 ** 31 - 1)
    assert.deepEqual(index.lastEntry, { timestamp: 2 ** 53 - 1, offset: 2 ** 31 - 1 })
  })

  for (const [what, timestamp, offset] of [
    ['the same timestamp', late, 170],
    ['an earlier timestamp', early, 170],
    ['a lower offset', late + 1, 162],
    ['no timestamp', -1, 170],
  ] as const) {
    it(`${what} appended → ignored`, () => {
      const index = exampleIndex()
      index.append(timestamp, offset)
      assert.equal(index.bytes().toString('hex'), example)
    })
  }

  it('no timestamp as the first → ignored', () => {
    const index = new TimeIndex(100)
    index.append(-1, 131)
    assert.equal(index.entryCount, 0)
  })

  it('a later timestamp at the same offset → added', () => {
    const index = exampleIndex()
    index.append(late + 1, 163)
    assert.deepEqual(index.lastEntry, { timestamp: late + 1, offset: 163 })
  })

  for (const [what, timestamp, offset] of [
    ['an offset below the base', late + 1, 99],
    ['an offset too far above the base', late + 1, 100 + 2 ** 31],
    ['a fraction', late + 0.5, 170],
    ['a timestamp beyond 2^53', 2 ** 53, 170],
  ] as const) {
    it(`${what} appended → a broken invariant`, () => {
      assert.throws(() => exampleIndex().append(timestamp, offset), { name: 'AssertionError' })
    })
  }

  it('full → one entry before the limit, which sealing takes', () => {
    const index = exampleIndex()
    assert.equal(index.isFull(36), true)
    assert.equal(index.isFull(47), true)
    assert.equal(index.isFull(48), false)
  })
})

describe('TimeIndex.load', () => {
  it('an empty file → no entries', () => {
    assert.equal(TimeIndex.load(0, Buffer.alloc(0))?.entryCount, 0)
  })

  it('one offset under two timestamps → accepted', () => {
    const hex = '0000018bcfe568050000001f0000018bcfe568070000001f'
    assert.equal(TimeIndex.load(0, Buffer.from(hex, 'hex'))?.entryCount, 2)
  })

  for (const [what, hex] of [
    ['two thirds of an entry', '0000018bcfe56805'],
    ['a timestamp twice', '0000018bcfe568050000001f0000018bcfe568050000003f'],
    ['falling timestamps', '0000018bcfe568070000001f0000018bcfe568050000003f'],
    ['falling offsets', '0000018bcfe568050000003f0000018bcfe568070000001f'],
    ['a negative timestamp', 'ffffffffffffffff0000001f'],
    ['a timestamp beyond 2^53', '7fffffffffffffff0000001f'],
    ['a negative offset', '0000018bcfe56805ffffffff'],
    ['zeros behind the entries', `${example}${'00'.repeat(12)}`],
    ['nothing but zeros', '00'.repeat(24)],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(TimeIndex.load(100, Buffer.from(hex, 'hex')), null)
    })
  }
})

describe('TimeIndex against a scan of its entries', () => {
  const appends = fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { maxLength: 60 })

  it('any appends, every timestamp and offset → the same lookups and truncations', () => {
    fc.assert(
      fc.property(appends, fc.nat(100), (given, base) => {
        const index = new TimeIndex(base)
        const entries: { timestamp: number; offset: number }[] = []
        for (const [timestamp, relativeOffset] of given) {
          const offset = base + relativeOffset
          index.append(timestamp, offset)
          const last = entries.at(-1) ?? { timestamp: -1, offset: base }
          if (timestamp > last.timestamp && offset >= last.offset)
            entries.push({ timestamp, offset })
        }
        assert.deepEqual(index.lastEntry, entries.at(-1) ?? null)
        for (let target = 0; target <= 101; target++) {
          const atMost = entries.filter(entry => entry.timestamp <= target)
          assert.deepEqual(index.lookup(target), atMost.at(-1) ?? null)
          const loaded = TimeIndex.load(base, Buffer.from(index.bytes()))
          loaded?.truncateTo(base + target)
          const kept = entries.filter(entry => entry.offset < base + target)
          assert.deepEqual(loaded?.bytes(), index.bytes().subarray(0, kept.length * 12))
        }
      }),
      replay,
    )
  })
})
