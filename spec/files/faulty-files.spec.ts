/** Faulty files without a fault keep the contract of `Files`; crashes, kills and what a seed repeats. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'

import { LockedError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import { forEachSeed } from '../support/random.ts'
import { assertOutcomes, durableFile, runsOf, textOf } from './faulty-outcomes.ts'
import { describeFilesContract } from './files-contract.ts'

describe('faultyFiles', () => {
  describeFilesContract(() => {
    const files = faultyFiles({ seed: 1 })
    files.makeDirectory('/data')
    return { files, dir: resolve('/data') }
  })

  it('the working directory -> there from the start, also after a crash', () => {
    const files = faultyFiles({ seed: 1 })
    files.crash()
    assert.equal(files.stat('.')?.isDirectory, true)
  })

  it('the same seed and the same calls -> the same order, trace and crash', async () => {
    await forEachSeed(50, async (_, seed) => {
      assert.deepEqual(await mixedRun(seed), await mixedRun(seed))
    })
  })

  it('other seeds -> other runs', async () => {
    const runs = await Promise.all([1, 2, 3, 4].map(async seed => (await mixedRun(seed)).join()))
    assert.equal(new Set(runs).size, 4)
  })

  it('no seed given -> it says which one it took', () => {
    const { seed } = faultyFiles()
    assert.ok(Number.isSafeInteger(seed))
    assert.equal(faultyFiles({ seed }).seed, seed)
  })

  it('calls under way together -> end in any order', async () => {
    await assertOutcomes(['12', '21'], async files => {
      const file = files.open('/f', 'create')
      const order: number[] = []
      const calls = [1, 2].map(async id => {
        await file.write(Buffer.from('x'), id)
        order.push(id)
      })
      await Promise.all(calls)
      return order.join('')
    })
  })

  it('a write under way -> a reader sees nothing, all or a part of it', async () => {
    await assertOutcomes(['none', 'part', 'all'], async files => {
      const file = files.open('/f', 'create')
      const write = file.write(Buffer.alloc(100, 'a'), 0)
      const size = file.sizeBytes()
      await write
      return size === 0 ? 'none' : size === 100 ? 'all' : 'part'
    })
  })

  it('a call -> has not ended in the turn in which it began', async () => {
    await forEachSeed(50, async (_, seed) => {
      const file = faultyFiles({ seed }).open('/f', 'create')
      let hasEnded = false
      const call = file.write(Buffer.from('x'), 0).then(() => {
        hasEnded = true
      })
      for (let step = 0; step < 10; step++) await Promise.resolve()
      assert.equal(hasEnded, false)
      await call
    })
  })

  it('a buffer changed after the call -> the bytes of the call are written', async () => {
    await assertOutcomes(['100a'], async files => {
      const file = files.open('/f', 'create')
      const buffer = Buffer.alloc(100, 'a')
      const write = file.write(buffer, 0)
      buffer.fill('x')
      await write
      return runsOf(textOf(files, '/f'))
    })
  })

  it('calls -> counted, and the last 200 traced', async () => {
    const files = faultyFiles({ seed: 1 })
    const file = files.open('/f', 'create')
    await file.write(Buffer.from('abc'), 7)
    files.rename('/f', '/g')
    assert.equal(files.operations, 3)
    assert.deepEqual(files.trace, ['1 open /f', '2 write /f 3 bytes at 7', '3 rename /f to /g'])
    for (let index = 0; index < 300; index++) files.stat('/g')
    assert.equal(files.trace.length, 200)
    assert.equal(files.trace.at(-1), '303 stat /g')
    assert.equal(files.trace.at(0), '104 stat /g')
  })

  it('a change -> dated by the clock', () => {
    const files = faultyFiles({ seed: 1, clock: manualClock(1000) })
    files.open('/f', 'create').close()
    assert.equal(files.stat('/f')?.modifiedMs, 1000)
  })
})

async function mixedRun(seed: number): Promise<readonly string[]> {
  const files = faultyFiles({ seed })
  const file = await durableFile(files, '/f', Buffer.alloc(5000, 'a'))
  files.failAt({ operation: 3, kind: 'short' })
  const order: string[] = []
  const calls = ['b', 'c', 'd', 'e'].map(async (letter, index) => {
    const count = await file.write(Buffer.alloc(3000, letter), index * 2000)
    order.push(`${letter} ${count}`)
  })
  await Promise.all([...calls, file.syncData()])
  files.rename('/f', '/g')
  files.crash()
  return [...order, ...files.trace, runsOf(textOf(files, '/f')), runsOf(textOf(files, '/g'))]
}

for (const [name, end] of [
  ['crash', (files: FaultyFiles) => files.crash()],
  ['killProcess', (files: FaultyFiles) => files.killProcess()],
] as const) {
  describe(name, () => {
    it('calls under way and later ones on open files -> ECRASHED; closing does nothing', async () => {
      await forEachSeed(50, async (_, seed) => {
        const files = faultyFiles({ seed })
        const file = await durableFile(files, '/f', 'abc')
        const buffer = Buffer.alloc(1)
        const pending = [
          file.read(buffer, 0),
          file.write(buffer, 0),
          file.syncData(),
          files.remove('/f'),
          files.syncDirectory('/'),
          files.freeSpace('/'),
          files.lock('/'),
        ]
        const settled = Promise.allSettled(pending)
        end(files)
        for (const result of await settled) {
          assert.equal(result.status === 'rejected' && result.reason.code, 'ECRASHED')
        }
        const calls = [
          () => file.read(buffer, 0),
          () => file.readSync(buffer, 0),
          () => file.write(buffer, 0),
          () => file.writeSync(buffer, 0),
          () => file.syncData(),
          () => file.truncate(0),
          () => file.sizeBytes(),
        ]
        for (const call of calls) await assert.rejects(async () => call(), { code: 'ECRASHED' })
        file.close()
      })
    })

    it('the files -> usable at once', async () => {
      const files = faultyFiles({ seed: 1 })
      await durableFile(files, '/f', 'abc')
      end(files)
      const file = files.open('/f', 'write')
      await file.write(Buffer.from('d'), 3)
      assert.equal(textOf(files, '/f'), 'abcd')
    })

    it('a view of the process that died -> every call fails with ECRASHED, a new view works', async () => {
      const files = faultyFiles({ seed: 1 })
      files.makeDirectory('/d')
      await files.syncDirectory('/')
      const before = files.currentProcess()
      assert.deepEqual(before.list('/d'), [])
      end(files)
      const calls = [
        () => before.open('/d/a', 'create'),
        () => before.readFile('/d/a'),
        () => before.list('/d'),
        () => before.stat('/d'),
        () => before.makeDirectory('/d/b'),
        () => before.rename('/d', '/e'),
        () => before.replace('/d/f', '/d/g'),
        () => before.link('/d/a', '/d/b'),
        () => before.remove('/d/a'),
        () => before.removeDirectory('/d'),
        () => before.syncDirectory('/d'),
        () => before.freeSpace('/d'),
        () => before.watch('/d', () => {}),
        () => before.lock('/d'),
      ]
      for (const call of calls) await assert.rejects(async () => call(), { code: 'ECRASHED' })
      assert.deepEqual(files.currentProcess().list('/d'), [])
    })

    it('locks and watches -> end; a late release does not unlock the next holder', async () => {
      const files = faultyFiles({ seed: 1 })
      const heard: string[] = []
      files.watch('/', () => heard.push('change'))
      const before = await files.lock('/')
      end(files)
      await files.lock('/')
      await before.release()
      await assert.rejects(files.lock('/'), LockedError)
      files.makeDirectory('/d')
      await new Promise(resolve => setImmediate(resolve))
      assert.deepEqual(heard, [])
    })
  })
}

describe('crash', () => {
  it('crashes -> counted, kills are not', () => {
    const files = faultyFiles({ seed: 1 })
    files.crash()
    files.killProcess()
    assert.equal(files.crashes, 1)
  })

  it('a write under way -> survives in any part', async () => {
    await assertOutcomes(['none', 'part', 'all'], async files => {
      const file = await durableFile(files, '/f', Buffer.alloc(1024, 'a'))
      const write = file.write(Buffer.alloc(1024, 'b'), 0)
      files.crash()
      await assert.rejects(write, { code: 'ECRASHED' })
      const text = textOf(files, '/f')
      assert.match(text, /^[ab]{1024}$/)
      return /^a+$/.test(text) ? 'none' : /^b+$/.test(text) ? 'all' : 'part'
    })
  })
})

describe('killProcess', () => {
  it('what the operating system was given -> stays, synced or not', async () => {
    await assertOutcomes(['100a 100b'], async files => {
      const file = await durableFile(files, '/f', Buffer.alloc(100, 'a'))
      file.writeSync(Buffer.alloc(100, 'b'), 100)
      files.rename('/f', '/g')
      files.killProcess()
      return runsOf(textOf(files, '/g'))
    })
  })

  it('a write under way -> was given nothing, a part or all', async () => {
    await assertOutcomes(['none', 'part', 'all'], async files => {
      const file = files.open('/f', 'create')
      const write = file.write(Buffer.alloc(100, 'b'), 0)
      files.killProcess()
      await assert.rejects(write, { code: 'ECRASHED' })
      const runs = runsOf(textOf(files, '/f'))
      assert.match(runs, /^(\d+b)?$/)
      return runs === '' ? 'none' : runs === '100b' ? 'all' : 'part'
    })
  })

  it('a removal under way -> done or not', async () => {
    await assertOutcomes(['absent', 'a'], async files => {
      await durableFile(files, '/f', 'a')
      const removal = files.remove('/f')
      files.killProcess()
      await assert.rejects(removal, { code: 'ECRASHED' })
      return textOf(files, '/f')
    })
  })

  it('a crash behind it -> may take what was not synced', async () => {
    await assertOutcomes(['100a', '100b'], async files => {
      const file = await durableFile(files, '/f', Buffer.alloc(100, 'a'))
      file.writeSync(Buffer.alloc(100, 'b'), 0)
      files.killProcess()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('a sync of the next process -> covers what the killed one wrote', async () => {
    await assertOutcomes(['100b'], async files => {
      const file = await durableFile(files, '/f', Buffer.alloc(100, 'a'))
      file.writeSync(Buffer.alloc(100, 'b'), 0)
      files.killProcess()
      await files.open('/f', 'read').syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })
})
