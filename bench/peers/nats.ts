/**
 * NATS JetStream over loopback: publishes that are awaited in groups, a file store, an ordered
 * consumer. As configured by default the server answers before it syncs.
 */
import { mkdirSync } from 'node:fs'

import { GroupCommit } from './group-commit.ts'
import { loadPeer, type Peer, type PeerStore } from './peer.ts'
import { freePort, startServer } from './server.ts'

interface Message {
  readonly data: Uint8Array
  readonly seq: number
}

interface Consumer {
  consume(options: { readonly max_messages: number }): Promise<AsyncIterable<Message>>
}

interface JetStream {
  publish(subject: string, data: Uint8Array): Promise<unknown>
  readonly consumers: { get(stream: string): Promise<Consumer> }
}

interface Connection {
  jetstream(): JetStream
  jetstreamManager(): Promise<{
    readonly streams: {
      add(config: { readonly name: string; readonly subjects: readonly string[] }): Promise<unknown>
    }
  }>
  close(): Promise<void>
}

interface Nats {
  connect(options: { readonly port: number; readonly reconnect: boolean }): Promise<Connection>
}

const stream = 'bench'
const maxValues = 2000
const readCount = 5000

async function openStore(dir: string): Promise<PeerStore> {
  const { connect } = loadPeer('nats') as Nats
  mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const server = await startServer(
    ['nats-server', '-js', '-sd', dir, '-a', '127.0.0.1', '-p', String(port)],
    () => connect({ port, reconnect: false }),
  )
  const connection = server.client
  const manager = await connection.jetstreamManager()
  await manager.streams.add({ name: stream, subjects: [stream] })
  const jetstream = connection.jetstream()
  const group = new GroupCommit(
    values => Promise.all(values.map(value => jetstream.publish(stream, value))),
    maxValues,
  )
  return {
    append: values => group.append(values),
    async scan(count) {
      const consumer = await jetstream.consumers.get(stream)
      let records = 0
      let bytes = 0
      let checksum = 0
      for await (const message of await consumer.consume({ max_messages: readCount })) {
        records++
        bytes += message.data.length
        checksum += message.seq + message.data.length
        if (records === count) break
      }
      return { records, bytes, checksum }
    },
    async close() {
      await connection.close()
      await server.stop()
    },
  }
}

/** https://docs.nats.io/nats-concepts/jetstream */
export const nats: Peer = { name: 'nats jetstream', durability: 'not durable', open: openStore }
