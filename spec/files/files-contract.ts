import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import { LockedError } from '../../lib/errors.ts'
import type { Files, OpenFile } from '../../lib/files/files.ts'
import { forEachSeed } from '../support/random.ts'
import { failures } from './files-contract-failures.ts'

/** Files to test, and an empty directory in them. */
export interface FilesUnderTest {
  readonly files: Files
  readonly dir: string
}

/** Registers what every implementation of `Files` must do, as long as nothing fails. */
export function describeFilesContract(make: (test: TestContext) => FilesUnderTest): void {
  describeContent(make)
  describeNames(make)
  describeEnds(make)
}

type Make = (test: TestContext) => FilesUnderTest

function contentOf({ files, dir }: FilesUnderTest, name: string): string | undefined {
  return files.readFile(join(dir, name))?.toString()
}

function createWith({ files, dir }: FilesUnderTest, name: string, content: string): OpenFile {
  const file = files.open(join(dir, name), 'create')
  file.writeSync(Buffer.from(content), 0)
  return file
}

function describeContent(make: Make): void {
  describe('content of a file', () => {
    it('a created file is empty and there', test => {
      const under = make(test)
      const file = under.files.open(join(under.dir, 'a'), 'create')
      assert.equal(file.sizeBytes(), 0)
      assert.equal(contentOf(under, 'a'), '')
      file.close()
    })

    it('bytes written at a position -> read back from there, by this and by another handle', async test => {
      const { files, dir } = make(test)
      const writer = files.open(join(dir, 'a'), 'create')
      assert.equal(await writer.write(Buffer.from('hello'), 0), 5)
      assert.equal(writer.writeSync(Buffer.from('world'), 5), 5)
      const reader = files.open(join(dir, 'a'), 'read')
      for (const file of [reader, writer]) {
        const buffer = Buffer.alloc(6)
        assert.equal(await file.read(buffer, 3), 6)
        assert.equal(buffer.toString(), 'loworl')
        assert.equal(file.readSync(buffer, 4), 6)
        assert.equal(buffer.toString(), 'oworld')
        file.close()
      }
    })

    it('a read over the end -> what is there, and nothing from the end on', async test => {
      const file = createWith(make(test), 'a', 'abc')
      const buffer = Buffer.alloc(10, 'x')
      assert.equal(await file.read(buffer, 1), 2)
      assert.equal(buffer.toString(), 'bcxxxxxxxx')
      assert.equal(file.readSync(buffer, 2), 1)
      assert.equal(await file.read(buffer, 3), 0)
      assert.equal(file.readSync(buffer, 4711), 0)
      file.close()
    })

    it('a write beyond the end -> zeros in between', test => {
      const under = make(test)
      const file = createWith(under, 'a', 'a')
      file.writeSync(Buffer.from('b'), 3)
      assert.equal(contentOf(under, 'a'), 'a\0\0b')
      file.close()
    })

    it('a write of no bytes -> changes nothing', async test => {
      const file = createWith(make(test), 'a', 'a')
      assert.equal(await file.write(Buffer.alloc(0), 100), 0)
      assert.equal(file.sizeBytes(), 1)
      file.close()
    })

    it('a file that is cut and grown again -> zeros where it was cut', test => {
      const under = make(test)
      const file = createWith(under, 'a', 'abcdef')
      file.truncate(2)
      assert.equal(file.sizeBytes(), 2)
      file.truncate(4)
      file.writeSync(Buffer.from('f'), 5)
      assert.equal(contentOf(under, 'a'), 'ab\0\0\0f')
      file.close()
    })

    it('an existing file opened for writing -> keeps its content', test => {
      const under = make(test)
      createWith(under, 'a', 'abc').close()
      const file = under.files.open(join(under.dir, 'a'), 'write')
      file.writeSync(Buffer.from('X'), 1)
      file.close()
      assert.equal(contentOf(under, 'a'), 'aXc')
    })

    it('random writes, cuts and reads -> the same as an array of bytes', async test => {
      const { files, dir } = make(test)
      await forEachSeed(10, async (random, seed) => {
        const file = files.open(join(dir, `random-${seed}`), 'create')
        let model = Buffer.alloc(0)
        for (let step = 0; step < 40; step++) {
          const position = random.below(200_000)
          const bytes = Buffer.alloc(
            random.below(random.pick([10, 5_000, 150_000])),
            random.below(256),
          )
          if (random.chance(0.2)) {
            const cut = Buffer.alloc(position)
            model.copy(cut)
            model = cut
            file.truncate(position)
          } else if (bytes.length > 0) {
            const grown = Buffer.alloc(Math.max(model.length, position + bytes.length))
            model.copy(grown)
            bytes.copy(grown, position)
            model = grown
            if (random.chance(0.5)) file.writeSync(bytes, position)
            else await file.write(bytes, position)
          }
          const buffer = Buffer.alloc(random.below(100_000))
          const from = random.below(200_000)
          const count = random.chance(0.5)
            ? file.readSync(buffer, from)
            : await file.read(buffer, from)
          assert.ok(buffer.subarray(0, count).equals(model.subarray(from, from + buffer.length)))
        }
        assert.equal(file.sizeBytes(), model.length)
        file.close()
      })
    })

    it('several megabytes written at once -> read back whole', async test => {
      const { files, dir } = make(test)
      const file = files.open(join(dir, 'a'), 'create')
      const bytes = Buffer.alloc(3 * 1024 * 1024 + 7)
      for (let position = 0; position + 4 <= bytes.length; position += 4) {
        bytes.writeUInt32BE(position, position)
      }
      assert.equal(await file.write(bytes, 1), bytes.length)
      const read = Buffer.alloc(bytes.length)
      assert.equal(await file.read(read, 1), bytes.length)
      assert.ok(read.equals(bytes))
      file.close()
    })

    it('overlapping calls -> each does its own part', async test => {
      const under = make(test)
      const file = createWith(under, 'a', '')
      const letters = [...'abcdefghij']
      await Promise.all(letters.map((letter, index) => file.write(Buffer.from(letter), index)))
      await Promise.all([file.syncData(), file.syncData()])
      assert.equal(contentOf(under, 'a'), 'abcdefghij')
      file.close()
    })
  })
}

