/** All peers, in the order in which they run. */
import type { Peer } from './peer.ts'

/** Every store that varve is compared with. */
export const peers: readonly Peer[] = []
