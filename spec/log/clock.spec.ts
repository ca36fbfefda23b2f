/** Engine time goes on with the monotonic clock, whatever the wall clock does; system timers end. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { EngineTime, systemClock } from '../../lib/clock.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

describe('EngineTime', () => {
  it('made -> the wall time of that moment, and on with the monotonic clock', () => {
    const clock = manualClock(5000)
    clock.advance(100)
    const time = new EngineTime(clock)
    assert.equal(time.nowMs(), 5100)
    clock.advance(70)
    assert.equal(time.nowMs(), 5170)
  })

  for (const wallMs of [0, 1_000_000_000_000]) {
    it(`the wall clock jumps to ${wallMs} -> goes on as if it had not`, () => {
      const clock = manualClock(500_000)
      const time = new EngineTime(clock)
      clock.setWall(wallMs)
      assert.equal(time.nowMs(), 500_000)
      clock.advance(70)
      assert.equal(time.nowMs(), 500_070)
    })
  }

  it('between two milliseconds -> the earlier', () => {
    const clock = manualClock(5000)
    const time = new EngineTime(clock)
    clock.advance(1.9)
    assert.equal(time.nowMs(), 5001)
  })
})

describe('systemClock', () => {
  it('timers -> called back once, in the order of their delays', async () => {
    const heard: string[] = []
    await new Promise<void>(resolve => {
      systemClock.setTimer(
        20,
        () => {
          heard.push('late')
          resolve()
        },
        { keepAlive: true },
      )
      systemClock.setTimer(1, () => heard.push('early'))
    })
    assert.deepEqual(heard, ['early', 'late'])
  })

  it('cancelled, twice -> never called back', async () => {
    const heard: string[] = []
    const timer = systemClock.setTimer(1, () => heard.push('cancelled'))
    timer.cancel()
    timer.cancel()
    await new Promise<void>(resolve => systemClock.setTimer(5, resolve, { keepAlive: true }))
    assert.deepEqual(heard, [])
  })

  it('longer than a timer of Node takes -> not called back at once', async () => {
    const heard: string[] = []
    const timer = systemClock.setTimer(2 ** 40, () => heard.push('early'))
    await new Promise<void>(resolve => systemClock.setTimer(5, resolve, { keepAlive: true }))
    timer.cancel()
    assert.deepEqual(heard, [])
  })

  it('monotonic time -> never goes back', () => {
    const times = Array.from({ length: 100 }, () => systemClock.monotonicMs())
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
  })
})
