/**
 * Index files on a disk that takes a part of them, or nothing, and says so instead of failing. A torn
 * index file must not pass for a whole one, neither where a sealed segment is finished nor where recovery
 * makes an index anew.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { DiskFullError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files, OpenFile } from '../../lib/files/files.ts'
import { writeIndexFile } from '../../lib/storage/index-files.ts'
import { manifestName } from '../../lib/storage/partition-files.ts'
import { parseManifest } from '../../lib/storage/segments-manifest.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { batchesFrom, dir, get, layDown, pathOf, recover } from '../support/log-files.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'

/** Of every write `taken` bytes are taken at most. */
function takingOnly(taken: number): Files {
  const files = memoryFiles()
  files.makeDirectory(dir)
  const open = files.open.bind(files)
  files.open = (path, mode): OpenFile => {
    const file = open(path, mode)
    const write = file.write.bind(file)
    file.write = (bytes, position) => write(bytes.subarray(0, taken), position)
    return file
  }
  return files
}

describe('writeIndexFile', () => {
  const to = { dir, baseOffset: 0, suffix: 'index' } as const
  const bytes = Buffer.alloc(80, 'entries')

  it('the file takes nothing, or a part -> DiskFullError', async () => {
    for (let taken = 0; taken < bytes.length; taken++) {
      const writing = writeIndexFile(takingOnly(taken), to, bytes)
      await assert.rejects(writing, DiskFullError, `${taken} bytes`)
    }
  })

  it('the file takes all, or there is nothing to take -> that is its content', async () => {
    for (const content of [bytes, bytes.subarray(0, 8), Buffer.alloc(0)]) {
      const files = takingOnly(bytes.length)
      await writeIndexFile(files, to, bytes)
      await writeIndexFile(files, to, content)
      assert.deepEqual(get(files, pathOf(0, 'index')), content)
    }
  })
})

for (const suffix of ['index', 'timeindex'] as const) {
  describe(`a sealed segment of whose .${suffix} the disk takes a part`, () => {
    const path = `p-0/00000000000000000000.${suffix}`
    const config = { segmentBytes: 600, indexIntervalBytes: 1 }
    const appended = 16

    /** Three segments; what can be finished is. */
    async function filled(files: FaultyFiles): Promise<TestPartition> {
      const opened = await openPartition({ files, config })
      for (let count = 0; count < appended; count++) {
        await opened.partition.append({ value: 'x'.repeat(20) }, durable)
      }
      await opened.partition.segments.whenFinished()
      return opened
    }

    async function torn(): Promise<{ files: FaultyFiles; opened: TestPartition }> {
      const files = faultyFiles({ seed: 1 })
      files.failAt({ operation: 1, kind: 'short', path: new RegExp(`/0{20}\\.${suffix}$`) })
      return { files, opened: await filled(files) }
    }

    function listed(files: FaultyFiles): readonly number[] {
      const text = get(files, `p-0/${manifestName}`).toString()
      return parseManifest(text)?.sealed.map(({ baseOffset }) => baseOffset) ?? []
    }

    it('is told and has no line, and the next one has', async () => {
      const { files, opened } = await torn()
      const [first, second = -1, ...rest] = opened.partition.segments.list.sealed
        .map(({ baseOffset }) => baseOffset)
        .concat(opened.partition.segments.active?.baseOffset ?? [])
      assert.deepEqual([first, rest.length], [0, 1])
      assert.match(opened.told.join(), /background finishing segment 0: /)
      assert.deepEqual(listed(files), [second])
      assert.notEqual(opened.partition.segments.list.sealed[0]?.pendingIndexes, null)
    })

    it('has it whole after the next open, be it behind a close or a power cut', async () => {
      const whole = faultyFiles({ seed: 1 })
      await filled(whole)
      for (const isClosed of [true, false]) {
        const { files, opened } = await torn()
        if (isClosed) await opened.partition.close()
        await files.syncDirectory('p-0')
        files.crash()
        const at = { files: files.currentProcess(), config, recoveryPoint: appended }
        const { partition } = await openPartition(at)
        await partition.segments.whenFinished()
        assert.deepEqual(get(files, path), get(whole, path))
        assert.ok(listed(files).includes(0))
      }
    })
  })

  describe(`an active segment whose entries for the .${suffix} the disk takes a part of`, () => {
    async function checkpointed(files: FaultyFiles): Promise<Buffer> {
      const { partition } = await openPartition({ files, config: { indexIntervalBytes: 1 } })
      for (let count = 0; count < 6; count++) {
        await partition.append({ value: 'x' }, durable)
        await partition.checkpoint()
      }
      return get(files, `p-0/00000000000000000000.${suffix}`)
    }

    it('is given them again by the next checkpoint', async () => {
      const whole = await checkpointed(faultyFiles({ seed: 1 }))
      for (let write = 1; write <= 4; write++) {
        const files = faultyFiles({ seed: write })
        files.failAt({ operation: write, kind: 'short', path: new RegExp(`/0{20}\\.${suffix}$`) })
        assert.deepEqual(await checkpointed(files), whole)
      }
    })
  })

  describe(`recovery that makes a .${suffix} anew, of which the disk takes a part`, () => {
    /** Without a file of that kind for the first of two segments, which is scanned. */
    async function lacking(): Promise<FaultyFiles> {
      const files = faultyFiles({ seed: 1 })
      await layDown(files, [batchesFrom(0, 20), batchesFrom(20, 5)])
      await files.remove(pathOf(0, suffix))
      return files
    }

    it('leaves no such file, keeps the indexes in memory, and the next one makes it whole', async () => {
      const files = await lacking()
      const whole = await lacking()
      files.failAt({ operation: 1, kind: 'short', path: new RegExp(`/0{20}\\.${suffix}$`) })
      const { sealed } = await recover(files, { checkpointedRecoveryPoint: 3 })
      assert.equal(files.stat(pathOf(0, suffix)), null)
      assert.notEqual(sealed[0]?.pendingIndexes, null)
      for (const each of [files, whole]) await recover(each, { checkpointedRecoveryPoint: 3 })
      assert.deepEqual(get(files, pathOf(0, suffix)), get(whole, pathOf(0, suffix)))
    })
  })
}
