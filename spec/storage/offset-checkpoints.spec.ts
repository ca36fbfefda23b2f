/**
 * Tables of offset checkpoints that are valid and that are not.
 *
 * Worked example: offset 4711 of orders-0 and 12 of a.b-c-10 are the bytes
 * `0 LF 2 LF orders 0 4711 LF a.b-c 10 12 LF`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  formatOffsetCheckpoint,
  parseOffsetCheckpoint,
  tryParseOffsetCheckpoint,
} from '../../lib/storage/offset-checkpoints.ts'

const example = '0\n2\norders 0 4711\na.b-c 10 12\n'

describe('formatOffsetCheckpoint', () => {
  it('two partitions → the worked example', () => {
    const entries = [
      { topic: 'orders', partition: 0, offset: 4711 },
      { topic: 'a.b-c', partition: 10, offset: 12 },
    ]
    assert.equal(formatOffsetCheckpoint(entries), example)
  })

  for (const offset of [-1, 0.5, 2 ** 53, Number.NaN]) {
    it(`offset ${offset} → a broken invariant`, () => {
      assert.throws(() => formatOffsetCheckpoint([{ topic: 'a', partition: 0, offset }]), {
        name: 'AssertionError',
      })
    })
  }
})

describe('parseOffsetCheckpoint', () => {
  it('the worked example → offsets by directory name', () => {
    assert.deepEqual(
      [...parseOffsetCheckpoint(example)],
      [
        ['orders-0', 4711],
        ['a.b-c-10', 12],
      ],
    )
  })

  it('an empty text → no entries', () => {
    assert.equal(tryParseOffsetCheckpoint('')?.size, 0)
  })

  it('the largest safe offset → that offset', () => {
    const text = '0\n1\na 0 9007199254740991\n'
    assert.equal(parseOffsetCheckpoint(text).get('a-0'), 2 ** 53 - 1)
  })

  for (const [what, text] of [
    ['a wrong count', '0\n2\na 0 1\n'],
    ['two fields', '0\n1\na 0\n'],
    ['four fields', '0\n1\na 0 1 2\n'],
    ['a negative offset', '0\n1\na 0 -1\n'],
    ['a partition that is no number', '0\n1\na b 1\n'],
    ['an offset that is no number', '0\n1\na 0 x\n'],
    ['an offset beyond 2^53', '0\n1\na 0 9007199254740992\n'],
    ['two lines for one partition', '0\n2\na 0 1\na 0 2\n'],
  ] as const) {
    it(`${what} → null, or no entries for those who do not ask`, () => {
      assert.equal(tryParseOffsetCheckpoint(text), null)
      assert.equal(parseOffsetCheckpoint(text).size, 0)
    })
  }
})
