/** hypercore: appends of arrays of blocks, a read stream; it signs what it appends and never syncs. */
import { join } from 'node:path'

import { loadPeer, type Peer, type PeerStore } from './peer.ts'

interface Core {
  ready(): Promise<void>
  append(blocks: readonly Buffer[]): Promise<unknown>
  createReadStream(): AsyncIterable<Buffer>
  close(): Promise<void>
}

async function openStore(dir: string): Promise<PeerStore> {
  const Hypercore = loadPeer('hypercore') as new (dir: string) => Core
  const core = new Hypercore(join(dir, 'core'))
  await core.ready()
  return {
    append: values => core.append(values),
    async scan(count) {
      let records = 0
      let bytes = 0
      let checksum = 0
      for await (const block of core.createReadStream()) {
        bytes += block.length
        checksum += records + block.length
        records++
        if (records === count) break
      }
      return { records, bytes, checksum }
    },
    close: () => core.close(),
  }
}

/** https://github.com/holepunchto/hypercore */
export const hypercore: Peer = { name: 'hypercore', durability: 'not durable', open: openStore }
