/**
 * The text of a manifest, every way to damage it, and the checksum over the headers of batches.
 *
 * Worked example: the checksum over the two batches `0000000000000000 00000057 … crc 2b6b5459` and
 * `0000000000000007 00000042 … crc 3bb58958` is the CRC-32 of these 32 bytes, bf261ade.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { withChecksum } from '../../lib/storage/checkpoint-file.ts'
import {
  formatManifest,
  headersCrc,
  type Manifest,
  parseManifest,
} from '../../lib/storage/segments-manifest.ts'

const first = {
  baseOffset: 0,
  nextOffset: 1200,
  sizeBytes: 1048000,
  firstAppendMs: 1700000000000,
  lastAppendMs: 1700000360000,
  headersCrc: 0x89abcdef,
}
const second = {
  baseOffset: 1200,
  nextOffset: 1207,
  sizeBytes: 812,
  firstAppendMs: 1700000360001,
  lastAppendMs: 1700000361000,
  headersCrc: 0x00c0ffee,
}
const unused = {
  baseOffset: 1207,
  nextOffset: 1207,
  sizeBytes: 0,
  firstAppendMs: -1,
  lastAppendMs: -1,
  headersCrc: 0,
}
const sealedLine = 'sealed 0 1200 1048000 1700000000000 1700000360000 89abcdef\n'
const activeLine = 'active 1200 1207 812 1700000360001 1700000361000 00c0ffee\n'
const title = 'varve segments 1\n'
const example: Manifest = { sealed: [first], active: second }

describe('formatManifest', () => {
  it('a sealed and the active segment → exactly this text', () => {
    assert.equal(formatManifest(example), `${title}${sealedLine}${activeLine}crc32 595305d9\n`)
  })

  it('a log start → a line before the others', () => {
    const text = formatManifest({ sealed: [], active: null, start: 4711 })
    assert.ok(text.startsWith(`${title}start 4711\ncrc32 `))
  })

  for (const [what, facts] of [
    ['a fraction', { ...first, sizeBytes: 0.5 }],
    ['an end below the base', { ...second, nextOffset: 1199 }],
    ['a negative size', { ...first, sizeBytes: -1 }],
    ['a CRC beyond 32 bits', { ...first, headersCrc: 2 ** 32 }],
    ['a negative CRC', { ...first, headersCrc: -1 }],
  ] as const) {
    it(`${what} → a broken invariant`, () => {
      assert.throws(() => formatManifest({ sealed: [facts], active: null }), {
        name: 'AssertionError',
      })
    })
  }
})

describe('parseManifest', () => {
  for (const [what, manifest] of [
    ['no segment', { sealed: [], active: null }],
    ['sealed segments alone', { sealed: [first, second], active: null }],
    ['an active segment alone', { sealed: [], active: second }],
    ['sealed and active segments', example],
    ['a segment missing in between', { sealed: [first, unused], active: null }],
    ['a segment without an append', { sealed: [first, second], active: unused }],
    ['a log start', { sealed: [second], active: null, start: 1203 }],
    ['a log start alone', { sealed: [], active: null, start: 0 }],
    ['a clock that went back', { sealed: [{ ...first, lastAppendMs: 5 }], active: null }],
  ] as const) {
    it(`${what} → what was written`, () => {
      assert.deepEqual(parseManifest(formatManifest(manifest)), manifest)
    })
  }

  it('every true prefix → null', () => {
    const text = formatManifest(example)
    for (let length = 0; length < text.length; length++) {
      assert.equal(parseManifest(text.slice(0, length)), null, `the first ${length} bytes`)
    }
  })

  it('every byte changed to any other → null', () => {
    const bytes = Buffer.from(formatManifest(example))
    for (let position = 0; position < bytes.length; position++) {
      for (let flip = 1; flip < 256; flip++) {
        const damaged = Buffer.from(bytes)
        damaged.writeUInt8(damaged.readUInt8(position) ^ flip, position)
        const text = damaged.toString()
        assert.equal(parseManifest(text), null, `byte ${position} with ${flip} flipped`)
      }
    }
  })

  for (const [what, body] of [
    ['another version', `varve segments 2\n${sealedLine}`],
    ['no first line', sealedLine],
    ['a kind that is not known', `${title}${sealedLine.replace('sealed', 'open')}`],
    ['a field too few', `${title}sealed 0 1 2 3 89abcdef\n`],
    ['a field too many', `${title}sealed 0 1 2 3 4 5 89abcdef\n`],
    ['a negative offset', `${title}sealed -1 1 2 3 4 89abcdef\n`],
    ['an append time below -1', `${title}sealed 0 1 2 -2 4 89abcdef\n`],
    ['a number beyond 2^53', `${title}sealed 0 9007199254740992 2 3 4 89abcdef\n`],
    ['an end below the base', `${title}sealed 5 4 2 3 4 89abcdef\n`],
    ['a CRC of seven digits', `${title}sealed 0 1 2 3 4 9abcdef\n`],
    ['a blank line', `${title}\n${sealedLine}`],
    ['a segment twice', `${title}${sealedLine}${sealedLine}`],
    ['segments that overlap', `${title}${sealedLine}sealed 1199 1200 1 3 4 89abcdef\n`],
    ['a segment behind the active one', `${title}${activeLine}sealed 1207 1208 1 3 4 89abcdef\n`],
    ['two active segments', `${title}${activeLine}active 1207 1208 1 3 4 89abcdef\n`],
  ] as const) {
    it(`${what} under a right checksum → null`, () => {
      assert.equal(parseManifest(withChecksum(body)), null)
    })
  }
})

/** Offset, length, leader epoch 3, magic 2, CRC, and the rest of a header as zeros. */
function batchHeader(baseOffset: string, length: string, crc: string): Buffer {
  return Buffer.from(`${baseOffset}${length}0000000302${crc}${'00'.repeat(40)}`, 'hex')
}

describe('headersCrc', () => {
  const plain = batchHeader('0000000000000000', '00000057', '2b6b5459')
  const commit = batchHeader('0000000000000007', '00000042', '3bb58958')

  it('one batch → the CRC-32 of offset, length and CRC', () => {
    assert.equal(headersCrc(0, commit, 0), 0xc1a7942a)
  })

  it('two batches → the worked example, wherever they lie', () => {
    const apart = Buffer.concat([Buffer.alloc(5, 0xff), plain, commit])
    const crc = headersCrc(headersCrc(0, apart, 5), apart, 5 + plain.length)
    assert.equal(crc, 0xbf261ade)
  })

  it('any bit of offset, length or CRC flipped → another checksum', () => {
    for (let bit = 0; bit < 21 * 8; bit++) {
      const isCovered = bit < 12 * 8 || bit >= 17 * 8
      const changed = Buffer.from(commit)
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(headersCrc(0, changed, 0) !== 0xc1a7942a, isCovered, `bit ${bit}`)
    }
  })
})
