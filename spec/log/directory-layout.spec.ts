/** The names in a log directory: which belong there, what each says, and what lies behind it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { NotALogError, StorageError } from '../../lib/errors.ts'
import type { Files } from '../../lib/files/files.ts'
import {
  asStorageError,
  inspectPartitionDirectory,
  listLogDirectory,
  makePartitionDirectory,
  parseSetAside,
  setAsideName,
  storageCall,
  storageWait,
  topicIdHex,
} from '../../lib/log/directory-layout.ts'
import { formatPartitionMetadata } from '../../lib/storage/partition-metadata.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { heldFiles } from '../support/held-files.ts'

const id = 'AAECAwQFRgeICQoLDA0ODw'
const hex = '000102030405460788090a0b0c0d0e0f'

/** Files under `/log`; a name that ends in `/` is a directory, one with `=` in it has that content. */
function filesOf(...names: readonly string[]): Files {
  const files = memoryFiles()
  files.makeDirectory('/log')
  for (const name of names) {
    const [path = '', content = ''] = name.split('=')
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const dir = `/log/${parts.slice(0, depth).join('/')}`
      if (files.stat(dir) === null) files.makeDirectory(dir)
    }
    if (!path.endsWith('/')) files.open(`/log/${path}`, 'create').writeSync(Buffer.from(content), 0)
  }
  return files
}

describe('setAsideName and parseSetAside', () => {
  it('a topic id -> its 32 hexadecimal digits', () => {
    assert.equal(topicIdHex(id), hex)
  })

  for (const why of ['delete', 'stray'] as const) {
    it(`out of the way, ${why} -> a name that says so, and reads back`, () => {
      const name = setAsideName({ topic: 'orders.eu', partition: 12 }, id, why)
      assert.equal(name, `orders.eu-12.${hex}-${why}`)
      assert.deepEqual(parseSetAside(name), { name, topicIdHex: hex, why })
    })
  }

  it('the longest topic name -> cut to 255 characters, and still read back', () => {
    const name = setAsideName({ topic: 'x'.repeat(249), partition: 100 }, id, 'delete')
    assert.equal(name.length, 255)
    assert.equal(parseSetAside(name)?.topicIdHex, hex)
  })

  for (const name of [
    'orders-0',
    `orders-0.${hex}-future`,
    `orders-0.${hex.slice(1)}-delete`,
    `orders-0.${hex.toUpperCase()}-delete`,
    `orders.${hex}-delete`,
    `orders-0.${hex}-delete.bak`,
  ]) {
    it(`${name} -> is no such name`, () => assert.equal(parseSetAside(name), null))
  }
})

describe('listLogDirectory', () => {
  const logs: readonly (readonly [string, readonly string[]])[] = [
    ['empty', []],
    ['only locks and lost+found', ['.lock', '.lock.pid', '.lock.pid.12', 'lost+found/']],
    ['a catalog, whatever is beside it', ['topics.catalog', 'package.json', 'src/index.js']],
    [
      'what Kafka writes',
      ['meta.properties', 'cleaner-offset-checkpoint', 'a-0/partition.metadata'],
    ],
    ['partitions without a catalog', ['a-0/00000000000000000000.log', 'a-1/']],
    ['what a crash left', ['topics.catalog.tmp', 'visible.slots.tmp', `a-0.${hex}-delete/x`]],
  ]
  for (const [what, names] of logs) {
    it(`${what} -> a log`, () => {
      const found = listLogDirectory(filesOf(...names), '/log').map(entry => entry.name)
      assert.deepEqual(found.sort(), [...new Set(names.map(name => name.split('/')[0]))].sort())
    })
  }

  const foreign: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a file of another program', ['package.json'], /package\.json/],
    ['a directory of another program', ['src/'], /src/],
    ['a directory that is only called like a partition', ['photos-1/cat.jpg'], /photos-1/],
    ['a file that is called like a partition', ['orders-0'], /orders-0/],
    ['a partition among other things', ['a-0/', 'notes'], /notes/],
    ['many things', ['e', 'd', 'c', 'b', 'a'], /a, b, c and 2 more/],
  ]
  for (const [what, names, message] of foreign) {
    it(`${what} -> NotALogError that names it`, () => {
      const error = { name: NotALogError.name, message }
      assert.throws(() => listLogDirectory(filesOf(...names), '/log'), error)
    })
  }

  it('it is not there -> StorageError', () => {
    assert.throws(() => listLogDirectory(memoryFiles(), '/log'), StorageError)
  })
})