function describeNames(make: Make): void {
  describe('names', () => {
    it('nothing there -> null from stat and readFile', test => {
      const { files, dir } = make(test)
      createWith({ files, dir }, 'file', '').close()
      for (const path of [join(dir, 'a'), join(dir, 'a', 'b'), join(dir, 'file', 'b')]) {
        assert.equal(files.stat(path), null)
        assert.equal(files.readFile(path), null)
      }
    })

    it('a file and a directory -> stat and list tell them apart', test => {
      const under = make(test)
      const { files, dir } = under
      createWith(under, 'file', 'abc').close()
      files.makeDirectory(join(dir, 'sub'))
      assert.equal(files.stat(join(dir, 'file'))?.sizeBytes, 3)
      assert.equal(files.stat(join(dir, 'file'))?.isDirectory, false)
      assert.equal(files.stat(join(dir, 'sub'))?.isDirectory, true)
      assert.deepEqual(
        files.list(dir).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        [
          { name: 'file', isDirectory: false },
          { name: 'sub', isDirectory: true },
        ],
      )
      assert.deepEqual(files.list(join(dir, 'sub')), [])
    })

    for (const way of ['rename', 'replace'] as const)
      it(`a file given the name of another by ${way} -> is in its place; open handles keep the file that they opened`, async test => {
        const under = make(test)
        const { files, dir } = under
        const old = createWith(under, 'a', 'old')
        const fresh = createWith(under, 'a.tmp', 'new')
        await files[way](join(dir, 'a.tmp'), join(dir, 'a'))
        assert.equal(contentOf(under, 'a'), 'new')
        assert.equal(files.stat(join(dir, 'a.tmp')), null)
        fresh.writeSync(Buffer.from('N'), 0)
        old.writeSync(Buffer.from('O'), 0)
        assert.equal(contentOf(under, 'a'), 'New')
        const buffer = Buffer.alloc(3)
        await old.read(buffer, 0)
        assert.equal(buffer.toString(), 'Old')
        old.close()
        fresh.close()
      })

    it('a file renamed onto a name that it has -> keeps all its names', test => {
      const under = make(test)
      const { files, dir } = under
      createWith(under, 'a', 'abc').close()
      files.link(join(dir, 'a'), join(dir, 'b'))
      files.rename(join(dir, 'a'), join(dir, 'b'))
      files.rename(join(dir, 'a'), join(dir, 'a'))
      assert.equal(contentOf(under, 'a'), 'abc')
      assert.equal(contentOf(under, 'b'), 'abc')
    })

    it('a renamed directory -> what is in it goes with it', test => {
      const under = make(test)
      const { files, dir } = under
      files.makeDirectory(join(dir, 'sub'))
      createWith(under, 'sub/a', 'abc').close()
      files.rename(join(dir, 'sub'), join(dir, 'other'))
      assert.equal(contentOf(under, 'other/a'), 'abc')
      assert.equal(files.stat(join(dir, 'sub')), null)
    })

    it('a removed file -> gone from the directory, usable by those who have it open', async test => {
      const under = make(test)
      const { files, dir } = under
      const file = createWith(under, 'a', 'abc')
      await files.remove(join(dir, 'a'))
      assert.deepEqual(files.list(dir), [])
      file.writeSync(Buffer.from('d'), 3)
      await file.syncData()
      const buffer = Buffer.alloc(4)
      assert.equal(file.readSync(buffer, 0), 4)
      assert.equal(buffer.toString(), 'abcd')
      file.close()
    })

    it('a linked file -> one content under two names, until the last is removed', async test => {
      const under = make(test)
      const { files, dir } = under
      const file = createWith(under, 'a', 'abc')
      files.link(join(dir, 'a'), join(dir, 'b'))
      file.writeSync(Buffer.from('X'), 0)
      file.close()
      await files.remove(join(dir, 'a'))
      assert.equal(contentOf(under, 'b'), 'Xbc')
    })

    it('a removed directory -> gone', test => {
      const { files, dir } = make(test)
      files.makeDirectory(join(dir, 'sub'))
      files.removeDirectory(join(dir, 'sub'))
      assert.deepEqual(files.list(dir), [])
    })

    for (const row of failures) {
      it(`${row.title} -> ${row.codes.join(' or ')}, with syscall and path`, async test => {
        const under = make(test)
        const { files, dir } = under
        createWith(under, 'file', 'abc').close()
        createWith(under, 'other', 'abc').close()
        files.makeDirectory(join(dir, 'empty'))
        files.makeDirectory(join(dir, 'full'))
        createWith(under, 'full/file', '').close()
        await assert.rejects(
          async () => row.call(files, (name: string) => join(dir, name)),
          (error: NodeJS.ErrnoException) => {
            assert.ok(row.codes.includes(error.code ?? ''), `unexpected ${error.code}`)
            assert.equal(typeof error.syscall, 'string')
            assert.ok(error.path?.startsWith(dir))
            return true
          },
        )
      })
    }
  })
}

