// Many openers at once, of all kinds: at most one of them ever holds the directory, and one always
// gets it. The rounds start from every state that a killed holder or opener can leave behind; the
// processes stay, so a round is a race between threads of execution that are already running.

import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'

import { lockDirectory } from '../../lib/files/directory-lock.ts'
import type { AtEnd, LockProcess, PidFileText } from '../support/lock-processes.ts'
import {
  allKinds,
  makeDirectory,
  ofAnEarlierProcess,
  ownPidFile,
  plantPidFile,
  startProcess,
} from '../support/lock-processes.ts'

const startProcesses = (suite: AtEnd, count: number): readonly LockProcess[] =>
  Array.from({ length: count }, () => startProcess(suite))

/** The kind that the opener of this number uses. */
const kindOf = (index: number): (typeof allKinds)[number] => allKinds[index % 3] ?? 'pid-file'

/** One race for `dir`: all ask, the winner keeps it until all have been answered. */
async function race(dir: string, openers: readonly LockProcess[]): Promise<void> {
  const asked = openers.map((opener, index) =>
    opener.ask({ action: 'lock', dir, kinds: [kindOf(index)] }),
  )
  const replies = await Promise.all(asked)
  const failure = replies.find(reply => reply.outcome !== 'held' && reply.outcome !== 'locked')
  assert.equal(failure, undefined)
  const winners = openers.filter((_, index) => replies[index]?.outcome === 'held')
  assert.equal(winners.length, 1, `${winners.length} openers got the directory`)
  await winners[0]?.ask({ action: 'release' })
  assert.deepEqual(readdirSync(dir), ['.lock'])
}

describe('lockDirectory, raced for by processes of all kinds', () => {
  const openers = startProcesses({ after }, 6)

  it('a free directory, 100 times -> exactly one gets it', async test => {
    const dir = makeDirectory(test)
    for (let round = 0; round < 100; round += 1) await race(dir, openers)
  })

  it('the pid file of a dead holder by pid-file, 200 times -> exactly one gets it', async test => {
    const dir = makeDirectory(test)
    const gone = ofAnEarlierProcess(await ownPidFile(test, 'pid-file'))
    for (let round = 0; round < 200; round += 1) {
      plantPidFile(dir, { ...gone, id: `gone-${round}` })
      await race(dir, openers)
    }
  })

  it('the pid file of a dead holder by flock, 100 times -> exactly one gets it', async test => {
    const dir = makeDirectory(test)
    const gone = ofAnEarlierProcess(await ownPidFile(test, 'flock'))
    for (let round = 0; round < 100; round += 1) {
      plantPidFile(dir, { ...gone, id: `gone-${round}` })
      await race(dir, openers)
    }
  })

  it('what openers leave that died while taking over, 100 times -> exactly one gets it', async test => {
    const dir = makeDirectory(test)
    const gone = ofAnEarlierProcess(await ownPidFile(test, 'pid-file'))
    const record = (id: string): PidFileText => ({ ...gone, id })
    for (let round = 0; round < 100; round += 1) {
      plantPidFile(dir, record(`a-${round}`))
      plantPidFile(dir, record(`b-${round}`), `.lock.pid.after-a-${round}`)
      plantPidFile(dir, record(`c-${round}`), `.lock.pid.after-b-${round}`)
      plantPidFile(dir, '{', `.lock.pid.new-d-${round}`)
      await race(dir, openers)
    }
  })

  it('each opens and closes 150 times at its own pace -> never two holders at once', async test => {
    const dir = makeDirectory(test)
    const churning = openers.map(async (opener, index) => {
      opener.tell({ action: 'churn', dir, kinds: [kindOf(index)], rounds: 150 })
      let reply = await opener.reply()
      if (reply.outcome === 'progress') reply = await opener.reply()
      return reply
    })
    const replies = await Promise.all(churning)
    let taken = 0
    for (const reply of replies) {
      assert.equal(reply.outcome, 'churned', JSON.stringify(reply))
      if (reply.outcome === 'churned') taken += reply.taken
    }
    assert(taken > 0)
  })

  it('all are killed in the middle of opening and closing -> the next opener gets the directory', async test => {
    const dir = makeDirectory(test)
    for (const kind of allKinds) {
      const openers = startProcesses(test, 3)
      const started = openers.map(async (opener, index) => {
        opener.tell({ action: 'churn', dir, kinds: [kindOf(index)], rounds: 1_000_000 })
        return opener.reply()
      })
      const first = await Promise.race(started)
      assert.equal(first.outcome, 'progress', JSON.stringify(first))
      for (const opener of openers) await opener.kill()
      await Promise.allSettled(started)
      rmSync(join(dir, 'marker'), { force: true })
      const lock = await lockDirectory(dir, { kinds: [kind] })
      await lock.release()
      assert.deepEqual(readdirSync(dir), ['.lock'])
    }
  })
})
