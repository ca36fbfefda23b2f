/** Who is woken when, and that the process stays alive exactly as long as somebody waits. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Clock } from '../../lib/clock.ts'
import { HighWatermarkWaiters } from '../../lib/storage/high-watermark-waiters.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

/** A clock that counts the timers which keep the process alive, and the clock by which it is moved. */
function watchedClock(): { clock: Clock; alive: () => number; advance: (ms: number) => void } {
  const inner = manualClock()
  const timers = new Set<object>()
  const clock: Clock = {
    wallMs: () => inner.wallMs(),
    monotonicMs: () => inner.monotonicMs(),
    setTimer(delayMs, callback, options) {
      const key = {}
      if (options?.keepAlive === true) timers.add(key)
      const timer = inner.setTimer(delayMs, () => {
        timers.delete(key)
        callback()
      })
      return {
        cancel: () => {
          timers.delete(key)
          timer.cancel()
        },
      }
    },
  }
  return { clock, alive: () => timers.size, advance: ms => inner.advance(ms) }
}

/** Waits, and counts how often it was woken. */
function waitFor(
  waiters: HighWatermarkWaiters,
  offset: number,
): { readonly leave: () => void; readonly woken: () => number } {
  let count = 0
  const leave = waiters.once(offset, () => count++)
  return { leave, woken: () => count }
}

describe('HighWatermarkWaiters', () => {
  it('the high watermark passes an offset -> who waits for it wakes, who waits further on does not', () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const [near, far] = [waitFor(waiters, 5), waitFor(waiters, 6)]
    waiters.reached(5)
    assert.equal(near.woken(), 0)
    waiters.reached(6)
    assert.deepEqual([near.woken(), far.woken()], [1, 0])
    waiters.reached(7)
    assert.deepEqual([near.woken(), far.woken()], [1, 1])
    assert.ok(waiters.isEmpty)
  })

  it('the partition goes away -> everybody wakes', () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const all = [waitFor(waiters, 5), waitFor(waiters, 1000)]
    waiters.wakeAll()
    assert.deepEqual(
      all.map(({ woken }) => woken()),
      [1, 1],
    )
    assert.ok(waiters.isEmpty)
  })

  it('somebody leaves -> nobody wakes him, and others wait on', () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const [mine, other] = [waitFor(waiters, 5), waitFor(waiters, 5)]
    mine.leave()
    waiters.reached(6)
    assert.deepEqual([mine.woken(), other.woken()], [0, 1])
  })

  it('who is woken waits anew at once -> he is woken by the next flush, not by this one', () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    let count = 0
    const again = (): void => {
      count++
      waiters.once(6, again)
    }
    waiters.once(5, again)
    waiters.reached(6)
    assert.equal(count, 1)
    waiters.reached(7)
    assert.equal(count, 2)
  })

  it('several wait -> one timer keeps the process alive, until the last of them has woken', () => {
    const { clock, alive } = watchedClock()
    const waiters = new HighWatermarkWaiters(clock)
    waitFor(waiters, 5)
    waitFor(waiters, 9)
    assert.equal(alive(), 1)
    waiters.reached(6)
    assert.equal(alive(), 1)
    waiters.reached(10)
    assert.equal(alive(), 0)
    waitFor(waiters, 20).leave()
    assert.equal(alive(), 0)
    waitFor(waiters, 20)
    assert.equal(alive(), 1)
  })

  it('somebody waits for months -> the process is still kept alive', () => {
    const { clock, alive, advance } = watchedClock()
    const waiters = new HighWatermarkWaiters(clock)
    waitFor(waiters, 5)
    advance(90 * 24 * 60 * 60 * 1000)
    assert.equal(alive(), 1)
    waiters.reached(6)
    assert.equal(alive(), 0)
  })
})
