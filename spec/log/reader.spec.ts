/**
 * The iterator of one partition over scripted batches: what it yields from each start, where it ends,
 * and how it is ended from outside. Every wait is on a promise that the spec itself settles.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ClosedError,
  OffsetOutOfRangeError,
  UnknownTopicOrPartitionError,
} from '../../lib/errors.ts'
import { nextOffsetOf, offsetsOf, sceneOf } from '../support/scripted-topic.ts'

/** Lets everything that is only a matter of turns happen. */
function turns(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(resolve)))
}

describe('the start of a read', () => {
  it('is the log start by default', async () => {
    const { topic, partition } = sceneOf(3, 3)
    topic.at(0).logStartOffset = 3
    assert.deepEqual(await offsetsOf(partition.records()), [3, 4, 5])
  })

  it('is exact for an offset in the middle of a batch', async () => {
    const { partition } = sceneOf(3, 3)
    assert.deepEqual(await offsetsOf(partition.records({ from: 4 })), [4, 5])
  })

  it('is the whole batch around the offset for batches()', async () => {
    const { partition } = sceneOf(3, 3)
    const step = await partition.batches({ from: 4 }).next()
    assert.equal(step.value?.baseOffset, 3)
  })

  it('is the last n records with { last }', async () => {
    const { partition } = sceneOf(3, 3)
    assert.deepEqual(await offsetsOf(partition.records({ from: { last: 2 } })), [4, 5])
  })

  it('is looked up with { timestamp }', async () => {
    const { partition } = sceneOf(3, 3)
    assert.deepEqual(await offsetsOf(partition.records({ from: { timestamp: 5 } })), [5])
  })

  it('is the end as of the call with a { timestamp } above all records', async () => {
    const { topic, partition } = sceneOf(3)
    const reader = partition.records({ from: { timestamp: 1000 }, live: true })
    topic.at(0).store(1)
    assert.equal(await nextOffsetOf(reader), 3)
    await reader.return?.()
  })

  it("is the end as of the call with 'latest', however late next() comes", async () => {
    const { topic, partition } = sceneOf(3)
    const reader = partition.records({ from: 'latest', live: true })
    topic.at(0).store(2)
    assert.equal(await nextOffsetOf(reader), 3)
    await reader.return?.()
  })

  it("follows the log start when 'earliest' was deleted between call and first next()", async () => {
    const { topic, partition } = sceneOf(3, 3)
    const reader = partition.records()
    topic.at(0).logStartOffset = 3
    assert.deepEqual(await offsetsOf(reader), [3, 4, 5])
  })

  it('at the high watermark → nothing', async () => {
    const { partition } = sceneOf(3)
    assert.deepEqual(await offsetsOf(partition.records({ from: 3 })), [])
  })

  it('above the high watermark → OffsetOutOfRangeError', async () => {
    const { partition } = sceneOf(3)
    await assert.rejects(partition.records({ from: 4 }).next(), (error: unknown) => {
      assert.ok(error instanceof OffsetOutOfRangeError)
      assert.equal(error.offset, 4)
      assert.equal(error.logEndOffset, 3)
      return true
    })
  })

  it('below the log start → OffsetOutOfRangeError with the records missed', async () => {
    const { topic, partition } = sceneOf(3, 3)
    topic.at(0).logStartOffset = 3
    await assert.rejects(partition.records({ from: 1 }).next(), { missedRecords: 2 })
  })

  it("below the log start with onOutOfRange 'earliest' → the log start", async () => {
    const { topic, partition } = sceneOf(3, 3)
    topic.at(0).logStartOffset = 3
    const reader = partition.records({ from: 1, onOutOfRange: 'earliest' })
    assert.deepEqual(await offsetsOf(reader), [3, 4, 5])
  })

  it("above the end with onOutOfRange 'latest' → what comes next", async () => {
    const { topic, partition } = sceneOf(3)
    const reader = partition.records({ from: 9, live: true, onOutOfRange: 'latest' })
    const next = nextOffsetOf(reader)
    await turns()
    topic.at(0).store(1)
    assert.equal(await next, 3)
    await reader.return?.()
  })

  it('that fails to be looked up → the first next() rejects, and nothing else does', async () => {
    const { topic, partition } = sceneOf(3)
    topic.at(0).offsetForTimestamp = () => Promise.reject(new Error('no disk'))
    const reader = partition.records({ from: { timestamp: 1 } })
    await turns()
    await assert.rejects(reader.next(), { message: 'no disk' })
  })
})

