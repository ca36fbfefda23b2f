/** The records of one producer for one partition: the batch that is open, and where closed ones go. */
import type { Timer } from '../clock.ts'
import type { TopicState } from '../log/topic-state.ts'
import { batchHeaderBytes } from '../record/batch-format.ts'
import type { AppendRequest } from '../storage/append-request.ts'
import type { AppendResult } from '../types.ts'
import { type Batch, recordsOf } from './batch.ts'
import type { ResolvedProducerOptions } from './producer-options.ts'
import type { Sending } from './sending.ts'

/** The partition that a lane leads to. */
export interface LaneTarget {
  readonly topic: TopicState
  readonly partition: number
}

/** What a lane needs of its producer. */
export interface LaneHost {
  readonly options: ResolvedProducerOptions
  /** A flush waits: nothing lingers. */
  readonly isFlushing: boolean
  /** `closeOpen` is called when this turn of the event loop is over. */
  closeAtEndOfTurn(lane: Lane): void
  settled(sending: Sending, result: AppendResult): void
  failed(sending: Sending, error: Error): void
}

/** Takes closed batches to the log, in order. */
export interface Delivery {
  push(batch: Batch): void
  /** Fails what is waiting to be tried again, and tries nothing again from now on. */
  stopRetrying(): void
  /** Fails everything that is not settled. */
  giveUp(error: Error): void
}

/** Used by one producer only. What it is given is settled, or withdrawn, once. */
export class Lane {
  readonly #host: LaneHost
  readonly #target: LaneTarget
  readonly #delivery: Delivery
  #open: Batch | null = null
  /** Closes the open batch. */
  #linger: Timer | null = null

  constructor(host: LaneHost, target: LaneTarget, delivery: Delivery) {
    this.#host = host
    this.#target = target
    this.#delivery = delivery
  }

  /** Puts a record into the open batch, which goes off when it is full. */
  add(sending: Sending): void {
    const { batchBytes } = this.#host.options
    const limit = Math.min(batchBytes, this.#target.topic.config.maxBatchBytes)
    if (this.#open !== null && this.#open.sizeBytes + sending.sizeBytes > limit) this.closeOpen()
    const batch = this.#open ?? this.#begin()
    batch.sendings.push(sending)
    batch.sizeBytes += sending.sizeBytes
    if (batch.sizeBytes >= limit) this.closeOpen()
    else if (this.#host.isFlushing) this.#host.closeAtEndOfTurn(this)
  }

  /** Takes a record out of the open batch; false when it is on its way already. */
  withdraw(sending: Sending): boolean {
    const index = this.#open?.sendings.indexOf(sending) ?? -1
    if (this.#open === null || index === -1) return false
    this.#open.sendings.splice(index, 1)
    this.#open.sizeBytes -= sending.sizeBytes
    return true
  }

  /** Sends the open batch off. */
  closeOpen(): void {
    this.#linger?.cancel()
    this.#linger = null
    const batch = this.#open
    this.#open = null
    // Everything in it may have been withdrawn.
    if (batch === null || batch.sendings.length === 0) return
    for (const sending of batch.sendings) sending.stopListening?.()
    const { topic } = this.#target
    batch.closedMs = topic.clock.monotonicMs()
    batch.hasAppendTime = topic.config.timestampType === 'append'
    this.#delivery.push(batch)
  }

  stopRetrying(): void {
    this.#delivery.stopRetrying()
  }

  /** Fails everything that is not settled. */
  giveUp(error: Error): void {
    this.closeOpen()
    this.#delivery.giveUp(error)
  }

  #begin(): Batch {
    const { lingerMs } = this.#host.options
    this.#open = {
      sendings: [],
      sizeBytes: batchHeaderBytes,
      closedMs: 0,
      hasAppendTime: false,
      identity: null,
      result: null,
      failure: null,
      doubt: null,
    }
    if (lingerMs === 0) this.#host.closeAtEndOfTurn(this)
    else {
      const { clock } = this.#target.topic
      this.#linger = clock.setTimer(lingerMs, () => this.closeOpen(), { keepAlive: true })
    }
    return this.#open
  }
}

/** How a producer's batches are appended. */
export function requestFor(topic: TopicState, options: ResolvedProducerOptions): AppendRequest {
  const { acks, maxBlockMs, compressionType } = options
  return { acks: acks ?? topic.config.acks, maxBlockMs, compressionType }
}

/** Appends a batch to the partition as it is now; never throws. */
export function appendBatch(
  { topic, partition }: LaneTarget,
  batch: Batch,
  request: AppendRequest,
): Promise<AppendResult> {
  const access = topic.partitions[partition]
  if (!topic.isUsable || access === undefined) return Promise.reject(topic.refusal())
  return access.append(recordsOf(batch), request)
}
