/**
 * better-sqlite3: a prepared statement in transactions, write-ahead log as its documentation
 * recommends, `synchronous = FULL` so that a commit is on the disk. Reads by `all`, which is faster than
 * `iterate`, a thousand rows at a time.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { GroupCommit } from './group-commit.ts'
import { loadPeer, type Peer, type PeerStore } from './peer.ts'

interface Statement {
  run(...values: readonly unknown[]): unknown
  raw(): Statement
  all(...values: readonly unknown[]): readonly (readonly [number, Buffer])[]
}

interface Database {
  pragma(text: string): unknown
  exec(sql: string): unknown
  prepare(sql: string): Statement
  transaction(work: (values: readonly Buffer[]) => void): (values: readonly Buffer[]) => void
  close(): void
}

/** Larger transactions gain nothing and outgrow the write-ahead log. */
const maxValues = 10_000
const readCount = 1000

function openStore(dir: string): PeerStore {
  const Sqlite = loadPeer('better-sqlite3') as new (path: string) => Database
  mkdirSync(dir, { recursive: true })
  const database = new Sqlite(join(dir, 'log.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.exec('CREATE TABLE log (record_offset INTEGER PRIMARY KEY, value BLOB NOT NULL)')
  const insert = database.prepare('INSERT INTO log (value) VALUES (?)')
  const select = database.prepare(
    'SELECT record_offset, value FROM log WHERE record_offset > ? ORDER BY record_offset LIMIT ?',
  )
  const insertAll = database.transaction(values => {
    for (const value of values) insert.run(value)
  })
  const group = new GroupCommit(async values => insertAll(values), maxValues)
  return {
    append: values => group.append(values),
    appendAlone: async values => insertAll(values),
    async scan(count) {
      let records = 0
      let bytes = 0
      let checksum = 0
      const page = select.raw()
      for (let last = 0; records < count; ) {
        const rows = page.all(last, readCount)
        if (rows.length === 0) break
        for (const [offset, value] of rows) {
          records++
          bytes += value.length
          checksum += offset + value.length
          last = offset
        }
      }
      return { records, bytes, checksum }
    },
    close: async () => database.close(),
  }
}

/** https://github.com/WiseLibs/better-sqlite3 */
export const betterSqlite3: Peer = {
  name: 'better-sqlite3',
  durability: 'durable',
  isGrouped: true,
  open: async dir => openStore(dir),
}
