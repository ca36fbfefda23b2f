/**
 * Numbered batches on a partition whose every answer the spec decides: what is tried again, under
 * which numbers, and what the log holds in the end. The clock is moved by hand.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClosedError, CorruptRecordError, StorageError } from '../../lib/errors.ts'
import type { TopicState } from '../../lib/log/topic-state.ts'
import type { Batch } from '../../lib/producer/batch.ts'
import { IdempotentDelivery } from '../../lib/producer/idempotent-delivery.ts'
import type { Lane, LaneHost } from '../../lib/producer/lane.ts'
import { resolveProducerOptions } from '../../lib/producer/producer-options.ts'
import { Sending } from '../../lib/producer/sending.ts'
import type { ProducerOptions } from '../../lib/producing.ts'
import { type AppendEnd, NumberedPartition } from '../support/numbered-partition.ts'
import { forEachSeed } from '../support/random.ts'
import { ScriptedTopic } from '../support/scripted-topic.ts'

/** Long enough for every answer that is not held. */
async function turn(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await new Promise(resolve => setImmediate(resolve))
}

function scene(options: ProducerOptions = {}) {
  const partition = new NumberedPartition()
  const topic = new ScriptedTopic(1)
  const state = { ...topic, partitions: [partition], refusal: () => new ClosedError() }
  const target = { topic: state as unknown as TopicState, partition: 0 }
  /** By value: an offset, or the code of an error and its outcome. */
  const ends = new Map<string, number | string>()
  const end = (sending: Sending, how: number | string): void => {
    if (sending.isSettled) return
    sending.isSettled = true
    ends.set(String(sending.record.value), how)
  }
  const host: LaneHost = {
    options: resolveProducerOptions({ idempotent: true, ...options }, { maxBlockMs: 60_000 }),
    isFlushing: false,
    closeAtEndOfTurn: () => {},
    settled: (sending, { baseOffset }) => end(sending, baseOffset),
    failed: (sending, error) => {
      const { code, outcome } = error as Error & { code: string; outcome: string }
      end(sending, `${code} ${outcome}`)
    },
  }
  const delivery = new IdempotentDelivery(host, target, 7)
  /** Sends one batch of these values. */
  const push = (...values: readonly string[]): void => {
    const way = { host: { refused: () => {} }, lane: {} as Lane, generation: { pendingCount: 1 } }
    const sendings = values.map(
      value => new Sending({ record: { value, timestamp: 0 }, sizeBytes: 1 }, way),
    )
    const batch: Batch = {
      sendings,
      sizeBytes: 1,
      closedMs: topic.clock.monotonicMs(),
      hasAppendTime: false,
      identity: null,
      result: null,
      failure: null,
      doubt: null,
    }
    delivery.push(batch)
  }
  const settled = () => Object.fromEntries(ends)
  return { partition, topic, state, clock: topic.clock, delivery, push, settled }
}

/** The same, with a first batch in the log, so that several may be under way. */
async function warmScene(options: ProducerOptions = {}) {
  const warm = scene(options)
  warm.push('first')
  await turn()
  warm.partition.tries.length = 0
  return warm
}

describe('batches that arrive', () => {
  it('nothing fails -> numbered one after the other, one alone until it is known', async () => {
    const { partition, push, settled } = scene()
    partition.isHeld = true
    push('a', 'b')
    push('c')
    await turn()
    assert.deepEqual(partition.tries, ['0:0+2 ok'])
    partition.answer()
    await turn()
    assert.deepEqual(partition.tries, ['0:0+2 ok', '0:2+1 ok'])
    assert.deepEqual(settled(), { a: 0, b: 1, c: 2 })
  })

  it('answers are late -> five under way and not more', async () => {
    const { partition, push, settled } = await warmScene()
    partition.isHeld = true
    for (const value of 'abcdefg') push(value)
    await turn()
    assert.equal(partition.tries.length, 5)
    partition.answer()
    await turn()
    assert.deepEqual(settled(), { first: 0, a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 })
  })
})

