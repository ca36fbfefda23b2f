// The takeover of a pid file, step by step: openers without any flock, whose steps are put in order
// by the spec, so that each can sleep or die between any two of them. Who is gone is known here, and
// not asked of the system.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { LockedError } from '../../lib/errors.ts'
import { currentHolder } from '../../lib/files/lock-holder.ts'
import type { ClaimStep } from '../../lib/files/pid-file.ts'
import { claimSteps } from '../../lib/files/pid-file.ts'
import type { PidRecord } from '../../lib/files/pid-record.ts'
import { findRecord, newRecord, removeIfThere } from '../../lib/files/pid-record.ts'
import { makeDirectory, plantPidFile } from '../support/lock-processes.ts'

const self = currentHolder()

/** The openers of one directory, of whom at most one may hold it. */
class Openers {
  readonly dir: string
  readonly all: Opener[] = []

  constructor(dir: string) {
    this.dir = dir
  }

  start(): Opener {
    const opener = new Opener(this)
    this.all.push(opener)
    return opener
  }

  get holders(): readonly Opener[] {
    return this.all.filter(opener => opener.state === 'held')
  }

  /** Records that no opener wrote were there before, from a holder that is gone. */
  assertGone(id: string): void {
    const writer = this.all.find(opener => opener.record.id === id)
    if (writer !== undefined && writer.state !== 'dead') throw new LockedError(this.dir)
  }
}

/** An opener that makes one attempt. */
class Opener {
  readonly record: PidRecord = newRecord('pid-file', self)
  state: 'claiming' | 'held' | 'refused' | 'released' | 'dead' = 'claiming'
  next: ClaimStep | 'end' = 'find'
  readonly #openers: Openers
  readonly #steps: Generator<ClaimStep, boolean>

  constructor(openers: Openers) {
    this.#openers = openers
    this.#steps = claimSteps(openers.dir, this.record, found => openers.assertGone(found.id))
    this.step()
  }

  step(): void {
    if (this.next === 'end') {
      this.#release()
      return
    }
    try {
      const step = this.#steps.next()
      this.next = step.done === true ? 'end' : step.value
      if (step.done === true) this.state = step.value ? 'held' : 'refused'
      else if (step.value === 'clean') this.state = 'held'
    } catch (error) {
      assert(error instanceof LockedError, String(error))
      this.next = 'end'
      this.state = 'refused'
    }
    assert(this.#openers.holders.length <= 1, 'two openers hold the directory')
  }

  /** Goes on until it is about to do `step`, for the `count`th time from here. */
  goTo(step: ClaimStep, count = 1): void {
    for (let seen = this.next === step ? 1 : 0; seen < count; ) {
      assert.notEqual(this.next, 'end', `never came to ${step}`)
      this.step()
      if (this.next === step) seen += 1
    }
  }

  finish(): void {
    while (this.next !== 'end') this.step()
  }

  die(): void {
    this.state = 'dead'
  }

  #release(): void {
    if (this.state !== 'held') return
    const path = join(this.#openers.dir, '.lock.pid')
    assert.equal(findRecord(path)?.id, this.record.id, 'the record of a holder is gone')
    removeIfThere(path)
    this.state = 'released'
  }
}

/** The directory of a holder that is gone. */
function abandoned(dir: string): Openers {
  plantPidFile(dir, { ...newRecord('pid-file', self), id: 'gone' })
  return new Openers(dir)
}

describe('a takeover, step by step', () => {
  it('two openers found the same dead holder, one sleeps before its link -> it is refused', test => {
    const openers = abandoned(makeDirectory(test))
    const [early, late] = [openers.start(), openers.start()]
    late.goTo('publish')
    early.finish()
    late.finish()
    assert.deepEqual([early.state, late.state], ['held', 'refused'])
  })

  it('an opener sleeps before its rename -> all others are refused until it is done', test => {
    const openers = abandoned(makeDirectory(test))
    const [sleeper, other] = [openers.start(), openers.start()]
    sleeper.goTo('rename')
    other.finish()
    sleeper.finish()
    assert.deepEqual([sleeper.state, other.state], ['held', 'refused'])
  })

  it('an opener dies before its rename -> the next one follows it', test => {
    const openers = abandoned(makeDirectory(test))
    const [dying, next] = [openers.start(), openers.start()]
    dying.goTo('rename')
    dying.die()
    next.finish()
    assert.equal(next.state, 'held')
  })

  it('the root that a claim started from is released meanwhile -> the claim is withdrawn', test => {
    const openers = abandoned(makeDirectory(test))
    const [late, early] = [openers.start(), openers.start()]
    late.goTo('publish')
    early.finish()
    early.step()
    assert.equal(early.state, 'released')
    late.goTo('withdraw')
    const last = openers.start()
    last.finish()
    late.finish()
    assert.deepEqual([last.state, late.state], ['held', 'refused'])
  })

  it('a claim follows one that was withdrawn after it was seen -> it is withdrawn too', test => {
    const openers = abandoned(makeDirectory(test))
    const [first, second, third, fourth] = [
      openers.start(),
      openers.start(),
      openers.start(),
      openers.start(),
    ]
    first.goTo('rename')
    second.goTo('judge', 2)
    first.goTo('clean')
    first.die()
    second.goTo('withdraw')
    third.goTo('judge', 2)
    second.finish()
    second.die()
    third.goTo('verify')
    third.step()
    fourth.goTo('rename')
    third.finish()
    fourth.finish()
    assert.deepEqual([third.state, fourth.state], ['refused', 'held'])
  })

  it('steps of four openers in any order, two of them die -> never two holders, and not none for ever', test => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    let random = seed
    const below = (count: number): number => {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((random / 2 ** 32) * count)
    }
    for (let run = 0; run < 60; run += 1) {
      const openers =
        run % 4 === 0 ? new Openers(makeDirectory(test)) : abandoned(makeDirectory(test))
      let deaths = 2
      for (let step = 0; step < 200; step += 1) {
        const alive = openers.all.filter(({ state }) => state === 'claiming' || state === 'held')
        if (alive.length < 4 && openers.all.length < 12) openers.start()
        const opener = alive[below(alive.length)]
        if (opener !== undefined && deaths > 0 && below(12) === 0) {
          deaths -= 1
          opener.die()
          continue
        }
        // A few steps at a time: sleeps are longer than work.
        for (let burst = below(6); burst >= 0; burst -= 1) {
          try {
            opener?.step()
          } catch (error) {
            throw new Error(`replay with SEED=${seed}: ${String(error)}`, { cause: error })
          }
        }
      }
      for (const opener of openers.all) {
        if (opener.state === 'dead') continue
        opener.finish()
        opener.step()
      }
      const last = openers.start()
      last.finish()
      if (last.state !== 'held') {
        const again = openers.start()
        again.finish()
        assert.equal(again.state, 'held', `nobody gets it; replay with SEED=${seed}`)
      }
    }
  })
})
