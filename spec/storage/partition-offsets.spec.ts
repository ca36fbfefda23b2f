/** The order of the five offsets holds after every move, and a move that breaks it is refused. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { PartitionOffsets } from '../../lib/storage/partition-offsets.ts'

/** Log start, high watermark, recovery point, written offset, log end. */
function shown(offsets: PartitionOffsets): number[] {
  const { logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset } = offsets
  return [logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset]
}

describe('PartitionOffsets', () => {
  it('idle -> everything up to the end is written, flushed and visible', () => {
    assert.deepEqual(shown(new PartitionOffsets(3, 10)), [3, 10, 10, 10, 10])
  })

  it('accepted, written, flushed -> each moves its own offset, the worked example', () => {
    const offsets = new PartitionOffsets(0, 0)
    offsets.accept(10)
    assert.deepEqual(shown(offsets), [0, 0, 0, 0, 10])
    offsets.wrote(7)
    assert.deepEqual(shown(offsets), [0, 0, 0, 7, 10])
    offsets.flushed(5)
    assert.deepEqual(shown(offsets), [0, 5, 5, 7, 10])
  })

  it('the head is given up -> only the log start moves', () => {
    const offsets = new PartitionOffsets(0, 10)
    offsets.startAt(4)
    assert.deepEqual(shown(offsets), [4, 10, 10, 10, 10])
  })

  it('what is not written is taken back -> the log ends where it is written', () => {
    const offsets = new PartitionOffsets(0, 0)
    offsets.accept(10)
    offsets.wrote(7)
    offsets.fallBackToWritten()
    assert.deepEqual(shown(offsets), [0, 0, 0, 7, 7])
  })

  it('replaced -> may go back, in one step', () => {
    const offsets = new PartitionOffsets(5, 10)
    offsets.replace(2, 4)
    assert.deepEqual(shown(offsets), [2, 4, 4, 4, 4])
  })

  const refused: readonly (readonly [string, (offsets: PartitionOffsets) => void])[] = [
    ['the log end goes back', offsets => offsets.accept(19)],
    ['written goes back', offsets => offsets.wrote(9)],
    ['written passes the log end', offsets => offsets.wrote(21)],
    ['flushed goes back', offsets => offsets.flushed(4)],
    ['flushed passes written', offsets => offsets.flushed(11)],
    ['the log start goes back', offsets => offsets.startAt(1)],
    ['the log start passes the high watermark', offsets => offsets.startAt(6)],
    ['replaced by a log that ends before it starts', offsets => offsets.replace(8, 7)],
    ['replaced by a log that starts below 0', offsets => offsets.replace(-1, 7)],
  ]
  for (const [what, move] of refused) {
    it(`${what} -> AssertionError`, () => {
      const offsets = new PartitionOffsets(2, 5)
      offsets.accept(20)
      offsets.wrote(10)
      assert.throws(() => move(offsets), { name: 'AssertionError' })
    })
  }

  it('an end that a number does not hold exactly -> AssertionError', () => {
    assert.throws(() => new PartitionOffsets(0, 2 ** 53), { name: 'AssertionError' })
  })
})
