/** Acknowledgements settle in offset order, a budget at a time, and an error takes out what lies above an offset. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { AckQueue } from '../../lib/storage/ack-queue.ts'
import { pendingResult, rejectResult } from '../../lib/storage/pending-result.ts'
import type { AppendResult } from '../../lib/types.ts'

interface Call {
  readonly baseOffset: number
  readonly count?: number
  readonly timestamp?: number
  readonly sizeBytes?: number
  /** A promise of its own also for a single record. */
  readonly isLone?: boolean
}

function result(baseOffset: number, nextOffset: number, timestamp: number): AppendResult {
  return { topic: 'p', partition: 0, baseOffset, nextOffset, timestamp, leaderEpoch: 0 }
}

/** A queue, and what its promises have come to so far, in the order of settling. */
function queueOf(...calls: readonly Call[]): { queue: AckQueue; settled: string[] } {
  const queue = new AckQueue(result)
  const settled: string[] = []
  for (const call of calls) push(queue, settled, call)
  return { queue, settled }
}

function push(queue: AckQueue, settled: string[], call: Call): void {
  const { baseOffset, count = 1, timestamp = 5, sizeBytes = 10, isLone = count > 1 } = call
  const appended = { baseOffset, nextOffset: baseOffset + count, timestamp, sizeBytes }
  const pending = pendingResult()
  if (isLone) queue.push(appended, pending)
  const promise = isLone ? pending.promise : queue.join(appended)
  promise.then(
    told => settled.push(`[${told.baseOffset}, ${told.nextOffset}) ${told.timestamp}`),
    (error: Error) => settled.push(`[${baseOffset}, ${baseOffset + count}) ${error.message}`),
  )
}

