/** The peers as sides of a workload. */
import { join } from 'node:path'
import { awaitedBeside } from '../harness/awaited-sides.ts'
import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeValueSets, makeValues } from '../harness/payload.ts'
import { timesFaster } from '../harness/targets.ts'
import { batchBytes, timedLoop, warmUpLoop } from '../harness/varve.ts'
import type { Side } from '../harness/workload.ts'
import { peers } from './index.ts'
import type { Peer, PeerStore } from './peer.ts'

/** The calls that varve gets; a peer that takes longer begins no more of them after some seconds. */
export interface PeerLoad {
  readonly recordBytes: number
  readonly recordsPerCall: number
  readonly calls: number
  readonly smokeCalls: number
  /** What the records of a call take in varve's log, for the same MB/s. @default a batch of their own */
  readonly bytesPerCall?: number
  /** @default 4000 */
  readonly atMostMs?: number
}

/** How long a peer appends, or reads, at most, unless its load says else: its rate is told by then. */
const peerMs = 4000

/** How many calls are under way while a store is filled for reading. */
const fillInFlight = 4

/** So many records are enough to read for some tenths of a second at least. */
const fillRecords = 2_000_000

/** So many tell how many can be read in the time. */
const firstRecords = 20_000

async function withPeer<T>(
  peer: Peer,
  dir: string,
  use: (store: PeerStore) => Promise<T>,
): Promise<T> {
  const store = await peer.open(join(dir, 'peer'))
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

function sidesOf(make: (peer: Peer) => Side): Readonly<Record<string, Side>> {
  return Object.fromEntries(peers.map(peer => [peer.name, make(peer)]))
}

/**
 * Appends by every peer twice: a commit for each call, as its own documentation has it, and, where the
 * store has no group commit of its own, with ours around the calls that are under way together.
 */
export function peerAppendSides(
  load: PeerLoad & { readonly inFlight: number },
): Readonly<Record<string, Side>> {
  const alone = sidesOf(peer => appendSideOf(peer, load, asDocumented))
  const helped: Record<string, Side> = {}
  for (const peer of peers.filter(({ isGrouped }) => isGrouped === true)) {
    const side = appendSideOf(peer, load, store => values => store.append(values))
    helped[`${peer.name}, our group commit`] = { ...side, isHelped: true }
  }
  return { ...alone, ...helped }
}

function asDocumented(store: PeerStore): (values: readonly Buffer[]) => Promise<unknown> {
  return values => (store.appendAlone ?? store.append)(values)
}

/**
 * One append of one record after another by every peer, by turns with varve in one process: `timesFaster`
 * is the figure that a target is about.
 */
export function peerAwaitedSides(recordBytes: number): Readonly<Record<string, Side>> {
  return sidesOf(peer => ({
    kind: 'peer',
    durability: peer.durability,
    run: context =>
      withPeer(peer, context.dir, async store => {
        const append = asDocumented(store)
        const { varve, other } = await awaitedBeside(context, value => append([value]))
        const recordSize = batchBytes(makeValues(1, recordBytes))
        const { calls: records, ...phase } = other
        return {
          ...phase,
          records,
          bytes: records * recordSize,
          bytesOnDisk: diskUsage(join(context.dir, 'peer')),
          figures: { [timesFaster]: other.seconds / varve.seconds },
        }
      }),
  }))
}

function appendSideOf(
  peer: Peer,
  load: PeerLoad & { readonly inFlight: number },
  appendOf: (store: PeerStore) => (values: readonly Buffer[]) => Promise<unknown>,
): Side {
  return {
    kind: 'peer',
    durability: peer.durability,
    async run(context) {
      const calls = context.pick(load.calls, load.smokeCalls)
      const sets = makeValueSets(load.recordsPerCall, load.recordBytes)
      const { inFlight, atMostMs = peerMs } = load
      const { phase, value, usedBytes } = await withPeer(peer, context.dir, async store => {
        const appendValues = appendOf(store)
        const append = (index: number): Promise<unknown> =>
          appendValues(sets[index % sets.length] ?? [])
        await warmUpLoop(context, { calls, inFlight }, append)
        const before = diskUsage(join(context.dir, 'peer'))
        const timed = await measure(() => timedLoop({ calls, inFlight, atMostMs }, append))
        return { ...timed, usedBytes: before }
      })
      const bytesOnDisk = diskUsage(join(context.dir, 'peer')) - usedBytes
      return {
        ...phase,
        records: value.calls * load.recordsPerCall,
        bytes: value.calls * bytesPerCall(load),
        bytesOnDisk,
        latency: value.latency,
      }
    },
  }
}

function bytesPerCall(load: Omit<PeerLoad, 'calls'>): number {
  return load.bytesPerCall ?? batchBytes(makeValues(load.recordsPerCall, load.recordBytes))
}

/** Sequential reads by every peer, warm: the last of three passes counts. */
export function peerScanSides(load: Omit<PeerLoad, 'calls'>): Readonly<Record<string, Side>> {
  return sidesOf(peer => ({
    kind: 'peer',
    async run(context) {
      const calls = context.pick(fillRecords / load.recordsPerCall, load.smokeCalls)
      const sets = makeValueSets(load.recordsPerCall, load.recordBytes)
      return await withPeer(peer, context.dir, async store => {
        const filled = await timedLoop({ calls, inFlight: fillInFlight, atMostMs: peerMs }, index =>
          store.append(sets[index % sets.length] ?? []),
        )
        const all = filled.calls * load.recordsPerCall
        const first = Math.min(all, firstRecords)
        const start = performance.now()
        await store.scan(first)
        const perMs = first / (performance.now() - start)
        const count = Math.min(all, Math.max(first, Math.floor(perMs * peerMs)))
        await store.scan(count)
        const { phase, value } = await measure(() => store.scan(count))
        const { records, checksum } = value
        // Some read pages, and the last one to its end.
        if (records < count) throw new Error(`${peer.name} read ${records} of ${count} records`)
        return {
          ...phase,
          records,
          bytes: (records / load.recordsPerCall) * bytesPerCall(load),
          bytesOnDisk: diskUsage(join(context.dir, 'peer')),
          figures: { checksum },
        }
      })
    },
  }))
}
