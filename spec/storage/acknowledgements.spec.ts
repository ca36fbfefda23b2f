/** Each level of acknowledgement is reached at its own offset; a turn settles a bounded amount. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Acknowledgements } from '../../lib/storage/acknowledgements.ts'
import type { OffsetsSnapshot } from '../../lib/storage/partition-offsets.ts'
import { pendingResult } from '../../lib/storage/pending-result.ts'
import { stateOf } from '../support/open-partition.ts'

function appended(baseOffset: number, sizeBytes = 10): Parameters<Acknowledgements['wait']>[1] {
  return { baseOffset, nextOffset: baseOffset + 1, timestamp: 5, sizeBytes }
}

function offsets(at: Partial<OffsetsSnapshot>): OffsetsSnapshot {
  const logEndOffset = 1000
  return {
    logStartOffset: 0,
    highWatermark: 0,
    recoveryPoint: 0,
    writtenOffset: 0,
    logEndOffset,
    ...at,
  }
}

describe('Acknowledgements', () => {
  it('queued -> resolved at once, with the partition and the leader epoch', async () => {
    const acks = new Acknowledgements({ topic: 'orders', partition: 3 }, 8)
    assert.deepEqual(await acks.wait('queued', appended(4)), {
      topic: 'orders',
      partition: 3,
      baseOffset: 4,
      nextOffset: 5,
      timestamp: 5,
      leaderEpoch: 8,
    })
    assert.equal(acks.isFlushAwaited, false)
  })

  it('written but not flushed -> the level written is reached, durable is not', async () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    const written = acks.wait('written', appended(0))
    const durable = acks.wait('durable', appended(1))
    assert.equal(acks.settle(offsets({ writtenOffset: 2 }), 0), true)
    assert.deepEqual([await stateOf(written), await stateOf(durable)], ['fulfilled', 'pending'])
    assert.equal(acks.isFlushAwaited, true)
  })

  it('flushed -> durable is reached as far as the high watermark, and nobody waits for a flush', async () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    const below = acks.wait('durable', appended(0))
    const above = acks.wait('durable', appended(1))
    acks.settle(offsets({ writtenOffset: 2, highWatermark: 1 }), 0)
    assert.deepEqual([await stateOf(below), await stateOf(above)], ['fulfilled', 'pending'])
    acks.settle(offsets({ writtenOffset: 2, highWatermark: 2 }), 0)
    assert.equal(await stateOf(above), 'fulfilled')
    assert.equal(acks.isFlushAwaited, false)
  })

  it('more than a turn takes -> false, and the next call goes on', async () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    const promises = [0, 1, 2].map(offset => acks.wait('durable', appended(offset, 150 << 10)))
    const reached = offsets({ writtenOffset: 3, highWatermark: 3 })
    assert.equal(acks.settle(reached, 0), false)
    const states = await Promise.all(promises.map(stateOf))
    assert.deepEqual(states, ['fulfilled', 'fulfilled', 'pending'])
    assert.equal(acks.settle(reached, 1), true)
    assert.equal(await stateOf(promises[2] as Promise<unknown>), 'fulfilled')
  })

  it('asked again in the same turn -> nothing beyond what a turn takes', async () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    const promises = [0, 1, 2].map(offset => acks.wait('durable', appended(offset, 150 << 10)))
    const reached = offsets({ writtenOffset: 3, highWatermark: 3 })
    acks.settle(reached, 0)
    assert.equal(acks.settle(reached, 0), false)
    assert.equal(await stateOf(promises[2] as Promise<unknown>), 'pending')
  })

  it('a promise of its own -> resolved with the result of its level', async () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    const [queued, durable] = [pendingResult(), pendingResult()]
    acks.push('queued', appended(0), queued)
    acks.push('durable', appended(1), durable)
    assert.equal((await queued.promise).baseOffset, 0)
    assert.equal(await stateOf(durable.promise), 'pending')
    acks.settle(offsets({ writtenOffset: 2, highWatermark: 2 }), 0)
    assert.equal((await durable.promise).baseOffset, 1)
  })

  it('an error above an offset -> takes out the calls of both levels', () => {
    const acks = new Acknowledgements({ topic: 'p', partition: 0 }, 0)
    void acks.wait('written', appended(0))
    void acks.wait('durable', appended(1))
    void acks.wait('written', appended(2))
    const taken = acks.takeAbove(1).map(call => call.baseOffset)
    assert.deepEqual(taken.sort(), [1, 2])
    assert.equal(acks.isFlushAwaited, false)
  })
})
