/**
 * Several processes call `openLog` on one directory at the same time. Whoever has it appends a record
 * and leaves a marker file that nobody else may find, so that two holders at once would be seen.
 */
import assert from 'node:assert/strict'
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { type Program, startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

async function startRacers(test: TestContext, dir: string, count: number): Promise<Program[]> {
  const racers = Array.from({ length: count }, () => startProgram(test, ['racer', dir]))
  for (const racer of racers) await racer.hear('ready')
  return racers
}

/** The answer to `open`: the word and its number. */
async function answer(racer: Program): Promise<{ readonly word: string; readonly number: number }> {
  const line = await racer.nextLine()
  assert(line !== null, `ended: ${racer.errors}`)
  const [word = '', number] = line.split(' ')
  return { word, number: Number(number) }
}

describe('openLog on one directory by several processes at once', () => {
  for (const count of [2, 8]) {
    it(`${count} of them, 20 times -> exactly one has it, the others LockedError`, async t => {
      const dir = join(tempDir(t), 'log')
      const racers = await startRacers(t, dir, count)
      for (let round = 0; round < 20; round++) {
        for (const racer of racers) racer.tell('open 0')
        const answers = await Promise.all(racers.map(answer))
        const holders = racers.filter((_, index) => answers[index]?.word === 'held')
        const words = answers.map(({ word }) => word).sort()
        assert.deepEqual(words, ['held', ...Array.from({ length: count - 1 }, () => 'locked')])
        const [holder] = holders
        assert(holder !== undefined)
        for (const { word, number } of answers) {
          // The appends of all holders follow each other; the others are told who it is, if anybody.
          if (word === 'held') assert.equal(number, round)
          else assert(number === 0 || racers.some(({ pid }) => pid === number))
        }
        holder.tell('close')
        await holder.hear('closed')
      }
    })
  }

  it('8 of them with lockWaitMs: -1 -> each has it once, one after the other', async t => {
    const dir = join(tempDir(t), 'log')
    const racers = await startRacers(t, dir, 8)
    for (const racer of racers) racer.tell('open -1')
    const offsets = await Promise.all(
      racers.map(async racer => {
        const offset = Number(await racer.hear('held'))
        racer.tell('close')
        await racer.hear('closed')
        return offset
      }),
    )
    assert.deepEqual(
      offsets.sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7],
    )
  })

  it('the holder is killed while others wait -> one of them has it, and what was acknowledged', async t => {
    const dir = join(tempDir(t), 'log')
    const [holder, ...others] = await startRacers(t, dir, 4)
    assert(holder !== undefined)
    holder.tell('open 0')
    assert.equal(await holder.hear('held'), '0')
    for (const other of others) other.tell('open -1')
    unlinkSync(`${dir}.held`)
    await holder.kill()
    const offsets = await Promise.all(
      others.map(async other => {
        const offset = Number(await other.hear('held'))
        other.tell('close')
        await other.hear('closed')
        return offset
      }),
    )
    assert.deepEqual(
      offsets.sort((a, b) => a - b),
      [1, 2, 3],
    )
    const log = await openLog(dir)
    const values: string[] = []
    for await (const { value } of (await log.topic('rounds')).records()) values.push(String(value))
    await log.close()
    assert.equal(values[0], String(holder.pid))
  })
})
