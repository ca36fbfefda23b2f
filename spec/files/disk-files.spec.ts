/** The real disk keeps the contract of `Files`, and what is particular to it. */
import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { diskFiles } from '../../lib/files/disk-files.ts'
import { tempDir } from '../support/temp-dir.ts'
import { describeFilesContract } from './files-contract.ts'

describe('diskFiles', () => {
  describeFilesContract(test => ({ files: diskFiles, dir: tempDir(test) }))

  it('a symbolic link to a directory -> listed as a directory', test => {
    const dir = tempDir(test)
    diskFiles.makeDirectory(join(dir, 'real'))
    symlinkSync(join(dir, 'real'), join(dir, 'link'))
    symlinkSync(join(dir, 'nowhere'), join(dir, 'broken'))
    const found = new Map(diskFiles.list(dir).map(entry => [entry.name, entry.isDirectory]))
    assert.deepEqual(Object.fromEntries(found), { real: true, link: true, broken: false })
  })

  it('a file closed under its calls -> its descriptor is given back when they have ended', async test => {
    const dir = tempDir(test)
    const countBefore = openDescriptors()
    const file = diskFiles.open(join(dir, 'a'), 'create')
    const calls = [file.write(Buffer.alloc(100), 0), file.syncData()]
    file.close()
    await Promise.all(calls)
    assert.equal(openDescriptors(), countBefore)
  })
})

function openDescriptors(): number {
  return process.platform === 'linux' ? diskFiles.list('/proc/self/fd').length : 0
}
