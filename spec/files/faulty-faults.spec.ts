/** Faults on demand: which call they strike, and what a call that fails leaves behind. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { FaultKind, FaultyOperation } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { OpenFile } from '../../lib/files/files.ts'
import { assertOutcomes, durableFile, runsOf, textOf } from './faulty-outcomes.ts'

interface CallRow {
  readonly on: FaultyOperation
  readonly call: (files: FaultyFiles, file: OpenFile) => unknown
}

const calls: readonly CallRow[] = [
  { on: 'open', call: files => files.open('/d/new', 'create') },
  { on: 'read', call: (_, file) => file.read(Buffer.alloc(3), 0) },
  { on: 'read', call: (_, file) => file.readSync(Buffer.alloc(3), 0) },
  { on: 'write', call: (_, file) => file.write(Buffer.from('xyz'), 0) },
  { on: 'write', call: (_, file) => file.writeSync(Buffer.from('xyz'), 0) },
  { on: 'sync', call: (_, file) => file.syncData() },
  { on: 'truncate', call: (_, file) => file.truncate(1) },
  { on: 'readFile', call: files => files.readFile('/d/f') },
  { on: 'list', call: files => files.list('/d') },
  { on: 'stat', call: files => files.stat('/d/f') },
  { on: 'makeDirectory', call: files => files.makeDirectory('/d/new') },
  { on: 'rename', call: files => files.rename('/d/f', '/d/new') },
  { on: 'rename', call: files => files.replace('/d/f', '/d/new') },
  { on: 'link', call: files => files.link('/d/f', '/d/new') },
  { on: 'remove', call: files => files.remove('/d/f') },
  { on: 'removeDirectory', call: files => files.removeDirectory('/d/empty') },
  { on: 'syncDirectory', call: files => files.syncDirectory('/d') },
  { on: 'freeSpace', call: files => files.freeSpace('/d') },
  { on: 'lock', call: files => files.lock('/d') },
]

async function arrange(seed = 1): Promise<{ files: FaultyFiles; file: OpenFile }> {
  const files = faultyFiles({ seed })
  files.makeDirectory('/d')
  files.makeDirectory('/d/empty')
  const file = await durableFile(files, '/d/f', 'abc')
  await files.syncDirectory('/d')
  return { files, file }
}

describe('a call that fails', () => {
  calls.forEach(({ on, call }, index) => {
    it(`${on} (${index}) -> the code asked for; nothing is changed; the next one works`, async () => {
      const { files, file } = await arrange()
      const before = files.operations
      files.failAt({ operation: 1, kind: 'EACCES', on })
      await assert.rejects(async () => call(files, file), { code: 'EACCES' })
      assert.equal(files.operations, before + 1)
      assert.equal(textOf(files, '/d/f'), 'abc')
      const names = files.list('/d').map(entry => entry.name)
      assert.deepEqual(names.toSorted(), ['empty', 'f'])
      await call(files, file)
    })

    it(`${on} (${index}) when the power goes -> ECRASHED, and the machine has crashed`, async () => {
      for (let seed = 1; seed <= 20; seed++) {
        const { files, file } = await arrange(seed)
        files.failAt({ operation: 1, kind: 'crash', on })
        await assert.rejects(async () => call(files, file), { code: 'ECRASHED' })
        assert.equal(files.crashes, 1)
        assert.throws(() => file.sizeBytes(), { code: 'ECRASHED' })
      }
    })
  })

  for (const kind of ['EIO', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EMFILE', 'ENFILE', 'EROFS'] as const) {
    it(`${kind} -> an errno error that names the call, its number and the seed`, () => {
      const files = faultyFiles({ seed: 42 })
      files.failAt({ operation: 1, kind })
      assert.throws(
        () => files.open('/f', 'create'),
        (error: NodeJS.ErrnoException) => {
          assert.equal(error.code, kind)
          assert.equal(error.syscall, 'open')
          assert.equal(error.path, '/f')
          assert.ok((error.errno ?? 0) < 0)
          assert.match(error.message, /operation 1, seed 42/)
          return true
        },
      )
      assert.deepEqual(files.trace, [`1 open /f -> ${kind}`])
    })
  }
})

describe('a write that fails', () => {
  const ways = [
    ['write', (file: OpenFile, bytes: Buffer) => file.write(bytes, 100)],
    ['writeSync', async (file: OpenFile, bytes: Buffer) => file.writeSync(bytes, 100)],
  ] as const
  for (const [name, write] of ways) {
    const after = async (files: FaultyFiles, kind: FaultKind): Promise<string> => {
      const file = await durableFile(files, '/f', Buffer.alloc(100, 'a'))
      files.failAt({ operation: 1, kind })
      await assert.rejects(write(file, Buffer.alloc(100, 'b')), { code: kind })
      const runs = runsOf(textOf(files, '/f'))
      return runs === '100a' ? 'nothing' : runs === '100a 100b' ? 'all' : 'a part'
    }

    it(`${name} with ENOSPC -> nothing is written`, async () => {
      await assertOutcomes(['nothing'], files => after(files, 'ENOSPC'))
    })

    it(`${name} with EIO -> nothing, all or a part is written`, async () => {
      await assertOutcomes(['nothing', 'all', 'a part'], files => after(files, 'EIO'))
    })

    it(`${name}, short -> some bytes and not all, as many as it says, durable after a sync`, async () => {
      await assertOutcomes(['1', '2'], async files => {
        const file = await durableFile(files, '/f', Buffer.alloc(100, 'a'))
        files.failAt({ operation: 1, kind: 'short' })
        const count = await write(file, Buffer.from('bbb'))
        assert.equal(runsOf(textOf(files, '/f')), `100a ${count}b`)
        await file.syncData()
        files.crash()
        assert.equal(runsOf(textOf(files, '/f')), `100a ${count}b`)
        return String(count)
      })
    })

    it(`${name}, the power goes -> any part of it is left`, async () => {
      await assertOutcomes(['nothing', 'all', 'a part'], async files => {
        const file = await durableFile(files, '/f', Buffer.alloc(200, 'a'))
        files.failAt({ operation: 1, kind: 'crash' })
        await assert.rejects(write(file, Buffer.alloc(100, 'b')), { code: 'ECRASHED' })
        const text = textOf(files, '/f')
        assert.match(text, /^a{100}b*a*$/)
        return /b/.test(text) ? (/^a{100}b{100}$/.test(text) ? 'all' : 'a part') : 'nothing'
      })
    })
  }

  it('a short read -> fewer bytes than there are', async () => {
    await assertOutcomes(['0', '1', '2'], async files => {
      const file = await durableFile(files, '/f', 'abc')
      files.failAt({ operation: 1, kind: 'short', on: 'read' })
      const buffer = Buffer.alloc(3)
      const count = await file.read(buffer, 0)
      assert.equal(buffer.subarray(0, count).toString(), 'abc'.slice(0, count))
      return String(count)
    })
  })
})

describe('failAt', () => {
  it('the n-th call from now -> that one alone', () => {
    const files = faultyFiles({ seed: 1 })
    files.stat('/')
    files.failAt({ operation: 3, kind: 'EIO' })
    files.stat('/')
    files.list('/')
    assert.throws(() => files.stat('/'), { code: 'EIO' })
    files.stat('/')
  })

  it('on some calls -> only those count', async () => {
    const { files, file } = await arrange()
    files.failAt({ operation: 2, kind: 'EIO', on: ['sync', 'syncDirectory'] })
    await file.syncData()
    files.stat('/d')
    file.writeSync(Buffer.from('x'), 0)
    await assert.rejects(files.syncDirectory('/d'), { code: 'EIO' })
  })

  it('on some paths -> only those count', () => {
    const files = faultyFiles({ seed: 1 })
    files.failAt({ operation: 2, kind: 'EIO', path: /\.log$/g })
    files.stat('/a.index')
    files.stat('/a.log')
    assert.throws(() => files.stat('/a.log'), { code: 'EIO' })
  })

  it('sticky -> every such call from there on, until the faults are cleared', () => {
    const files = faultyFiles({ seed: 1 })
    files.failAt({ operation: 2, kind: 'EIO', on: 'stat', sticky: true })
    files.stat('/')
    for (let round = 0; round < 3; round++) assert.throws(() => files.stat('/'), { code: 'EIO' })
    files.list('/')
    files.clearFaults()
    files.stat('/')
  })

  it('cleared before it strikes -> never strikes', () => {
    const files = faultyFiles({ seed: 1 })
    files.failAt({ operation: 1, kind: 'EIO' })
    files.clearFaults()
    files.stat('/')
  })

  it('two faults -> each counts for itself', () => {
    const files = faultyFiles({ seed: 1 })
    files.failAt({ operation: 1, kind: 'EIO' })
    files.failAt({ operation: 2, kind: 'EMFILE' })
    assert.throws(() => files.stat('/'), { code: 'EIO' })
    assert.throws(() => files.stat('/'), { code: 'EMFILE' })
    files.stat('/')
  })

  it('short without a kind of call -> counts writes alone', async () => {
    const { files, file } = await arrange()
    files.failAt({ operation: 1, kind: 'short' })
    files.stat('/d')
    assert.ok(file.writeSync(Buffer.from('xyz'), 0) < 3)
  })

  it('a fault that can never strike -> RangeError', () => {
    const files = faultyFiles({ seed: 1 })
    assert.throws(() => files.failAt({ operation: 0, kind: 'EIO' }), RangeError)
    assert.throws(() => files.failAt({ operation: 1.5, kind: 'EIO' }), RangeError)
    assert.throws(() => files.failAt({ operation: 1, kind: 'short', on: 'sync' }), RangeError)
  })

  it('each call of a run made to fail in turn -> the run ends when no fault strikes any more', async () => {
    let operation = 1
    for (; ; operation++) {
      const files = faultyFiles({ seed: operation })
      files.failAt({ operation, kind: 'EIO' })
      try {
        await durableFile(files, '/f', 'abc')
        break
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EIO')
      }
    }
    // Open, write, sync and sync of the directory fail in turn.
    assert.equal(operation, 5)
  })
})

describe('setCapacity', () => {
  it('a write that reaches the capacity -> short; the next one -> ENOSPC; freed space -> works again', async () => {
    const files = faultyFiles({ seed: 1 })
    const other = await durableFile(files, '/other', Buffer.alloc(400, 'a'))
    files.setCapacity(1000)
    assert.deepEqual(await files.freeSpace('/'), { freeBytes: 600, totalBytes: 1000 })
    const file = files.open('/f', 'create')
    assert.equal(await file.write(Buffer.alloc(500, 'b'), 0), 500)
    assert.equal(await file.write(Buffer.alloc(500, 'b'), 500), 100)
    assert.equal(file.sizeBytes(), 600)
    await assert.rejects(file.write(Buffer.alloc(500, 'b'), 600), { code: 'ENOSPC' })
    assert.throws(() => file.writeSync(Buffer.alloc(1, 'b'), 600), { code: 'ENOSPC' })
    assert.equal(file.writeSync(Buffer.alloc(600, 'c'), 0), 600)
    other.truncate(100)
    assert.equal(file.writeSync(Buffer.alloc(500, 'b'), 600), 300)
    files.setCapacity(null)
    assert.equal(file.writeSync(Buffer.alloc(500, 'b'), 900), 500)
  })
})