describe('the end of a read', () => {
  it('that is not live is the high watermark as of the call', async () => {
    const { topic, partition } = sceneOf(2)
    const reader = partition.records()
    topic.at(0).store(2)
    assert.deepEqual(await offsetsOf(reader), [0, 1])
  })

  it('that is live waits for more', async () => {
    const { topic, partition } = sceneOf(1)
    const reader = partition.records({ live: true })
    assert.equal(await nextOffsetOf(reader), 0)
    const next = nextOffsetOf(reader)
    await turns()
    assert.equal(topic.at(0).waiterCount, 1)
    topic.at(0).store(1)
    assert.equal(await next, 1)
    await reader.return?.()
  })

  it('stays the end: next() after it is done again', async () => {
    const reader = sceneOf(1).partition.records()
    assert.deepEqual(await offsetsOf(reader), [0])
    assert.deepEqual(await reader.next(), { value: undefined, done: true })
  })
})

describe('reading ahead', () => {
  it('reads one chunk while another is consumed, and no more', async () => {
    const { topic, partition } = sceneOf(2, 2, 2, 2)
    const reader = partition.records({ maxBytes: 1 })
    await reader.next()
    await turns()
    assert.deepEqual(
      topic.at(0).requests.map(request => request.from),
      [0, 2],
    )
  })

  it('reads nothing before the first next()', async () => {
    const { topic, partition } = sceneOf(2)
    partition.records()
    await turns()
    assert.equal(topic.at(0).requests.length, 0)
  })

  it('leaves nobody waiting at the end while a live reader is paused', async () => {
    const { topic, partition } = sceneOf(2)
    const reader = partition.records({ live: true })
    await reader.next()
    await turns()
    assert.equal(topic.at(0).waiterCount, 0)
    await reader.return?.()
  })

  it('yields what lies before a failing read, and only then the failure', async () => {
    const { topic, partition } = sceneOf(2, 2)
    topic.at(0).failures.set(2, new Error('no disk'))
    const reader = partition.records({ maxBytes: 1 })
    assert.equal(await nextOffsetOf(reader), 0)
    assert.equal(await nextOffsetOf(reader), 1)
    await assert.rejects(reader.next(), { message: 'no disk' })
    assert.deepEqual(await reader.next(), { value: undefined, done: true })
    assert.deepEqual(reader.position, { 0: 2 })
  })
})

describe('position', () => {
  it('is the start before anything was yielded', () => {
    assert.deepEqual(sceneOf(3).partition.records({ from: 1 }).position, { 0: 1 })
  })

  it('lies behind the record that was yielded last', async () => {
    const reader = sceneOf(3).partition.records()
    await reader.next()
    await reader.next()
    assert.deepEqual(reader.position, { 0: 2 })
  })

  it('lies behind the batch that was yielded last', async () => {
    const reader = sceneOf(3, 3).partition.batches()
    await reader.next()
    assert.deepEqual(reader.position, { 0: 3 })
  })

  it('is unknown as long as a start is looked up', async () => {
    const reader = sceneOf(3).partition.records({ from: { last: 1 } })
    assert.deepEqual(reader.position, {})
    await reader.next()
    assert.deepEqual(reader.position, { 0: 3 })
  })
})

