/**
 * Redis streams over loopback: XADD, which the client sends in pipelines by itself, into an
 * append-only file that is synced before the answer (`appendfsync always`).
 */
import { mkdirSync } from 'node:fs'

import { GroupCommit } from './group-commit.ts'
import { loadPeer, type Peer, type PeerStore } from './peer.ts'
import { freePort, startServer } from './server.ts'

interface Entry {
  readonly message: { readonly value: Buffer }
  readonly id: Buffer
}

interface Client {
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  xAdd(key: string, id: string, message: { readonly value: Buffer }): Promise<unknown>
  xRange(
    key: string,
    start: string,
    end: string,
    options: { readonly COUNT: number },
  ): Promise<readonly Entry[]>
  withTypeMapping(mapping: Readonly<Record<number, unknown>>): Client
  close(): Promise<unknown>
  destroy(): void
}

interface Redis {
  createClient(options: {
    readonly url: string
    readonly socket: { readonly reconnectStrategy: false }
    readonly commandOptions: { readonly timeout: number }
  }): Client
  readonly RESP_TYPES: { readonly BLOB_STRING: number }
}

const stream = 'bench'
const maxValues = 10_000
const readCount = 1000
const commandTimeoutMs = 120_000

async function openStore(dir: string): Promise<PeerStore> {
  const { createClient, RESP_TYPES } = loadPeer('redis') as Redis
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', '']
  const server = await startServer(
    ['redis-server', ...settings, '--appendonly', 'yes', '--appendfsync', 'always'],
    async () => {
      const client = createClient({
        url: `redis://127.0.0.1:${port}`,
        socket: { reconnectStrategy: false },
        // Five seconds by default, which what waits behind 256,000 commands does not keep.
        commandOptions: { timeout: commandTimeoutMs },
      })
      // What fails is told by the call that fails.
      client.on('error', () => undefined)
      await client.connect()
      return client
    },
  )
  const { client } = server
  const add = (values: readonly Buffer[]): Promise<unknown> =>
    Promise.all(values.map(value => client.xAdd(stream, '*', { value })))
  const group = new GroupCommit(add, maxValues)
  return {
    append: values => group.append(values),
    appendAlone: add,
    async scan(count) {
      const reader = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
      let records = 0
      let bytes = 0
      let checksum = 0
      for (let start = '-'; records < count; ) {
        const entries = await reader.xRange(stream, start, '+', { COUNT: readCount })
        for (const { message } of entries) {
          bytes += message.value.length
          checksum += records + message.value.length
          records++
        }
        const last = entries.at(-1)
        if (last === undefined) break
        start = `(${last.id.toString()}`
      }
      return { records, bytes, checksum }
    },
    async close() {
      await client.close()
      await server.stop()
    },
  }
}

/** https://redis.io */
export const redis: Peer = {
  name: 'redis',
  durability: 'durable',
  isGrouped: true,
  open: openStore,
}
