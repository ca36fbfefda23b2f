/** A callback comes in a later turn, once for all changes until then, and not after it was stopped. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Watchers } from '../../lib/files/watchers.ts'
import { turn } from '../support/open-partition.ts'

const [a, b] = [{ name: 'a' }, { name: 'b' }]

describe('Watchers', () => {
  it('changed several times in a turn -> called back once, in a later turn', async () => {
    const heard: string[] = []
    const watchers = new Watchers()
    watchers.watch(a, () => heard.push('a'))
    watchers.notify(a)
    watchers.notify(a)
    await Promise.resolve()
    assert.deepEqual(heard, [])
    await turn()
    assert.deepEqual(heard, ['a'])
    watchers.notify(a)
    await turn()
    assert.deepEqual(heard, ['a', 'a'])
  })

  it('two are changed in one turn -> each hears of its own', async () => {
    const heard: string[] = []
    const watchers = new Watchers()
    watchers.watch(a, () => heard.push('a'))
    watchers.watch(b, () => heard.push('b'))
    watchers.notify(b)
    await turn()
    assert.deepEqual(heard, ['b'])
    watchers.notify(a)
    watchers.notify(b)
    await turn()
    assert.deepEqual(heard, ['b', 'a', 'b'])
  })

  it('one function watches twice -> called twice, and each is stopped by itself', async () => {
    let calls = 0
    const onChange = (): void => void calls++
    const watchers = new Watchers()
    const stop = watchers.watch(a, onChange)
    watchers.watch(a, onChange)
    stop()
    watchers.notify(a)
    await turn()
    assert.equal(calls, 1)
  })

  it('stopped between the change and the callback -> not called', async () => {
    const heard: string[] = []
    const watchers = new Watchers()
    const stop = watchers.watch(a, () => heard.push('a'))
    watchers.notify(a)
    stop()
    await turn()
    assert.deepEqual(heard, [])
  })

  it('stopped twice with a new watch between -> the new one stays', async () => {
    const heard: string[] = []
    const watchers = new Watchers()
    const stop = watchers.watch(a, () => heard.push('old'))
    stop()
    watchers.watch(a, () => heard.push('new'))
    stop()
    watchers.notify(a)
    await turn()
    assert.deepEqual(heard, ['new'])
  })

  it('cleared -> nobody is called any more, also for a change before', async () => {
    const heard: string[] = []
    const watchers = new Watchers()
    watchers.watch(a, () => heard.push('a'))
    watchers.notify(a)
    watchers.clear()
    watchers.notify(a)
    await turn()
    assert.deepEqual(heard, [])
  })

  it('a change while it is called back -> called again in a later turn', async () => {
    let calls = 0
    const watchers = new Watchers()
    watchers.watch(a, () => {
      calls++
      if (calls === 1) watchers.notify(a)
    })
    watchers.notify(a)
    await turn()
    assert.equal(calls, 1)
    await turn()
    assert.equal(calls, 2)
  })
})