describe('a try whose fate is unknown', () => {
  it('it is in the log -> tried again under the same numbers, and answered with where it is', async () => {
    const { partition, clock, push, settled } = scene()
    partition.script = ['kept']
    push('a', 'b')
    push('c')
    await turn()
    clock.advance(99)
    await turn()
    assert.deepEqual(partition.tries, ['0:0+2 kept'])
    clock.advance(1)
    await turn()
    assert.deepEqual(partition.tries, ['0:0+2 kept', '0:0+2 ok', '0:2+1 ok'])
    assert.deepEqual(partition.values, ['a', 'b', 'c'])
    assert.deepEqual(settled(), { a: 0, b: 1, c: 2 })
  })

  it('it is not in the log -> tried again, and there once', async () => {
    const { partition, clock, push, settled } = scene()
    partition.script = ['lost', 'lost']
    push('a')
    await turn()
    clock.advance(100)
    await turn()
    clock.advance(100)
    await turn()
    assert.deepEqual(partition.tries, ['0:0+1 lost', '0:0+1 lost', '0:0+1 ok'])
    assert.deepEqual([partition.values, settled()], [['a'], { a: 0 }])
  })

  for (const fates of [
    ['kept', 'kept', 'lost'],
    ['kept', 'lost', 'lost'],
    ['lost', 'lost', 'lost'],
    ['ok', 'kept', 'lost'],
  ] as const) {
    it(`several were under way, ${fates.join(', ')} -> all of them once, in order`, async () => {
      const { partition, clock, push, settled } = await warmScene()
      partition.script = [...fates]
      for (const value of 'abcde') push(value)
      await turn()
      clock.advance(100)
      await turn()
      assert.deepEqual(partition.values, ['first', 'a', 'b', 'c', 'd', 'e'])
      assert.deepEqual(settled(), { first: 0, a: 1, b: 2, c: 3, d: 4, e: 5 })
    })
  }

  it('the partition remembers the last batch only -> the others are looked for, and found', async () => {
    const { partition, clock, push, settled } = await warmScene()
    partition.script = ['kept', 'kept', 'kept']
    push('a', 'b')
    push('c')
    push('d')
    await turn()
    partition.forgetAllButLast()
    clock.advance(100)
    await turn()
    assert.deepEqual(partition.values, ['first', 'a', 'b', 'c', 'd'])
    assert.deepEqual(settled(), { first: 0, a: 1, b: 2, c: 3, d: 4 })
    push('e')
    await turn()
    assert.equal(settled()['e'], 5)
    assert.equal(partition.tries.at(-1), '0:5+1 ok')
  })

  it('the disk cannot be read when it is looked for -> looked for again', async () => {
    const { partition, clock, push, settled } = await warmScene()
    partition.script = ['kept', 'kept']
    push('a')
    push('b')
    await turn()
    partition.forgetAllButLast()
    partition.readFailure = new StorageError('orders-0', 'read', new Error('EIO'))
    clock.advance(100)
    await turn()
    assert.equal(settled()['a'], undefined)
    clock.advance(100)
    await turn()
    assert.deepEqual([partition.values, settled()], [['first', 'a', 'b'], { first: 0, a: 1, b: 2 }])
  })

  it('it is where the log is damaged -> refused as of unknown fate, and what follows goes on', async () => {
    const { partition, clock, push, settled } = await warmScene()
    partition.script = ['kept', 'kept']
    push('a')
    push('b')
    await turn()
    partition.forgetAllButLast()
    const at = { path: 'orders-0/0.log', position: 0, from: 1, to: 2 }
    partition.readFailure = new CorruptRecordError(at, 'crc')
    clock.advance(100)
    await turn()
    assert.equal(settled()['a'], 'STORAGE_FAILED unknown')
    push('c')
    clock.advance(100)
    await turn()
    assert.deepEqual(partition.values.slice(-1), ['c'])
  })
})

