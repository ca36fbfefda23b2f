/** What one append asks for, and what becomes of it. */
import type { Offset } from './records.ts'

/**
 * When an append resolves. `durable`: fsynced, survives power loss. `written`: in the operating
 * system's hands, survives the end of this process. `queued`: accepted, survives nothing yet.
 */
export type Acks = 'durable' | 'written' | 'queued'

/** Options of one append. */
export interface AppendOptions {
  /** @default the topic's `acks` */
  readonly acks?: Acks | undefined
  /** How long to wait for room in the queue, in ms; -1 for ever. @default the log's `maxBlockMs` */
  readonly maxBlockMs?: number | undefined
  /** Takes the append back as long as it is not accepted; later it is not heard. */
  readonly signal?: AbortSignal | undefined
}

/** Where the records of one call ended up; of this call's own records, also where a batch was shared. */
export interface AppendResult {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  /** Timestamp of the first record. */
  readonly timestamp: number
  /** (leader epoch, offset) is unique for everything that reached the disk. */
  readonly leaderEpoch: number
}

/** How far `appendFrom` has come. */
export interface AppendProgress {
  readonly records: number
  readonly bytes: number
}
