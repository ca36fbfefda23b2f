/** Many things a few at a time, and which failure is reported when. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { firstFailure, forEachBounded } from '../../lib/log/bounded.ts'
import { turn } from '../support/open-partition.ts'

describe('forEachBounded', () => {
  it('more items than may run -> started in order, never more than that at once', async () => {
    const started: number[] = []
    let [running, most] = [0, 0]
    await forEachBounded([1, 2, 3, 4, 5, 6, 7], 3, async item => {
      started.push(item)
      most = Math.max(most, ++running)
      for (let count = 0; count < item % 3; count++) await turn()
      running--
    })
    assert.deepEqual(started, [1, 2, 3, 4, 5, 6, 7])
    assert.deepEqual([most, running], [3, 0])
  })

  it('one is slow -> the others do not wait for it', async () => {
    const done: number[] = []
    await forEachBounded([1, 2, 3, 4], 2, async item => {
      for (let count = 0; count < (item === 1 ? 20 : 1); count++) await turn()
      done.push(item)
    })
    assert.deepEqual(done, [2, 3, 4, 1])
  })

  it('one fails -> rejects with it after what runs has settled, and starts nothing more', async () => {
    const events: string[] = []
    const failure = new Error('second')
    const work = forEachBounded([1, 2, 3, 4], 2, async item => {
      events.push(`start ${item}`)
      if (item === 2) throw failure
      for (let count = 0; count < 5; count++) await turn()
      events.push(`end ${item}`)
    })
    await assert.rejects(work, failure)
    assert.deepEqual(events, ['start 1', 'start 2', 'end 1'])
  })

  it('several fail -> the first of them', async () => {
    const work = forEachBounded([3, 1], 2, async item => {
      for (let count = 0; count < item; count++) await turn()
      throw new Error(`failure ${item}`)
    })
    await assert.rejects(work, /failure 1/)
  })

  it('no items -> resolves', async () => {
    await forEachBounded([], 3, () => assert.fail('there is nothing to do'))
  })
})

describe('firstFailure', () => {
  it('several reject -> the first in the order of the promises, after all have settled', async () => {
    let isSettled = false
    const late = turn().then(() => {
      isSettled = true
      throw new Error('late')
    })
    const early = Promise.reject(new Error('early'))
    const failure = await firstFailure([Promise.resolve(), late, early])
    assert.equal((failure as Error).message, 'late')
    assert.equal(isSettled, true)
  })

  it('none rejects -> null', async () => {
    assert.equal(await firstFailure([Promise.resolve(1)]), null)
    assert.equal(await firstFailure([]), null)
  })
})
