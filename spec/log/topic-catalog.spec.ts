/**
 * The catalog's format against bytes that were worked out by hand (Python's zlib.crc32 for the last
 * line), its refusal of everything else, and the group commit of changes.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { UnsupportedFormatError } from '../../lib/errors.ts'
import {
  type Catalog,
  emptyCatalog,
  formatCatalog,
  parseCatalog,
  TopicCatalog,
} from '../../lib/log/topic-catalog.ts'
import { withChecksum } from '../../lib/storage/checkpoint-file.ts'
import { faultyFiles } from '../../lib/testing/index.ts'

const ordersId = 'AAECAwQFRgeICQoLDA0ODw'
const oldId = 'EBESExQVRheYGRobHB0eHw'

const golden = `varve catalog 1
topic a.b ${oldId} 1 {}
topic orders ${ordersId} 4 {"acks":"written","segmentBytes":4096}
deleting old ${oldId} 2
crc32 42f5cdb9
`

const catalog: Catalog = {
  topics: new Map([
    [
      'orders',
      {
        name: 'orders',
        id: ordersId,
        partitions: 4,
        config: { segmentBytes: 4096, acks: 'written' },
      },
    ],
    ['a.b', { name: 'a.b', id: oldId, partitions: 1, config: {} }],
  ]),
  deleting: new Map([[oldId, { name: 'old', id: oldId, partitions: 2 }]]),
}

const path = 'log/topics.catalog'

describe('formatCatalog and parseCatalog', () => {
  it('a topic that was found without a line → a line of its own kind, and found again', () => {
    const topic = { name: 'found', id: oldId, partitions: 2, config: {}, isAdopted: true }
    const given: Catalog = { topics: new Map([['found', topic]]), deleting: new Map() }
    assert.match(formatCatalog(given), /^adopted found \S+ 2 \{\}$/m)
    assert.deepEqual(parseCatalog(formatCatalog(given), path), given)
  })

  it('lists and words with quotes, braces, spaces and lone surrogates → as they were', () => {
    const config = {
      retentionMs: 5,
      retainUntilConsumed: ['{"a": 1}', 'with space', 'ünïcödé \ud800', "'"],
      cleanupPolicy: 'compact,delete',
    } as const
    const topic = { name: 'orders', id: ordersId, partitions: 4, config }
    const given: Catalog = { topics: new Map([['orders', topic]]), deleting: new Map() }
    assert.deepEqual(parseCatalog(formatCatalog(given), path), given)
  })

  it('topics in any order → the golden text, sorted by name', () => {
    assert.equal(formatCatalog(catalog), golden)
  })

  it('the golden text → the topics', () => {
    const parsed = parseCatalog(golden, path)
    assert.deepEqual(
      new Map([...(parsed?.topics ?? [])].sort()),
      new Map([...catalog.topics].sort()),
    )
    assert.deepEqual(parsed?.deleting, catalog.deleting)
  })

  it('a catalog without topics → read as such', () => {
    assert.deepEqual(parseCatalog(formatCatalog(emptyCatalog), path), emptyCatalog)
  })

  it('any one byte flipped → not believed', () => {
    const bytes = Buffer.from(golden)
    for (let position = 0; position < bytes.length; position++) {
      for (const mask of [0x01, 0x20, 0x80]) {
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8(flipped.readUInt8(position) ^ mask, position)
        assert.equal(parseCatalog(flipped.toString(), path), null, `byte ${position}`)
      }
    }
  })

  it('any true prefix → not believed', () => {
    for (let length = 0; length < golden.length; length++) {
      assert.equal(parseCatalog(golden.slice(0, length), path), null, `${length} bytes`)
    }
  })

  const sound: readonly [string, string][] = [
    ['a newer format version', 'varve catalog 2\n'],
    ['another first line', 'topics 1\n'],
    ['an option that is not known', `varve catalog 1\ntopic a ${ordersId} 1 {"retentionDays":1}\n`],
    ['a value out of range', `varve catalog 1\ntopic a ${ordersId} 1 {"segmentBytes":1}\n`],
    ['a line of an unknown kind', `varve catalog 1\nalias a ${ordersId} 1\n`],
    ['a topic without partitions', `varve catalog 1\ntopic a ${ordersId} 0 {}\n`],
    ['a name that is no topic', `varve catalog 1\ntopic a/b ${ordersId} 1 {}\n`],
    ['an id that is no id', `varve catalog 1\ntopic a AAAAAAAAAAAAAAAAAAAAAA 1 {}\n`],
    ['two lines for one name', `varve catalog 1\n${`topic a ${ordersId} 1 {}\n`.repeat(2)}`],
  ]
  for (const [what, text] of sound) {
    it(`${what} under a checksum that holds → UnsupportedFormatError`, () => {
      assert.throws(() => parseCatalog(withChecksum(text), path), UnsupportedFormatError)
    })
  }
})

function adding(name: string): (current: Catalog) => Catalog {
  return current => ({
    ...current,
    topics: new Map(current.topics).set(name, { name, id: ordersId, partitions: 1, config: {} }),
  })
}

describe('TopicCatalog', () => {
  it('a thousand changes at once → all committed by a few writes', async () => {
    const files = faultyFiles({ seed: 1 })
    files.makeDirectory('log')
    const committed = new TopicCatalog(files, path, emptyCatalog)
    const before = files.operations
    const names = Array.from({ length: 1000 }, (_, index) => `t${index}`)
    await Promise.all(names.map(name => committed.commit(adding(name))))
    assert.ok(files.operations - before < 60, `${files.operations - before} operations`)
    const text = files.readFile(path)?.toString() ?? ''
    assert.equal(parseCatalog(text, path)?.topics.size, 1000)
  })

  it('a change whose promise has resolved → found after a power cut', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const files = faultyFiles({ seed })
      files.makeDirectory('log')
      await files.syncDirectory('.')
      const committed = new TopicCatalog(files, path, emptyCatalog)
      await committed.commit(adding('first'))
      files.crash()
      const text = files.readFile(path)?.toString() ?? ''
      assert.ok(parseCatalog(text, path)?.topics.has('first'), `seed ${seed}`)
    }
  })

  it('a write that fails → every change that shared it rejects and none is there', async () => {
    const files = faultyFiles({ seed: 1 })
    files.makeDirectory('log')
    const committed = new TopicCatalog(files, path, emptyCatalog)
    await committed.commit(adding('kept'))
    files.failAt({ operation: 1, kind: 'EIO', on: 'write' })
    const outcomes = await Promise.allSettled(
      ['a', 'b'].map(name => committed.commit(adding(name))),
    )
    assert.deepEqual(
      outcomes.map(outcome => outcome.status),
      ['rejected', 'rejected'],
    )
    assert.deepEqual([...committed.current.topics.keys()], ['kept'])
    assert.equal(committed.isUncertain, false)
    await committed.commit(adding('later'))
    assert.deepEqual([...committed.current.topics.keys()], ['kept', 'later'])
  })

  it('only the last sync fails → the old content is put back, durably', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const files = faultyFiles({ seed })
      files.makeDirectory('log')
      await files.syncDirectory('.')
      const committed = new TopicCatalog(files, path, emptyCatalog)
      await committed.commit(adding('kept'))
      // The first sync of the directory is the one before the file is written.
      files.failAt({ operation: 2, kind: 'EIO', on: 'syncDirectory' })
      await assert.rejects(committed.commit(adding('refused')), { code: 'STORAGE_FAILED' })
      assert.equal(committed.isUncertain, false)
      files.crash()
      const text = files.readFile(path)?.toString() ?? ''
      assert.deepEqual([...(parseCatalog(text, path)?.topics.keys() ?? [])], ['kept'])
    }
  })

  it('every sync of the directory fails after the rename → uncertain, until a commit succeeds', async () => {
    const files = faultyFiles({ seed: 1 })
    files.makeDirectory('log')
    const committed = new TopicCatalog(files, path, emptyCatalog)
    await committed.commit(adding('kept'))
    files.failAt({ operation: 2, kind: 'EIO', on: 'syncDirectory', sticky: true })
    await assert.rejects(committed.commit(adding('refused')), { code: 'STORAGE_FAILED' })
    assert.equal(committed.isUncertain, true)
    files.clearFaults()
    await committed.commit(adding('later'))
    assert.equal(committed.isUncertain, false)
    assert.deepEqual([...committed.current.topics.keys()], ['kept', 'later'])
  })
})
