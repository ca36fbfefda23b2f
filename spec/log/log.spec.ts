/** The log object: its topics, their configuration, its events, and how it ends. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import { faultyFiles, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('log.topic and log.createTopic', () => {
  it('a topic that is not there → created, or UnknownTopicOrPartitionError with create: false', async () => {
    const log = await openLog(':memory:')
    await assert.rejects(log.topic('orders', { create: false }), {
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    assert.equal((await log.topic('orders', { partitions: 3 })).partitions.length, 3)
    assert.deepEqual(await log.topics(), ['orders'])
    await log.close()
  })

  it('another number of partitions than the topic has → TopicMismatchError, nothing is configured', async () => {
    const log = await openLog(':memory:')
    await log.createTopic('orders', { partitions: 2 })
    await assert.rejects(log.topic('orders', { partitions: 3, flushMs: 5 }), {
      code: 'TOPIC_MISMATCH',
      partitions: 2,
      requested: 3,
    })
    const { config } = await (await log.topic('orders')).describe()
    assert.equal(config.flushMs.source, 'default')
    await log.close()
  })

  it('configuration given for a topic that is there → applied, keys not given stay', async () => {
    const log = await openLog(':memory:')
    await log.createTopic('orders', { flushMs: 5 })
    const topic = await log.topic('orders', { segmentBytes: 4096 })
    const { config } = await topic.describe()
    assert.deepEqual([config.flushMs.value, config.segmentBytes.value], [5, 4096])
    await log.close()
  })

  it('the configuration that the topic has → no write and no event', async () => {
    const files = faultyFiles({ seed: 1 })
    const log = await openLog('/log', { files })
    await log.createTopic('orders', { flushMs: 5 })
    const before = files.operations
    await log.topic('orders', { flushMs: 5 })
    assert.equal(files.operations, before)
    await log.close()
  })

  for (const other of ['orders.eu', 'Orders_EU', 'orders_eu']) {
    it(`createTopic('${other}') beside orders_eu → TopicExistsError`, async () => {
      const log = await openLog(':memory:')
      await log.createTopic('orders_eu')
      await assert.rejects(log.createTopic(other), { code: 'TOPIC_EXISTS' })
      await log.close()
    })
  }

  it('one name created many times at once → one topic, all others TopicExistsError', async () => {
    const log = await openLog(':memory:')
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => log.createTopic('orders')))
    assert.equal(all.filter(outcome => outcome.status === 'fulfilled').length, 1)
    await log.close()
  })

  it('one name opened many times at once → one topic for all', async () => {
    const log = await openLog(':memory:')
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => log.topic('orders')))
    const ids = all.map(outcome => (outcome.status === 'fulfilled' ? outcome.value.id : null))
    assert.equal(new Set(ids).size, 1)
    assert.equal(ids.includes(null), false)
    await log.close()
  })

  it('a name that cannot be a topic’s → InvalidTopicError, not a string → TypeError', async () => {
    const log = await openLog(':memory:')
    await assert.rejects(log.createTopic('a/b'), { code: 'INVALID_TOPIC' })
    await assert.rejects(log.topic(''), { code: 'INVALID_TOPIC' })
    await assert.rejects(log.topic(7 as unknown as string), TypeError)
    await log.close()
  })

  it('any call of creating fails → the topic is not there, and can be created afterwards', async () => {
    for (let operation = 1; ; operation++) {
      const files = faultyFiles({ seed: operation })
      const log = await openLog('/log', { files })
      files.failAt({ operation, kind: 'EIO' })
      const before = files.operations
      const outcome = await log.createTopic('orders', { partitions: 2 }).then(
        () => 'created',
        () => 'refused',
      )
      const calls = files.operations - before
      files.clearFaults()
      assert.deepEqual(await log.topics(), outcome === 'created' ? ['orders'] : [], `${operation}`)
      await (await log.topic('orders', { partitions: 2 })).append({ value: 'x' })
      await log.close()
      if (operation > calls) break
    }
  })

  it('2,000 topics created at once and opened again → fewer than 200 descriptors', async t => {
    const dir = tempDir(t)
    const names = Array.from({ length: 2000 }, (_, index) => `topic-${index}`)
    const fds = () => readdirSync('/proc/self/fd').length
    const log = await openLog(dir)
    let most = 0
    await Promise.all(
      names.map(async (name, index) => {
        const topic = await log.createTopic(name)
        // More of them than there may be open files.
        if (index % 13 === 0) await topic.append({ value: name }, { acks: 'written' })
        most = Math.max(most, fds())
      }),
    )
    await log.close()
    assert.ok(most < 200, `${most} descriptors while creating`)
    const again = await openLog(dir)
    assert.equal((await again.topics()).length, 2000)
    assert.ok(fds() < 200, `${fds()} descriptors when open`)
    const topic = await again.topic('topic-1950')
    assert.equal(topic.partition(0).logEndOffset, 1)
    await again.close()
  })
})

describe('configure and addPartitions', () => {
  it('values and nulls → stored, found by the next open, told as an event', async () => {
    const files = memoryFiles()
    const log = await openLog('/log', { files })
    const keys: (readonly string[])[] = []
    log.on('configured', event => keys.push(event.keys))
    const topic = await log.createTopic('orders', { flushMs: 5, segmentBytes: 4096 })
    await topic.configure({ flushMs: null, segmentMs: -1 })
    assert.deepEqual(keys, [['flushMs', 'segmentMs']])
    await log.close()
    const again = await openLog('/log', { files })
    const { config } = await (await again.topic('orders')).describe()
    assert.deepEqual(config.flushMs, { value: -1, source: 'default' })
    assert.deepEqual(config.segmentMs, { value: -1, source: 'topic' })
    assert.deepEqual(config.segmentBytes, { value: 4096, source: 'topic' })
    await again.close()
  })

  it('a value out of range → RangeError, nothing changes', async () => {
    const log = await openLog(':memory:')
    const topic = await log.createTopic('orders')
    await assert.rejects(topic.configure({ segmentBytes: 1 }), RangeError)
    assert.equal((await topic.describe()).config.segmentBytes.source, 'default')
    await log.close()
  })

  it('changes of different keys at once → all hold', async () => {
    const log = await openLog(':memory:')
    const topic = await log.createTopic('orders')
    await Promise.all([topic.configure({ flushMs: 5 }), topic.configure({ segmentMs: 9 })])
    const { config } = await topic.describe()
    assert.deepEqual([config.flushMs.value, config.segmentMs.value], [5, 9])
    await log.close()
  })

  it('more partitions → there at once and after opening again; fewer → RangeError', async () => {
    const files = memoryFiles()
    const log = await openLog('/log', { files })
    const topic = await log.createTopic('orders')
    await topic.addPartitions(3)
    await topic.append({ value: 'x', partition: 2 })
    await assert.rejects(topic.addPartitions(2), RangeError)
    await log.close()
    const again = await openLog('/log', { files })
    const { partitions } = await again.topic('orders')
    assert.deepEqual(
      partitions.map(it => it.logEndOffset),
      [0, 0, 1],
    )
    await again.close()
  })
})

describe('log.on', () => {
  it('a listener that throws → a warning, and the others hear the event', async () => {
    const warned: Error[] = []
    const onWarning = (warning: Error): void => {
      if (warning.name === 'ListenerWarning') warned.push(warning)
    }
    process.on('warning', onWarning)
    const heard: string[] = []
    const log = await openLog(':memory:', {
      onEvent: () => {
        throw new Error('mine')
      },
    })
    const off = log.on('topicCreated', event => heard.push(event.topic))
    await log.createTopic('a')
    off()
    await log.createTopic('b')
    await log.close()
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', onWarning)
    assert.deepEqual(heard, ['a'])
    assert.ok(warned.length >= 2)
  })

  it('topics come, grow and go → an event each', async () => {
    const events: LogEvent[] = []
    const log = await openLog(':memory:', { onEvent: event => events.push(event) })
    const topic = await log.createTopic('orders')
    await topic.addPartitions(2)
    await log.deleteTopic('orders')
    await log.close()
    assert.deepEqual(
      events.map(event => event.type),
      ['recovered', 'topicCreated', 'partitionsAdded', 'topicDeleted', 'stateChanged'],
    )
  })
})

describe('log.close', () => {
  it('called twice → one promise; afterwards every call rejects with ClosedError', async () => {
    const log = await openLog(':memory:')
    const topic = await log.createTopic('orders')
    const first = log.close()
    assert.equal(log.close(), first)
    assert.equal(log.state, 'closed')
    await first
    const closed = { code: 'LOG_CLOSED' }
    await assert.rejects(log.topics(), closed)
    await assert.rejects(log.topic('orders'), closed)
    await assert.rejects(log.deleteTopic('orders'), closed)
    await assert.rejects(log.flush(), closed)
    await assert.rejects(log.describe(), closed)
    await assert.rejects(topic.append({ value: 'x' }), closed)
    await assert.rejects(topic.describe(), closed)
  })

  it('disposed of, as await using does → closed', async () => {
    const log = await openLog(':memory:')
    const closed = log[Symbol.asyncDispose]()
    assert.equal(log.close(), closed)
    await closed
    await assert.rejects(log.topics(), { code: 'LOG_CLOSED' })
  })

  it('appends not flushed yet → flushed, resolved and found again', async () => {
    const [files, clock] = [memoryFiles(), manualClock()]
    const log = await openLog('/log', { files, clock })
    const topic = await log.createTopic('orders', { flushRecords: 1000 })
    const pending = topic.append({ value: 'x' })
    await log.close()
    assert.equal((await pending).nextOffset, 1)
    const again = await openLog('/log', { files })
    assert.equal((await again.topic('orders')).partition(0).highWatermark, 1)
    await again.close()
  })

  it('a live reader that waits → ends normally', async () => {
    const log = await openLog(':memory:')
    const next = (await log.createTopic('orders')).records({ live: true }).next()
    await log.close()
    assert.deepEqual(await next, { value: undefined, done: true })
  })

  it('the flush fails → rejects with it, no clean marker, the lock is free', async () => {
    const files = faultyFiles({ seed: 1 })
    const log = await openLog('/log', { files })
    const topic = await log.createTopic('orders', { flushRecords: 1000 })
    const pending = assert.rejects(topic.append({ value: 'x' }))
    await new Promise(resolve => setImmediate(resolve))
    files.failAt({ operation: 1, kind: 'EIO', on: 'sync', path: /\.log$/, sticky: true })
    await assert.rejects(log.close(), { code: 'STORAGE_FAILED' })
    await pending
    files.clearFaults()
    assert.equal(files.stat('/log/.kafka_cleanshutdown'), null)
    const again = await openLog('/log', { files })
    assert.equal(again.recovery.clean, false)
    await again.close()
  })

  it('an unknown option, null, a fraction → TypeError, RangeError, and the log stays open', async () => {
    const log = await openLog(':memory:')
    await assert.rejects(log.close(null as unknown as { timeoutMs?: number }), TypeError)
    await assert.rejects(log.close({ timeout: 1 } as { timeoutMs?: number }), TypeError)
    await assert.rejects(log.close({ timeoutMs: 0.5 }), RangeError)
    assert.equal(log.state, 'ok')
    await log.close()
  })

  it('nothing is in use any more → no descriptor of the directory is left', async t => {
    const dir = tempDir(t)
    const fds = () => readdirSync('/proc/self/fd').length
    const before = fds()
    const log = await openLog(dir)
    await (await log.createTopic('orders')).append({ value: 'x' })
    await log.close()
    assert.ok(fds() <= before + 1, `${fds()} descriptors, ${before} before`)
  })
})

describe('checkpoints', () => {
  const path = '/log/recovery-point-offset-checkpoint'

  it('a second after a flush → the recovery point is checkpointed', async () => {
    const [files, clock] = [memoryFiles(), manualClock()]
    const log = await openLog('/log', { files, clock })
    await (await log.createTopic('orders')).append({ value: 'x' })
    assert.doesNotMatch(files.readFile(path)?.toString() ?? '', /orders 0 1/)
    clock.advance(1000)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.match(files.readFile(path)?.toString() ?? '', /orders 0 1\n/)
    await log.close()
  })

  it('a topic is deleted → its lines are gone before the call resolves', async () => {
    const files = memoryFiles()
    const log = await openLog('/log', { files })
    await (await log.createTopic('orders')).append({ value: 'x' })
    await log.close()
    const again = await openLog('/log', { files })
    assert.match(files.readFile(path)?.toString() ?? '', /orders 0 1\n/)
    await again.deleteTopic('orders')
    assert.doesNotMatch(files.readFile(path)?.toString() ?? '', /orders/)
    await again.close()
  })
})
