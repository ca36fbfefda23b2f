/** The end of a turn is told once to each who asked for it, with one immediate for all. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type TurnMember, TurnScheduler } from '../../lib/storage/turn-scheduler.ts'
import { turn } from '../support/open-partition.ts'

function member(name: string, heard: string[], then: () => void = () => {}): TurnMember {
  return {
    endOfTurn: () => {
      heard.push(name)
      then()
    },
  }
}

describe('TurnScheduler', () => {
  it('scheduled -> called when the turn ends, not before', async () => {
    const heard: string[] = []
    new TurnScheduler().schedule(member('a', heard))
    await Promise.resolve()
    assert.deepEqual(heard, [])
    await turn()
    assert.deepEqual(heard, ['a'])
  })

  it('scheduled several times in one turn -> called once, and not in the next', async () => {
    const heard: string[] = []
    const turns = new TurnScheduler()
    const a = member('a', heard)
    for (const each of [a, member('b', heard), a]) turns.schedule(each)
    await turn()
    assert.deepEqual(heard, ['a', 'b'])
    await turn()
    assert.deepEqual(heard, ['a', 'b'])
  })

  it('scheduled while a turn ends -> called at the end of the next one', async () => {
    const heard: string[] = []
    const turns = new TurnScheduler()
    let isFirst = true
    const a = member('a', heard, () => {
      if (isFirst) turns.schedule(a)
      isFirst = false
    })
    turns.schedule(a)
    turns.schedule(member('b', heard))
    await turn()
    assert.deepEqual(heard, ['a', 'b'])
    await turn()
    assert.deepEqual(heard, ['a', 'b', 'a'])
  })

  it('scheduled by those who go on once a flush has settled -> called when all of them have', async () => {
    const heard: string[] = []
    const turns = new TurnScheduler()
    const settled = Promise.resolve()
    for (const name of ['a', 'b']) {
      void settled
        .then(() => {})
        .then(() => turns.schedule(member(name, heard)))
        .then(() => heard.push(`${name} went on`))
    }
    turns.endEarly()
    await new Promise(resolve => process.nextTick(() => process.nextTick(resolve)))
    assert.deepEqual(heard, ['a went on', 'b went on', 'a', 'b'])
    await turn()
    assert.deepEqual(heard.length, 4)
  })

  it('an early end with nobody scheduled -> the next turn ends as usual', async () => {
    const heard: string[] = []
    const turns = new TurnScheduler()
    turns.endEarly()
    await turn()
    turns.schedule(member('a', heard))
    await Promise.resolve()
    assert.deepEqual(heard, [])
    await turn()
    assert.deepEqual(heard, ['a'])
  })

  it('a turn that ended early -> has its number until the event loop has come round', async () => {
    const turns = new TurnScheduler()
    const seen: number[] = []
    const note = (): void => {
      seen.push(turns.turn)
    }
    turns.endEarly()
    turns.schedule(member('a', [], note))
    await new Promise(resolve => process.nextTick(() => process.nextTick(resolve)))
    turns.schedule(member('b', [], note))
    await turn()
    assert.deepEqual(seen, [0, 1])
  })

  it('many in one turn -> one immediate', async t => {
    const immediates = t.mock.method(globalThis, 'setImmediate')
    const turns = new TurnScheduler()
    for (const name of ['a', 'b', 'c']) turns.schedule(member(name, []))
    assert.equal(immediates.mock.callCount(), 1)
    await turn()
  })
})
