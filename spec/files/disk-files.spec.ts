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

  it('files of all sizes read one after the other -> each whole, in memory of its own', test => {
    const path = join(tempDir(test), 'a')
    const file = diskFiles.open(path, 'create')
    const sizes = [0, 1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 100_000]
    const contents = sizes.map((size, index) => Buffer.alloc(size, index + 1))
    const read = contents.map(content => {
      file.writeSync(content, 0)
      return diskFiles.readFile(path)
    })
    file.close()
    for (const [index, content] of contents.entries()) assert.ok(read[index]?.equals(content))
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