/** Lets the promises that were resolved be heard. */
function heard(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function singles(from: number, to: number, isLone: boolean = false): Call[] {
  return Array.from({ length: to - from }, (_, index) => ({ baseOffset: from + index, isLone }))
}

function told(calls: readonly Call[]): string[] {
  return calls.map(
    ({ baseOffset, count = 1, timestamp = 5 }) =>
      `[${baseOffset}, ${baseOffset + count}) ${timestamp}`,
  )
}

describe('AckQueue.settle', () => {
  it('an offset is reached -> the calls that lie wholly below it resolve', async () => {
    const { queue, settled } = queueOf(
      { baseOffset: 0 },
      { baseOffset: 1 },
      { baseOffset: 2, count: 3, timestamp: 7 },
      { baseOffset: 5 },
    )
    assert.ok(queue.settle(4, 1000) > 0)
    await heard()
    assert.deepEqual(settled, ['[0, 1) 5', '[1, 2) 5'])
    queue.settle(6, 1000)
    await heard()
    assert.deepEqual(settled.slice(2), ['[2, 5) 7', '[5, 6) 5'])
    assert.ok(queue.isEmpty)
  })

  const mixtures: readonly (readonly [string, readonly Call[]])[] = [
    ['neighbours', singles(0, 3)],
    ['another timestamp', [...singles(0, 2), { baseOffset: 2, timestamp: 9 }]],
    ['a gap', [...singles(0, 2), { baseOffset: 4 }]],
    ['several records, then one', [{ baseOffset: 0, count: 2 }, ...singles(2, 4)]],
    ['one that repeats the end of several', [{ baseOffset: 0, count: 2 }, { baseOffset: 1 }]],
    ['one, then several', [...singles(0, 3), { baseOffset: 3, count: 4 }]],
    ['offsets that repeat earlier ones', [...singles(6, 9), { baseOffset: 3 }]],
    ['lone ones between', [...singles(0, 4), ...singles(4, 6, true), ...singles(6, 9)]],
    ['more than one run takes', singles(0, 1500)],
  ]
  for (const [what, calls] of mixtures) {
    it(`${what} -> each call gets its own offsets and timestamp, in the order of the calls`, async () => {
      const { queue, settled } = queueOf(...calls)
      queue.settle(10_000, 1 << 20)
      await heard()
      assert.deepEqual(settled, told(calls))
      assert.ok(queue.isEmpty)
    })

    it(`${what}, settled by two flushes of one turn -> in the order of the calls`, async () => {
      const { queue, settled } = queueOf(...calls)
      queue.settle(calls.at(-1)?.baseOffset ?? 0, 1 << 20)
      queue.settle(10_000, 1 << 20)
      await heard()
      assert.deepEqual(settled, told(calls))
    })
  }

  it('the budget runs out -> the rest waits for the next turn', async () => {
    const { queue, settled } = queueOf(...singles(0, 10, true))
    assert.ok(queue.settle(10, 30) <= 0)
    await heard()
    assert.equal(settled.length, 3)
    assert.equal(queue.settle(10, 1000), 930)
    await heard()
    assert.deepEqual(settled.slice(-1), ['[9, 10) 5'])
  })

  it('the batch has ended -> who comes later does not settle with it', async () => {
    const { queue, settled } = queueOf(...singles(0, 3))
    queue.endBatch()
    push(queue, settled, { baseOffset: 3 })
    queue.settle(3, 1000)
    await heard()
    assert.deepEqual(settled, told(singles(0, 3)))
    queue.settle(4, 1000)
    await heard()
    assert.deepEqual(settled.at(-1), '[3, 4) 5')
  })

  it('called behind a run that is settled -> it settles in its turn', async () => {
    const { queue, settled } = queueOf(...singles(0, 3))
    queue.settle(3, 1000)
    push(queue, settled, { baseOffset: 3 })
    await heard()
    assert.deepEqual(settled, told(singles(0, 3)))
    queue.settle(4, 1000)
    await heard()
    assert.deepEqual(settled, told(singles(0, 4)))
  })

  it('called in the turn in which a run is settled -> it settles behind it', async () => {
    const { queue, settled } = queueOf(...singles(0, 3))
    queue.settle(3, 1000)
    push(queue, settled, { baseOffset: 3 })
    queue.settle(4, 1000)
    await heard()
    assert.deepEqual(settled, told(singles(0, 4)))
  })

  it('a queue that is never empty -> what is settled is not kept', () => {
    const { queue } = queueOf(...singles(0, 10, true))
    for (let offset = 10; offset < 5000; offset++) {
      queue.push(
        { baseOffset: offset, nextOffset: offset + 1, timestamp: 5, sizeBytes: 1 },
        pendingResult(),
      )
      queue.settle(offset - 8, 1000)
    }
    assert.ok(queue.heldPlaces < 600, `${queue.heldPlaces} places`)
  })
})

describe('AckQueue.takeAbove', () => {
  for (const [what, isLone] of [
    ['lone calls', true],
    ['calls that share batches', false],
  ] as const) {
    it(`${what} -> what reaches above is taken, what lies below still settles`, async () => {
      const { queue, settled } = queueOf(...singles(0, 3, isLone))
      queue.endBatch()
      for (const call of [...singles(3, 5, isLone), { baseOffset: 5, count: 3 }]) {
        push(queue, settled, call)
      }
      queue.settle(1, 1000)
      const taken = queue.takeAbove(3)
      assert.deepEqual(
        taken.map(call => [call.baseOffset, call.recordCount]),
        [
          [3, 1],
          [4, 1],
          [5, 3],
        ],
      )
      assert.deepEqual(queue.takeAbove(3), [])
      for (const call of taken) rejectResult(call, new Error(`lost ${call.baseOffset}`))
      queue.settle(8, 1000)
      await heard()
      assert.deepEqual(settled.sort(), [
        '[0, 1) 5',
        '[1, 2) 5',
        '[2, 3) 5',
        '[3, 4) lost 3',
        '[4, 5) lost 4',
        '[5, 8) lost 5',
      ])
    })
  }

  it('the promises that it gives -> are those of the callers', async () => {
    const { queue } = queueOf()
    const own = [0, 1, 2].map(offset =>
      queue.join({ baseOffset: offset, nextOffset: offset + 1, timestamp: 5, sizeBytes: 1 }),
    )
    const taken = queue.takeAbove(-1)
    assert.ok(taken.every(({ promise }, index) => promise === own[index]))
    for (const call of taken) rejectResult(call, new Error('lost'))
    const outcomes = await Promise.allSettled(own)
    assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  })

  it('a call that the offset lies in -> is taken whole', () => {
    const { queue } = queueOf({ baseOffset: 0, count: 4 })
    assert.equal(queue.takeAbove(2).length, 1)
    assert.ok(queue.isEmpty)
  })

  it('everything unsettled is above -> the queue is empty and takes new calls', async () => {
    const { queue, settled } = queueOf(...singles(0, 3, true))
    queue.settle(2, 1000)
    assert.equal(queue.takeAbove(0).length, 1)
    assert.ok(queue.isEmpty)
    push(queue, settled, { baseOffset: 2, timestamp: 8 })
    queue.settle(3, 1000)
    await heard()
    assert.equal(settled.at(-1), '[2, 3) 8')
  })
})