describe('a try that was refused', () => {
  it('for want of room -> tried again after a pause, with those behind it, in order', async () => {
    const { partition, clock, push, settled } = await warmScene()
    partition.script = ['full']
    for (const value of 'abc') push(value)
    await turn()
    assert.deepEqual(settled(), { first: 0 })
    clock.advance(100)
    await turn()
    assert.deepEqual(partition.tries.slice(-3), ['0:1+1 ok', '0:2+1 ok', '0:3+1 ok'])
    assert.deepEqual(partition.values, ['first', 'a', 'b', 'c'])
  })

  it('for good -> its records are refused, those behind it take its numbers at once', async () => {
    const { partition, push, settled } = await warmScene()
    partition.script = ['large']
    push('a', 'b')
    push('c')
    push('d')
    await turn()
    const refused = 'RECORD_TOO_LARGE not-written'
    assert.deepEqual(settled(), { first: 0, a: refused, b: refused, c: 1, d: 2 })
    assert.deepEqual(partition.tries.slice(-2), ['0:1+1 ok', '0:2+1 ok'])
  })

  it('the first of all for good -> the next begins in its place', async () => {
    const { partition, push, settled } = scene()
    partition.script = ['large']
    push('a')
    push('b')
    await turn()
    assert.deepEqual(settled(), { a: 'RECORD_TOO_LARGE not-written', b: 0 })
    assert.deepEqual(partition.tries, ['0:0+1 large', '0:0+1 ok'])
  })
})

describe('a partition that failed', () => {
  it('until it is recovered -> nothing is tried', async () => {
    const { partition, clock, push, settled } = await warmScene()
    partition.script = ['lost']
    push('a')
    await turn()
    partition.state = 'failed'
    for (let pause = 0; pause < 20; pause++) clock.advance(100)
    await turn()
    assert.deepEqual(partition.tries, ['0:1+1 lost'])
    partition.state = 'ok'
    clock.advance(100)
    await turn()
    assert.deepEqual(settled(), { first: 0, a: 1 })
  })

  it('never recovered -> refused with the first failure when deliveryTimeoutMs is over, each at its time', async () => {
    const { partition, clock, push, settled } = await warmScene({ deliveryTimeoutMs: 1000 })
    partition.script = ['lost']
    push('a')
    await turn()
    partition.state = 'failed'
    clock.advance(500)
    push('b')
    clock.advance(499)
    assert.deepEqual(settled(), { first: 0 })
    clock.advance(1)
    assert.deepEqual(settled(), { first: 0, a: 'STORAGE_FAILED unknown' })
    clock.advance(500)
    assert.equal(settled()['b'], 'STORAGE_FAILED unknown')
  })

  it('the topic goes meanwhile -> refused', async () => {
    const { partition, state, clock, push, settled } = await warmScene()
    partition.script = ['full']
    push('a')
    await turn()
    state.isUsable = false
    clock.advance(100)
    await turn()
    assert.deepEqual(settled(), { first: 0, a: 'LOG_CLOSED not-written' })
  })
})

describe('a batch of unknown fate that was given up', () => {
  it('it is not in the log -> what follows begins a new epoch', async () => {
    const { partition, clock, push, settled } = await warmScene({ deliveryTimeoutMs: 1000 })
    partition.script = ['lost']
    push('a')
    await turn()
    partition.state = 'failed'
    clock.advance(1000)
    assert.equal(settled()['a'], 'STORAGE_FAILED unknown')
    partition.state = 'ok'
    push('b')
    push('c')
    await turn()
    assert.deepEqual(partition.tries.slice(1), [
      '0:2+1 ok order',
      '0:3+1 ok order',
      '1:0+1 ok',
      '1:1+1 ok',
    ])
    assert.deepEqual([partition.values, settled()['c']], [['first', 'b', 'c'], 2])
  })

  it('it is in the log -> what follows goes on behind it', async () => {
    const { partition, clock, push, settled } = await warmScene({ deliveryTimeoutMs: 1000 })
    partition.script = ['kept']
    push('a')
    await turn()
    partition.state = 'failed'
    clock.advance(1000)
    partition.state = 'ok'
    push('b')
    await turn()
    assert.deepEqual(partition.tries.slice(1), ['0:2+1 ok'])
    assert.deepEqual([partition.values, settled()['b']], [['first', 'a', 'b'], 2])
  })
})

