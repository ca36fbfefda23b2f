/**
 * One process writes and others, each in a process of its own, read beside it: every record once and
 * in order, across rolls, into topics that come later, and nothing that is not flushed.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('a writer and read-only processes', () => {
  it('10,000 batches, rolls, a new topic -> two readers see every record once and in order', async t => {
    const dir = tempDir(t)
    const writer = startProgram(t, ['writer', dir, 10_000])
    await writer.hear('created')
    const early = startProgram(t, ['follower', dir])
    await writer.hear('at 3000')
    const late = startProgram(t, ['follower', dir])
    const totals = [await writer.hear('total'), await writer.hear('total')].map(line =>
      line.split(' '),
    )
    for (const follower of [early, late]) {
      const lines = await follower.rest()
      const expected = totals.map(([name, records]) => `saw ${name} ${records}`)
      assert.deepEqual(
        lines.filter(line => line.startsWith('saw')).sort(),
        expected,
        follower.errors,
      )
      const [left, before, after] = lines.at(-1)?.split(' ') ?? []
      assert.equal(left, 'left')
      assert.equal(after, before, 'nothing is left at work after close')
      await follower.endedWell()
    }
    await writer.endedWell()
    const [first, second] = totals
    assert.deepEqual([first?.[0], second?.[0]], ['first', 'second'])
    assert.deepEqual([Number(first?.[1]), Number(second?.[1])], [20_000, 10_001])
    assert(Number(second?.[2]) > 40, `only ${second?.[2]} segments were rolled`)
  })

  it('records written and not flushed -> another process does not see them before the flush', async t => {
    const dir = tempDir(t)
    const log = await openLog(dir)
    const topic = await log.topic('orders', { flushRecords: -1, flushMs: -1 })
    await topic.append([{ value: '0' }, { value: '1' }], { acks: 'written' })
    await topic.flush()
    const looker = startProgram(t, ['looker', dir])
    looker.tell('look')
    assert.equal(await looker.hear('saw'), '2')
    await topic.append({ value: '2' }, { acks: 'written' })
    looker.tell('look')
    assert.equal(await looker.hear('saw'), '2')
    await topic.flush()
    looker.tell('look')
    assert.equal(await looker.hear('saw'), '3')
    await log.close()
  })
})
