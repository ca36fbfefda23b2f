/** classic-level: array batches with `sync`, reads by `nextv` of a thousand entries. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { GroupCommit } from './group-commit.ts'
import { loadPeer, type Peer, type PeerStore } from './peer.ts'

interface Put {
  readonly type: 'put'
  readonly key: Buffer
  readonly value: Buffer
}

interface Iterator {
  nextv(count: number): Promise<readonly (readonly [Buffer, Buffer])[]>
  close(): Promise<void>
}

interface Level {
  open(): Promise<void>
  batch(operations: readonly Put[], options: { readonly sync: boolean }): Promise<void>
  iterator(): Iterator
  close(): Promise<void>
}

interface ClassicLevel {
  readonly ClassicLevel: new (
    dir: string,
    options: { readonly keyEncoding: 'buffer'; readonly valueEncoding: 'buffer' },
  ) => Level
}

const maxValues = 10_000
const readCount = 1000

/** Sorts as the offset does. */
function keyOf(offset: number): Buffer {
  const key = Buffer.allocUnsafe(6)
  key.writeUIntBE(offset, 0, 6)
  return key
}

async function openStore(dir: string): Promise<PeerStore> {
  const { ClassicLevel } = loadPeer('classic-level') as ClassicLevel
  mkdirSync(dir, { recursive: true })
  const level = new ClassicLevel(join(dir, 'level'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  await level.open()
  let nextOffset = 0
  const write = (values: readonly Buffer[]): Promise<void> =>
    level.batch(
      values.map(value => ({ type: 'put', key: keyOf(nextOffset++), value })),
      { sync: true },
    )
  const group = new GroupCommit(write, maxValues)
  return {
    append: values => group.append(values),
    appendAlone: write,
    async scan(count) {
      let records = 0
      let bytes = 0
      let checksum = 0
      const iterator = level.iterator()
      while (records < count) {
        const entries = await iterator.nextv(readCount)
        if (entries.length === 0) break
        for (const [key, value] of entries) {
          records++
          bytes += value.length
          checksum += key.readUIntBE(0, 6) + value.length
        }
      }
      await iterator.close()
      return { records, bytes, checksum }
    },
    close: () => level.close(),
  }
}

/** https://github.com/Level/classic-level */
export const classicLevel: Peer = {
  name: 'classic-level',
  durability: 'durable',
  isGrouped: true,
  open: openStore,
}
