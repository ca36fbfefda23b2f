// What an opener makes of a pid file that it finds: who is proved dead, by what, and who is not. The
// holders are written by hand; that real ones behave so is in directory-lock.spec.ts.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { LockedError } from '../../lib/errors.ts'
import { lockDirectory } from '../../lib/files/directory-lock.ts'
import type { Holder } from '../../lib/files/lock-holder.ts'
import { currentHolder, fateOf } from '../../lib/files/lock-holder.ts'
import {
  allKinds,
  makeDirectory,
  ofAnEarlierProcess,
  ownPidFile,
  plantPidFile,
  readPidFile,
} from '../support/lock-processes.ts'

const isLocked = (cause: RegExp | undefined) => (error: unknown) => {
  assert(error instanceof LockedError, String(error))
  if (cause === undefined) assert.equal(error.cause, undefined)
  else assert.match(String(error.cause), cause)
  return true
}

describe('a pid file that is found', () => {
  it('its process number is in use again -> taken over', async test => {
    for (const kind of allKinds) {
      const dir = makeDirectory(test)
      plantPidFile(dir, ofAnEarlierProcess(await ownPidFile(test, 'pid-file')))
      const lock = await lockDirectory(dir, { kinds: [kind] })
      assert.equal(readPidFile(dir).holder.startTicks, currentHolder().startTicks)
      await lock.release()
    }
  })

  it('of a living holder by pid-file -> locked, for openers with flock too', async test => {
    for (const kind of allKinds) {
      const dir = makeDirectory(test)
      plantPidFile(dir, await ownPidFile(test, 'pid-file'))
      await assert.rejects(lockDirectory(dir, { kinds: [kind] }), isLocked(undefined))
    }
  })

  it('of a holder by flock whose flock is free -> taken over by openers with flock only', async test => {
    for (const kind of ['flock', 'flock-helper'] as const) {
      const dir = makeDirectory(test)
      plantPidFile(dir, await ownPidFile(test, 'flock'))
      await assert.rejects(lockDirectory(dir, { kinds: ['pid-file'] }), isLocked(undefined))
      const lock = await lockDirectory(dir, { kinds: [kind] })
      await lock.release()
    }
  })

  it('of a holder that cannot be seen from here -> locked, and the cause says what to do', async test => {
    const dir = makeDirectory(test)
    const own = await ownPidFile(test, 'pid-file')
    plantPidFile(dir, { ...own, holder: { ...own.holder, namespaces: 'pid:[1] time:[1]' } })
    await assert.rejects(
      lockDirectory(dir),
      isLocked(/another pid namespace; when it is for certain, remove .*\.lock\.pid\*/),
    )
    assert(existsSync(join(dir, '.lock.pid')))
  })

  for (const [what, text] of [
    ['empty', ''],
    ['torn', '{"id":"12-12-3'],
    ['with an id that leads out of the directory', 'escaping'],
    ['with a process number that means a group', 'group'],
  ] as const) {
    it(`${what} -> taken over by openers with flock only`, async test => {
      const own = ofAnEarlierProcess(await ownPidFile(test, 'pid-file'))
      for (const kind of ['flock', 'flock-helper'] as const) {
        const dir = makeDirectory(test)
        const planted =
          text === 'escaping'
            ? { ...own, id: '../out' }
            : text === 'group'
              ? { ...own, holder: { ...own.holder, pid: -1 } }
              : text
        plantPidFile(dir, planted)
        await assert.rejects(
          lockDirectory(dir, { kinds: ['pid-file'] }),
          isLocked(/its pid file cannot be read/),
        )
        const lock = await lockDirectory(dir, { kinds: [kind] })
        await lock.release()
        assert.deepEqual(readdirSync(dir), ['.lock'])
      }
    })
  }

  it('a directory in its place -> the errno error, and the flock is free again', async test => {
    const dir = makeDirectory(test)
    mkdirSync(join(dir, '.lock.pid'))
    await assert.rejects(lockDirectory(dir), { code: 'EISDIR' })
    rmdirSync(join(dir, '.lock.pid'))
    const lock = await lockDirectory(dir)
    await lock.release()
  })

  it('an opener died while it took over -> the next one takes over from both and cleans up', async test => {
    for (const kind of allKinds) {
      const dir = makeDirectory(test)
      const gone = ofAnEarlierProcess(await ownPidFile(test, 'pid-file'))
      plantPidFile(dir, { ...gone, id: 'a' })
      plantPidFile(dir, { ...gone, id: 'b' }, '.lock.pid.after-a')
      plantPidFile(dir, '', '.lock.pid.new-c')
      const lock = await lockDirectory(dir, { kinds: [kind] })
      assert(readdirSync(dir).every(name => name === '.lock' || name === '.lock.pid'))
      await lock.release()
    }
  })

  it('a living opener is in the middle of taking over -> locked', async test => {
    const dir = makeDirectory(test)
    const own = await ownPidFile(test, 'pid-file')
    plantPidFile(dir, { ...ofAnEarlierProcess(own), id: 'a' })
    plantPidFile(dir, own, '.lock.pid.after-a')
    for (const kind of allKinds) {
      await assert.rejects(lockDirectory(dir, { kinds: [kind] }), isLocked(undefined))
    }
    assert.equal(readPidFile(dir).id, 'a')
  })

  it('followers that lead in a circle -> locked', async test => {
    const dir = makeDirectory(test)
    const gone = ofAnEarlierProcess(await ownPidFile(test, 'pid-file'))
    plantPidFile(dir, { ...gone, id: 'a' })
    plantPidFile(dir, { ...gone, id: 'a' }, '.lock.pid.after-a')
    await assert.rejects(lockDirectory(dir), isLocked(/do not come to an end/))
  })
})

describe('fateOf', () => {
  const self: Holder = {
    ...currentHolder(),
    namespaces: 'pid:[4026531836] time:[4026531834]',
    machineId: '0'.repeat(32),
  }
  const inContainer = { namespaces: 'pid:[4026532500] time:[4026531834]' }

  const rows: readonly [string, Partial<Holder>, Partial<Holder>, 'alive' | 'dead' | 'unknown'][] =
    [
      ['this thread', {}, {}, 'alive'],
      ['this process number, started at another time', { startTicks: '1' }, {}, 'dead'],
      ['a thread of this process that is gone', { thread: 2 ** 22 + 1 }, {}, 'dead'],
      ['a process number that nobody has', { pid: 2 ** 22 + 1, thread: 2 ** 22 + 1 }, {}, 'dead'],
      ['another pid namespace', inContainer, {}, 'unknown'],
      ['this machine before a restart', { bootId: 'before' }, {}, 'dead'],
      ['another machine', { bootId: 'other', machineId: '1'.repeat(32) }, {}, 'unknown'],
      [
        'a machine with this one’s id and another name',
        { bootId: 'other', host: 'b' },
        {},
        'unknown',
      ],
      ['a machine without an id', { bootId: 'b', machineId: '' }, { machineId: '' }, 'unknown'],
      ['a container before a restart', { bootId: 'b', ...inContainer }, inContainer, 'unknown'],
      ['a process without /proc', { bootId: '', namespaces: '' }, {}, 'unknown'],
      ['seen by a process without /proc', {}, { bootId: '', namespaces: '' }, 'unknown'],
    ]
  for (const [what, holder, seenBy, state] of rows) {
    it(`${what} -> ${state}`, () => {
      assert.equal(fateOf({ ...self, ...holder }, { ...self, ...seenBy }).state, state)
    })
  }
})
