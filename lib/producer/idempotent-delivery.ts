/**
 * Batches with numbers: a try that failed is made again, and no batch is in the log twice.
 *
 * A batch keeps its numbers (producer id, epoch, sequence of its first record) as long as it may be in
 * the log under them, so that the partition recognizes it. At most five are under way, for that is how
 * many batches of a producer a partition remembers; before the first one of an epoch is acknowledged
 * there is one, for a partition that knows nothing of a producer takes any number.
 *
 * When a try fails, nothing more is sent until everything under way has answered; then the failures
 * are looked at in order:
 *
 *     disk full, queue full, a failed disk    tried again after a pause, under the same numbers when
 *                                             it may be in the log, else under the next ones
 *     out of order, behind another failure    a consequence of that: tried again behind it
 *     out of order, the log is further        it is in the log: looked for, and answered with where it is
 *     out of order, the log is not so far     it is not in the log, nor what follows: a new epoch begins
 *     anything else, and everything too late  its records are refused
 *
 * A new epoch begins at sequence 0 and makes the partition forget the numbers before, so the log may
 * have a hole in the numbers where a batch was given up.
 */
import type { Timer } from '../clock.ts'
import { DiskFullError, OutOfOrderSequenceError, QueueFullError, StorageError } from '../errors.ts'
import type { ProducerIdentity } from '../storage/append-request.ts'
import type { AppendResult } from '../types.ts'
import { type Batch, resultOf } from './batch.ts'
import { findBatch } from './find-batch.ts'
import { appendBatch, type Delivery, type LaneHost, type LaneTarget, requestFor } from './lane.ts'
import { isBefore, sequenceAfter } from './sequences.ts'

/** Kafka's max.in.flight.requests.per.connection, and the batches that a partition remembers. */
const maxInFlight = 5

/** Largest producer epoch, an int16. */
const largestEpoch = 32767

type Fate = 'found' | 'kept' | 'absent' | 'lost' | 'refused'

/** One partition of one idempotent producer. */
export class IdempotentDelivery implements Delivery {
  readonly #host: LaneHost
  readonly #target: LaneTarget
  readonly #producerId: number
  #epoch = 0
  /** Of the next batch that gets numbers. */
  #nextSequence = 0
  /** The partition knows this epoch of the producer. */
  #isKnown = false
  /** In order: what waits to be sent, or sent again. */
  #queue: Batch[] = []
  /** In order: what was sent and has not been settled. */
  #inFlight: Batch[] = []
  /** A try failed: nothing is sent until the failures have been looked at, and the pause is over. */
  #isHalted = false
  #pause: Timer | null = null
  /** Nothing is tried again. */
  #isEnding = false
  /** The last failure that another try may mend. */
  #lastFailure: Error | null = null
  /** Behind the last batch that was settled: what is not settled lies above. */
  #settledTo = 0

  constructor(host: LaneHost, target: LaneTarget, producerId: number) {
    this.#host = host
    this.#target = target
    this.#producerId = producerId
  }

  push(batch: Batch): void {
    this.#queue.push(batch)
    this.#sendMore()
  }

  stopRetrying(): void {
    this.#isEnding = true
    if (this.#pause === null) return
    this.#pause.cancel()
    this.#pause = null
    const lost = this.#queue
    this.#queue = []
    for (const batch of lost) this.#refuse(batch, this.#lastFailure as Error)
    this.#isHalted = false
  }

  giveUp(error: Error): void {
    this.stopRetrying()
    const lost = [...this.#inFlight, ...this.#queue]
    this.#queue = []
    // What is under way is answered still, and nobody hears it.
    for (const batch of lost) this.#refuse(batch, error)
  }

  #sendMore(): void {
    while (!this.#isHalted && this.#inFlight.length < (this.#isKnown ? maxInFlight : 1)) {
      const batch = this.#queue.shift()
      if (batch === undefined) return
      this.#send(batch)
    }
  }

  #send(batch: Batch): void {
    batch.identity ??= this.#number(batch)
    batch.result = null
    batch.failure = null
    this.#inFlight.push(batch)
    const request = requestFor(this.#target.topic, this.#host.options)
    appendBatch(this.#target, batch, { ...request, producer: batch.identity }).then(
      result => this.#acknowledged(batch, result),
      (error: Error) => this.#failed(batch, error),
    )
  }

  #number(batch: Batch): ProducerIdentity {
    const baseSequence = this.#nextSequence
    this.#nextSequence = sequenceAfter(baseSequence, batch.sendings.length)
    return { producerId: this.#producerId, producerEpoch: this.#epoch, baseSequence }
  }

  #acknowledged(batch: Batch, result: AppendResult): void {
    batch.result = result
    this.#answered()
  }