function describeEnds(make: Make): void {
  describe('handles, syncs, locks and watches', () => {
    it('a closed file -> every call fails with EBADF, closing again does nothing', async test => {
      const file = createWith(make(test), 'a', 'abc')
      file.close()
      file.close()
      const buffer = Buffer.alloc(1)
      const calls = [
        () => file.read(buffer, 0),
        () => file.readSync(buffer, 0),
        () => file.write(buffer, 0),
        () => file.writeSync(buffer, 0),
        () => file.syncData(),
        () => file.truncate(0),
        () => file.sizeBytes(),
      ]
      for (const call of calls) await assert.rejects(async () => call(), { code: 'EBADF' })
    })

    it('a file closed under its calls -> they end as if it were open', async test => {
      const under = make(test)
      const file = createWith(under, 'a', 'abc')
      const calls = [file.write(Buffer.from('def'), 3), file.syncData()]
      file.close()
      await Promise.all(calls)
      assert.equal(contentOf(under, 'a'), 'abcdef')
    })

    it('a file opened for reading -> can be synced', async test => {
      const under = make(test)
      createWith(under, 'a', 'abc').close()
      const file = under.files.open(join(under.dir, 'a'), 'read')
      await file.syncData()
      file.close()
    })

    it('a directory -> can be synced', async test => {
      const under = make(test)
      createWith(under, 'a', 'abc').close()
      await under.files.syncDirectory(under.dir)
      assert.equal(contentOf(under, 'a'), 'abc')
    })

    it('the disk -> free space of no more than it has', async test => {
      const { files, dir } = make(test)
      const { freeBytes, totalBytes } = await files.freeSpace(dir)
      assert.ok(freeBytes > 0 && freeBytes <= totalBytes)
    })

    it('a locked directory -> refused until it is released, and another one is not', async test => {
      const { files, dir } = make(test)
      files.makeDirectory(join(dir, 'a'))
      files.makeDirectory(join(dir, 'b'))
      const lock = await files.lock(join(dir, 'a'))
      await assert.rejects(files.lock(join(dir, 'a')), (error: unknown) => {
        assert.ok(error instanceof LockedError)
        assert.equal(error.sameProcess, true)
        assert.equal(error.dir, join(dir, 'a'))
        return true
      })
      const other = await files.lock(join(dir, 'b'))
      await other.release()
      await lock.release()
      await lock.release()
      const again = await files.lock(join(dir, 'a'))
      await lock.release()
      await assert.rejects(files.lock(join(dir, 'a')), LockedError)
      await again.release()
    })

    for (const [what, change] of watchedChanges) {
      it(`a watched directory, ${what} -> called back`, async test => {
        const under = make(test)
        createWith(under, 'present', 'abc').close()
        await new Promise<void>(resolve => {
          const stop = under.files.watch(under.dir, () => {
            stop()
            stop()
            resolve()
          })
          change(under)
          // A watch does not keep the process alive, what it waits for here does.
          const keepAlive = setTimeout(() => {}, 60_000)
          test.after(() => clearTimeout(keepAlive))
        })
      })
    }
  })
}

const watchedChanges: readonly (readonly [string, (under: FilesUnderTest) => void])[] = [
  ['a file created in it', under => createWith(under, 'a', 'abc').close()],
  ['a file in it renamed', ({ files, dir }) => files.rename(join(dir, 'present'), join(dir, 'a'))],
  [
    'a file in it written',
    ({ files, dir }) => {
      const file = files.open(join(dir, 'present'), 'write')
      file.writeSync(Buffer.from('x'), 0)
      file.close()
    },
  ],
]
