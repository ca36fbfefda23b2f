/** Acknowledgements settle in offset order, a budget at a time, and an error takes out what lies above an offset. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { AckQueue, pendingResult, rejectResult } from '../../lib/storage/ack-queue.ts'
import type { AppendResult } from '../../lib/types.ts'

interface Call {
  readonly baseOffset: number
  readonly count?: number
  readonly timestamp?: number
  readonly sizeBytes?: number
}

/** A queue, and the base offsets that its promises have given so far, in the order of settling. */
function queueOf(...calls: readonly Call[]): { queue: AckQueue; settled: string[] } {
  const queue = new AckQueue()
  const settled: string[] = []
  for (const call of calls) push(queue, settled, call)
  return { queue, settled }
}

function push(queue: AckQueue, settled: string[], call: Call): void {
  const { baseOffset, count = 1, timestamp = 5, sizeBytes = 10 } = call
  const pending = pendingResult()
  const range = { baseOffset, nextOffset: baseOffset + count }
  queue.push({ ...range, timestamp, sizeBytes }, pending)
  pending.promise.then(
    result => settled.push(`[${result.baseOffset}, ${result.nextOffset}) ${result.timestamp}`),
    (error: Error) => settled.push(`[${baseOffset}, ${baseOffset + count}) ${error.message}`),
  )
}

function result(baseOffset: number, nextOffset: number, timestamp: number): AppendResult {
  return { topic: 'p', partition: 0, baseOffset, nextOffset, timestamp, leaderEpoch: 0 }
}

/** Lets the promises that were resolved be heard. */
function heard(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function singles(count: number): Call[] {
  return Array.from({ length: count }, (_, baseOffset) => ({ baseOffset }))
}

describe('AckQueue.settle', () => {
  it('an offset is reached -> the calls that lie wholly below it resolve, in offset order', async () => {
    const { queue, settled } = queueOf(
      { baseOffset: 0 },
      { baseOffset: 1 },
      { baseOffset: 2, count: 3, timestamp: 7 },
      { baseOffset: 5 },
    )
    assert.ok(queue.settle(4, 1000, result) > 0)
    await heard()
    assert.deepEqual(settled, ['[0, 1) 5', '[1, 2) 5'])
    queue.settle(6, 1000, result)
    await heard()
    assert.deepEqual(settled.slice(2), ['[2, 5) 7', '[5, 6) 5'])
    assert.ok(queue.isEmpty)
  })

  const joined: readonly (readonly [string, readonly Call[]])[] = [
    ['neighbours', [{ baseOffset: 0 }, { baseOffset: 1 }]],
    ['another timestamp', [{ baseOffset: 0 }, { baseOffset: 1, timestamp: 9 }]],
    ['a gap', [{ baseOffset: 0 }, { baseOffset: 4 }]],
    ['several records, then one', [{ baseOffset: 0, count: 2 }, { baseOffset: 2 }]],
    ['one that repeats the end of several', [{ baseOffset: 0, count: 2 }, { baseOffset: 1 }]],
    ['one, then several', [{ baseOffset: 0 }, { baseOffset: 1, count: 4 }]],
    ['offsets that repeat earlier ones', [{ baseOffset: 7 }, { baseOffset: 3 }]],
    ['more than one run takes', singles(1500)],
  ]
  for (const [what, calls] of joined) {
    it(`${what} -> each call gets its own offsets and timestamp`, async () => {
      const { queue, settled } = queueOf(...calls)
      queue.settle(10_000, 1 << 20, result)
      await heard()
      const expected = calls.map(
        ({ baseOffset, count = 1, timestamp = 5 }) =>
          `[${baseOffset}, ${baseOffset + count}) ${timestamp}`,
      )
      assert.deepEqual(settled, expected)
      assert.ok(queue.isEmpty)
    })
  }

  it('the budget runs out inside a run -> the rest waits for the next turn', async () => {
    const { queue, settled } = queueOf(...singles(10))
    assert.ok(queue.settle(10, 30, result) <= 0)
    await heard()
    assert.equal(settled.length, 3)
    assert.equal(queue.settle(10, 1000, result), 930)
    await heard()
    assert.deepEqual(settled.slice(-1), ['[9, 10) 5'])
  })

  it('pushed behind a run that is settled in part -> it settles in its turn', async () => {
    const { queue, settled } = queueOf(...singles(3))
    queue.settle(2, 1000, result)
    push(queue, settled, { baseOffset: 3 })
    queue.settle(4, 1000, result)
    await heard()
    assert.deepEqual(settled, ['[0, 1) 5', '[1, 2) 5', '[2, 3) 5', '[3, 4) 5'])
  })
})

describe('AckQueue.takeAbove', () => {
  it('cut within a run -> what reaches above is taken, what lies below still settles', async () => {
    const { queue, settled } = queueOf(...singles(5), { baseOffset: 5, count: 3 })
    queue.settle(1, 1000, result)
    const taken = queue.takeAbove(3)
    assert.deepEqual(
      taken.map(call => call.baseOffset),
      [3, 4, 5],
    )
    assert.deepEqual(queue.takeAbove(3), [])
    for (const call of taken) rejectResult(call, new Error('lost'))
    queue.settle(8, 1000, result)
    await heard()
    assert.deepEqual(settled.sort(), [
      '[0, 1) 5',
      '[1, 2) 5',
      '[2, 3) 5',
      '[3, 4) lost',
      '[4, 5) lost',
      '[5, 8) lost',
    ])
  })

  it('a call that the offset lies in -> is taken whole', () => {
    const { queue } = queueOf({ baseOffset: 0, count: 4 })
    assert.equal(queue.takeAbove(2).length, 1)
    assert.ok(queue.isEmpty)
  })

  it('everything unsettled is above -> the queue is empty and takes new calls', async () => {
    const { queue, settled } = queueOf(...singles(3))
    queue.settle(2, 1000, result)
    assert.equal(queue.takeAbove(0).length, 1)
    assert.ok(queue.isEmpty)
    push(queue, settled, { baseOffset: 2, timestamp: 8 })
    queue.settle(3, 1000, result)
    await heard()
    assert.equal(settled.at(-1), '[2, 3) 8')
  })
})
