/**
 * Kafka's rules for idempotent producers case by case, and the bytes of the snapshot.
 *
 * Worked example: producer 1001 (0x3e9) in epoch 4, whose last batch held sequences 7 to 9 at
 * offsets 40 to 42 (0x2a) with timestamp 1,700,000,000,005 (0x18bcfe56805), outside transactions.
 * Count and entry are the 50 bytes below; their CRC-32C is c328f956.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { crc32c } from '../../lib/record/crc32c.ts'
import {
  type ProducerAppend,
  type ProducerBatch,
  ProducerState,
} from '../../lib/storage/producer-state.ts'

const example =
  '0001c328f95600000001' +
  '00000000000003e9000400000009000000000000002a000000020000018bcfe56805ffffffffffffffffffffffff'
const exampleBatch = {
  producerId: 1001,
  producerEpoch: 4,
  baseSequence: 7,
  baseOffset: 40,
  nextOffset: 43,
  timestamp: 1_700_000_000_005,
}

function append(baseSequence: number, recordCount = 1, producerEpoch = 0): ProducerAppend {
  return { producerId: 1, producerEpoch, baseSequence, recordCount }
}

/** Batches of producer 1, one record each, with sequence and offset running from `first` on. */
function stateAfter(sequences: readonly number[], producerEpoch = 0): ProducerState {
  const state = new ProducerState()
  sequences.forEach((baseSequence, offset) => {
    state.accept(batchAt(offset, { baseSequence, producerEpoch }))
  })
  return state
}

function batchAt(baseOffset: number, fields: Partial<ProducerBatch> = {}): ProducerBatch {
  return {
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
    baseOffset,
    nextOffset: baseOffset + 1,
    timestamp: 1000 + baseOffset,
    ...fields,
  }
}

function headerAt(baseOffset: number, fields: object = {}) {
  const { timestamp, ...batch } = batchAt(baseOffset)
  return { ...batch, maxTimestamp: timestamp, isTransactional: false, isControl: false, ...fields }
}

describe('ProducerState.check', () => {
  it('a producer not known → new with any sequence', () => {
    assert.deepEqual(new ProducerState().check(append(42)), { kind: 'new' })
  })

  it('the next sequence → new', () => {
    assert.deepEqual(stateAfter([0, 1]).check(append(2)), { kind: 'new' })
  })

  it('a sequence after 2^31 - 1 → 0 is next', () => {
    const state = stateAfter([2 ** 31 - 1])
    assert.deepEqual(state.check(append(0)), { kind: 'new' })
  })

  it('a batch that wraps → its last sequence counts from 0 on', () => {
    const state = new ProducerState()
    state.accept(batchAt(0, { baseSequence: 2 ** 31 - 2, nextOffset: 4 }))
    assert.deepEqual(state.check(append(2)), { kind: 'new' })
    assert.equal(state.check(append(2 ** 31 - 2, 4)).kind, 'duplicate')
  })

  for (const sequence of [0, 3, 4, 6]) {
    it(`sequence ${sequence} when 5 is next and it is no repetition → OUT_OF_ORDER_SEQUENCE`, () => {
      assert.throws(() => stateAfter([0, 1, 2, 3, 4]).check(append(sequence, 2)), {
        code: 'OUT_OF_ORDER_SEQUENCE',
        producerId: 1,
        expectedSequence: 5,
        sequence,
      })
    })
  }

  it('each of the last five batches again → its offsets and timestamp', () => {
    const state = stateAfter([0, 1, 2, 3, 4, 5])
    for (let sequence = 1; sequence <= 5; sequence++) {
      assert.deepEqual(state.check(append(sequence)), {
        kind: 'duplicate',
        baseOffset: sequence,
        nextOffset: sequence + 1,
        timestamp: 1000 + sequence,
      })
    }
  })

  it('the sixth last batch again → OUT_OF_ORDER_SEQUENCE', () => {
    assert.throws(() => stateAfter([0, 1, 2, 3, 4, 5]).check(append(0)), {
      code: 'OUT_OF_ORDER_SEQUENCE',
    })
  })

  it('an older epoch → INVALID_PRODUCER_EPOCH, whatever the sequence', () => {
    for (const sequence of [0, 1]) {
      assert.throws(() => stateAfter([0], 3).check(append(sequence, 1, 2)), {
        code: 'INVALID_PRODUCER_EPOCH',
        currentEpoch: 3,
        epoch: 2,
      })
    }
  })

  it('a newer epoch → sequence 0 only', () => {
    const state = stateAfter([0, 1], 3)
    assert.deepEqual(state.check(append(0, 1, 4)), { kind: 'new' })
    assert.throws(() => state.check(append(2, 1, 4)), {
      code: 'OUT_OF_ORDER_SEQUENCE',
      expectedSequence: 0,
    })
  })

  it('a batch of the former epoch again after a newer one → INVALID_PRODUCER_EPOCH', () => {
    const state = stateAfter([0], 3)
    state.accept(batchAt(1, { producerEpoch: 4 }))
    assert.throws(() => state.check(append(0, 1, 3)), { code: 'INVALID_PRODUCER_EPOCH' })
  })

  it('no sequence → new unless the epoch is older', () => {
    const state = stateAfter([0, 1], 3)
    assert.deepEqual(state.check(append(-1, 1, 3)), { kind: 'new' })
    assert.throws(() => state.check(append(-1, 1, 2)), { code: 'INVALID_PRODUCER_EPOCH' })
  })

  it('a check → changes nothing', () => {
    const state = stateAfter([0])
    state.check(append(1))
    assert.deepEqual(state.check(append(1)), { kind: 'new' })
  })
})

