/** That checkpoints never lead a partition, whatever is under way: when it is prepared, lowered or its start raised. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError, UnknownTopicOrPartitionError } from '../../lib/errors.ts'
import { stateOf } from '../support/open-partition.ts'
import {
  diskError,
  highWatermarks,
  idle,
  linesOf,
  logStarts,
  partitionCheckpointer,
  preparingCheckpointer,
  recoveryPoints,
  testCheckpointer,
  whileReplacingFails,
} from '../support/test-checkpointer.ts'

describe('Checkpointer, never ahead of a partition', () => {
  it('flushed further while a partition prepares -> the value from before is written', async () => {
    const { files, checkpointer, partition, written, open } = await preparingCheckpointer()
    partition.reach(99)
    open()
    await written
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 99 })
  })

  it('a partition has not prepared yet -> no file is replaced', async () => {
    const { replaced, written, open } = await preparingCheckpointer()
    assert.deepEqual(replaced, [])
    open()
    await written
  })

  it('a partition cannot prepare -> its old line stays, the others move on, the write rejects', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const [a, b] = [add(0).partition, add(1).partition]
    await checkpointer.write()
    a.prepare = () => Promise.reject(diskError())
    a.reach(20)
    b.reach(30)
    await assert.rejects(checkpointer.write(), StorageError)
    assert.deepEqual(linesOf(files), { 'orders-0': 10, 'orders-1': 30 })
    a.prepare = () => Promise.resolve()
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 20, 'orders-1': 30 })
  })

  it('a write that nobody waits for fails -> told, and the next one tries again', async () => {
    const { files, clock, failures, partition, handle } = partitionCheckpointer()
    partition.reach(20)
    partition.prepare = () => Promise.reject(diskError())
    handle.flushed(1)
    clock.advance(1000)
    await idle()
    assert.deepEqual(
      failures.map(({ name }) => name),
      ['StorageError'],
    )
    partition.prepare = () => Promise.resolve()
    handle.flushed(1)
    clock.advance(1000)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('a write fails and nothing more is flushed -> tried again after 1, 2, 4 and then each 10 seconds, told once', async () => {
    const { files, clock, failures, partition, handle } = partitionCheckpointer()
    partition.reach(20)
    partition.prepare = () => Promise.reject(diskError())
    handle.flushed(1)
    const triedAt: number[] = []
    for (let second = 1; second <= 38; second++) {
      const before = partition.preparations
      clock.advance(1000)
      await idle()
      if (partition.preparations > before) triedAt.push(second)
    }
    assert.deepEqual(triedAt, [1, 2, 4, 8, 16, 26, 36])
    assert.equal(failures.length, 1)
    partition.prepare = () => Promise.resolve()
    clock.advance(10_000)
    await idle()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('the disk is full -> what is kept for that is given up, and the write succeeds', async () => {
    const { files, room, checkpointer, partition } = partitionCheckpointer()
    partition.prepare = () =>
      Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' }))
    const release = async (): Promise<boolean> => {
      partition.prepare = () => Promise.resolve()
      return true
    }
    room.keepWith({ ask: async () => null, release, wrote: () => {}, refused: () => {} })
    partition.reach(20)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('a file cannot be replaced -> rejects, and the next write replaces it though nothing changed', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.write()
    partition.reach(20)
    await whileReplacingFails(files, { name: recoveryPoints, isReplaced: false }, () =>
      assert.rejects(checkpointer.write(), StorageError),
    )
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('replaced, but not known to be durable, and lowered to what was there before -> written again', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.write()
    partition.reach(20)
    await whileReplacingFails(files, { name: recoveryPoints, isReplaced: true }, () =>
      assert.rejects(checkpointer.write(), StorageError),
    )
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
    await checkpointer.lower(partition.identity, 10)
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })
})

describe('Checkpointer.lower', () => {
  it('before a cut -> all lines of the partition are down when it resolves', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const [a] = [add(0).partition, add(1).partition]
    a.logStartOffset = 6
    await checkpointer.write()
    await checkpointer.lower(a.identity, 4)
    assert.deepEqual(linesOf(files), { 'orders-0': 4, 'orders-1': 10 })
    assert.deepEqual(linesOf(files, highWatermarks), { 'orders-0': 4, 'orders-1': 10 })
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 4 })
  })

  it('written again before the cut has happened -> stays down', async () => {
    const { files, checkpointer, partition, handle } = partitionCheckpointer()
    await checkpointer.lower(partition.identity, 4)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 4 })
    partition.reach(6)
    handle.flushed(1)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 6 })
  })

  it('above the lines -> nothing is raised', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.lower(partition.identity, 50)
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })

  it('a write is under way -> comes behind it, and has the last word', async () => {
    const { files, checkpointer, partition, written, open } = await preparingCheckpointer()
    const lowered = checkpointer.lower(partition.identity, 4)
    assert.equal(await stateOf(lowered), 'pending')
    open()
    await Promise.all([written, lowered])
    assert.deepEqual(linesOf(files), { 'orders-0': 4 })
  })

  it('a partition that is not there -> resolves, and writes nothing', async () => {
    const { checkpointer, replaced } = testCheckpointer()
    await checkpointer.lower({ topic: 'gone', partition: 0 }, 4)
    assert.deepEqual(replaced, [])
  })
})

describe('Checkpointer.raiseLogStart', () => {
  it('resolves -> the log start is in the file before the partition shows it, its recovery point as well', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.raiseLogStart(partition.identity, 7)
    assert.equal(partition.logStartOffset, 0)
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 7 })
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
    assert.equal(partition.preparations, 1)
  })

  it('other writes come before the partition shows it -> it stays', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    await checkpointer.raiseLogStart(partition.identity, 7)
    partition.reach(20)
    await checkpointer.write()
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 7 })
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('many partitions at once -> one write for all of them', async () => {
    const { checkpointer, add, replaced } = testCheckpointer()
    const partitions = [0, 1, 2, 3].map(id => add(id).partition)
    await Promise.all(partitions.map(({ identity }) => checkpointer.raiseLogStart(identity, 5)))
    assert.equal(replaced.filter(name => name === logStarts).length, 1)
  })

  it('another partition cannot be prepared -> this one is not kept waiting by it', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const [sick, well] = [add(0).partition, add(1).partition]
    sick.reach(20)
    sick.prepare = () => Promise.reject(diskError())
    await checkpointer.raiseLogStart(well.identity, 5)
    assert.deepEqual(linesOf(files, logStarts), { 'orders-1': 5 })
    await assert.rejects(checkpointer.raiseLogStart(sick.identity, 5), StorageError)
  })

  it('the file cannot be replaced -> StorageError, and the next write says what the partition shows', async () => {
    const { files, checkpointer, partition } = partitionCheckpointer()
    partition.logStartOffset = 2
    await checkpointer.write()
    await whileReplacingFails(files, { name: logStarts, isReplaced: false }, () =>
      assert.rejects(checkpointer.raiseLogStart(partition.identity, 7), StorageError),
    )
    partition.reach(20)
    await checkpointer.write()
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 2 })
  })

  it('the partition is gone -> UnknownTopicOrPartitionError', async () => {
    const { checkpointer, partition } = partitionCheckpointer()
    checkpointer.remove(partition.identity)
    await assert.rejects(
      checkpointer.raiseLogStart(partition.identity, 7),
      UnknownTopicOrPartitionError,
    )
  })
})
