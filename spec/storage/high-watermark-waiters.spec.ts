/** Who is woken when, and that the process stays alive exactly as long as somebody waits. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Clock } from '../../lib/clock.ts'
import { HighWatermarkWaiters } from '../../lib/storage/high-watermark-waiters.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import { stateOf } from '../support/open-partition.ts'

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

describe('HighWatermarkWaiters', () => {
  it('the high watermark passes an offset -> who waits for it wakes, who waits further on does not', async () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const [near, far] = [waiters.wait(5, undefined), waiters.wait(6, undefined)]
    waiters.reached(5)
    assert.equal(await stateOf(near), 'pending')
    waiters.reached(6)
    assert.deepEqual([await stateOf(near), await stateOf(far)], ['fulfilled', 'pending'])
    waiters.reached(7)
    assert.equal(await stateOf(far), 'fulfilled')
    assert.ok(waiters.isEmpty)
  })

  it('the partition goes away -> everybody wakes', async () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const all = [waiters.wait(5, undefined), waiters.wait(1000, undefined)]
    waiters.wakeAll()
    await Promise.all(all)
    assert.ok(waiters.isEmpty)
  })

  it('the signal aborts -> its waiter alone wakes', async () => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const controller = new AbortController()
    const [mine, other] = [waiters.wait(5, controller.signal), waiters.wait(5, undefined)]
    controller.abort()
    assert.deepEqual([await stateOf(mine), await stateOf(other)], ['fulfilled', 'pending'])
  })

  it('the signal has aborted before -> wakes at once, and nothing is left behind', async () => {
    const { clock, alive } = watchedClock()
    const waiters = new HighWatermarkWaiters(clock)
    await waiters.wait(5, AbortSignal.abort())
    assert.ok(waiters.isEmpty)
    assert.equal(alive(), 0)
  })

  it('woken -> no listener is left on a signal that lives on', async t => {
    const waiters = new HighWatermarkWaiters(manualClock())
    const { signal } = new AbortController()
    const removed = t.mock.method(signal, 'removeEventListener')
    const waiting = waiters.wait(5, signal)
    waiters.reached(6)
    await waiting
    assert.equal(removed.mock.callCount(), 1)
  })

  it('several wait -> one timer keeps the process alive, until the last of them has woken', () => {
    const { clock, alive } = watchedClock()
    const waiters = new HighWatermarkWaiters(clock)
    void waiters.wait(5, undefined)
    void waiters.wait(9, undefined)
    assert.equal(alive(), 1)
    waiters.reached(6)
    assert.equal(alive(), 1)
    waiters.reached(10)
    assert.equal(alive(), 0)
    void waiters.wait(20, undefined)
    assert.equal(alive(), 1)
  })

  it('somebody waits for months -> the process is still kept alive', () => {
    const { clock, alive, advance } = watchedClock()
    const waiters = new HighWatermarkWaiters(clock)
    void waiters.wait(5, undefined)
    advance(90 * 24 * 60 * 60 * 1000)
    assert.equal(alive(), 1)
    waiters.reached(6)
    assert.equal(alive(), 0)
  })
})
