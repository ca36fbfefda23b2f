/** Keys and values of the offsets topic, against bytes that were written out by hand from Kafka's schemas. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  formatGroupKey,
  formatOffsetKey,
  formatOffsetValue,
  offsetsPartitionOf,
  parseOffsetsKey,
  parseOffsetValue,
} from '../../lib/consumer/offset-format.ts'

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

const key = { group: 'g', topic: 't', partition: 0 }
const keyBytes = bytes('0001 0001 67 0001 74 00000000')
const value = { offset: 42, leaderEpoch: -1, metadata: '', commitTimestamp: 5 }
const valueBytes = bytes('0003 000000000000002a ffffffff 0000 0000000000000005')

describe('the format of committed offsets', () => {
  it('a key -> the bytes that Kafka writes, and back', () => {
    assert.deepEqual(formatOffsetKey(key), keyBytes)
    assert.deepEqual(parseOffsetsKey(keyBytes), { type: 'offset', ...key })
  })

  it('a value -> the bytes that Kafka writes, and back', () => {
    assert.deepEqual(formatOffsetValue(value), valueBytes)
    assert.deepEqual(parseOffsetValue(valueBytes), value)
  })

  it('names and metadata beyond ASCII, a large offset -> back as they were', () => {
    const wide = { group: 'grüße', topic: 'a.b_c', partition: 2 ** 31 - 1 }
    assert.deepEqual(parseOffsetsKey(formatOffsetKey(wide)), { type: 'offset', ...wide })
    const large = { offset: 2 ** 53 - 1, leaderEpoch: 7, metadata: '日本', commitTimestamp: 1.7e12 }
    assert.deepEqual(parseOffsetValue(formatOffsetValue(large)), large)
  })

  const olderValues: readonly [string, string, number][] = [
    ['0', '0000 000000000000002a 0001 6d 0000000000000005', -1],
    ['1', '0001 000000000000002a 0001 6d 0000000000000005 0000000000000009', -1],
    ['2', '0002 000000000000002a 0001 6d 0000000000000005', -1],
    ['3', '0003 000000000000002a 00000003 0001 6d 0000000000000005', 3],
    ['4', '0004 000000000000002a 00000003 02 6d 0000000000000005 00', 3],
  ]
  for (const [version, hex, leaderEpoch] of olderValues) {
    it(`a value of version ${version} -> read`, () => {
      assert.deepEqual(parseOffsetValue(bytes(hex)), {
        ...value,
        leaderEpoch,
        metadata: 'm',
      })
    })
  }

  it('a key of version 0 -> read as one of version 1', () => {
    assert.deepEqual(parseOffsetsKey(bytes('0000 0001 67 0001 74 00000000')), {
      type: 'offset',
      ...key,
    })
  })

  it('the key of a group -> told apart', () => {
    assert.deepEqual(formatGroupKey('g'), bytes('0002 0001 67'))
    assert.deepEqual(parseOffsetsKey(bytes('0002 0001 67')), { type: 'group', group: 'g' })
  })

  it('a version that nobody knows -> null', () => {
    assert.equal(parseOffsetsKey(bytes('0003 0001 67')), null)
    assert.equal(parseOffsetValue(bytes(`0005${valueBytes.toString('hex').slice(4)}`)), null)
  })

  it('cut anywhere -> null', () => {
    for (let end = 0; end < keyBytes.length; end++) {
      assert.equal(parseOffsetsKey(keyBytes.subarray(0, end)), null, `key, ${end} bytes`)
    }
    for (let end = 0; end < valueBytes.length; end++) {
      assert.equal(parseOffsetValue(valueBytes.subarray(0, end)), null, `value, ${end} bytes`)
    }
  })
})

describe('offsetsPartitionOf', () => {
  it('a group -> by the hash that Java gives its name', () => {
    // "hello".hashCode() is 99162322.
    assert.equal(offsetsPartitionOf('hello', 50), 22)
    assert.equal(offsetsPartitionOf('', 50), 0)
  })

  it('a hash that has no positive counterpart -> partition 0', () => {
    // "polygenelubricants".hashCode() is -2147483648.
    assert.equal(offsetsPartitionOf('polygenelubricants', 50), 0)
    assert.equal(offsetsPartitionOf('polygenelubricants', 7), 0)
  })

  it('a negative hash -> made positive, as Kafka does', () => {
    // The same polynomial, over six times the code of z.
    let hash = 0
    for (let count = 0; count < 6; count++) hash = (Math.imul(31, hash) + 122) | 0
    assert.ok(hash < 0)
    assert.equal(offsetsPartitionOf('zzzzzz', 50), -hash % 50)
  })
})
