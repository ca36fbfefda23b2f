/**
 * A pending live read and every unresolved append keep the process alive; an open log does not, and
 * nothing of it is left when it is closed. Each scenario is a process that has nothing else to do.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { type Program, startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A directory with a topic `orders` that holds one record. */
async function logWithOneRecord(test: TestContext): Promise<string> {
  const dir = tempDir(test)
  const log = await openLog(dir)
  await (await log.topic('orders')).append({ value: 'first' })
  await log.close()
  return dir
}

async function startScenario(test: TestContext, name: string): Promise<Program> {
  return startProgram(test, ['alive', name, await logWithOneRecord(test)])
}

describe('a process with an open log', () => {
  for (const name of [
    'an idle log',
    'an idle read-only log',
    'a live reader that nobody waits for',
  ]) {
    it(`${name} -> ends by itself`, async t => {
      const program = await startScenario(t, name)
      await program.hear('idle')
      await program.endedWell()
    })
  }

  for (const name of ['a pending live read', 'a pending live read of a read-only log']) {
    it(`${name} -> keeps the process alive until it is aborted`, async t => {
      const program = await startScenario(t, name)
      for (let tick = 0; tick < 5; tick++) await program.hear('tick')
      assert.equal(await program.hear('ended'), 'AbortError')
      await program.endedWell()
    })
  }

  for (const [name, offset] of [
    ['a durable append that waits for flushMs', 0],
    ['a durable append behind one that nobody waits for', 1],
    ['a durable array of a compressed topic', 0],
    ['appends that wait for room', 49],
    ['a close', 0],
  ] as const) {
    it(`${name} -> keeps the process alive until it is done`, async t => {
      const program = await startScenario(t, name)
      assert.equal(await program.hear('acknowledged'), `${offset}`)
      await program.endedWell()
    })
  }

  it('a log and a reader beside it are closed -> nothing of them is at work any more', async t => {
    const program = await startScenario(t, 'nothing after close')
    assert.match(await program.hear('before'), /Timeout/)
    const [before, after] = (await program.hear('left')).split(' ')
    assert.equal(after, before)
    await program.endedWell()
  })
})