describe('ending', () => {
  it('stopRetrying in a pause -> what waits is refused at once', async () => {
    const { partition, clock, delivery, push, settled } = await warmScene()
    partition.script = ['full']
    push('a')
    push('b')
    await turn()
    delivery.stopRetrying()
    assert.deepEqual(settled(), {
      first: 0,
      a: 'DISK_FULL not-written',
      b: 'DISK_FULL not-written',
    })
    clock.advance(1000)
    await turn()
    assert.deepEqual(partition.values, ['first'])
  })

  it('stopRetrying before a failure -> every batch is tried once more at most', async () => {
    const { partition, delivery, push, settled } = await warmScene()
    partition.script = ['full', 'full', 'full', 'full', 'full']
    delivery.stopRetrying()
    push('a')
    push('b')
    await turn()
    assert.deepEqual(Object.values(settled()).slice(1), [
      'DISK_FULL not-written',
      'DISK_FULL not-written',
    ])
  })

  it('giveUp -> everything is refused, and late answers change nothing', async () => {
    const { partition, delivery, push, settled } = await warmScene()
    partition.isHeld = true
    for (const value of 'abcdefg') push(value)
    delivery.giveUp(new ClosedError('the producer', 'unknown'))
    const refused = settled()
    assert.equal(Object.keys(refused).length, 8)
    assert.equal(refused['g'], 'LOG_CLOSED unknown')
    partition.answer()
    await turn()
    assert.deepEqual(settled(), refused)
  })
})

describe('any history', () => {
  it('tries end at random -> nothing twice, nothing acknowledged is missing, all in order', async () => {
    const ends: readonly AppendEnd[] = ['ok', 'ok', 'ok', 'kept', 'lost', 'full', 'large']
    await forEachSeed(150, async random => {
      const { partition, clock, push, settled } = scene({ deliveryTimeoutMs: 700 })
      const sent: string[] = []
      for (let step = 0; step < 25; step++) {
        const values = Array.from({ length: 1 + random.below(3) }, () => `v${sent.length}.${step}`)
        for (const [index, value] of values.entries()) sent.push(`${value}.${index}`)
        const end = ends[random.below(ends.length)]
        if (end !== undefined) partition.script.push(end)
        partition.isHeld = random.below(3) === 0
        push(...sent.slice(-values.length))
        if (random.below(2) === 0) await turn()
        partition.answer()
        if (random.below(5) === 0) partition.state = 'failed'
        else if (random.below(2) === 0) partition.state = 'ok'
        if (random.below(6) === 0) partition.forgetAllButLast()
        clock.advance(random.below(4) * 100)
      }
      partition.state = 'ok'
      partition.script = []
      for (let pause = 0; pause < 20; pause++) {
        await turn()
        clock.advance(100)
      }
      const { values } = partition
      assert.deepEqual(
        values,
        sent.filter(value => values.includes(value)),
        'each once at most, in the order in which they were sent',
      )
      const answers = settled()
      for (const value of sent) {
        const answer = answers[value]
        if (typeof answer === 'number') assert.equal(values[answer], value)
        else if (answer?.endsWith('not-written')) assert.ok(!values.includes(value), value)
        else assert.match(String(answer), /unknown$/, value)
      }
    })
  })
})
