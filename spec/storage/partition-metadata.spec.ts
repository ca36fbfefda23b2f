/**
 * The exact bytes of `partition.metadata`, texts that are not one, and what new topic ids look like.
 *
 * Worked example: the UUID 00112233-4455-4677-8899-aabbccddeeff is `ABEiM0RVRneImaq7zN3u_w`, since
 * 001122 is `ABEi`, 334455 is `M0RV`, …, and the last byte ff is `_w`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  formatPartitionMetadata,
  isDamagedTopicId,
  newTopicId,
  parsePartitionMetadata,
} from '../../lib/storage/partition-metadata.ts'

const id = 'ABEiM0RVRneImaq7zN3u_w'
const text = `version: 0\ntopic_id: ${id}`

describe('partition.metadata', () => {
  it('a topic id → exactly these bytes, and back', () => {
    assert.equal(formatPartitionMetadata(id), text)
    assert.equal(parsePartitionMetadata(text), id)
  })

  it('every true prefix → null', () => {
    for (let length = 0; length < text.length; length++) {
      assert.equal(parsePartitionMetadata(text.slice(0, length)), null)
    }
  })

  for (const [what, damaged] of [
    ['another version', text.replace('0', '1')],
    ['a line feed at the end', `${text}\n`],
    ['something behind it', `${text} x`],
    ['padding', `${text}==`],
    ['base64 that is not for URLs', text.replace('_', '/')],
    ['bits behind the sixteenth byte', text.replace(/w$/, 'x')],
    ['the id of all zeros', 'version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA'],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(parsePartitionMetadata(damaged), null)
    })
  }

  for (const topicId of ['', 'abc', `${id}AA`, 'AAAAAAAAAAAAAAAAAAAAAA']) {
    it(`${JSON.stringify(topicId)} as a topic id → a broken invariant`, () => {
      assert.throws(() => formatPartitionMetadata(topicId), { name: 'AssertionError' })
    })
  }
})

describe('isDamagedTopicId', () => {
  const id = 'AAECAwQFRgeICQoLDA0ODw'
  for (const [found, expected] of [
    [id, false],
    [`B${id.slice(1)}`, true],
    [`BBBB${id.slice(4)}`, true],
    [`BBBBB${id.slice(5)}`, false],
    [id.slice(1), false],
    ['EBESExQVRheYGRobHB0eHw', false],
  ] as const) {
    it(`${found} -> ${expected ? 'the same id, damaged' : 'not damaged'}`, () => {
      assert.equal(isDamagedTopicId(found, id), expected)
    })
  }
})

describe('newTopicId', () => {
  it('the bytes of the worked example → its id', () => {
    assert.equal(
      newTopicId(() => Buffer.from('00112233445506778899aabbccddeeff', 'hex')),
      id,
    )
  })

  it('any random bytes → a version 4 UUID', () => {
    for (const byte of [0x00, 0x55, 0xaa, 0xff]) {
      const uuid = Buffer.from(
        newTopicId(() => Buffer.alloc(16, byte)),
        'base64url',
      )
      assert.equal(uuid.readUInt8(6) >> 4, 4)
      assert.equal(uuid.readUInt8(8) >> 6, 2)
    }
  })

  it('bytes that would begin with a hyphen → another draw', () => {
    const draws = [Buffer.alloc(16, 0xf8), Buffer.alloc(16, 0xfb), Buffer.alloc(16, 1)]
    const topicId = newTopicId(() => draws.shift() ?? assert.fail('drawn more often than needed'))
    assert.equal(draws.length, 0)
    assert.equal(Buffer.from(topicId, 'base64url').readUInt8(0), 1)
  })

  it('two ids → different, and each fit for the file', () => {
    const [a, b] = [newTopicId(), newTopicId()]
    assert.notEqual(a, b)
    assert.equal(parsePartitionMetadata(formatPartitionMetadata(a)), a)
  })
})
