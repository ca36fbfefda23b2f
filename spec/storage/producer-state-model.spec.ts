/**
 * Random appends, commits and rollbacks of the producer state against a plain list of batches, from
 * which every answer is counted out. `SEED=<n>` replays a run.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  type ProducerAppend,
  type ProducerBatch,
  ProducerState,
} from '../../lib/storage/producer-state.ts'

const replay = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

/** What the rules say of an append to a log with these batches, oldest first. */
function modelCheck(log: readonly ProducerBatch[], next: ProducerAppend): string {
  const own = log.filter(batch => batch.producerId === next.producerId)
  const last = own.at(-1)
  if (last === undefined) return 'new'
  const epoch = own.filter(batch => batch.producerEpoch === last.producerEpoch)
  const again = epoch
    .slice(-5)
    .find(
      batch =>
        batch.producerEpoch === next.producerEpoch &&
        batch.baseSequence === next.baseSequence &&
        batch.nextOffset - batch.baseOffset === next.recordCount,
    )
  if (again !== undefined) return `duplicate of ${again.baseOffset}`
  if (next.producerEpoch < last.producerEpoch) return 'INVALID_PRODUCER_EPOCH'
  const follows = next.producerEpoch > last.producerEpoch ? 0 : sequenceBehind(last)
  return next.baseSequence === follows ? 'new' : 'OUT_OF_ORDER_SEQUENCE'
}

function sequenceBehind(batch: ProducerBatch): number {
  let sequence = batch.baseSequence
  for (let offset = batch.baseOffset; offset < batch.nextOffset; offset++) {
    sequence = sequence === 2 ** 31 - 1 ? 0 : sequence + 1
  }
  return sequence
}

function checked(state: ProducerState, next: ProducerAppend): string {
  try {
    const result = state.check(next)
    return result.kind === 'new' ? 'new' : `duplicate of ${result.baseOffset}`
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error)
    return String(error.code)
  }
}

describe('ProducerState against a list of batches', () => {
  const operation = fc.record({
    kind: fc.constantFrom('append', 'append', 'append', 'append', 'commit', 'rollback'),
    producerId: fc.integer({ min: 1, max: 3 }),
    epochStep: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
    sequence: fc.constantFrom('next', 'next', 'next', 'again', 'zero', 'gap'),
    recordCount: fc.integer({ min: 1, max: 3 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })

  function nextAppend(log: readonly ProducerBatch[], given: OperationOf<typeof operation>) {
    const { producerId, recordCount, sequence, epochStep, share } = given
    const own = log.filter(batch => batch.producerId === producerId)
    const last = own.at(-1)
    if (last === undefined) {
      return { producerId, producerEpoch: 5, baseSequence: 2 ** 31 - 4, recordCount }
    }
    const again = own[Math.max(0, own.length - 1 - Math.floor(share * 8))] ?? last
    if (sequence === 'again') {
      const { producerEpoch, baseSequence, baseOffset, nextOffset } = again
      return { producerId, producerEpoch, baseSequence, recordCount: nextOffset - baseOffset }
    }
    const producerEpoch = last.producerEpoch + epochStep
    const follows = epochStep === 0 ? sequenceBehind(last) : 0
    const baseSequence = sequence === 'next' ? follows : sequence === 'zero' ? 0 : follows + 1
    return { producerId, producerEpoch, baseSequence, recordCount }
  }

  it('any appends, commits and rollbacks → the same answers and the same durable state', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80 }), operations => {
        const state = new ProducerState()
        let log: ProducerBatch[] = []
        let durable = 0
        for (const given of operations) {
          const target = durable + Math.round(given.share * (log.length - durable))
          const targetOffset = log[target]?.baseOffset ?? log.at(-1)?.nextOffset ?? 0
          if (given.kind === 'commit') {
            state.commit(targetOffset)
            durable = target
          } else if (given.kind === 'rollback') {
            state.rollback(targetOffset)
            log = log.slice(0, target)
          } else {
            const next = nextAppend(log, given)
            const expected = modelCheck(log, next)
            assert.equal(checked(state, next), expected)
            if (expected !== 'new') continue
            const baseOffset = log.at(-1)?.nextOffset ?? 0
            const nextOffset = baseOffset + next.recordCount
            const batch = { ...next, baseOffset, nextOffset, timestamp: baseOffset * 10 }
            state.accept(batch)
            log.push(batch)
          }
          const replayed = new ProducerState()
          for (const batch of log.slice(0, durable)) {
            const flags = { isTransactional: false, isControl: false }
            replayed.replay({ ...batch, ...flags, maxTimestamp: batch.timestamp })
          }
          assert.deepEqual(state.snapshot(), replayed.snapshot())
        }
      }),
      replay,
    )
  })
})

type OperationOf<A> = A extends fc.Arbitrary<infer T> ? T : never
