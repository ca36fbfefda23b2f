/**
 * The content of a file in memory against a plain buffer: edges of pages by table, then random
 * operations. `SEED=<n>` replays a run.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { PagedBytes } from '../../lib/files/paged-bytes.ts'

const replay = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

const pageBytes = 64 * 1024

function bytesOf(paged: PagedBytes): Buffer {
  const target = Buffer.alloc(paged.sizeBytes, 0xee)
  assert.equal(paged.read(target, 0), paged.sizeBytes)
  return target
}

describe('PagedBytes', () => {
  for (const position of [0, 1, 255, 256, pageBytes - 1, pageBytes, pageBytes + 1, 3 * pageBytes]) {
    it(`written at ${position} -> read back, with zeros before it`, () => {
      const paged = new PagedBytes()
      paged.write(Buffer.from('abc'), position)
      assert.deepEqual(bytesOf(paged), Buffer.concat([Buffer.alloc(position), Buffer.from('abc')]))
    })
  }

  it('read over the end -> short, and the rest of the target untouched', () => {
    const paged = new PagedBytes()
    paged.write(Buffer.from('abc'), 0)
    const target = Buffer.from('.....')
    assert.equal(paged.read(target, 1), 2)
    assert.equal(target.toString(), 'bc...')
    assert.equal(paged.read(target, 3), 0)
    assert.equal(paged.read(target, 99), 0)
  })

  it('nothing written beyond the end -> does not grow', () => {
    const paged = new PagedBytes()
    paged.write(Buffer.alloc(0), 500)
    assert.equal(paged.sizeBytes, 0)
  })

  for (const cutTo of [0, 5, pageBytes - 1, pageBytes, pageBytes + 5]) {
    it(`cut to ${cutTo} and grown again -> what was cut reads as zeros`, () => {
      const paged = new PagedBytes()
      paged.write(Buffer.alloc(2 * pageBytes, 1), 0)
      paged.resize(cutTo)
      assert.equal(paged.sizeBytes, cutTo)
      paged.resize(2 * pageBytes)
      const expected = Buffer.concat([Buffer.alloc(cutTo, 1), Buffer.alloc(2 * pageBytes - cutTo)])
      assert.ok(bytesOf(paged).equals(expected))
    })
  }

  it('a copy -> neither sees what is written to the other', () => {
    const paged = new PagedBytes()
    paged.write(Buffer.from('abc'), pageBytes - 1)
    const copy = paged.clone()
    paged.write(Buffer.from('XY'), pageBytes - 1)
    copy.write(Buffer.from('z'), pageBytes + 1)
    assert.equal(bytesOf(paged).subarray(-3).toString(), 'XYc')
    assert.equal(bytesOf(copy).subarray(-3).toString(), 'abz')
  })

  it('any writes, cuts and growths -> the same as a plain buffer', () => {
    const position = fc.nat(3 * pageBytes)
    const operations = fc.oneof(
      fc.record({
        at: position,
        length: fc.nat(pageBytes + 10),
        fill: fc.integer({ min: 1, max: 255 }),
      }),
      fc.record({ resize: position }),
    )
    const property = fc.property(fc.array(operations, { maxLength: 12 }), steps => {
      const paged = new PagedBytes()
      let plain = Buffer.alloc(0)
      for (const step of steps) {
        if ('resize' in step) {
          paged.resize(step.resize)
          plain = Buffer.concat([plain.subarray(0, step.resize)], step.resize)
        } else if (step.length > 0) {
          const source = Buffer.alloc(step.length, step.fill)
          paged.write(source, step.at)
          plain = Buffer.concat([plain], Math.max(plain.length, step.at + step.length))
          source.copy(plain, step.at)
        }
        assert.ok(bytesOf(paged).equals(plain))
      }
    })
    fc.assert(property, { numRuns: 60, ...replay })
  })
})
