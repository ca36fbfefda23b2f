/** What `run()` gives to its handler, in which order, and what it commits; the handlers end when the test says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Consumer, RunOptions } from '../../lib/consuming.ts'
import { HandlerError } from '../../lib/errors.ts'
import type { LogRecord, Topic } from '../../lib/types.ts'
import {
  appendNumbers,
  committedOf,
  drain,
  HeldHandler,
  openConsuming,
  settle,
  until,
} from '../support/consuming.ts'

async function appendKeys(topic: Topic, keys: string): Promise<void> {
  await topic.append([...keys].map((key, index) => ({ key, value: `${key}${index}` })))
}

async function openRun(
  options: { readonly partitions?: number; readonly keys?: string; readonly run?: RunOptions } = {},
) {
  const opened = await openConsuming({ partitions: options.partitions ?? 1 })
  if (options.keys !== undefined) await appendKeys(opened.topic, options.keys)
  const consumer = await opened.log.consumer({ topics: 'orders', group: 'g' })
  const held = new HeldHandler()
  const running = consumer.run(held.handle, options.run)
  // What becomes of it is asserted where it matters.
  running.catch(() => {})
  await settle()
  return { ...opened, consumer, held, running }
}

async function stopped(consumer: Consumer, running: Promise<void>): Promise<void> {
  await consumer.close()
  await running
}

describe('the order of a run', () => {
  it('by default -> one record at a time, over all partitions', async () => {
    const { log, topic, held } = await openRun({ partitions: 2 })
    await appendNumbers(topic, 2, { from: 10, partition: 0 })
    await appendNumbers(topic, 1, { from: 20, partition: 1 })
    await settle()
    assert.equal(held.begun.length, 1)
    for (let done = 1; done <= 3; done++) {
      held.of(held.begun.at(-1) as string).end()
      await settle()
    }
    assert.deepEqual(held.begun.toSorted(), ['10', '11', '20'])
    await log.close()
  })

  it('by partition -> one of each partition, partitions side by side, at most max', async () => {
    const { log, topic, held } = await openRun({
      partitions: 3,
      run: { concurrency: { by: 'partition', max: 2 } },
    })
    for (const partition of [0, 1, 2]) {
      await appendNumbers(topic, 2, { from: 10 * partition, partition })
    }
    await settle()
    assert.equal(held.begun.length, 2)
    assert.ok(held.begun.every(value => value.endsWith('0')))
    for (const value of held.begun) held.of(value).end()
    await settle()
    assert.equal(held.begun.length, 4)
    for (const value of ['0', '1', '10', '11', '20', '21']) {
      await until(() => held.begun.includes(value))
      held.of(value).end()
    }
    await log.close()
  })

  it('by key -> records of one key one after the other, other keys beside them', async () => {
    const { log, held } = await openRun({
      keys: 'aabab',
      run: { concurrency: { by: 'key', max: 8 } },
    })
    assert.deepEqual(held.begun, ['a0', 'b2'])
    held.of('b2').end()
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b2', 'b4'])
    held.of('a0').end()
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b2', 'b4', 'a1'])
    held.of('a1').end()
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b2', 'b4', 'a1', 'a3'])
    held.of('a3').end()
    held.of('b4').end()
    await log.close()
  })

  it('by key, records without one -> all side by side', async () => {
    const { log, topic, held } = await openRun({ run: { concurrency: { by: 'key', max: 8 } } })
    await topic.append(['x', 'y', 'z'].map(value => ({ value })))
    await settle()
    assert.deepEqual(held.begun, ['x', 'y', 'z'])
    for (const value of held.begun) held.of(value).end()
    await log.close()
  })

  it('a handler that is not asynchronous -> everything, in order', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 600)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const seen: number[] = []
    const running = consumer.run(({ value }) => void seen.push(Number(value)))
    await until(() => seen.length === 600)
    assert.deepEqual(
      seen,
      Array.from({ length: 600 }, (_, index) => index),
    )
    await stopped(consumer, running)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@600'])
    await log.close()
  })
})

describe('what a run commits', () => {
  it('finished out of order -> up to the first that is not', async () => {
    const { clock, log, held } = await openRun({
      keys: 'abc',
      run: { concurrency: { by: 'key', max: 3 } },
    })
    held.of('b1').end()
    held.of('c2').end()
    await settle()
    clock.advance(1000)
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), [])
    held.of('a0').end()
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@3'])
    await log.close()
  })

  it('the first at once, the next after the interval, the rest on closing', async () => {
    const { clock, log, consumer, held, running } = await openRun({ keys: 'abcd' })
    held.of('a0').end()
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    held.of('b1').end()
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    clock.advance(100)
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    held.of('c2').end()
    await settle()
    held.of('d3').end()
    await stopped(consumer, running)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@4'])
    await log.close()
  })

  it('autoCommit false -> nothing but what is committed by hand', async () => {
    const { clock, log, topic } = await openConsuming()
    await appendNumbers(topic, 3)
    const consumer = await log.consumer({ topics: topic, group: 'g' })
    const seen: string[] = []
    const running = consumer.run(
      async record => {
        seen.push(String(record.value))
        if (record.offset === 1) await consumer.commit(record)
      },
      { autoCommit: false },
    )
    await until(() => seen.length === 3)
    clock.advance(1000)
    await stopped(consumer, running)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    await log.close()
  })

  it('seek while records are at work -> what they finish is not committed over the new place', async () => {
    const { log, consumer, held, running } = await openRun({ keys: 'abc' })
    held.of('a0').end()
    await settle()
    held.of('b1').end()
    await settle()
    await consumer.seek(0)
    held.of('c2').end()
    await settle()
    assert.deepEqual(held.begun, ['a0', 'b1', 'c2', 'a0'])
    held.of('a0').end()
    await settle()
    held.of('b1').fail(new Error('no'))
    await assert.rejects(running, HandlerError)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    await log.close()
  })
})

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

describe('ending a run', () => {
  it('close -> fires the signals, waits for handlers, commits what they finish, gives out nothing more', async () => {
    const { log, consumer, held, running } = await openRun({ keys: 'ab' })
    let isClosed = false
    const closing = consumer.close().then(() => {
      isClosed = true
    })
    await settle()
    assert.equal(held.of('a0').signal.aborted, true)
    assert.equal(isClosed, false)
    held.of('a0').end()
    await closing
    await running
    assert.deepEqual(held.begun, ['a0'])
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    await log.close()
  })

  it('close with a time -> goes without the handlers that take longer, whose partition is lost', async () => {
    const { clock, log, consumer, held, events } = await openRun({ keys: 'ab' })
    const closing = consumer.close({ timeoutMs: 50 })
    await settle()
    clock.advance(50)
    await closing
    assert.equal(events.at(-1)?.type, 'partitionsLost')
    held.of('a0').end()
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), [])
    await log.close()
  })

  it('a handler that fails because its signal fired -> no error, the record stays', async () => {
    const { log, consumer, held, running } = await openRun({ keys: 'ab' })
    const closing = consumer.close()
    await settle()
    held.of('a0').fail(new Error('aborted'))
    await closing
    await running
    assert.deepEqual(await committedOf(log, 'g'), [])
    await log.close()
  })

  it('its signal fires -> rejects with the reason once the handlers have ended', async () => {
    const abort = new AbortController()
    const { log, held, running } = await openRun({ keys: 'ab', run: { signal: abort.signal } })
    abort.abort(new Error('enough'))
    held.of('a0').end()
    await assert.rejects(running, /enough/)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    await log.close()
  })

  it('the log is closed -> waits for handlers and commits, and the run resolves', async () => {
    const { files, log, held, running } = await openRun({ keys: 'ab' })
    const closing = log.close()
    await settle()
    held.of('a0').end()
    await closing
    await running
    const again = await openConsuming({ files })
    assert.deepEqual(await committedOf(again.log, 'g'), ['orders-0@1'])
    await again.log.close()
  })

  it('the log is closed with a time -> does not wait longer for handlers', async () => {
    const { clock, log } = await openRun({ keys: 'ab' })
    const closing = log.close({ timeoutMs: 50 })
    closing.catch(() => {})
    await settle()
    clock.advance(50)
    await Promise.allSettled([closing])
    assert.equal(log.state, 'closed')
  })

  it('the position is no longer in the log -> the run rejects with what is wrong', async () => {
    const { log, consumer, running } = await openRun({ keys: '' })
    await consumer.seek(5)
    await assert.rejects(running, { code: 'OFFSET_OUT_OF_RANGE' })
    await log.close()
  })

  it('paused by key -> nothing of it is given out until it is resumed', async () => {
    const { log, consumer, held } = await openRun({
      keys: 'aab',
      run: { concurrency: { by: 'key', max: 1 } },
    })
    consumer.pause()
    held.of('a0').end()
    await settle()
    assert.deepEqual(held.begun, ['a0'])
    consumer.resume()
    await settle()
    assert.equal(held.begun.length, 2)
    held.of(held.begun[1] as string).end()
    await settle()
    held.of(held.begun[2] as string).end()
    await log.close()
  })
})
