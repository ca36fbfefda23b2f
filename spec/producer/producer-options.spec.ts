/** What a producer may be told, and what it is without. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { checkSendOptions, resolveProducerOptions } from '../../lib/producer/producer-options.ts'
import type { ProducerOptions } from '../../lib/producing.ts'

const log = { maxBlockMs: 777 }

describe('resolveProducerOptions', () => {
  it('nothing given -> the defaults, and the time to wait of the log', () => {
    assert.deepEqual(resolveProducerOptions(undefined, log), {
      acks: undefined,
      lingerMs: 0,
      batchBytes: 65536,
      compressionType: undefined,
      partitioner: undefined,
      maxInFlightBytes: 33554432,
      maxBlockMs: 777,
      idempotent: false,
      deliveryTimeoutMs: 120000,
      retryBackoffMs: 100,
    })
  })

  it('undefined -> counts as absent', () => {
    const given = { lingerMs: undefined, batchBytes: undefined }
    assert.deepEqual(resolveProducerOptions(given, log), resolveProducerOptions({}, log))
  })

  it('idempotent -> durable, whatever the topic says', () => {
    assert.equal(resolveProducerOptions({ idempotent: true }, log).acks, 'durable')
  })

  for (const acks of ['written', 'queued'] as const) {
    it(`idempotent with acks ${acks} -> TypeError`, () => {
      assert.throws(() => resolveProducerOptions({ idempotent: true, acks }, log), {
        name: 'TypeError',
        message: /`acks` to be 'durable' with `idempotent`/,
      })
    })
  }

  const wrong: readonly (readonly [Readonly<Record<string, unknown>> | null, string])[] = [
    [{ lingerMs: -1 }, 'RangeError'],
    [{ lingerMs: '5' }, 'TypeError'],
    [{ batchBytes: 0 }, 'RangeError'],
    [{ batchBytes: 1.5 }, 'RangeError'],
    [{ compressionType: 'brotli' }, 'RangeError'],
    [{ partitioner: 'random' }, 'RangeError'],
    [{ partitioner: 3 }, 'TypeError'],
    [{ acks: 'all' }, 'RangeError'],
    [{ maxInFlightBytes: 0 }, 'RangeError'],
    [{ maxBlockMs: -2 }, 'RangeError'],
    [{ idempotent: 1 }, 'TypeError'],
    [{ deliveryTimeoutMs: Number.NaN }, 'RangeError'],
    [{ retryBackoffMs: 0 }, 'RangeError'],
    [{ linger: 5 }, 'TypeError'],
    [null, 'TypeError'],
  ]
  for (const [given, name] of wrong) {
    it(`${JSON.stringify(given)} -> ${name}`, () => {
      assert.throws(() => resolveProducerOptions(given as ProducerOptions, log), { name })
    })
  }
})

describe('checkSendOptions', () => {
  it('an option that there is not -> TypeError that names the nearest', () => {
    const options = { sginal: new AbortController().signal }
    assert.throws(() => checkSendOptions(options as never), /did you mean `signal`/)
  })

  it('a signal that has aborted -> its reason', () => {
    assert.throws(() => checkSendOptions({ signal: AbortSignal.abort(new Error('late')) }), /late/)
  })
})
