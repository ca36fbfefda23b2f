/** A clock that is moved by hand: when timers are called back, and what they see. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { EngineTime } from '../../lib/clock.ts'
import { manualClock } from '../../lib/testing/index.ts'

describe('manualClock', () => {
  it('not moved -> stands still at its start', () => {
    const clock = manualClock(5000)
    assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [5000, 0])
    assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [5000, 0])
    assert.equal(manualClock().wallMs(), Date.parse('2024-01-01T00:00:00Z'))
  })

  it('advanced -> wall and monotonic time move together', () => {
    const clock = manualClock(5000)
    clock.advance(10)
    clock.advance(2.5)
    assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [5012.5, 12.5])
  })

  it('set to another wall time -> monotonic time stays, and so does engine time', () => {
    const clock = manualClock(5000)
    const time = new EngineTime(clock)
    clock.setWall(100)
    assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [100, 0])
    clock.advance(7)
    assert.deepEqual([clock.wallMs(), clock.monotonicMs()], [107, 7])
    assert.equal(time.nowMs(), 5007)
  })

  it('timers -> called back in the order of their times, each at its own time', () => {
    const clock = manualClock(0)
    const heard: string[] = []
    const setTimer = (name: string, delayMs: number): unknown =>
      clock.setTimer(delayMs, () => heard.push(`${name} at ${clock.monotonicMs()}`))
    setTimer('late', 30)
    setTimer('early', 10)
    setTimer('second of 20', 20)
    setTimer('third of 20', 20)
    setTimer('later', 31)
    clock.advance(30)
    assert.deepEqual(heard, [
      'early at 10',
      'second of 20 at 20',
      'third of 20 at 20',
      'late at 30',
    ])
    clock.advance(1)
    assert.equal(heard.at(-1), 'later at 31')
  })

  it('a timer -> called back once', () => {
    const clock = manualClock(0)
    let calls = 0
    clock.setTimer(10, () => calls++)
    clock.advance(100)
    clock.advance(100)
    assert.equal(calls, 1)
  })

  it('a timer of no time -> called back by the next advance, not at once', () => {
    const clock = manualClock(0)
    let calls = 0
    clock.setTimer(0, () => calls++)
    assert.equal(calls, 0)
    clock.advance(0)
    assert.equal(calls, 1)
  })

  it('a cancelled timer -> never called back, however often it is cancelled', () => {
    const clock = manualClock(0)
    const heard: string[] = []
    const timer = clock.setTimer(10, () => heard.push('cancelled'))
    clock.setTimer(10, () => heard.push('kept'))
    timer.cancel()
    timer.cancel()
    clock.advance(10)
    assert.deepEqual(heard, ['kept'])
  })

  it('a timer cancelled by one that is due with it -> not called back', () => {
    const clock = manualClock(0)
    const heard: string[] = []
    clock.setTimer(10, () => second.cancel())
    const second = clock.setTimer(10, () => heard.push('second'))
    clock.advance(10)
    assert.deepEqual(heard, [])
  })

  it('a timer set by a callback -> takes part in the same advance', () => {
    const clock = manualClock(0)
    const ticks: number[] = []
    const tick = (): void => {
      ticks.push(clock.monotonicMs())
      clock.setTimer(10, tick)
    }
    clock.setTimer(10, tick)
    clock.advance(35)
    assert.deepEqual(ticks, [10, 20, 30])
    assert.equal(clock.monotonicMs(), 35)
  })

  it('a callback that advances the clock -> time does not go back', () => {
    const clock = manualClock(0)
    clock.setTimer(10, () => clock.advance(100))
    clock.advance(20)
    assert.equal(clock.monotonicMs(), 110)
  })

  it('a timer -> goes by monotonic time, whatever the wall clock does', () => {
    const clock = manualClock(0)
    let calls = 0
    clock.setTimer(10, () => calls++)
    clock.setWall(1_000_000)
    clock.advance(9)
    assert.equal(calls, 0)
    clock.advance(1)
    assert.equal(calls, 1)
  })

  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`advanced by ${ms} -> RangeError`, () => {
      assert.throws(() => manualClock().advance(ms), RangeError)
    })
  }
})