describe('inspectPartitionDirectory', () => {
  const metadata = `a-0/partition.metadata=${formatPartitionMetadata(id)}`

  it('a partition with its metadata -> topic, partition and id', () => {
    const found = inspectPartitionDirectory(filesOf(metadata), '/log', 'a-0')
    assert.deepEqual([found?.topic, found?.partition, found?.topicId], ['a', 0, id])
  })

  it('metadata missing or unreadable -> no id', () => {
    for (const name of ['a-0/', 'a-0/partition.metadata=garbage']) {
      assert.equal(inspectPartitionDirectory(filesOf(name), '/log', 'a-0')?.topicId, null)
    }
  })

  it('another name -> null', () => {
    assert.equal(inspectPartitionDirectory(filesOf('src/'), '/log', 'src'), null)
  })

  const log = 'a-0/00000000000000000000.log'
  const rows: readonly (readonly [string, readonly string[], boolean])[] = [
    ['nothing in it', ['a-0/'], false],
    ['side files alone', [metadata, 'a-0/leader-epoch-checkpoint', 'a-0/segments.manifest'], false],
    ['side files that were being replaced', ['a-0/partition.metadata.tmp'], false],
    ['an empty log with its indexes', [log, 'a-0/00000000000000000000.index=12345678'], false],
    ['a log with bytes', [`${log}=x`], true],
    ['something that is no log’s', ['a-0/notes'], true],
    ['a directory', ['a-0/deeper/'], true],
  ]
  for (const [what, names, expected] of rows) {
    it(`${what} -> ${expected ? 'holds data' : 'holds none'}`, () => {
      const found = inspectPartitionDirectory(filesOf(...names), '/log', 'a-0')
      assert.equal(found?.holdsData, expected)
    })
  }
})

describe('makePartitionDirectory', () => {
  it('new -> the directory with its metadata, synced', async () => {
    const files = heldFiles(filesOf())
    await makePartitionDirectory(files, '/log/a-0', id)
    assert.equal(inspectPartitionDirectory(files, '/log', 'a-0')?.topicId, id)
    const content = files.trace.findIndex(line => line.startsWith('sync /log/a-0/'))
    assert.ok(content >= 0 && files.trace.indexOf('syncDirectory /log/a-0') > content)
  })

  it('a crash left it without metadata, or with other -> completed', async () => {
    for (const name of ['a-0/', 'a-0/partition.metadata=garbage']) {
      const files = filesOf(name)
      await makePartitionDirectory(files, '/log/a-0', id)
      assert.equal(inspectPartitionDirectory(files, '/log', 'a-0')?.topicId, id)
    }
  })
})

describe('asStorageError', () => {
  const errno = Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'open' })

  it('an errno error -> StorageError with path and operation, and itself as cause', () => {
    const error = asStorageError(errno, '/log/a', 'read')
    assert.ok(error instanceof StorageError)
    assert.deepEqual([error.path, error.operation, error.cause], ['/log/a', 'read', errno])
  })

  it('anything else -> as it is', () => {
    const other = new TypeError('mine')
    assert.equal(asStorageError(other, '/log/a', 'read'), other)
    const known = new StorageError('/log/b', 'sync', errno)
    assert.equal(asStorageError(known, '/log/a', 'read'), known)
  })

  it('storageCall and storageWait -> do that for what they run, and give its result', async () => {
    const fail = (): never => {
      throw errno
    }
    assert.throws(() => storageCall('/log/a', 'read', fail), { name: 'StorageError', cause: errno })
    const waiting = storageWait('/log/a', 'read', async () => fail())
    await assert.rejects(waiting, { name: 'StorageError', cause: errno })
    assert.equal(
      storageCall('/log/a', 'read', () => 5),
      5,
    )
    assert.equal(await storageWait('/log/a', 'read', async () => 5), 5)
  })
})
