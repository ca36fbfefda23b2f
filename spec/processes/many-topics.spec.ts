/** Two thousand topics in one process, each appended to, read and followed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const hasProc = process.platform === 'linux'

describe('2,000 open topics', () => {
  it('all appended to at once, read and followed -> fewer than 200 file descriptors', {
    skip: hasProc ? false : 'descriptors are counted in /proc',
  }, async t => {
    const program = startProgram(t, ['many-topics', tempDir(t), 2000])
    const [most, records, live] = (await program.hear('done')).split(' ').map(Number)
    assert(most !== undefined && most < 200, `${most} descriptors`)
    assert.deepEqual([records, live], [2000, 2000])
    await program.endedWell()
  })
})
