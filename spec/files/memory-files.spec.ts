/** Files in memory keep the contract of `Files`, and what is particular to them. */
import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import { describeFilesContract } from './files-contract.ts'

describe('memoryFiles', () => {
  describeFilesContract(() => {
    const files = memoryFiles()
    files.makeDirectory('/data')
    return { files, dir: resolve('/data') }
  })

  it('two of them -> share nothing', () => {
    const files = memoryFiles()
    files.open('/a', 'create').close()
    assert.equal(memoryFiles().stat('/a'), null)
  })

  it('a relative path -> lies in the working directory', () => {
    const files = memoryFiles()
    files.makeDirectory('data')
    files.open('data/a', 'create').close()
    assert.deepEqual(files.list(join(process.cwd(), 'data')), [{ name: 'a', isDirectory: false }])
  })

  it('a buffer changed after the call -> the bytes of the call are written', async () => {
    const file = memoryFiles().open('/a', 'create')
    const buffer = Buffer.from('abc')
    const written = file.write(buffer, 0)
    buffer.fill('x')
    await written
    const read = Buffer.alloc(3)
    file.readSync(read, 0)
    assert.equal(read.toString(), 'abc')
  })

  it('a stopped watch -> not called back any more', async () => {
    const files = memoryFiles()
    const heard: string[] = []
    const stop = files.watch('/', () => heard.push('stopped'))
    files.watch('/', () => heard.push('other'))
    files.makeDirectory('/a')
    stop()
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(heard, ['other'])
  })

  it('a change -> dated by the clock', () => {
    const clock = manualClock(1000)
    const files = memoryFiles({ clock })
    const file = files.open('/a', 'create')
    assert.equal(files.stat('/a')?.modifiedMs, 1000)
    clock.advance(500)
    file.writeSync(Buffer.from('x'), 0)
    assert.equal(files.stat('/a')?.modifiedMs, 1500)
  })

  it('a file of a terabyte with one byte in it -> costs no more than the byte', () => {
    const file = memoryFiles().open('/a', 'create')
    file.truncate(2 ** 40)
    file.writeSync(Buffer.from('x'), 2 ** 39)
    const read = Buffer.alloc(3, 'y')
    file.readSync(read, 2 ** 39 - 1)
    assert.equal(read.toString(), '\0x\0')
    assert.equal(file.sizeBytes(), 2 ** 40)
  })
})
