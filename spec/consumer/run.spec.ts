/** What `run()` gives to its handler, in which order, and what it commits; the handlers end when the test says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { HandlerError } from '../../lib/errors.ts'
import { openRun, stopped } from '../support/consumer-run.ts'
import { appendNumbers, committedOf, openConsuming, settle, until } from '../support/consuming.ts'

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