describe('ProducerState.accept, commit, rollback', () => {
  it('rolled back to the sixth last batch → the batch before it is a duplicate again', () => {
    const state = stateAfter([0, 1, 2, 3, 4, 5])
    state.rollback(1)
    assert.equal(state.check(append(0)).kind, 'duplicate')
    assert.deepEqual(state.check(append(1)), { kind: 'new' })
  })

  it('a newer epoch rolled back → the former epoch goes on', () => {
    const state = stateAfter([0, 1], 3)
    state.accept(batchAt(2, { producerEpoch: 4 }))
    state.rollback(2)
    assert.equal(state.check(append(1, 1, 3)).kind, 'duplicate')
    assert.deepEqual(state.check(append(2, 1, 3)), { kind: 'new' })
  })

  it('the only batch rolled back → the producer is not known', () => {
    const state = stateAfter([7])
    state.rollback(0)
    assert.equal(state.largestProducerId, -1)
  })

  it('rolled back below what is durable → a broken invariant', () => {
    const state = stateAfter([0, 1])
    state.commit(2)
    assert.throws(() => state.rollback(1), { name: 'AssertionError' })
  })

  it('rolled back into a batch → a broken invariant', () => {
    const state = new ProducerState()
    state.accept(batchAt(0, { nextOffset: 3 }))
    assert.throws(() => state.rollback(2), { name: 'AssertionError' })
  })

  it('a batch below the last one → a broken invariant', () => {
    const state = stateAfter([0, 1])
    assert.throws(() => state.accept(batchAt(1)), { name: 'AssertionError' })
  })

  it('a commit that comes late → changes nothing', () => {
    const state = stateAfter([0, 1])
    state.commit(2)
    state.commit(1)
    assert.throws(() => state.rollback(1), { name: 'AssertionError' })
  })
})

