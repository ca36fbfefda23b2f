/**
 * lmdb: puts with the append flag, which its README says to leave to its own batching by event turn;
 * `flushed` settles when they are on the disk.
 */
import { join } from 'node:path'

import { loadPeer, type Peer, type PeerStore } from './peer.ts'

interface Database {
  put(key: number, value: Buffer, options: { readonly append: boolean }): Promise<boolean>
  getRange(): Iterable<{ readonly key: number; readonly value: Buffer }>
  readonly flushed: Promise<unknown>
  close(): Promise<void>
}

interface Lmdb {
  open(options: {
    readonly path: string
    readonly encoding: 'binary'
    readonly keyEncoding: 'uint32'
  }): Database
}

function openStore(dir: string): PeerStore {
  const { open } = loadPeer('lmdb') as Lmdb
  const database = open({ path: join(dir, 'lmdb'), encoding: 'binary', keyEncoding: 'uint32' })
  let nextOffset = 0
  return {
    append(values) {
      for (const value of values) void database.put(nextOffset++, value, { append: true })
      return database.flushed
    },
    async scan(count) {
      let records = 0
      let bytes = 0
      let checksum = 0
      for (const { key, value } of database.getRange()) {
        records++
        bytes += value.length
        checksum += key + value.length
        if (records === count) break
      }
      return { records, bytes, checksum }
    },
    close: () => database.close(),
  }
}

/** https://github.com/kriszyp/lmdb-js */
export const lmdb: Peer = {
  name: 'lmdb',
  durability: 'durable',
  open: async dir => openStore(dir),
}
