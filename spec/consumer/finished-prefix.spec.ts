/** The contiguous finished prefix, also against a plain list of what is finished. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { FinishedPrefix } from '../../lib/consumer/finished-prefix.ts'
import { forEachSeed } from '../support/random.ts'

describe('FinishedPrefix', () => {
  it('nothing begun -> ends where it starts', () => {
    const prefix = new FinishedPrefix(7)
    assert.deepEqual([prefix.offset, prefix.position, prefix.span], [7, 7, 0])
  })

  it('finished out of order -> stays at the first that is not finished', () => {
    const prefix = new FinishedPrefix(10)
    const numbers = [10, 11, 12].map(offset => prefix.begin(offset))
    assert.equal(prefix.finish(numbers[2] as number), false)
    assert.equal(prefix.finish(numbers[1] as number), false)
    assert.equal(prefix.offset, 10)
    assert.equal(prefix.finish(numbers[0] as number), true)
    assert.deepEqual([prefix.offset, prefix.span], [13, 0])
  })

  it('offsets with gaps -> the prefix is an offset that was begun, or the position', () => {
    const prefix = new FinishedPrefix(0)
    const first = prefix.begin(5)
    prefix.begin(900)
    prefix.finish(first)
    assert.equal(prefix.offset, 900)
  })

  it('a gap behind everything -> passed once what is before it is finished', () => {
    const prefix = new FinishedPrefix(0)
    const only = prefix.begin(0)
    prefix.skipTo(20)
    assert.equal(prefix.offset, 0)
    prefix.finish(only)
    assert.equal(prefix.offset, 20)
  })

  it('an offset begun that lies before the position -> AssertionError', () => {
    const prefix = new FinishedPrefix(5)
    assert.throws(() => prefix.begin(4), { name: 'AssertionError' })
  })

  it('a record finished behind the prefix -> AssertionError', () => {
    const prefix = new FinishedPrefix(0)
    const number = prefix.begin(0)
    prefix.finish(number)
    assert.throws(() => prefix.finish(number), { name: 'AssertionError' })
  })

  it('any order of a thousand records -> as a plain list has it', async () => {
    await forEachSeed(20, async random => {
      const prefix = new FinishedPrefix(0)
      const open: { number: number; offset: number }[] = []
      let next = 0
      for (let step = 0; step < 1000; step++) {
        if (open.length === 0 || random.chance(0.55)) {
          next += random.below(3)
          open.push({ number: prefix.begin(next), offset: next })
          next++
        } else {
          const [{ number }] = open.splice(random.below(open.length), 1) as [(typeof open)[0]]
          prefix.finish(number)
        }
        const expected = Math.min(next, ...open.map(({ offset }) => offset))
        assert.equal(prefix.offset, expected)
      }
    })
  })
})