describe('ProducerState.replay', () => {
  it('the batches of a log → the same snapshot as when they were appended', () => {
    const appended = stateAfter([0, 1, 2])
    appended.commit(3)
    const replayed = new ProducerState()
    for (let offset = 0; offset < 3; offset++) {
      replayed.replay(headerAt(offset, { baseSequence: offset }))
    }
    assert.deepEqual(replayed.snapshot(), appended.snapshot())
    assert.equal(replayed.check(append(0)).kind, 'duplicate')
  })

  it('a batch without a producer → passed over', () => {
    const state = new ProducerState()
    state.replay(headerAt(0, { producerId: -1, producerEpoch: -1, baseSequence: -1 }))
    assert.equal(state.largestProducerId, -1)
  })

  it('a transaction and its marker → open in between, and the sequence goes on', () => {
    const state = new ProducerState()
    state.replay(headerAt(5, { isTransactional: true }))
    state.replay(headerAt(6, { baseSequence: 1, isTransactional: true }))
    assert.equal(state.snapshot().readBigInt64BE(10 + 38), 5n)
    const marker = { baseSequence: -1, isTransactional: true, isControl: true }
    state.replay(headerAt(7, marker))
    assert.equal(state.snapshot().readBigInt64BE(10 + 38), -1n)
    assert.deepEqual(state.check(append(2)), { kind: 'new' })
  })

  it('a marker of a newer epoch → the older one is fenced, sequences begin at 0', () => {
    const state = new ProducerState()
    state.replay(headerAt(0, { baseSequence: 5 }))
    state.replay(headerAt(1, { producerEpoch: 1, baseSequence: -1, isControl: true }))
    assert.throws(() => state.check(append(6)), { code: 'INVALID_PRODUCER_EPOCH' })
    assert.deepEqual(state.check(append(0, 1, 1)), { kind: 'new' })
    assert.throws(() => state.check(append(6, 1, 1)), { code: 'OUT_OF_ORDER_SEQUENCE' })
  })

  it('behind a batch that is not durable → a broken invariant', () => {
    const state = stateAfter([0])
    assert.throws(() => state.replay(headerAt(1)), { name: 'AssertionError' })
  })
})

describe('ProducerState.expire', () => {
  it('heard of exactly that long ago → forgotten, later ones stay', () => {
    const state = new ProducerState()
    state.replay(headerAt(0, { producerId: 1 }))
    state.replay(headerAt(1, { producerId: 2 }))
    assert.equal(state.expire(1100, 100), 1)
    assert.deepEqual(state.check(append(99)), { kind: 'new' })
    assert.throws(() => state.check({ ...append(99), producerId: 2 }))
  })

  it('an open transaction → stays', () => {
    const state = new ProducerState()
    state.replay(headerAt(0, { isTransactional: true }))
    assert.equal(state.expire(1e12, 100), 0)
  })

  it('a batch that is not durable → stays until it is', () => {
    const state = stateAfter([0])
    assert.equal(state.expire(1e12, 100), 0)
    state.commit(1)
    assert.equal(state.expire(1e12, 100), 1)
    assert.equal(state.largestProducerId, -1)
  })
})

describe('how old a producer is', () => {
  it('a batch with a timestamp of long ago -> counts from when it was appended', () => {
    const state = new ProducerState()
    state.accept(batchAt(0, { timestamp: 5, heardMs: 1000 }))
    state.commit(1)
    assert.equal(state.expire(1099, 100), 0)
    assert.equal(state.expire(1100, 100), 1)
  })

  it('read from a snapshot -> counts from the timestamp of the last batch', () => {
    const state = new ProducerState()
    state.accept(batchAt(0, { timestamp: 5, heardMs: 1000 }))
    state.commit(1)
    assert.equal(ProducerState.load(state.snapshot())?.expire(105, 100), 1)
  })

  it('read with a timestamp that lies ahead -> counts from the first look', () => {
    const state = new ProducerState()
    state.replay(headerAt(0, { maxTimestamp: 1e15 }))
    assert.equal(state.expire(1000, 100), 0)
    assert.equal(state.expire(1099, 100), 0)
    assert.equal(state.expire(1100, 100), 1)
  })

  it('refreshed -> counts anew', () => {
    const state = new ProducerState()
    state.replay(headerAt(0))
    state.refresh(5000)
    assert.equal(state.expire(5099, 100), 0)
    assert.equal(state.expire(5100, 100), 1)
  })
})

