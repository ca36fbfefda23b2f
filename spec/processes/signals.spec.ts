/** Programs that are ended from outside: by Ctrl-C in a terminal, and by `node --watch`. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import {
  type Program,
  programPath,
  startFile,
  startProgram,
} from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

/** The values of topic `starts`, and what opening had to do. */
async function lookInto(dir: string): Promise<{ starts: string[]; clean: boolean }> {
  const log = await openLog(dir)
  const starts: string[] = []
  for await (const { value } of (await log.topic('starts')).records()) starts.push(String(value))
  await log.close()
  return { starts, clean: log.recovery.clean }
}

/** Without addons the lock is a program beside the process, which a signal to the group hits as well. */
function startService(test: TestContext, dir: string, mode: string, lock: string): Program {
  const nodeOptions = lock === 'flock-helper' ? ['--no-addons'] : []
  return startProgram(test, ['service', dir, 0, mode], { nodeOptions, detached: true })
}

describe('Ctrl-C, which goes to the whole process group', () => {
  for (const lock of ['flock', 'flock-helper']) {
    it(`a service that closes, locked by ${lock} -> all is flushed, clean, and the lock is free`, async t => {
      const dir = tempDir(t)
      const service = startService(t, dir, 'close', lock)
      const [pid, , kind] = (await service.hear('held')).split(' ')
      assert.equal(kind, lock)
      await service.hear('served')
      service.signal('SIGINT', 'group')
      await service.hear('closed')
      await service.endedWell()
      assert.deepEqual(await lookInto(dir), { starts: [pid], clean: true })
    })

    it(`a service that dies of it, locked by ${lock} -> the next open finds what was acknowledged`, async t => {
      const dir = tempDir(t)
      const service = startService(t, dir, 'die', lock)
      const [pid] = (await service.hear('held')).split(' ')
      await service.hear('served')
      service.signal('SIGINT', 'group')
      assert.deepEqual(await service.ended(), { code: null, signal: 'SIGINT' })
      const log = await openLog(dir, { lockWaitMs: -1 })
      await log.close()
      assert.equal(log.recovery.clean, false)
      assert.deepEqual((await lookInto(dir)).starts, [pid])
    })
  }
})

describe('node --watch', () => {
  for (const mode of ['close', 'die']) {
    it(`the program that holds the log (on SIGTERM: ${mode}) is changed -> the new one gets it within lockWaitMs`, async t => {
      const dir = tempDir(t)
      const path = programPath('service')
      const source = readFileSync(path, 'utf8')
      t.after(() => writeFileSync(path, source))
      const args = [path, dir, '-1', mode] as const
      const watch = startFile(t, args, { nodeOptions: ['--watch'], detached: true })
      const pids: string[] = []
      // Again and again, as a change that comes before node watches the file goes unseen.
      let change = 0
      const changing = setInterval(() => writeFileSync(path, `${source}// ${change++}\n`), 500)
      t.after(() => clearInterval(changing))
      while (new Set(pids).size < 3) {
        const [pid = ''] = (await watch.hear('held')).split(' ')
        pids.push(pid)
      }
      clearInterval(changing)
      watch.signal('SIGKILL', 'group')
      await watch.ended()
      const { starts } = await lookInto(dir)
      assert.deepEqual(
        starts.filter(pid => pids.includes(pid)),
        pids,
      )
    })
  }
})