describe('ending a reader from outside', () => {
  it('return() settles the pending next() as done and leaves nobody waiting', async () => {
    const { topic, partition } = sceneOf()
    const reader = partition.records({ live: true })
    const next = reader.next()
    await turns()
    await reader.return?.()
    assert.deepEqual(await next, { value: undefined, done: true })
    await turns()
    assert.equal(topic.at(0).waiterCount, 0)
    assert.equal(topic.readers.size, 0)
  })

  it('return(), throw() and dispose may follow each other', async () => {
    const reader = sceneOf(1).partition.records()
    await reader.return?.()
    await reader[Symbol.asyncDispose]()
    await assert.rejects(Promise.resolve(reader.throw?.(new Error('mine'))), { message: 'mine' })
    assert.deepEqual(await reader.next(), { value: undefined, done: true })
  })

  it('break ends it', async () => {
    const { topic, partition } = sceneOf(2)
    for await (const record of partition.records({ live: true })) {
      assert.equal(record.offset, 0)
      break
    }
    assert.equal(topic.readers.size, 0)
  })

  it('an abort rejects the pending next() with the reason, later ones are done', async () => {
    const abort = new AbortController()
    const reader = sceneOf().partition.records({ live: true, signal: abort.signal })
    const next = reader.next()
    await turns()
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(next, reason)
    assert.deepEqual(await reader.next(), { value: undefined, done: true })
  })

  it('an abort between two next() rejects the later one, though records are at hand', async () => {
    const abort = new AbortController()
    const reader = sceneOf(3).partition.records({ signal: abort.signal })
    await reader.next()
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(reader.next(), reason)
    assert.deepEqual(reader.position, { 0: 1 })
  })

  it('a signal that has aborted before → the first next() rejects with its reason', async () => {
    const reason = new Error('too late')
    const reader = sceneOf(3).partition.records({ signal: AbortSignal.abort(reason) })
    await assert.rejects(reader.next(), reason)
  })

  it('closing the log ends a waiting live reader normally', async () => {
    const { topic, partition } = sceneOf(1)
    const reader = partition.records({ live: true })
    await reader.next()
    const next = reader.next()
    await turns()
    topic.close()
    assert.deepEqual(await next, { value: undefined, done: true })
  })

  it('closing the log ends a paused live reader normally', async () => {
    const { topic, partition } = sceneOf(3)
    const reader = partition.records({ live: true })
    await reader.next()
    topic.close()
    assert.deepEqual(await reader.next(), { value: undefined, done: true })
    assert.deepEqual(reader.position, { 0: 1 })
  })

  it('deleting the topic rejects the pending next(), or the one after a pause', async () => {
    const { topic, partition } = sceneOf(3)
    topic.refusal = () => new UnknownTopicOrPartitionError(topic.name)
    const waiting = partition.records({ live: true, from: 'latest' })
    const paused = partition.records({ live: true })
    await paused.next()
    const next = waiting.next()
    await turns()
    topic.close()
    await assert.rejects(next, UnknownTopicOrPartitionError)
    await assert.rejects(paused.next(), UnknownTopicOrPartitionError)
    assert.deepEqual(await paused.next(), { value: undefined, done: true })
  })

  it('a read that is not live rejects with ClosedError when the log closes before its end', async () => {
    const { topic, partition } = sceneOf(1, 1, 1)
    const reader = partition.records({ maxBytes: 1 })
    await reader.next()
    topic.close()
    await assert.rejects(async () => await offsetsOf(reader), ClosedError)
  })

  it('a reader of a closed log → ClosedError at the first next()', async () => {
    const { topic, partition } = sceneOf()
    topic.close()
    await assert.rejects(partition.records({ live: true }).next(), ClosedError)
    await assert.rejects(partition.records().next(), ClosedError)
  })
})

describe('next() while another next() is pending', () => {
  it('is refused with a TypeError, and the first one goes on', async () => {
    const { topic, partition } = sceneOf()
    const reader = partition.records({ live: true })
    const next = nextOffsetOf(reader)
    await assert.rejects(reader.next(), TypeError)
    topic.at(0).store(1)
    assert.equal(await next, 0)
    await reader.return?.()
  })
})