describe('ProducerState.isUntouched', () => {
  it('never a producer -> true; one, also when it was forgotten or its snapshot read -> false', () => {
    const state = new ProducerState()
    assert.equal(state.isUntouched, true)
    state.replay(headerAt(0))
    state.expire(1e12, 100)
    assert.equal(state.isUntouched, false)
    assert.equal(ProducerState.load(state.snapshot())?.isUntouched, false)
  })
})

describe('ProducerState.snapshot', () => {
  it('one producer → the worked example, and back', () => {
    const state = new ProducerState()
    state.accept(exampleBatch)
    state.commit(43)
    assert.equal(state.snapshot().toString('hex'), example)
    const loaded = ProducerState.load(Buffer.from(example, 'hex'))
    assert.equal(loaded?.snapshot().toString('hex'), example)
    assert.deepEqual(
      loaded?.check({ producerId: 1001, producerEpoch: 4, baseSequence: 7, recordCount: 3 }),
      { kind: 'duplicate', baseOffset: 40, nextOffset: 43, timestamp: 1_700_000_000_005 },
    )
  })

  it('no producer → version, CRC and a count of zero, and back to an empty state', () => {
    const bytes = new ProducerState().snapshot()
    assert.equal(bytes.toString('hex'), '000148674bc700000000')
    assert.equal(ProducerState.load(bytes)?.largestProducerId, -1)
  })

  it('producers in any order → lowest id first', () => {
    const state = new ProducerState()
    for (const producerId of [3, 1, 2]) state.replay(headerAt(producerId, { producerId }))
    const ids = [0, 1, 2].map(index => state.snapshot().readBigInt64BE(10 + index * 46))
    assert.deepEqual(ids, [1n, 2n, 3n])
  })

  it('batches that are not durable → not in it', () => {
    const state = stateAfter([0, 1, 2])
    state.commit(1)
    state.accept(batchAt(3, { producerId: 2 }))
    const durable = stateAfter([0])
    durable.commit(1)
    assert.deepEqual(state.snapshot(), durable.snapshot())
  })

  it('a producer with only a marker, in a transaction, of some coordinator → every byte kept', () => {
    const body =
      '00000002' +
      '00000000000000070001ffffffffffffffffffffffff000000000000018bcfe5680500000009ffffffffffffffff' +
      '0000000000000008000200000005000000000000002a000000020000018bcfe56805000000090000000000000028'
    const bytes = Buffer.from(`000100000000${body}`, 'hex')
    bytes.writeUInt32BE(crc32c(bytes, 6, bytes.length), 2)
    assert.deepEqual(ProducerState.load(bytes)?.snapshot(), bytes)
  })

  it('every true prefix → null', () => {
    const bytes = Buffer.from(example, 'hex')
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(ProducerState.load(bytes.subarray(0, length)), null, `${length} bytes`)
    }
  })

  it('every single bit flipped → null', () => {
    for (let bit = 0; bit < (example.length / 2) * 8; bit++) {
      const damaged = Buffer.from(example, 'hex')
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(ProducerState.load(damaged), null, `bit ${bit}`)
    }
  })

  const entry = example.slice(20)
  for (const [what, body] of [
    ['a count too low', `00000001${entry}${entry.replace('03e9', '03ea')}`],
    ['a count too high', `00000002${entry}`],
    ['a negative count', `ffffffff${entry}`],
    ['a producer twice', `00000002${entry}${entry}`],
    ['a producer id beyond 2^53', `00000001${entry.replace('0000', '7fff')}`],
    ['a negative offset delta', `00000001${entry.replace('2a00000002', '2afffffffe')}`],
  ] as const) {
    it(`${what} under a right CRC → null`, () => {
      const bytes = Buffer.from(`000100000000${body}`, 'hex')
      bytes.writeUInt32BE(crc32c(bytes, 6, bytes.length), 2)
      assert.equal(ProducerState.load(bytes), null)
    })
  }
})
