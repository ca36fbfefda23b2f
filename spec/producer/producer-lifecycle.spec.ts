/** How a producer waits, is taken at its word, and ends: back-pressure, signals, flush and close. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log } from '../../lib/types.ts'
import { numbered, valuesOf } from '../contracts/contract-helpers.ts'
import { heldFiles } from '../support/held-files.ts'

/** Long enough for everything that has been started to be over. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Gives `body` a log of its own. */
async function withLog(body: (log: Log) => Promise<void>): Promise<void> {
  const log = await openLog(':memory:')
  try {
    await body(log)
  } finally {
    await log.close()
  }
}

describe('back-pressure', () => {
  it('more than maxInFlightBytes -> no more than that is in the log before there is an answer', async () => {
    const files = heldFiles(memoryFiles())
    const log = await openLog('/data', { files })
    const topic = await log.topic('orders')
    const producer = await log.producer({ maxInFlightBytes: 1000, batchBytes: 300 })
    files.hold('sync')
    const sent = producer.send(
      'orders',
      Array.from({ length: 8 }, () => ({ value: Buffer.alloc(180) })),
    )
    await turns()
    assert.ok(topic.partition(0).logEndOffset < 6)
    files.releaseAll()
    assert.equal((await sent).length, 8)
    await log.close()
  })

  it('twice that waits -> QueueFullError at once, and the others arrive', async () => {
    const log = await openLog(':memory:')
    const topic = await log.topic('orders')
    const producer = await log.producer({ maxInFlightBytes: 1000 })
    const sent = numbered(20).map(() => producer.send('orders', { value: Buffer.alloc(180) }))
    const outcomes = await Promise.allSettled(sent)
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    assert.ok(refused.length > 5)
    for (const outcome of refused) {
      assert.equal((outcome as PromiseRejectedResult).reason.code, 'QUEUE_FULL')
    }
    assert.equal(topic.partition(0).logEndOffset, 20 - refused.length)
    await producer.flush().catch(() => undefined)
    await log.close()
  })

  it('whenReady before every send -> any number of records, none refused', () =>
    withLog(async log => {
      const topic = await log.topic('orders')
      const producer = await log.producer({ maxInFlightBytes: 1000 })
      for (const _ of numbered(200)) {
        await producer.whenReady()
        void producer.send('orders', { value: Buffer.alloc(180) })
      }
      await producer.flush()
      assert.equal(topic.partition(0).logEndOffset, 200)
    }))

  it('no room for maxBlockMs -> QueueFullError for what waited', async () => {
    const files = heldFiles(memoryFiles())
    const clock = manualClock()
    const log = await openLog('/data', { files, clock })
    await log.topic('orders')
    const producer = await log.producer({ maxInFlightBytes: 100, maxBlockMs: 50 })
    files.hold('sync')
    const first = producer.send('orders', { value: Buffer.alloc(100) })
    const second = producer.send('orders', { value: 'two' })
    const refused = assert.rejects(second, { code: 'QUEUE_FULL' })
    clock.advance(50)
    await refused
    files.releaseAll()
    await first
    await log.close().catch(() => undefined)
  })
})

describe('the signal of a send', () => {
  it('aborts while the batch is open -> taken back, the rest of the batch goes', async () => {
    const clock = manualClock()
    const log = await openLog(':memory:', { clock })
    const topic = await log.topic('orders')
    const producer = await log.producer({ lingerMs: 10 })
    const stop = new AbortController()
    const first = producer.send('orders', { value: 'one' })
    const second = producer.send('orders', { value: 'two' }, { signal: stop.signal })
    const third = producer.send('orders', { value: 'three' })
    stop.abort(new Error('never mind'))
    await assert.rejects(second, /never mind/)
    clock.advance(10)
    assert.deepEqual([(await first).baseOffset, (await third).baseOffset], [0, 1])
    assert.deepEqual(await valuesOf(topic.records()), ['one', 'three'])
    await producer.flush()
    await log.close()
  })

  it('aborts while it waits for room -> taken back', async () => {
    const files = heldFiles(memoryFiles())
    const log = await openLog('/data', { files })
    const topic = await log.topic('orders')
    const producer = await log.producer({ maxInFlightBytes: 100 })
    files.hold('sync')
    const first = producer.send('orders', { value: Buffer.alloc(100) })
    const stop = new AbortController()
    const second = producer.send('orders', { value: 'two' }, { signal: stop.signal })
    stop.abort(new Error('never mind'))
    await assert.rejects(second, /never mind/)
    files.releaseAll()
    await first
    await producer.flush()
    assert.equal(topic.partition(0).logEndOffset, 1)
    await log.close()
  })

  it('aborts when the batch is on its way -> is not heard', async () => {
    const files = heldFiles(memoryFiles())
    const log = await openLog('/data', { files })
    await log.topic('orders')
    const producer = await log.producer()
    files.hold('sync')
    const stop = new AbortController()
    const sent = producer.send('orders', { value: 'one' }, { signal: stop.signal })
    await files.whenHeld('sync')
    stop.abort()
    files.releaseAll()
    assert.equal((await sent).baseOffset, 0)
    await log.close()
  })

  it('has aborted before -> rejects with its reason, nothing sent', () =>
    withLog(async log => {
      await log.topic('orders')
      const producer = await log.producer()
      const signal = AbortSignal.abort(new Error('too late'))
      await assert.rejects(producer.send('orders', { value: '' }, { signal }), /too late/)
    }))
})

