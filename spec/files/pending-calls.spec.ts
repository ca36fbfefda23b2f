/** Calls end one at a time, in later turns, in an order that the seed repeats; a kill ends them all. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { PendingCalls } from '../../lib/files/pending-calls.ts'
import { SeededRandom } from '../../lib/files/seeded-random.ts'
import { turn } from '../support/open-partition.ts'

/** The order in which ten calls that are begun together take effect. */
async function orderOf(seed: number): Promise<number[]> {
  const calls = new PendingCalls(new SeededRandom(seed))
  const order: number[] = []
  const all = Array.from({ length: 10 }, (_, call) =>
    calls.start({ complete: () => void order.push(call) }),
  )
  await Promise.all(all)
  return order
}

describe('PendingCalls', () => {
  it('begun -> takes effect in a later turn, and gives its result', async () => {
    const calls = new PendingCalls(new SeededRandom(1))
    let isDone = false
    const result = calls.start({
      complete: () => {
        isDone = true
        return 5
      },
    })
    await Promise.resolve()
    assert.equal(isDone, false)
    assert.equal(await result, 5)
  })

  it('it throws -> rejects, and the others go on', async () => {
    const calls = new PendingCalls(new SeededRandom(1))
    const failed = calls.start({
      complete: () => {
        throw new Error('EIO')
      },
    })
    const other = calls.start({ complete: () => 'other' })
    await assert.rejects(failed, /EIO/)
    assert.equal(await other, 'other')
  })

  it('the same seed -> the same order; other seeds -> others, each call once', async () => {
    const order = await orderOf(3)
    assert.deepEqual(await orderOf(3), order)
    const orders = new Set<string>()
    for (const seed of [3, 4, 5, 6]) {
      const found = await orderOf(seed)
      orders.add(found.join())
      assert.deepEqual(
        found.toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      )
    }
    assert.equal(orders.size, 4)
  })

  it('two have been begun -> what waits for the first goes on before the second takes effect', async () => {
    const calls = new PendingCalls(new SeededRandom(1))
    const events: string[] = []
    const run = async (name: string): Promise<void> => {
      await calls.start({ complete: () => void events.push('effect') })
      events.push(`after ${name}`)
    }
    await Promise.all([run('a'), run('b')])
    assert.deepEqual(
      events.map(event => event.split(' ')[0]),
      ['effect', 'after', 'effect', 'after'],
    )
  })

  it('interrupted -> all reject with the error, having done what they had done, and never complete', async () => {
    const calls = new PendingCalls(new SeededRandom(1))
    const done: string[] = []
    const complete = (): void => void done.push('complete')
    const all = [
      calls.start({ complete, interrupt: () => void done.push('part') }),
      calls.start({ complete }),
    ]
    const error = new Error('killed')
    calls.interruptAll(error)
    for (const call of all) await assert.rejects(call, error)
    for (let count = 0; count < 4; count++) await turn()
    assert.deepEqual(done, ['part'])
  })

  it('begun after an interruption -> completes', async () => {
    const calls = new PendingCalls(new SeededRandom(1))
    const killed = calls.start({ complete: () => 'old' })
    calls.interruptAll(new Error('killed'))
    const next = calls.start({ complete: () => 'next' })
    await assert.rejects(killed, /killed/)
    assert.equal(await next, 'next')
  })
})
