/** One append as a partition gets it: every option resolved. */
import type { Acks, CompressionType } from '../types.ts'

/** Who sends a batch, for idempotence (KIP-98). */
export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** Options of `PartitionLog.append`. */
export interface AppendRequest {
  readonly acks: Acks
  /** -1 waits for ever. */
  readonly maxBlockMs: number
  readonly signal?: AbortSignal | undefined
  readonly expectedOffset?: number | undefined
  readonly producer?: ProducerIdentity | undefined
  /** Instead of the partition's own; such a batch is shared with no other call. */
  readonly compressionType?: CompressionType | undefined
}
