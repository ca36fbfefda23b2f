/** What the suite asks of another store, so that each can be used the way its own documentation says. */
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { type Durability, SkippedError } from '../harness/workload.ts'

/** What a scan found. */
export interface Scanned {
  readonly records: number
  readonly bytes: number
  /** Sum of offsets and value sizes: what the loop touched. */
  readonly checksum: number
}

/** A store that is open. */
export interface PeerStore {
  /** Appends the values under the next offsets; settles when they are as durable as the peer says. */
  append(values: readonly Buffer[]): Promise<unknown>
  /** As `append`, by the store's own means alone, where `append` shares commits by a `GroupCommit` of ours. */
  appendAlone?(values: readonly Buffer[]): Promise<unknown>
  /** Reads so many records from the first on, in the order of offsets, values included. */
  scan(count: number): Promise<Scanned>
  close(): Promise<void>
}

/** A store to be compared with. */
export interface Peer {
  readonly name: string
  /** What `append` promises when it settles. */
  readonly durability: Durability
  /** It shares commits by a `GroupCommit` of ours, and has `appendAlone` as well. @default false */
  readonly isGrouped?: boolean
  /** Creates the store in `dir`, which need not exist. */
  open(dir: string): Promise<PeerStore>
}

/**
 * Loads a package that `npm run bench:peers` installs.
 *
 * @throws {SkippedError} when it is not installed, or does not load here.
 */
export function loadPeer(name: string): unknown {
  // The compiled sources lie elsewhere: the folder is found from where the suite is started.
  const require = createRequire(join(process.env['VARVE_BENCH_PEERS'] ?? '.', 'package.json'))
  try {
    return require(name)
  } catch (error) {
    throw new SkippedError(
      `${name} is not installed: ${error instanceof Error ? error.message : ''}`,
    )
  }
}
