/** The batches that records go in. */

import type { PlainRecord } from '../log/serialize.ts'
import type { ProducerIdentity } from '../storage/append-request.ts'
import type { AppendResult } from '../types.ts'
import type { Sending } from './sending.ts'

/** Records for one partition that are one batch in the log. */
export interface Batch {
  readonly sendings: Sending[]
  /** With its header, at most. */
  sizeBytes: number
  /** When it was closed, by the monotonic clock. */
  closedMs: number
  /** Its records get the time of the append, and not their own. */
  hasAppendTime: boolean
  /** The numbers under which it was sent; kept as long as it may be in the log under them. */
  identity: ProducerIdentity | null
  /** What its last try was answered with. */
  result: AppendResult | null
  /** Why its last try failed. */
  failure: Error | null
  /** The first failure after which it may be in the log all the same. */
  doubt: Error | null
}

/** The records of a batch, as a partition takes them. */
export function recordsOf(batch: Batch): readonly PlainRecord[] {
  return batch.sendings.map(({ record }) => record)
}

/** The answer for the record at `index` of a batch that is in the log as `result` says. */
export function resultOf(batch: Batch, result: AppendResult, index: number): AppendResult {
  const baseOffset = result.baseOffset + index
  const timestamp = batch.hasAppendTime
    ? result.timestamp
    : Number(batch.sendings[index]?.record.timestamp)
  const { topic, partition, leaderEpoch } = result
  return { topic, partition, baseOffset, nextOffset: baseOffset + 1, timestamp, leaderEpoch }
}
