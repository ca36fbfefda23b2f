/** The peers as sides of a workload. */
import { join } from 'node:path'

import { diskUsage } from '../harness/disk-usage.ts'
import { measure } from '../harness/measure.ts'
import { makeValueSets } from '../harness/payload.ts'
import { closedLoop } from '../harness/varve.ts'
import type { Side } from '../harness/workload.ts'
import { peers } from './index.ts'
import type { Peer, PeerStore } from './peer.ts'

/** Fewer calls than varve gets: the rates are compared, and most peers are slow at this. */
export interface PeerLoad {
  readonly recordBytes: number
  readonly recordsPerCall: number
  readonly calls: number
  readonly smokeCalls: number
}

/** How many calls are under way while a store is filled for reading. */
const fillInFlight = 4

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
 * Appends by every peer. Where one has no group commit of its own, calls that are under way together
 * share the one of ours.
 */
export function peerAppendSides(
  load: PeerLoad & { readonly inFlight: number },
): Readonly<Record<string, Side>> {
  return sidesOf(peer => appendSideOf(peer, load, store => values => store.append(values)))
}

/** The same twice: a commit for each call, as the stores' own documentation has it, and with ours around them. */
export function peerCommitSides(
  load: PeerLoad & { readonly inFlight: number },
): Readonly<Record<string, Side>> {
  const alone = sidesOf(peer =>
    appendSideOf(peer, load, store => values => (store.appendAlone ?? store.append)(values)),
  )
  const helped: Record<string, Side> = {}
  for (const peer of peers.filter(({ isGrouped }) => isGrouped === true)) {
    const side = appendSideOf(peer, load, store => values => store.append(values))
    helped[`${peer.name}, with a group commit of ours`] = { ...side, isHelped: true }
  }
  return { ...alone, ...helped }
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
      const { phase, value } = await withPeer(peer, context.dir, store => {
        const append = appendOf(store)
        return measure(() =>
          closedLoop({ calls, inFlight: load.inFlight }, index =>
            append(sets[index % sets.length] ?? []),
          ),
        )
      })
      const records = calls * load.recordsPerCall
      const bytesOnDisk = diskUsage(join(context.dir, 'peer'))
      return {
        ...phase,
        records,
        bytes: records * load.recordBytes,
        bytesOnDisk,
        latency: value,
      }
    },
  }
}

/** Sequential reads by every peer, warm: the second pass counts. */
export function peerScanSides(load: PeerLoad): Readonly<Record<string, Side>> {
  return sidesOf(peer => ({
    kind: 'peer',
    async run(context) {
      const calls = context.pick(load.calls, load.smokeCalls)
      const sets = makeValueSets(load.recordsPerCall, load.recordBytes)
      return await withPeer(peer, context.dir, async store => {
        await closedLoop({ calls, inFlight: fillInFlight }, index =>
          store.append(sets[index % sets.length] ?? []),
        )
        await store.scan()
        const { phase, value } = await measure(() => store.scan())
        const { records, bytes, checksum } = value
        if (records !== calls * load.recordsPerCall) {
          throw new Error(`${peer.name} read ${records} of ${calls * load.recordsPerCall} records`)
        }
        return { ...phase, records, bytes, figures: { checksum } }
      })
    },
  }))
}
