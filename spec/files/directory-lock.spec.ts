// What one opener sees of another: every pair of lock kinds in two processes, in one process and in
// worker threads; holders that give up, end, are killed, stopped or interrupted. The processes are
// real, and the only thing waited for is what they say or that they are gone.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { LockedError } from '../../lib/errors.ts'
import { lockDirectory } from '../../lib/files/directory-lock.ts'
import type { HoldingKind } from '../../lib/files/pid-record.ts'
import {
  allKinds,
  makeDirectory,
  ofAnEarlierProcess,
  ownPidFile,
  plantPidFile,
  startHoldingWorker,
  startProcess,
} from '../support/lock-processes.ts'

const lockedError = (dir: string, kind: HoldingKind): Promise<LockedError> =>
  lockDirectory(dir, { kinds: [kind] }).then(
    () => assert.fail(`a second opener got the directory by ${kind}`),
    (error: unknown) => {
      assert(error instanceof LockedError, String(error))
      return error
    },
  )

async function assertFree(dir: string, kind: HoldingKind): Promise<void> {
  const lock = await lockDirectory(dir, { kinds: [kind] })
  assert.equal(lock.kind, kind)
  await lock.release()
}

describe('lockDirectory', () => {
  it('nothing chosen -> the strongest kind that is there, and a reason for people', async test => {
    const lock = await lockDirectory(makeDirectory(test))
    assert.equal(lock.kind, 'flock')
    assert.equal(lock.reason, 'flock by fs-ext')
    await lock.release()
  })

  it('no addon -> the flock program, and the reason says why', async test => {
    const lock = await lockDirectory(makeDirectory(test), { kinds: ['flock-helper', 'pid-file'] })
    assert.equal(lock.kind, 'flock-helper')
    assert.match(lock.reason, /^flock by the flock program, because there is no fs-ext: /)
    await lock.release()
  })

  it('neither -> the pid file alone, and the reason says why', async test => {
    const lock = await lockDirectory(makeDirectory(test), { kinds: ['pid-file'] })
    assert.equal(lock.kind, 'pid-file')
    assert.match(lock.reason, /^a pid file only: no fs-ext .*flock program/)
    await lock.release()
  })

  it('a program that is not in PATH -> the pid file alone', async test => {
    const path = process.env['PATH']
    test.after(() => {
      process.env['PATH'] = path
    })
    process.env['PATH'] = makeDirectory(test)
    const lock = await lockDirectory(makeDirectory(test), { kinds: ['flock-helper', 'pid-file'] })
    assert.equal(lock.kind, 'pid-file')
    assert.match(lock.reason, /ENOENT/)
    await lock.release()
  })

  it('a directory that is not there -> the errno error', async test => {
    const dir = join(makeDirectory(test), 'absent')
    for (const kind of allKinds) {
      await assert.rejects(lockDirectory(dir, { kinds: [kind] }), { code: 'ENOENT' })
    }
  })

  it('release -> the pid file is gone, the file that flock is taken on stays', async test => {
    const dir = makeDirectory(test)
    const lock = await lockDirectory(dir)
    assert.deepEqual(readdirSync(dir).sort(), ['.lock', '.lock.pid'])
    await lock.release()
    assert.deepEqual(readdirSync(dir), ['.lock'])
  })

  it('a second release -> does not touch the lock of the next holder', async test => {
    const dir = makeDirectory(test)
    for (const kind of allKinds) {
      const first = await lockDirectory(dir, { kinds: [kind] })
      await first.release()
      const second = await lockDirectory(dir, { kinds: [kind] })
      await first.release()
      await lockedError(dir, kind)
      await second.release()
    }
  })

  it('a pid file replaced by hand -> release leaves it alone', async test => {
    const dir = makeDirectory(test)
    const lock = await lockDirectory(dir, { kinds: ['pid-file'] })
    plantPidFile(dir, ofAnEarlierProcess(await ownPidFile(test, 'pid-file')))
    await lock.release()
    assert(existsSync(join(dir, '.lock.pid')))
  })

  for (const kind of allKinds) {
    it(`held by ${kind} in another process -> locked for every kind, naming the holder`, async test => {
      const dir = makeDirectory(test)
      const holder = startProcess(test)
      await holder.hold(dir, kind)
      for (const opener of allKinds) {
        const error = await lockedError(dir, opener)
        const { pid, host, sameProcess } = error
        assert.deepEqual(
          { pid, host, sameProcess },
          { pid: holder.pid, host: hostname(), sameProcess: false },
        )
        assert(error.since !== undefined && Math.abs(Date.now() - error.since.getTime()) < 60_000)
      }
      await holder.ask({ action: 'release' })
      for (const opener of allKinds) await assertFree(dir, opener)
    })

    it(`held by ${kind} in this process -> locked for every kind, naming this process`, async test => {
      const dir = makeDirectory(test)
      const lock = await lockDirectory(dir, { kinds: [kind] })
      for (const opener of allKinds) {
        assert.equal((await lockedError(dir, opener)).sameProcess, true, opener)
      }
      await lock.release()
      for (const opener of allKinds) await assertFree(dir, opener)
    })

    it(`a stopped holder by ${kind} -> keeps the directory`, async test => {
      const dir = makeDirectory(test)
      const holder = startProcess(test)
      await holder.hold(dir, kind)
      holder.signal('SIGSTOP')
      for (const opener of allKinds) assert.equal((await lockedError(dir, opener)).pid, holder.pid)
      holder.signal('SIGCONT')
      assert.deepEqual(await holder.ask({ action: 'release' }), { outcome: 'released' })
      await assertFree(dir, kind)
    })

    it(`Ctrl-C for the process group of a holder by ${kind} -> it keeps the directory until release`, async test => {
      const dir = makeDirectory(test)
      const holder = startProcess(test)
      await holder.hold(dir, kind)
      holder.signal('SIGINT', 'group')
      assert.deepEqual(await holder.reply(), { outcome: 'interrupted' })
      for (const opener of allKinds) await lockedError(dir, opener)
      await holder.ask({ action: 'release' })
      await assertFree(dir, kind)
    })

    it(`a holder by ${kind} with nothing left to do -> its process ends, and the directory is free`, async test => {
      const dir = makeDirectory(test)
      const holder = startProcess(test)
      await holder.hold(dir, kind)
      holder.tell({ action: 'leave' })
      assert.equal(await holder.exit(), 0)
      await assertFree(dir, 'pid-file')
    })

    for (const opener of allKinds) {
      it(`a holder by ${kind} is killed -> the next opener by ${opener} gets the directory`, async test => {
        const dir = makeDirectory(test)
        const holder = startProcess(test)
        await holder.hold(dir, kind)
        await holder.kill()
        assert(existsSync(join(dir, '.lock.pid')))
        await assertFree(dir, opener)
        assert(!existsSync(join(dir, '.lock.pid')))
      })
    }
  }

  it('a killed holder that its parent has not waited for yet -> the directory is free', async test => {
    const dir = makeDirectory(test)
    const holder = startProcess(test)
    await holder.hold(dir, 'pid-file')
    holder.signal('SIGKILL')
    // This thread is the parent, and does not get to wait for its child before it yields. The main
    // thread of a killed process can end before the others; only without them is the holder gone.
    const isZombie = (): boolean => /\) Z /.test(readFileSync(`/proc/${holder.pid}/stat`, 'utf8'))
    while (!isZombie() || readdirSync(`/proc/${holder.pid}/task`).length > 1);
    const opening = lockDirectory(dir, { kinds: ['pid-file'] })
    assert(isZombie())
    await (await opening).release()
  })

  for (const kind of ['flock-helper', 'pid-file'] as const) {
    it(`held by ${kind} in a worker thread -> locked for every kind, until the thread ends`, async test => {
      for (const opener of allKinds) {
        const dir = makeDirectory(test)
        const worker = await startHoldingWorker(test, dir, { kind })
        assert.equal((await lockedError(dir, opener)).sameProcess, true, opener)
        await worker.terminate()
        await assertFree(dir, opener)
      }
    })
  }

  it('worker threads after each other, the main thread has the addon -> they use the program', async test => {
    const dir = makeDirectory(test)
    await assertFree(dir, 'flock')
    for (let round = 0; round < 3; round += 1) {
      const worker = await startHoldingWorker(test, dir, { kind: 'flock-helper', kinds: allKinds })
      await worker.terminate()
    }
    await assertFree(dir, 'flock')
  })
})