  #failed(batch: Batch, error: Error): void {
    batch.failure = error
    if (isOutcomeUnknown(error)) batch.doubt ??= error
    this.#isHalted = true
    this.#answered()
  }

  #answered(): void {
    // One that was sent before may have failed, and is settled first when it is found in the log.
    for (let head = this.#inFlight[0]; head !== undefined; head = this.#inFlight[0]) {
      if (head.result === null) break
      this.#inFlight.shift()
      this.#settle(head, head.result)
    }
    if (!this.#isHalted) this.#sendMore()
    else if (this.#inFlight.every(isAnswered)) void this.#sortOut()
  }

  /** Everything under way was answered, and something failed: says of each batch what becomes of it. */
  async #sortOut(): Promise<void> {
    const answered = this.#inFlight
    this.#inFlight = []
    const kept: Batch[] = []
    let isNewEpoch = false
    // The first that is not in the log for certain: then none of those behind it is.
    let absent: ProducerIdentity | null = null
    for (const batch of answered) {
      if (batch.result !== null) {
        this.#settle(batch, batch.result, kept.length > 0)
        continue
      }
      const fate = await this.#fateOf(batch, kept.length > 0 || absent !== null)
      if (fate === 'kept' || fate === 'absent') kept.push(batch)
      if (fate === 'absent' || fate === 'lost') isNewEpoch = true
      if (fate !== 'found' && batch.doubt === null) absent ??= batch.identity
    }
    if (isNewEpoch) this.#beginEpoch(kept)
    else if (absent !== null) this.#renumber(kept, absent)
    this.#queue.unshift(...kept)
    const mustPause = kept.some(({ failure }) => isTransient(failure))
    if (mustPause && !this.#isEnding) this.#takePause()
    else this.#goOn()
  }

  /**
   * What becomes of a batch that failed. `found`: it is in the log. `kept`: it is tried again. `absent`:
   * that, and it is not in the log, though the partition's count is not ours. `lost`: refused, and the
   * count is not ours. `refused`: that is all.
   */
  async #fateOf(batch: Batch, isBehindFailure: boolean): Promise<Fate> {
    const error = batch.failure as Error
    const identity = batch.identity as ProducerIdentity
    if (error instanceof OutOfOrderSequenceError) {
      if (isBehindFailure) return 'kept'
      if (isBefore(identity.baseSequence, error.expectedSequence)) {
        return await this.#find(batch, identity)
      }
      if (!this.#isEnding && this.#epoch < largestEpoch) return 'absent'
      this.#refuse(batch, this.#lastFailure ?? error)
      return 'lost'
    }
    return this.#keepOrRefuse(batch, error)
  }

  #keepOrRefuse(batch: Batch, error: Error): Fate {
    if (isTransient(error)) {
      this.#lastFailure = error
      if (!this.#isEnding && !this.#isOverdue(batch)) return 'kept'
    }
    this.#refuse(batch, error)
    return 'refused'
  }

  /** The log has what follows the batch, so it has the batch: where? */
  async #find(batch: Batch, identity: ProducerIdentity): Promise<Fate> {
    const { topic, partition } = this.#target
    const access = topic.partitions[partition]
    try {
      const isThere = access !== undefined
      const found = isThere ? await findBatch(access, identity, this.#settledTo) : null
      if (found !== null) {
        this.#settle(batch, found)
        return 'found'
      }
    } catch (error) {
      batch.failure = error as Error
      batch.doubt ??= error as Error
      return this.#keepOrRefuse(batch, error as Error)
    }
    this.#refuse(batch, batch.failure as Error)
    return 'lost'
  }

  /** None of `kept` is in the log: they get numbers of a new epoch when they are sent. */
  #beginEpoch(kept: readonly Batch[]): void {
    // Limit: a partition that refuses that often refuses this producer for good.
    if (this.#epoch === largestEpoch) return
    this.#epoch++
    this.#nextSequence = 0
    this.#isKnown = false
    for (const batch of kept) {
      batch.identity = null
      batch.doubt = null
    }
  }

  /** Nothing from `absent` on is in the log: its number, and those behind it, are free again. */
  #renumber(kept: readonly Batch[], absent: ProducerIdentity): void {
    this.#nextSequence = absent.baseSequence
    for (const batch of kept) if (batch.doubt === null) batch.identity = null
  }

  #takePause(): void {
    const { clock } = this.#target.topic
    const { retryBackoffMs } = this.#host.options
    const leftMs = this.#deadlineOf(this.#queue[0] as Batch) - clock.monotonicMs()
    const delayMs = Math.max(0, Math.min(retryBackoffMs, leftMs))
    this.#pause = clock.setTimer(delayMs, () => this.#endPause(), { keepAlive: true })
  }

  #endPause(): void {
    this.#pause = null
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (!this.#isOverdue(head)) break
      this.#queue.shift()
      this.#refuse(head, this.#lastFailure as Error)
    }
    const { topic, partition } = this.#target
    const isFailed = topic.isUsable && topic.partitions[partition]?.state === 'failed'
    // It would refuse: what helps is partition.recover().
    if (isFailed && this.#queue.length > 0) this.#takePause()
    else this.#goOn()
  }

  #goOn(): void {
    this.#isHalted = false
    this.#sendMore()
  }

  #deadlineOf(batch: Batch): number {
    const { deliveryTimeoutMs } = this.#host.options
    return deliveryTimeoutMs === -1 ? Number.POSITIVE_INFINITY : batch.closedMs + deliveryTimeoutMs
  }

  #isOverdue(batch: Batch): boolean {
    return this.#deadlineOf(batch) - this.#target.topic.clock.monotonicMs() <= 0.5
  }

  /** `isBehindKept`: one that was sent before it is not settled. */
  #settle(batch: Batch, result: AppendResult, isBehindKept = false): void {
    if (batch.identity?.producerEpoch === this.#epoch) this.#isKnown = true
    if (!isBehindKept) this.#settledTo = result.nextOffset
    for (const [index, sending] of batch.sendings.entries()) {
      this.#host.settled(sending, resultOf(batch, result, index))
    }
  }

  #refuse(batch: Batch, error: Error): void {
    for (const sending of batch.sendings) this.#host.failed(sending, batch.doubt ?? error)
  }
}

function isAnswered({ result, failure }: Batch): boolean {
  return result !== null || failure !== null
}

function isTransient(error: Error | null): boolean {
  return (
    error instanceof StorageError ||
    error instanceof DiskFullError ||
    error instanceof QueueFullError
  )
}

function isOutcomeUnknown(error: Error): boolean {
  return 'outcome' in error && error.outcome === 'unknown'
}