describe('producer.flush', () => {
  it('records linger, and wait for room -> all are sent and answered', async () => {
    const clock = manualClock()
    const log = await openLog(':memory:', { clock })
    const topic = await log.topic('orders')
    const producer = await log.producer({ lingerMs: 1e6, maxInFlightBytes: 1000 })
    const sent = producer.send(
      'orders',
      Array.from({ length: 8 }, () => ({ value: Buffer.alloc(180) })),
    )
    await producer.flush()
    assert.equal(topic.partition(0).logEndOffset, 8)
    assert.equal((await sent).length, 8)
    await log.close()
  })

  it('a second one while the first waits -> waits for the same records', async () => {
    const files = heldFiles(memoryFiles())
    const log = await openLog('/data', { files })
    await log.topic('orders')
    const producer = await log.producer()
    files.hold('sync')
    void producer.send('orders', { value: 'one' })
    const ended: string[] = []
    const first = producer.flush().then(() => ended.push('first'))
    const second = producer.flush().then(() => ended.push('second'))
    await turns()
    assert.deepEqual(ended, [])
    files.releaseAll()
    await Promise.all([first, second])
    await log.close()
  })

  it('nothing was sent -> resolves', () =>
    withLog(async log => {
      const producer = await log.producer()
      await producer.flush()
    }))

  it('a record was refused -> rejects with that, once, and its promise needs nobody', () =>
    withLog(async log => {
      await log.topic('orders', { maxBatchBytes: 1000 })
      const producer = await log.producer()
      void producer.send('orders', { value: Buffer.alloc(2000) })
      void producer.send('orders', [{ value: '' }, { value: Buffer.alloc(2000) }])
      await assert.rejects(producer.flush(), { code: 'RECORD_TOO_LARGE' })
      await producer.flush()
    }))
})

describe('producer.close', () => {
  it('records are pending -> they are sent; then everything is refused', async () => {
    const clock = manualClock()
    const log = await openLog(':memory:', { clock })
    const topic = await log.topic('orders')
    const producer = await log.producer({ lingerMs: 1e6 })
    const sent = producer.send('orders', { value: 'one' })
    const closed = producer.close()
    assert.equal(producer.close(), closed)
    await closed
    assert.equal((await sent).baseOffset, 0)
    await assert.rejects(producer.send('orders', { value: 'two' }), { code: 'LOG_CLOSED' })
    await producer.whenReady()
    assert.equal(topic.partition(0).logEndOffset, 1)
    await log.close()
  })

  it('await using -> closed at the end of the block', () =>
    withLog(async log => {
      await log.topic('orders')
      const producer = await log.producer()
      {
        await using scoped = producer
        void scoped.send('orders', { value: 'one' })
      }
      await assert.rejects(producer.send('orders', { value: 'two' }), { code: 'LOG_CLOSED' })
    }))

  it('timeoutMs passes -> what is not settled rejects with ClosedError, outcome unknown', async () => {
    const files = heldFiles(memoryFiles())
    const clock = manualClock()
    const log = await openLog('/data', { files, clock })
    await log.topic('orders')
    const producer = await log.producer({ maxInFlightBytes: 100 })
    files.hold('sync')
    const sent = producer.send('orders', { value: Buffer.alloc(100) })
    const waiting = producer.send('orders', { value: 'two' })
    const refused = Promise.all([
      assert.rejects(sent, { code: 'LOG_CLOSED', outcome: 'unknown' }),
      assert.rejects(waiting, { code: 'LOG_CLOSED', outcome: 'not-written' }),
    ])
    await files.whenHeld('sync')
    const closed = producer.close({ timeoutMs: 30 })
    clock.advance(30)
    await refused
    await assert.rejects(closed, { code: 'LOG_CLOSED' })
    files.releaseAll()
    await log.close()
  })

  it('a wrong option -> TypeError, and it stays open', () =>
    withLog(async log => {
      await log.topic('orders')
      const producer = await log.producer()
      await assert.rejects(producer.close({ timeout: 5 } as never), TypeError)
      await assert.rejects(producer.close(null as never), TypeError)
      await producer.send('orders', { value: 'one' })
    }))

  it('the log is closed -> what was sent is in it', async () => {
    const files = memoryFiles()
    const clock = manualClock()
    const log = await openLog('/data', { files, clock })
    await log.topic('orders')
    const producer = await log.producer({ lingerMs: 1e6 })
    const sent = producer.send('orders', { value: 'one' })
    await log.close()
    assert.equal((await sent).baseOffset, 0)
    await assert.rejects(producer.send('orders', { value: 'two' }), { code: 'LOG_CLOSED' })
    const again = await openLog('/data', { files, clock })
    assert.deepEqual(await valuesOf((await again.topic('orders')).records()), ['one'])
    assert.equal(again.recovery.clean, true)
    await again.close()
  })

  it('the log is closed and time is over -> what is not settled rejects', async () => {
    const files = heldFiles(memoryFiles())
    const clock = manualClock()
    const log = await openLog('/data', { files, clock })
    await log.topic('orders')
    const producer = await log.producer()
    files.hold('sync')
    const refused = assert.rejects(producer.send('orders', { value: 'one' }), {
      code: 'LOG_CLOSED',
    })
    await files.whenHeld('sync')
    const closed = assert.rejects(log.close({ timeoutMs: 30 }))
    clock.advance(30)
    await refused
    await closed
    files.releaseAll()
  })
})
