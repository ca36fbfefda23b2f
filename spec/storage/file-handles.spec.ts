/** How many files are open at once, which may be closed, and who hears that there is room. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { FileHandles } from '../../lib/storage/file-handles.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { heldFiles } from '../support/held-files.ts'

/** Files that are there already, and the paths that are open now, in order of opening. */
function filesOf(...names: readonly string[]): { files: Files; open: string[] } {
  const inner = memoryFiles()
  for (const name of names) inner.open(name, 'create').close()
  const open: string[] = []
  const files: Files = {
    ...heldFiles(inner),
    open: (path, mode) => {
      const file = heldFiles(inner).open(path, mode)
      open.push(path)
      return {
        ...file,
        close: () => {
          assert.ok(open.includes(path), `${path} is closed once`)
          open.splice(open.indexOf(path), 1)
          file.close()
        },
      }
    },
  }
  return { files, open }
}

describe('FileHandles', () => {
  it('pinned twice -> opened once, and stays open behind the last release', () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 2)
    const [first, second] = [handles.pin('/a', 'read'), handles.pin('/a', 'read')]
    assert.equal(first.file, second.file)
    first.release()
    second.release()
    assert.deepEqual(open, ['/a'])
    assert.equal(handles.pin('/a', 'read').file, first.file)
  })

  it('past the limit -> the file that was used least recently is closed', () => {
    const { files, open } = filesOf('/a', '/b', '/c')
    const handles = new FileHandles(files, 2)
    for (const path of ['/a', '/b', '/a', '/c']) handles.pin(path, 'read').release()
    assert.deepEqual(open, ['/a', '/c'])
    assert.equal(handles.openCount, 2)
  })

  it('the oldest is pinned -> another one is closed', () => {
    const { files, open } = filesOf('/a', '/b', '/c')
    const handles = new FileHandles(files, 2)
    handles.pin('/a', 'read')
    handles.pin('/b', 'read').release()
    handles.pin('/c', 'read')
    assert.deepEqual(open, ['/a', '/c'])
  })

  it('all are pinned -> no room; a release makes some, kept for who waits, who hears of it once the releaser is done', async () => {
    const { files } = filesOf('/a', '/b')
    const handles = new FileHandles(files, 2)
    const pins = [handles.pin('/a', 'read'), handles.pin('/b', 'read')]
    assert.equal(handles.hasRoom, false)
    let [pressures, calls] = [0, 0]
    handles.onPressure(() => pressures++)
    handles.onceFree(() => calls++)
    assert.deepEqual([pressures, calls], [1, 0])
    pins[0]?.release()
    assert.deepEqual([handles.hasRoom, calls], [false, 0])
    await Promise.resolve()
    assert.deepEqual([handles.hasRoom, calls], [true, 1])
    pins[1]?.release()
    await Promise.resolve()
    assert.equal(calls, 1)
  })

  it('released, and pinned again before who waits hears of it -> it goes on waiting for the next', async () => {
    const { files } = filesOf('/a', '/b')
    const handles = new FileHandles(files, 1)
    const first = handles.pin('/a', 'read')
    let calls = 0
    handles.onceFree(() => calls++)
    first.release()
    const second = handles.pin('/b', 'read')
    await Promise.resolve()
    assert.deepEqual([calls, handles.isWanted], [0, true])
    second.release()
    await Promise.resolve()
    assert.deepEqual([calls, handles.isWanted], [1, false])
  })

  it('opened past the limit all the same -> closed as soon as it is released', () => {
    const { files, open } = filesOf('/a', '/b')
    const handles = new FileHandles(files, 1)
    handles.pin('/a', 'read')
    const b = handles.pin('/b', 'read')
    assert.deepEqual(open, ['/a', '/b'])
    b.release()
    assert.deepEqual(open, ['/a'])
  })

  it('released twice -> counts once', () => {
    const { files } = filesOf('/a', '/b')
    const handles = new FileHandles(files, 1)
    const [first] = [handles.pin('/a', 'read'), handles.pin('/a', 'read')]
    first.release()
    first.release()
    assert.equal(handles.hasRoom, false)
  })

  it('open to read and wanted to write -> opened anew, the reader keeps its own', () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 4)
    const reader = handles.pin('/a', 'read')
    const writer = handles.pin('/a', 'write')
    assert.notEqual(reader.file, writer.file)
    assert.equal(handles.openCount, 2)
    reader.release()
    assert.equal(open.length, 1)
    assert.equal(handles.pin('/a', 'read').file, writer.file)
  })

  it('open to write and wanted to read -> the same file', () => {
    const { files } = filesOf('/a')
    const handles = new FileHandles(files, 4)
    assert.equal(handles.pin('/a', 'write').file, handles.pin('/a', 'read').file)
  })

  it('forgotten while pinned -> good until released; the next pin opens what is there now', async () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 4)
    const old = handles.pin('/a', 'read')
    handles.forget('/a')
    await files.remove('/a')
    const now = handles.pin('/a', 'create')
    assert.notEqual(now.file, old.file)
    assert.equal(open.length, 2)
    old.release()
    assert.equal(open.length, 1)
    assert.equal(handles.openCount, 1)
  })

  it('forgotten by prefix -> those files alone are closed', () => {
    const { files, open } = filesOf('/p-1', '/p-10', '/q')
    const handles = new FileHandles(files, 4)
    for (const path of ['/p-1', '/p-10', '/q']) handles.pin(path, 'read').release()
    handles.forgetAll('/p-1')
    assert.deepEqual(open, ['/q'])
  })

  it('opening fails -> the error passes, and nothing is pinned', () => {
    const { files } = filesOf()
    const handles = new FileHandles(files, 1)
    assert.throws(() => handles.pin('/missing', 'read'), { code: 'ENOENT' })
    assert.equal(handles.hasRoom, true)
    assert.equal(handles.openCount, 0)
  })

  it('a file is retired that nobody uses -> it is closed at once', async () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 2)
    handles.pin('/a', 'read').release()
    await handles.retire('/a')
    assert.deepEqual(open, [])
    await handles.retire('/a')
  })

  it('a file is retired that is pinned -> that resolves behind the last release, with the file closed', async () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 2)
    const [first, second] = [handles.pin('/a', 'read'), handles.pin('/a', 'read')]
    let isRetired = false
    const retired = handles.retire('/a').then(() => {
      isRetired = true
    })
    first.release()
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(isRetired, false)
    second.release()
    await retired
    assert.deepEqual(open, [])
  })

  it('a file is pinned while it is retired -> it is opened anew and not waited for', async () => {
    const { files, open } = filesOf('/a')
    const handles = new FileHandles(files, 2)
    const before = handles.pin('/a', 'read')
    const retired = handles.retire('/a')
    const after = handles.pin('/a', 'read')
    assert.notEqual(after.file, before.file)
    before.release()
    await retired
    assert.deepEqual(open, ['/a'])
  })
})
