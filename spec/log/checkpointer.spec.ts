/**
 * When checkpoints are written, and what is in them: partitions here are objects whose preparation the
 * test ends, the clock is moved by hand.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import {
  diskError,
  dueBytes,
  gate,
  highWatermarks,
  idle,
  linesOf,
  logStarts,
  newFiles,
  partitionCheckpointer,
  recoveryPoints,
  testCheckpointer,
} from '../support/test-checkpointer.ts'

describe('Checkpointer, when it writes', () => {
  it('flushed a little -> after one second, not before', async () => {
    const { files, clock, partition, handle } = partitionCheckpointer()
    partition.reach(20)
    handle.flushed(100)
    clock.advance(999)
    await idle()
    assert.equal(linesOf(files), null)
    clock.advance(1)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('flushed again and again -> one timer, whose second counts from the first flush', async t => {
    const { files, clock, add } = testCheckpointer()
    const timers = t.mock.method(clock, 'setTimer')
    const { partition, handle } = add()
    handle.flushed(100)
    clock.advance(900)
    partition.reach(20)
    handle.flushed(100)
    clock.advance(100)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
    assert.equal(timers.mock.callCount(), 1)
  })

  it('64 MiB are flushed over all partitions -> at once', async () => {
    const { files, add } = testCheckpointer()
    const [a, b] = [add(0), add(1)]
    a.handle.flushed(dueBytes / 2)
    b.handle.flushed(dueBytes / 2 - 1)
    await idle()
    assert.equal(linesOf(files), null)
    a.handle.flushed(1)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 10, 'orders-1': 10 })
  })

  it('written -> bytes and time count from then on', async () => {
    const { files, clock, checkpointer, partition, handle } = partitionCheckpointer()
    handle.flushed(dueBytes - 1)
    clock.advance(500)
    await checkpointer.write()
    partition.reach(30)
    handle.flushed(dueBytes - 1)
    clock.advance(999)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
    clock.advance(1)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 30 })
  })

  it('nothing is flushed -> no timer, however long it lasts', async () => {
    const { files, clock, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.write()
    partition.reach(50)
    clock.advance(3_600_000)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })

  it('a segment is rolled -> at once, without anybody who waits', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    add()
    checkpointer.writeSoon()
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })

  it('nothing has changed -> no partition prepares, no file is replaced', async () => {
    const { checkpointer, replaced, partition } = partitionCheckpointer()
    await checkpointer.write()
    replaced.length = 0
    await checkpointer.write()
    assert.deepEqual([partition.preparations, replaced], [0, []])
  })

  it('the files that are there say the same -> opening replaces none', async () => {
    const files = newFiles()
    const first = testCheckpointer(files)
    first.add()
    await first.checkpointer.write()
    const second = testCheckpointer(files)
    second.add()
    await second.checkpointer.write()
    assert.deepEqual(second.replaced, [])
  })
})

describe('Checkpointer, what it writes', () => {
  it('no partition yet -> that there are no recovery points, and nothing else', async () => {
    const { files, checkpointer, replaced } = testCheckpointer()
    await checkpointer.write()
    assert.deepEqual(linesOf(files), {})
    assert.deepEqual(replaced, [recoveryPoints])
  })

  it('a log start above 0 -> its line, durable before the recovery points', async () => {
    const { files, checkpointer, replaced, add } = testCheckpointer()
    add(0).partition.logStartOffset = 0
    const { partition } = add(1)
    partition.logStartOffset = 7
    await checkpointer.write()
    assert.deepEqual(linesOf(files, logStarts), { 'orders-1': 7 })
    assert.deepEqual(linesOf(files, highWatermarks), { 'orders-0': 10, 'orders-1': 10 })
    assert.deepEqual(replaced, [logStarts, recoveryPoints, highWatermarks])
  })

  it('a partition is removed -> its lines go with the next write', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    add(0)
    const { partition } = add(1)
    await checkpointer.write()
    checkpointer.remove(partition.identity)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
    assert.deepEqual(linesOf(files, highWatermarks), { 'orders-0': 10 })
  })

  it('a partition is added again -> the new one is what counts', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    add(0)
    add(0).partition.reach(4)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 4 })
  })
})

describe('Checkpointer, calls that overlap', () => {
  it('several before one has begun -> share it', async () => {
    const { checkpointer, add } = testCheckpointer()
    add()
    assert.equal(checkpointer.write(), checkpointer.write())
    await checkpointer.write()
  })

  it('while one runs -> another, which takes what was flushed before the call', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    const { passed, open } = gate()
    partition.prepare = () => passed
    partition.reach(20)
    const first = checkpointer.write()
    await idle()
    partition.reach(30)
    const second = checkpointer.write()
    assert.notEqual(second, first)
    open()
    await second
    assert.deepEqual(linesOf(files), { 'orders-0': 30 })
  })

  it('one fails -> those behind it run all the same', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    partition.reach(20)
    partition.prepare = () => Promise.reject(diskError())
    const failed = checkpointer.write()
    const lowered = checkpointer.lower(partition.identity, 4)
    await assert.rejects(failed, StorageError)
    await lowered
    assert.deepEqual(linesOf(files), { 'orders-0': 4 })
  })
})

describe('Checkpointer.close', () => {
  it('a timer was set -> it writes nothing any more, a call still does', async () => {
    const { files, clock, checkpointer, add } = testCheckpointer()
    add().handle.flushed(1)
    checkpointer.close()
    clock.advance(5000)
    await idle()
    assert.equal(linesOf(files), null)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })

  it('flushed or rolled afterwards -> no timer, no write', async t => {
    const { files, clock, checkpointer, handle } = partitionCheckpointer()
    const timers = t.mock.method(clock, 'setTimer')
    checkpointer.close()
    handle.flushed(1)
    handle.flushed(dueBytes)
    checkpointer.writeSoon()
    await idle()
    assert.equal(timers.mock.callCount(), 0)
    assert.equal(linesOf(files), null)
  })
})
