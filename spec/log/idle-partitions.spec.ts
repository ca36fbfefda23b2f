/** What partitions cost that nobody appends to any more: no timer, and nothing queued. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Clock } from '../../lib/clock.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

interface CountedClock extends Clock {
  readonly running: ReadonlySet<object>
  advance(ms: number): void
}

/** A clock that is moved by hand and knows which of its timers run. */
function countedClock(): CountedClock {
  const clock = manualClock()
  const running = new Set<object>()
  return {
    running,
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    advance: ms => clock.advance(ms),
    setTimer(delayMs, callback, options) {
      const one = {}
      running.add(one)
      const timer = clock.setTimer(
        delayMs,
        () => {
          running.delete(one)
          callback()
        },
        options,
      )
      return {
        cancel() {
          running.delete(one)
          timer.cancel()
        },
      }
    },
  }
}

describe('partitions that were appended to', () => {
  for (const [policy, config] of [
    ['group commit', {}],
    ['flushMs', { flushRecords: 1000, flushMs: 50 }],
  ] as const) {
    it(`idle since, under ${policy} -> no timer and nothing queued`, async () => {
      const clock = countedClock()
      const log = await openLog(':memory:', { clock })
      const topic = await log.topic('orders', { partitions: 100, ...config })
      const before = clock.running.size
      const appends = topic.partitions.map(partition => partition.append({ value: 'x' }))
      for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
      clock.advance(50)
      await Promise.all(appends)
      // The checkpoint of all of them is due a second later, at one timer.
      assert(clock.running.size <= before + 1, `${clock.running.size} timers`)
      clock.advance(1000)
      for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
      assert.equal(clock.running.size, before)
      const { queuedBytes, unflushedBytes } = log.metrics()
      assert.deepEqual([queuedBytes, unflushedBytes], [0, 0])
      await log.close()
    })
  }
})
