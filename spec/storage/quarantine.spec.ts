/** What recovery cuts is copied first: completely or not under that name, once, and within a bound. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import type { Files } from '../../lib/files/files.ts'
import { type CutBytes, quarantine } from '../../lib/storage/quarantine.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { type HeldFiles, heldFiles } from '../support/held-files.ts'
import { put } from '../support/log-files.ts'

const dir = '/p-0'
const path = `${dir}/00000000000000000042.log`
const name = '00000000000000000042.10.quarantined'

/** A log of 30 bytes, of which 20 are going to be cut. */
const bytes = Buffer.from('0123456789abcdefghijklmnopqrst')
const cut: CutBytes = { path, baseOffset: 42, position: 10, endPosition: 30 }

async function filesWith(content: Buffer = bytes): Promise<HeldFiles> {
  const files = heldFiles(memoryFiles())
  files.makeDirectory(dir)
  await put(files, path, content)
  return files
}

function keep(files: Files, quarantineBytes = 1000, cuts: CutBytes[] = [cut]): Promise<number> {
  return quarantine(files, dir, { cuts, quarantineBytes })
}

/** The kept files by name. */
function kept(files: Files): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of files.list(dir)) {
    if (entry.name.endsWith('.log')) continue
    found[entry.name] = files.readFile(`${dir}/${entry.name}`)?.toString() ?? ''
  }
  return found
}

/** The files, in which `step` of a copy fails with `code`. */
function failing(inner: HeldFiles, step: 'write' | 'sync' | 'rename', code: string): Files {
  const fail = (): never => {
    throw Object.assign(new Error(code), { code, syscall: step })
  }
  return {
    ...inner,
    rename: step === 'rename' ? fail : inner.rename,
    open: (at, mode) => {
      const file = inner.open(at, mode)
      if (mode !== 'create') return file
      return {
        ...file,
        write: step === 'write' ? async () => fail() : file.write,
        syncData: step === 'sync' ? async () => fail() : file.syncData,
      }
    },
  }
}

describe('quarantine', () => {
  it('a cut -> its bytes, under the base offset and the position', async () => {
    const files = await filesWith()
    assert.equal(await keep(files), 20)
    assert.deepEqual(kept(files), { [name]: 'abcdefghijklmnopqrst' })
  })

  it('the copy -> synced under another name before it gets its own', async () => {
    const files = await filesWith()
    files.trace.length = 0
    let synced: string[] = []
    const { rename } = files
    files.rename = (from, to) => {
      synced = files.trace.filter(line => line.startsWith('sync '))
      rename(from, to)
    }
    await keep(files)
    assert.deepEqual(synced, [`sync ${dir}/${name}.tmp`])
  })

  it('a crash before the cut, and the same cut again -> counted, not copied again', async () => {
    const files = await filesWith()
    await keep(files)
    assert.equal(await keep(files), 20)
    assert.deepEqual(Object.keys(kept(files)), [name])
  })

  for (const later of ['ABCDEFGHIJ', 'ABCDEFGHIJKLMNOPQRST', 'abcdefghijklmnopqrsT']) {
    it(`other bytes cut at the same place later (${later}) -> both are kept`, async () => {
      const files = await filesWith()
      await keep(files)
      await put(files, path, Buffer.from(`0123456789${later}`))
      const again = { ...cut, endPosition: 10 + later.length }
      assert.equal(await keep(files, 1000, [again]), later.length)
      assert.deepEqual(kept(files), {
        [name]: 'abcdefghijklmnopqrst',
        '00000000000000000042.10.1.quarantined': later,
      })
    })
  }

  it('larger than the bound -> its first bytes, and nothing of the cuts behind it', async () => {
    const files = await filesWith()
    const cuts = [
      { ...cut, endPosition: 20 },
      { ...cut, position: 20 },
    ]
    assert.equal(await keep(files, 7, cuts), 7)
    assert.deepEqual(kept(files), { [name]: 'abcdefg' })
  })

  it('earlier recoveries have filled the bound -> nothing more is kept', async () => {
    const files = await filesWith()
    await put(files, `${dir}/00000000000000000000.5.quarantined`, Buffer.alloc(15))
    assert.equal(await keep(files, 18), 3)
    assert.equal(await keep(files, 18, [{ ...cut, position: 20 }]), 0)
  })

  it('files of other names -> do not count against the bound', async () => {
    const files = await filesWith()
    await put(files, `${dir}/notes.quarantined`, Buffer.alloc(999))
    assert.equal(await keep(files, 20), 20)
  })

  it('the bound is 0 -> nothing is kept, and nothing is written', async () => {
    const files = await filesWith()
    assert.equal(await keep(files, 0), 0)
    assert.deepEqual(kept(files), {})
  })

  it('what a crash left of a copy -> replaced', async () => {
    const files = await filesWith()
    await put(files, `${dir}/${name}.tmp`, Buffer.from('half, and longer than the whole copy'))
    assert.equal(await keep(files), 20)
    assert.deepEqual(kept(files), { [name]: 'abcdefghijklmnopqrst' })
  })

  it('longer than one chunk -> whole', async () => {
    const large = Buffer.alloc(3_000_000, 'abcdefg')
    const files = await filesWith(large)
    const cuts = [{ ...cut, endPosition: large.length }]
    assert.equal(await keep(files, 1e9, cuts), large.length - 10)
    assert.deepEqual(files.readFile(`${dir}/${name}`), large.subarray(10))
    assert.equal(await keep(files, 1e9, cuts), large.length - 10)
  })

  for (const code of ['ENOSPC', 'EDQUOT']) {
    it(`the disk is full (${code}) -> goes on without, and leaves nothing behind`, async () => {
      const files = await filesWith()
      assert.equal(await keep(failing(files, 'write', code)), 0)
      assert.deepEqual(kept(files), {})
    })
  }

  for (const step of ['write', 'sync', 'rename'] as const) {
    it(`${step} fails otherwise -> StorageError, nothing under the name, nothing left behind`, async () => {
      const files = await filesWith()
      await assert.rejects(keep(failing(files, step, 'EIO')), StorageError)
      assert.deepEqual(kept(files), {})
    })
  }
})
