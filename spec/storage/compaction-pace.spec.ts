/** When a compaction gives way, and how long it waits under a rate. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CompactionPace, sliceRecords, stepRecords } from '../../lib/storage/compaction-pace.ts'
import { manualClock } from '../../lib/testing/index.ts'
import { stateOf, turn } from '../support/open-partition.ts'

function open(bytesPerSecond: number) {
  const clock = manualClock(0)
  const abort = new AbortController()
  const options = { signal: abort.signal, bytesPerSecond, keepAlive: false }
  return { clock, abort, pace: new CompactionPace(clock, options) }
}

describe('CompactionPace', () => {
  it('a slice of records, or of bytes -> full; after a breath the next one begins', async () => {
    const { pace } = open(-1)
    assert.equal(pace.worked(sliceRecords - 1, 0), false)
    assert.equal(pace.worked(1, 0), true)
    await pace.breathe()
    assert.equal(pace.worked(1, (512 << 10) - 1), false)
    assert.equal(pace.worked(0, 1), true)
  })

  it('the time of a slice is over -> full at the next look, until the next breath', async () => {
    const { pace, clock } = open(-1)
    assert.equal(pace.worked(stepRecords, 0), false)
    clock.advance(2)
    assert.equal(pace.worked(stepRecords - 1, 0), false)
    assert.equal(pace.worked(1, 0), true)
    assert.equal(pace.worked(1, 0), true)
    await pace.breathe()
    assert.equal(pace.worked(stepRecords, 0), false)
  })

  it('the time went by while bytes were read -> the slice has as much as before', async () => {
    const { pace, clock } = open(-1)
    clock.advance(1000)
    pace.moved(1)
    assert.equal(pace.worked(stepRecords, 0), false)
    clock.advance(2)
    assert.equal(pace.worked(stepRecords, 0), true)
  })

  it('a breath -> the event loop has had a turn', async () => {
    const { pace } = open(-1)
    let turns = 0
    setImmediate(() => turns++)
    await pace.breathe()
    assert.equal(turns, 1)
  })

  it('more bytes than the rate allows -> a breath lasts until they are allowed', async () => {
    const { pace, clock } = open(1000)
    pace.moved(3000)
    const breath = pace.breathe()
    await turn()
    clock.advance(2999)
    assert.equal(await stateOf(breath), 'pending')
    clock.advance(1)
    await breath
    pace.moved(500)
    clock.advance(500)
    await pace.breathe()
  })

  it('no rate -> no breath waits', async () => {
    const { pace } = open(-1)
    pace.moved(1e12)
    await pace.breathe()
  })

  it('the signal aborts in a breath that waits -> it rejects with the reason, and no timer is left', async () => {
    const { pace, clock, abort } = open(1000)
    let left = 0
    const setTimer = clock.setTimer.bind(clock)
    clock.setTimer = (delayMs, callback, options) => {
      left++
      const timer = setTimer(delayMs, callback, options)
      const cancel = (): void => {
        left--
        timer.cancel()
      }
      return { cancel }
    }
    pace.moved(1e6)
    const breath = pace.breathe()
    await turn()
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(breath, reason)
    assert.equal(left, 0)
  })
})
