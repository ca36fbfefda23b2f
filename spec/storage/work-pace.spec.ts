/** When long work gives way: by its time alone where nothing is read, and all calls that overlap together. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { WorkPace } from '../../lib/storage/work-pace.ts'
import { manualClock } from '../../lib/testing/index.ts'
import { countTurns } from '../support/loop-turns.ts'

function open() {
  const clock = manualClock(0)
  return { clock, pace: new WorkPace(clock, { maxBytesPerSecond: -1 }) }
}

describe('WorkPace', () => {
  it('nothing was read and the slice has time left -> goes on at once', async () => {
    const { pace, clock } = open()
    clock.advance(3)
    const turns = countTurns()
    await pace.spent(0)
    assert.equal(turns(), 0)
  })

  it('the time of the slice is over -> a turn, and a slice from there on', async () => {
    const { pace, clock } = open()
    clock.advance(4)
    const turns = countTurns()
    await pace.spent(0)
    await pace.spent(0)
    assert.equal(turns(), 1)
  })

  it('bytes were read -> a turn, whatever the time', async () => {
    const { pace } = open()
    const turns = countTurns()
    await pace.spent(1)
    assert.equal(turns(), 1)
  })

  it('calls overlap -> in a turn they have one slice together, and a step each beyond it', async () => {
    const { pace, clock } = open()
    const workers = 8
    let inTurn = 0
    let most = 0
    let isOver = false
    const newTurn = (): void => {
      inTurn = 0
      if (!isOver) setImmediate(newTurn)
    }
    newTurn()
    const work = async (): Promise<void> => {
      for (let step = 0; step < 50; step++) {
        await pace.spent(0)
        clock.advance(1)
        inTurn++
        most = Math.max(most, inTurn)
      }
    }
    await Promise.all(Array.from({ length: workers }, work))
    isOver = true
    assert.ok(most >= 4 && most <= 4 + workers, `${most} ms in one turn`)
  })
})
