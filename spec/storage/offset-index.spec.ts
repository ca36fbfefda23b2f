/**
 * Kafka's `.index` bytes, what is refused as one, and lookups against a scan of the entries.
 * `SEED=<n>` replays a run.
 *
 * Worked example: in the segment with base offset 100 the batch at position 4200 ends with offset
 * 131 (31 = 0x1f, 4200 = 0x1068) and the one at 8400 (0x20d0) with 163 (63 = 0x3f): the file is
 * `0000001f 00001068 0000003f 000020d0`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { OffsetIndex } from '../../lib/storage/offset-index.ts'

const replay = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

const example = '0000001f000010680000003f000020d0'

function exampleIndex(): OffsetIndex {
  const index = new OffsetIndex(100)
  index.append(131, 4200)
  index.append(163, 8400)
  return index
}

describe('OffsetIndex', () => {
  it('two batches → the worked example, and back', () => {
    assert.equal(exampleIndex().bytes().toString('hex'), example)
    const loaded = OffsetIndex.load(100, Buffer.from(example, 'hex'))
    assert.deepEqual(loaded?.entryAt(0), { offset: 131, position: 4200 })
    assert.deepEqual(loaded?.entryAt(1), { offset: 163, position: 8400 })
    assert.equal(loaded?.entryCount, 2)
    assert.equal(loaded?.lastOffset, 163)
  })

  it('no batch → no bytes, position 0 for all, the base offset as last', () => {
    const index = new OffsetIndex(100)
    assert.equal(index.bytes().length, 0)
    assert.equal(index.lookup(999), 0)
    assert.equal(index.nextPosition(0), null)
    assert.equal(index.entryBehind(0), null)
    assert.equal(index.lastOffset, 100)
  })

  it('loaded and appended to → the same as appended at once', () => {
    const loaded = OffsetIndex.load(100, Buffer.from(example.slice(0, 16), 'hex'))
    loaded?.append(163, 8400)
    assert.equal(loaded?.bytes().toString('hex'), example)
  })

  it('the largest offset and position of a segment → kept', () => {
    const index = new OffsetIndex(0)
    index.append(2 ** 31 - 1, 2 ** 31 - 1)
    assert.deepEqual(index.entryAt(0), { offset: 2 ** 31 - 1, position: 2 ** 31 - 1 })
  })

  for (const [what, offset, position] of [
    ['an offset below the base', 99, 9000],
    ['an offset too far above the base', 100 + 2 ** 31, 9000],
    ['an offset again', 163, 9000],
    ['a lower offset', 162, 9000],
    ['a position again', 164, 8400],
    ['a lower position', 164, 8399],
    ['a position beyond int32', 164, 2 ** 31],
    ['a negative position', 164, -1],
  ] as const) {
    it(`${what} appended → a broken invariant`, () => {
      assert.throws(() => exampleIndex().append(offset, position), { name: 'AssertionError' })
    })
  }

  it('full → when another entry would pass the limit', () => {
    const index = exampleIndex()
    assert.equal(index.isFull(16), true)
    assert.equal(index.isFull(23), true)
    assert.equal(index.isFull(24), false)
  })
})

describe('OffsetIndex.load', () => {
  it('an empty file → no entries', () => {
    assert.equal(OffsetIndex.load(0, Buffer.alloc(0))?.entryCount, 0)
  })

  for (const [what, hex] of [
    ['half an entry', '0000001f'],
    ['an entry and a byte', '0000001f0000106800'],
    ['an offset twice', '0000001f000010680000001f000020d0'],
    ['falling offsets', '0000003f000010680000001f000020d0'],
    ['a position twice', '0000001f000010680000003f00001068'],
    ['falling positions', '0000001f000020d00000003f00001068'],
    ['a negative offset', 'ffffffff00001068'],
    ['a negative position', '0000001fffffffff'],
    ['zeros behind the entries', `${example}0000000000000000`],
    ['nothing but zeros', '00000000000000000000000000000000'],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(OffsetIndex.load(100, Buffer.from(hex, 'hex')), null)
    })
  }
})

describe('OffsetIndex against a scan of its entries', () => {
  const gap = fc.integer({ min: 1, max: 9 })
  const gaps = fc.array(fc.tuple(gap, gap), { maxLength: 30 })

  it('any entries, every offset and position → the same lookups and truncations', () => {
    fc.assert(
      fc.property(gaps, fc.nat(100), (given, base) => {
        const index = new OffsetIndex(base)
        const entries: { offset: number; position: number }[] = []
        let offset = base - 1
        let position = 0
        for (const [offsetGap, positionGap] of given) {
          offset += offsetGap
          position += positionGap
          index.append(offset, position)
          entries.push({ offset, position })
        }
        assert.equal(index.lastOffset, entries.at(-1)?.offset ?? base)
        for (let target = 0; target <= Math.max(offset, position) + 1; target++) {
          const below = entries.filter(entry => entry.offset <= target)
          const above = entries.find(entry => entry.offset > target)
          const behind = entries.find(entry => entry.position > target)
          assert.equal(index.lookup(target), below.at(-1)?.position ?? 0)
          assert.deepEqual(index.floor(target), below.at(-1) ?? null)
          assert.equal(index.nextPosition(target), above?.position ?? null)
          assert.deepEqual(index.entryBehind(target), behind ?? null)
          const loaded = OffsetIndex.load(base, Buffer.from(index.bytes()))
          loaded?.truncateTo(target)
          const kept = entries.filter(entry => entry.offset < target)
          assert.deepEqual(loaded?.bytes(), index.bytes().subarray(0, kept.length * 8))
        }
      }),
      replay,
    )
  })
})
