/** Where and how to read, and what a read gives. */
import type { Offset, RecordBatch } from './records.ts'

/** Where to start reading; `{ last: n }` is the last n records of a partition. */
export type From =
  | Offset
  | 'earliest'
  | 'latest'
  | { readonly timestamp: number | Date }
  | { readonly last: number }

/** Where to start reading a topic: one rule for all partitions, or an offset for each. */
export type TopicFrom = From | { readonly offsets: Readonly<Record<number, Offset>> }

/** Options of `records()` and `batches()`. */
export interface ReadOptions<F> {
  /** Fixed when the reader is made. @default 'earliest' */
  readonly from?: F | undefined
  /** Wait at the end for more, instead of ending at the high watermark as it was at the call. @default false */
  readonly live?: boolean | undefined
  /** Rejects the pending read with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Bytes read at once, and kept alive by any one record. @default 1048576 (1 MiB) */
  readonly maxBytes?: number | undefined
  /**
   * Reads into the same memory again and again, for those who are done with a batch or record when they
   * ask for the next: batches, records and their Buffers must not be looked at after that, unless they
   * were detached. Without it they stay valid for ever, and each chunk is fresh memory, which the
   * garbage collector has to find and the operating system to clear. @default false
   */
  readonly reuseBuffers?: boolean | undefined
  /** @default true */
  readonly checkCrcs?: boolean | undefined
  /** What to do when the position is no longer, or not yet, in the log. @default 'error' */
  readonly onOutOfRange?: 'error' | 'earliest' | 'latest' | undefined
  /** `skip` goes on behind damage and reports it as an event. @default 'error' */
  readonly onCorruption?: 'error' | 'skip' | undefined
}

/** Options of `partition.read()`. */
export interface PartitionReadOptions {
  readonly from: Offset
  /** The first batch is returned even if it is larger. @default 1048576 (1 MiB) */
  readonly maxBytes?: number | undefined
  /** How long to wait when there is nothing yet, in ms. @default 0 */
  readonly maxWaitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** @default true */
  readonly checkCrcs?: boolean | undefined
}

/** What `partition.read()` found; `nextOffset` is where the next read goes on. */
export interface PartitionReadResult<K = Buffer, V = Buffer> {
  readonly batches: readonly RecordBatch<K, V>[]
  readonly nextOffset: Offset
  readonly highWatermark: Offset
  readonly logStartOffset: Offset
}

/**
 * A pull-based sequence. At most one `next()` is pending at a time; `for await` closes it. `position`
 * lies behind what was yielded: partition to next offset, as `{ offsets: position }` takes it.
 */
export interface Reader<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  readonly position: Readonly<Record<number, Offset>>
}
