/** Two bounded sums, a line in front of them, and who is let in when there is room again. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { QueueFullError } from '../../lib/errors.ts'
import { AppendBudget, type WaitingMember } from '../../lib/storage/append-budget.ts'

/** A partition whose waiting appends have these sizes; what is let in is noted in `admitted`. */
class Member implements WaitingMember {
  readonly #budget: AppendBudget
  readonly #name: string
  readonly #admitted: string[]
  readonly #waiting: { arrival: number; sizeBytes: number }[] = []

  constructor(budget: AppendBudget, name: string, admitted: string[]) {
    this.#budget = budget
    this.#name = name
    this.#admitted = admitted
  }

  wait(sizeBytes: number): void {
    this.#waiting.push({ arrival: this.#budget.wait(sizeBytes), sizeBytes })
    this.#budget.register(this)
  }

  get headArrival(): number {
    return this.#waiting[0]?.arrival ?? Number.POSITIVE_INFINITY
  }

  /** Lets in one only: the budget asks again, and it is another's turn in between. */
  admitWaiting(): void {
    const [head] = this.#waiting
    if (head === undefined || !this.#budget.hasRoom(head.sizeBytes)) return
    this.#waiting.shift()
    this.#budget.leave(head.sizeBytes)
    this.#budget.queuedBytes += head.sizeBytes
    this.#admitted.push(`${this.#name} ${head.sizeBytes}`)
    if (this.#waiting.length === 0) this.#budget.unregister(this)
  }
}

describe('AppendBudget.hasRoom', () => {
  const rows: readonly (readonly [string, number, number, number, boolean])[] = [
    ['up to the bound', 60, 0, 40, true],
    ['one byte past it', 60, 0, 41, false],
    ['larger than the whole queue, which is empty', 0, 0, 500, true],
    ['larger than the whole queue, which is not', 1, 0, 500, false],
    ['one byte below the bound of what is not flushed', 0, 199, 10, true],
    ['at the bound of what is not flushed', 0, 200, 0, false],
  ]
  for (const [what, queuedBytes, unflushedBytes, sizeBytes, expected] of rows) {
    it(`${what} -> ${expected}`, () => {
      const budget = new AppendBudget(100, 200)
      budget.queuedBytes = queuedBytes
      budget.unflushedBytes = unflushedBytes
      assert.equal(budget.hasRoom(sizeBytes), expected)
    })
  }
})

describe('AppendBudget.wait', () => {
  it('as much waits as may be queued -> the next is refused, and counts nowhere', () => {
    const budget = new AppendBudget(100, 200)
    budget.queuedBytes = 100
    budget.wait(60)
    budget.wait(40)
    assert.throws(() => budget.wait(1), QueueFullError)
    assert.deepEqual([budget.waitingBytes, budget.waitingCount], [100, 2])
    budget.leave(40)
    budget.wait(1)
    assert.deepEqual([budget.waitingBytes, budget.waitingCount], [61, 2])
  })

  it('the queue is not full -> its free part may wait as well', () => {
    const budget = new AppendBudget(100, 200)
    budget.queuedBytes = 30
    budget.wait(100)
    budget.wait(70)
    assert.throws(() => budget.wait(1), QueueFullError)
  })

  it('nothing waits yet -> an append of any size may', () => {
    const budget = new AppendBudget(100, 200)
    budget.queuedBytes = 100
    budget.wait(5000)
    assert.throws(() => budget.wait(1), QueueFullError)
  })
})

describe('AppendBudget, when there is room again', () => {
  it('several partitions wait -> let in by arrival, across partitions', () => {
    const admitted: string[] = []
    const budget = new AppendBudget(100, 1000)
    budget.queuedBytes = 100
    const [a, b] = [new Member(budget, 'a', admitted), new Member(budget, 'b', admitted)]
    a.wait(10)
    b.wait(20)
    a.wait(30)
    budget.wrote(100)
    assert.deepEqual(admitted, ['a 10', 'b 20', 'a 30'])
    assert.equal(budget.isAnyoneWaiting, false)
  })

  it('the oldest does not fit -> younger ones that would fit stay behind it', () => {
    const admitted: string[] = []
    const budget = new AppendBudget(100, 1000)
    budget.queuedBytes = 100
    const [a, b] = [new Member(budget, 'a', admitted), new Member(budget, 'b', admitted)]
    a.wait(80)
    b.wait(5)
    budget.wrote(50)
    assert.deepEqual(admitted, [])
    budget.wrote(50)
    assert.deepEqual(admitted, ['a 80', 'b 5'])
  })

  for (const how of ['wrote', 'discarded', 'flushed'] as const) {
    it(`${how} -> the sums move, and who waits is let in`, () => {
      const admitted: string[] = []
      const budget = new AppendBudget(100, 200)
      budget.queuedBytes = how === 'flushed' ? 0 : 100
      budget.unflushedBytes = how === 'flushed' ? 200 : 0
      new Member(budget, 'a', admitted).wait(40)
      budget[how](100)
      assert.deepEqual(admitted, ['a 40'])
      assert.deepEqual(
        [budget.queuedBytes, budget.unflushedBytes],
        { wrote: [40, 100], discarded: [40, 0], flushed: [40, 100] }[how],
      )
    })
  }
})

describe('AppendBudget.onPressure', () => {
  it('appends wait until something is flushed -> called', () => {
    const budget = new AppendBudget(100, 200)
    let calls = 0
    budget.onPressure(() => calls++)
    budget.unflushedBytes = 200
    new Member(budget, 'a', []).wait(10)
    assert.equal(calls, 1)
  })

  it('appends wait for a write only -> not called', () => {
    const budget = new AppendBudget(100, 200)
    let calls = 0
    budget.onPressure(() => calls++)
    budget.queuedBytes = 100
    new Member(budget, 'a', []).wait(10)
    assert.equal(calls, 0)
  })

  it('writing fills what may be unflushed while appends wait -> called', () => {
    const budget = new AppendBudget(100, 200)
    let calls = 0
    budget.onPressure(() => calls++)
    budget.queuedBytes = 100
    budget.unflushedBytes = 150
    new Member(budget, 'a', []).wait(10)
    budget.wrote(100)
    assert.equal(calls, 1)
  })

  it('the flush that it starts writes first -> not called again from within', () => {
    const budget = new AppendBudget(100, 200)
    let calls = 0
    budget.queuedBytes = 50
    budget.unflushedBytes = 200
    budget.onPressure(() => {
      calls++
      if (budget.queuedBytes > 0) budget.wrote(budget.queuedBytes)
    })
    new Member(budget, 'a', []).wait(10)
    assert.equal(calls, 1)
  })
})
