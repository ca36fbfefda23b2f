/** Handlers that throw under `run()`: what is tried again, what is given up, and what is committed of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { HandlerError } from '../../lib/errors.ts'
import type { LogRecord } from '../../lib/types.ts'
import { openRun, stopped } from '../support/consumer-run.ts'
import {
  appendNumbers,
  committedOf,
  drain,
  HeldHandler,
  openConsuming,
  settle,
  until,
} from '../support/consuming.ts'

describe('a handler that throws', () => {
  it('without retries -> the run rejects, what was finished is committed, the rest waits', async () => {
    const { log, held, running } = await openRun({ keys: 'abc' })
    held.of('a0').end()
    await settle()
    const cause = new Error('no')
    held.of('b1').fail(cause)
    await assert.rejects(running, error => {
      assert.ok(error instanceof HandlerError)
      assert.deepEqual([error.record.offset, error.attempts, error.cause], [1, 1, cause])
      return true
    })
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    const next = await log.consumer({ topics: 'orders', group: 'g' })
    assert.deepEqual(await drain(next), ['b1', 'c2'])
    await log.close()
  })

  it('one that throws at once -> the same', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const running = consumer.run(() => {
      throw new Error('no')
    })
    await assert.rejects(running, HandlerError)
    assert.deepEqual(await committedOf(log, 'g'), [])
    await log.close()
  })

  it('with retries -> again after the backoff, which doubles; other keys go on meanwhile', async () => {
    const { clock, log, held } = await openRun({
      keys: 'abab',
      run: { concurrency: { by: 'key', max: 1 }, retries: 2, backoffMs: 100 },
    })
    held.of('a0').fail(new Error('first'))
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b1'])
    held.of('b1').end()
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b1', 'b3'])
    held.of('b3').end()
    await settle()
    clock.advance(99)
    await settle()
    assert.equal(held.begun.length, 3)
    clock.advance(1)
    await settle()
    assert.deepEqual(held.begun.slice(3), ['a0'])
    held.of('a0').fail(new Error('second'))
    await settle()
    clock.advance(199)
    await settle()
    assert.equal(held.begun.length, 4)
    clock.advance(1)
    await settle()
    assert.equal(held.begun.length, 5)
    held.of('a0').end()
    await settle()
    assert.equal(held.begun.at(-1), 'a2')
    held.of('a2').end()
    await log.close()
    assert.equal(log.state, 'closed')
  })

  it('the attempt -> told to the handler, and in the error', async () => {
    const { clock, log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const attempts: number[] = []
    const running = consumer.run(
      (_record, { attempt }) => {
        attempts.push(attempt)
        throw new Error('no')
      },
      { retries: 2 },
    )
    const failed = assert.rejects(running, { name: 'HandlerError', attempts: 3 })
    for (const expected of [1, 2, 3]) {
      await until(() => attempts.length === expected)
      clock.advance(1000)
    }
    await failed
    assert.deepEqual(attempts, [1, 2, 3])
    await log.close()
  })

  it('with a dead-letter topic -> the record goes there with what happened, and counts as finished', async () => {
    const { clock, log, topic } = await openConsuming()
    await topic.append({ key: 'k', value: 'bad', headers: { trace: '7' }, timestamp: 1234 })
    await topic.append({ value: 'good' })
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const seen: string[] = []
    const running = consumer.run(
      ({ value }) => {
        seen.push(String(value))
        if (String(value) === 'bad') throw new RangeError('out of bounds')
      },
      { retries: 1, deadLetterTopic: 'dead' },
    )
    await until(() => seen.length === 1)
    clock.advance(1000)
    await until(() => seen.length === 3)
    await stopped(consumer, running)
    assert.deepEqual(seen, ['bad', 'bad', 'good'])
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    const dead = await log.topic('dead')
    const letters: LogRecord[] = []
    for await (const record of dead.records()) letters.push(record)
    const [letter] = letters
    assert.ok(letter !== undefined)
    assert.deepEqual(
      [String(letter.key), String(letter.value), letter.timestamp],
      ['k', 'bad', 1234],
    )
    assert.deepEqual(
      letter.headers.map(([name, value]) => [name, String(value)]),
      [
        ['trace', '7'],
        ['dead-letter.topic', 'orders'],
        ['dead-letter.partition', '0'],
        ['dead-letter.offset', '0'],
        ['dead-letter.timestamp', '1234'],
        ['dead-letter.group', 'g'],
        ['dead-letter.attempts', '2'],
        ['dead-letter.error', 'RangeError'],
        ['dead-letter.message', 'out of bounds'],
      ],
    )
    await log.close()
  })

  it('a dead letter that cannot be appended -> the run rejects with both errors, nothing committed', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 1)
    const dead = await log.topic('dead')
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const held = new HeldHandler()
    const running = consumer.run(held.handle, { deadLetterTopic: dead })
    await until(() => held.begun.length === 1)
    await log.deleteTopic('dead')
    held.of(0).fail(new Error('no'))
    await assert.rejects(running, error => {
      assert.ok(error instanceof HandlerError && error.cause instanceof AggregateError)
      assert.equal(error.cause.errors.length, 2)
      return true
    })
    assert.deepEqual(await committedOf(log, 'g'), [])
    await log.close()
  })

  for (const [name, deadLetterTopic, code] of [
    ['a topic that is read', 'orders', undefined],
    ['a topic of the log itself', '__consumer_offsets', 'INVALID_TOPIC'],
  ] as const) {
    it(`${name} for dead letters -> refused`, async () => {
      const { log } = await openConsuming()
      const consumer = await log.consumer({ topics: 'orders', group: 'g' })
      const running = consumer.run(() => {}, { deadLetterTopic })
      await assert.rejects(running, code === undefined ? TypeError : { code })
      await log.close()
    })
  }
})
