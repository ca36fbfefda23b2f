/** What the producer state of a partition has to say of one append; nothing when it names no producer. */
import type { ProducerIdentity } from './append-request.ts'
import type { ProducerCheck, ProducerState } from './producer-state.ts'

const isNew: ProducerCheck = { kind: 'new' }

/**
 * Whether a batch is new, or one that is in the log already.
 *
 * @throws {OutOfOrderSequenceError} when it is neither.
 * @throws {InvalidProducerEpochError} when its producer was replaced by a newer one.
 */
export function checkProducer(
  producers: ProducerState,
  producer: ProducerIdentity | undefined,
  recordCount: number,
): ProducerCheck {
  if (producer === undefined) return isNew
  const { producerId, producerEpoch, baseSequence } = producer
  return producers.check({ producerId, producerEpoch, baseSequence, recordCount })
}

/** Notes a batch of an idempotent producer that was given its offsets. */
export function noteProducer(
  producers: ProducerState,
  producer: ProducerIdentity,
  batch: {
    readonly baseOffset: number
    readonly nextOffset: number
    readonly timestamp: number
    /** When it is appended, in ms of engine time. */
    readonly nowMs: number
  },
): void {
  const { producerId, producerEpoch, baseSequence } = producer
  const { baseOffset, nextOffset, timestamp, nowMs } = batch
  producers.accept({
    producerId,
    producerEpoch,
    baseSequence,
    baseOffset,
    nextOffset,
    timestamp,
    heardMs: nowMs,
  })
}
