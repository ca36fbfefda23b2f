/** Batches without numbers: each is tried once, and all at once. */
import { type Batch, resultOf } from './batch.ts'
import { appendBatch, type Delivery, type LaneHost, type LaneTarget, requestFor } from './lane.ts'

/** The partition keeps the order: it takes appends as they arrive, and answers in offset order. */
export class PlainDelivery implements Delivery {
  readonly #host: LaneHost
  readonly #target: LaneTarget
  readonly #inFlight = new Set<Batch>()

  constructor(host: LaneHost, target: LaneTarget) {
    this.#host = host
    this.#target = target
  }

  push(batch: Batch): void {
    this.#inFlight.add(batch)
    const { sendings } = batch
    const request = requestFor(this.#target.topic, this.#host.options)
    appendBatch(this.#target, batch, request).then(
      result => {
        this.#inFlight.delete(batch)
        for (const [index, sending] of sendings.entries()) {
          this.#host.settled(sending, resultOf(batch, result, index))
        }
      },
      (error: Error) => this.#fail(batch, error),
    )
  }

  stopRetrying(): void {}

  giveUp(error: Error): void {
    for (const batch of this.#inFlight) this.#fail(batch, error)
  }

  #fail(batch: Batch, error: Error): void {
    this.#inFlight.delete(batch)
    for (const sending of batch.sendings) this.#host.failed(sending, error)
  }
}
