/**
 * A process killed with SIGKILL keeps its promises: what it had acknowledged as durable or written is
 * found again, whole appends only, no offset names two records, and the lock is free at once. The
 * cycles are in `kill-cycles.ts`, which runs more of them on its own.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { runKillCycles } from '../support/processes/kill-cycles.ts'
import { forEachSeed } from '../support/random.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('a process that appends is killed wherever it is', () => {
  it('200 times -> nothing acknowledged is lost, no append is in part, no offset is given twice', async t => {
    await forEachSeed(1, async (_random, seed) => {
      const report = await runKillCycles(t, { dir: tempDir(t), cycles: 200, seed })
      assert(report.acknowledged > 1000, `only ${report.acknowledged} acknowledgements`)
      assert(report.uncleanOpens > 20, `only ${report.uncleanOpens} opens had to recover`)
      for (const [moment, count] of Object.entries(report.killedWhile)) {
        assert(count > 0, `never killed while ${moment}`)
      }
    })
  })
})
