/** The table of what becomes of a directory when a log is opened, row by row. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { planDirectories } from '../../lib/log/adopt-directories.ts'
import type { PartitionDirectory } from '../../lib/log/directory-layout.ts'
import type { Catalog } from '../../lib/log/topic-catalog.ts'

const own = 'AAECAwQFRgeICQoLDA0ODw'
const other = 'EBESExQVRheYGRobHB0eHw'
const made = 'ICEiIyQlRieoKSorLC0uLw'

const catalog: Catalog = {
  topics: new Map([['a', { name: 'a', id: own, partitions: 2, config: { flushMs: 5 } }]]),
  deleting: new Map([[other, { name: 'b', id: other, partitions: 1 }]]),
}

function directory(
  topic: string,
  partition: number,
  content: { readonly id: string | null; readonly holdsData: boolean },
): PartitionDirectory {
  const name = `${topic}-${partition}`
  return { name, topic, partition, topicId: content.id, holdsData: content.holdsData }
}

interface Row {
  readonly what: string
  readonly catalog: Catalog | null
  readonly found: readonly PartitionDirectory[]
  readonly topics?: Record<string, readonly [string, number]>
  readonly adopted?: readonly string[]
  readonly setAside?: readonly string[]
  readonly remove?: readonly string[]
}

const data = (id: string | null) => ({ id, holdsData: true })
const empty = (id: string | null) => ({ id, holdsData: false })
const known = { a: [own, 2] } as const

const rows: readonly Row[] = [
  { what: 'a partition that is named → kept', catalog, found: [directory('a', 0, data(own))] },
  {
    what: 'a named partition without an id → kept',
    catalog,
    found: [directory('a', 1, data(null))],
  },
  { what: 'nothing found → the topic stays, to be made', catalog, found: [] },
  {
    what: 'the id of a topic that is being deleted → goes on being deleted',
    catalog,
    found: [directory('b', 0, data(other))],
  },
  {
    what: 'a partition beyond the count, with data → adopted',
    catalog,
    found: [directory('a', 3, data(own))],
    topics: { a: [own, 4] },
    adopted: ['a'],
  },
  {
    what: 'a partition beyond the count, empty → removed',
    catalog,
    found: [directory('a', 2, empty(own))],
    remove: ['a-2'],
  },
  {
    what: 'another id and data → set aside',
    catalog,
    found: [directory('a', 0, data(made))],
    setAside: ['a-0'],
  },
  {
    what: 'its id with one damaged character → kept',
    catalog,
    found: [directory('a', 0, data(`B${own.slice(1)}`))],
  },
  {
    what: 'its id with four damaged characters, and no data → kept',
    catalog,
    found: [directory('a', 0, empty(`BBBB${own.slice(4)}`))],
  },
  {
    what: 'its id with five damaged characters → set aside',
    catalog,
    found: [directory('a', 0, data(`BBBBB${own.slice(5)}`))],
    setAside: ['a-0'],
  },
  {
    what: 'a damaged id of a topic of that name that is being deleted → goes on being deleted',
    catalog,
    found: [directory('b', 0, data(`F${other.slice(1)}`))],
  },
  {
    what: 'no catalog and one of two ids damaged → one topic',
    catalog: null,
    found: [directory('a', 0, data(own)), directory('a', 1, data(`B${own.slice(1)}`))],
    topics: { a: [own, 2] },
    adopted: ['a'],
  },
  {
    what: 'another id and no data → removed',
    catalog,
    found: [directory('a', 0, empty(made))],
    remove: ['a-0'],
  },
  {
    what: 'an unknown topic with data → adopted',
    catalog,
    found: [directory('c', 1, data(made))],
    topics: { ...known, c: [made, 2] },
    adopted: ['c'],
  },
  {
    what: 'an unknown topic with data and no id → adopted under a new id',
    catalog,
    found: [directory('c', 0, data(null))],
    topics: { ...known, c: [made, 1] },
    adopted: ['c'],
  },
  {
    what: 'an unknown topic without data → removed',
    catalog,
    found: [directory('c', 0, empty(other.replace('E', 'F')))],
    remove: ['c-0'],
  },
  {
    what: 'no catalog → every topic adopted, empty ones too, with the highest partition',
    catalog: null,
    found: [directory('a', 4, empty(own)), directory('c', 0, data(null))],
    topics: { a: [own, 5], c: [made, 1] },
    adopted: ['a', 'c'],
  },
  {
    what: 'no catalog and two ids → the lowest partition with data decides',
    catalog: null,
    found: [
      directory('a', 2, data(other)),
      directory('a', 0, empty(other)),
      directory('a', 1, data(own)),
    ],
    topics: { a: [own, 2] },
    adopted: ['a'],
    setAside: ['a-2'],
    remove: ['a-0'],
  },
]

describe('planDirectories', () => {
  for (const row of rows) {
    it(row.what, () => {
      const plan = planDirectories(row.catalog, row.found, () => made)
      const topics = [...plan.topics.values()].map(topic => [
        topic.name,
        [topic.id, topic.partitions],
      ])
      assert.deepEqual(Object.fromEntries(topics), row.topics ?? known)
      assert.deepEqual(plan.adopted, row.adopted ?? [])
      assert.deepEqual(
        plan.setAside.map(it => it.name),
        row.setAside ?? [],
      )
      assert.deepEqual(
        plan.remove.map(it => it.name),
        row.remove ?? [],
      )
    })
  }

  it('a topic that grows → keeps its configuration', () => {
    const plan = planDirectories(catalog, [directory('a', 2, data(own))], () => made)
    assert.deepEqual(plan.topics.get('a')?.config, { flushMs: 5 })
  })
})
