/** The account that decides whether a run is verified: what it must tell apart. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type PartitionTally, Tally } from '../../lib/cli/tally.ts'

function tallyOf(...records: readonly (readonly [string, string])[]): PartitionTally | undefined {
  const tally = new Tally(1)
  for (const [key, value] of records) tally.add(0, Buffer.from(key), Buffer.from(value))
  return tally.partitions[0]
}

const reference = [
  ['a', 'one'],
  ['b', 'two'],
] as const

describe('the tally of a partition', () => {
  it('the same records -> the same', () => {
    assert.deepEqual(tallyOf(...reference), tallyOf(...reference))
    assert.equal(tallyOf(...reference)?.records, 2)
    assert.equal(tallyOf(...reference)?.bytes, 6)
  })

  const others: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ['another order', [reference[1], reference[0]]],
    ['another value', [reference[0], ['b', 'twp']]],
    ['another key', [['c', 'one'], reference[1]]],
    [
      'values of each other',
      [
        ['a', 'two'],
        ['b', 'one'],
      ],
    ],
    [
      'another border between values',
      [
        ['a', 'on'],
        ['b', 'etwo'],
      ],
    ],
    ['another border between key and value', [['ao', 'ne'], reference[1]]],
    ['an empty record more', [...reference, ['', '']]],
  ]
  for (const [what, records] of others) {
    it(`${what} -> not the same`, () => {
      assert.notDeepEqual(tallyOf(...records), tallyOf(...reference))
    })
  }

  it('several partitions -> each its own, and the sums', () => {
    const tally = new Tally(2)
    tally.add(1, Buffer.from('a'), Buffer.from('one'))
    assert.deepEqual(tally.partitions[0], { records: 0, bytes: 0, checksum: 0 })
    assert.equal(tally.partitions[1]?.records, 1)
    assert.deepEqual([tally.records, tally.bytes], [1, 3])
  })
})
