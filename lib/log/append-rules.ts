/** What holds for every append of a topic's handles: its options, and how far ahead a timestamp may lie. */

import {
  type Check,
  checkAcks,
  checkMs,
  checkOffset,
  checkOptions,
  checkSignal,
} from '../checks.ts'
import { InvalidRecordError, InvalidTimestampError } from '../errors.ts'
import { isCompacted } from '../options.ts'
import type { AppendRequest } from '../storage/append-request.ts'
import type { PartitionConfig } from '../storage/environment.ts'
import type { AppendOptions } from '../types.ts'
import { checkIsNotInternal } from './internal-topics.ts'
import type { PlainRecord } from './serialize.ts'
import type { TopicState } from './topic-state.ts'

/** Options of `topic.append`. */
export const appendChecks: { readonly [O in keyof Required<AppendOptions>]: Check } = {
  acks: checkAcks,
  maxBlockMs: checkMs,
  signal: checkSignal,
}

/** Options of `partition.append`. */
export const partitionAppendChecks: Readonly<Record<string, Check>> = {
  ...appendChecks,
  expectedOffset: checkOffset,
}

/** Shared by the handles of one topic that were opened together; calls may overlap. */
export class AppendRules {
  readonly #state: TopicState
  /** The configuration that `#request` was made from. */
  #config: PartitionConfig | null = null
  #request: AppendRequest = { acks: 'durable', maxBlockMs: -1 }

  constructor(state: TopicState) {
    this.#state = state
  }

  /** The request of an append without options: one object for all of them until the topic is configured anew. */
  get defaultRequest(): AppendRequest {
    const { config, maxBlockMs } = this.#state
    if (config !== this.#config) {
      this.#config = config
      this.#request = { acks: config.acks, maxBlockMs }
    }
    return this.#request
  }

  /** Whether `check` has to be called at all. */
  get checksRecords(): boolean {
    return this.#limitsTimestamps || isCompacted(this.#state.config)
  }

  /**
   * @throws {InvalidRecordError} when a record of a compacted topic has no key
   * @throws {InvalidTimestampError} when a record's timestamp lies too far ahead and the topic refuses those
   */
  check(records: readonly PlainRecord[]): void {
    this.#checkTimestamps(records)
    if (!isCompacted(this.#state.config)) return
    for (const record of records) {
      // What is no record is refused by the record layer with a message of its own.
      if (typeof record !== 'object' || record === null || (record.key ?? null) !== null) continue
      throw new InvalidRecordError(`topic ${this.#state.name} is compacted: its records need a key`)
    }
  }

  get #limitsTimestamps(): boolean {
    const { timestampAfterMaxMs, timestampAfterMaxAction, timestampType } = this.#state.config
    const isLimited = timestampAfterMaxMs !== -1 && timestampAfterMaxAction === 'reject'
    return isLimited && timestampType === 'create'
  }

  /**
   * The request of an append with options.
   *
   * @throws {LogError} when the log is closed or the topic deleted
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   * @throws `signal.reason` when the signal has aborted already
   */
  request(
    call: string,
    options: (AppendOptions & { readonly expectedOffset?: number | undefined }) | undefined,
    checks: Readonly<Record<string, Check>>,
  ): AppendRequest {
    if (!this.#state.isUsable) throw this.#state.refusal()
    checkIsNotInternal(this.#state.name)
    const request = this.defaultRequest
    if (options === undefined) return request
    checkOptions(call, options, { checks })
    options.signal?.throwIfAborted()
    return {
      acks: options.acks ?? request.acks,
      maxBlockMs: options.maxBlockMs ?? request.maxBlockMs,
      signal: options.signal,
      expectedOffset: options.expectedOffset,
    }
  }

  #checkTimestamps(records: readonly PlainRecord[]): void {
    if (!this.#limitsTimestamps) return
    const nowMs = this.#state.time.nowMs()
    const { timestampAfterMaxMs } = this.#state.config
    for (const record of records) {
      // What is no record, or no time, is refused by the record layer with a message of its own.
      const timestamp = Number((record as PlainRecord | null | undefined)?.timestamp)
      if (timestamp > nowMs + timestampAfterMaxMs) {
        throw new InvalidTimestampError(timestamp, nowMs, timestampAfterMaxMs)
      }
    }
  }
}
