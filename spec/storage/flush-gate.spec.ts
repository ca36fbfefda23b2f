/** At most so many flushes run; the others start in the order in which they came. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { FlushGate } from '../../lib/storage/flush-gate.ts'

describe('FlushGate', () => {
  it('a place is free -> the flush starts at once', () => {
    const started: string[] = []
    const gate = new FlushGate(2)
    gate.enter(() => started.push('a'))
    gate.enter(() => started.push('b'))
    assert.deepEqual(started, ['a', 'b'])
  })

  it('all places are taken -> the oldest waiter starts when one is free', () => {
    const started: string[] = []
    const gate = new FlushGate(2)
    for (const name of ['a', 'b', 'c', 'd', 'e']) gate.enter(() => started.push(name))
    assert.deepEqual(started, ['a', 'b'])
    gate.leave()
    assert.deepEqual(started, ['a', 'b', 'c'])
    gate.leave()
    gate.leave()
    assert.deepEqual(started, ['a', 'b', 'c', 'd', 'e'])
  })

  it('nobody waits when a flush ends -> its place is free again, and no more than its own', () => {
    const started: string[] = []
    const gate = new FlushGate(1)
    gate.enter(() => started.push('a'))
    gate.leave()
    gate.enter(() => started.push('b'))
    gate.enter(() => started.push('c'))
    assert.deepEqual(started, ['a', 'b'])
  })

  it('a flush that is over at once -> the next starts from within, and the gate is not left open', () => {
    const started: string[] = []
    const gate = new FlushGate(1)
    gate.enter(() => started.push('a'))
    for (const name of ['b', 'c']) {
      gate.enter(() => {
        started.push(name)
        gate.leave()
      })
    }
    gate.leave()
    assert.deepEqual(started, ['a', 'b', 'c'])
    gate.enter(() => started.push('d'))
    gate.enter(() => started.push('e'))
    assert.deepEqual(started.slice(3), ['d'])
  })

  it('thousands that are over at once -> all run, none nested in another', () => {
    const gate = new FlushGate(1)
    let [count, depth, deepest] = [0, 0, 0]
    gate.enter(() => {})
    for (let flush = 0; flush < 5000; flush++) {
      gate.enter(() => {
        deepest = Math.max(deepest, ++depth)
        count++
        gate.leave()
        depth--
      })
    }
    gate.leave()
    assert.deepEqual([count, deepest], [5000, 1])
  })
})
