/**
 * When checkpoints are written, and that they never lead a partition: partitions here are objects
 * whose preparation the test ends, the clock is moved by hand.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError, UnknownTopicOrPartitionError } from '../../lib/errors.ts'
import {
  type CheckpointedPartition,
  Checkpointer,
  type CheckpointHandle,
} from '../../lib/log/checkpointer.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import { parseOffsetCheckpoint } from '../../lib/storage/offset-checkpoints.ts'
import { type ManualClock, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import { type HeldFiles, heldFiles } from '../support/held-files.ts'
import { stateOf, turn } from '../support/open-partition.ts'

const dir = '/log'
const recoveryPoints = 'recovery-point-offset-checkpoint'
const logStarts = 'log-start-offset-checkpoint'
const highWatermarks = 'replication-offset-checkpoint'
const dueBytes = 64 * 1024 * 1024

/** A partition that is flushed and prepared by the test. */
class TestPartition implements CheckpointedPartition {
  readonly identity: { topic: string; partition: number }
  logStartOffset = 0
  highWatermark: number
  recoveryPoint: number
  /** How often it was asked to prepare. */
  preparations = 0
  prepare: () => Promise<void> = () => Promise.resolve()

  constructor(partition: number, recoveryPoint: number) {
    this.identity = { topic: 'orders', partition }
    this.recoveryPoint = recoveryPoint
    this.highWatermark = recoveryPoint
  }

  checkpoint(): Promise<void> {
    this.preparations++
    return this.prepare()
  }

  reach(offset: number): void {
    this.recoveryPoint = offset
    this.highWatermark = offset
  }
}

interface TestCheckpointer {
  readonly files: HeldFiles
  readonly clock: ManualClock
  readonly room: DiskRoom
  readonly checkpointer: Checkpointer
  readonly failures: Error[]
  /** Names of the files in the order in which they were replaced. */
  readonly replaced: string[]
  /** Adds a partition whose recovery point is 10. */
  add(id?: number): { partition: TestPartition; handle: CheckpointHandle }
}

function testCheckpointer(files: HeldFiles = newFiles()): TestCheckpointer {
  const clock = manualClock()
  const failures: Error[] = []
  const replaced: string[] = []
  const { rename } = files
  files.rename = (from, to) => {
    rename(from, to)
    replaced.push(to.slice(dir.length + 1))
  }
  const onFailure = (error: Error): void => void failures.push(error)
  const room = new DiskRoom(files)
  const checkpointer = new Checkpointer({ files, dir, clock, room, onFailure })
  const add = (id = 0): { partition: TestPartition; handle: CheckpointHandle } => {
    const partition = new TestPartition(id, 10)
    return { partition, handle: checkpointer.add(partition) }
  }
  return { files, clock, room, checkpointer, failures, replaced, add }
}

function newFiles(): HeldFiles {
  const files = heldFiles(memoryFiles())
  files.makeDirectory(dir)
  return files
}

/** What is in a checkpoint, null when there is none. */
function linesOf(files: HeldFiles, name = recoveryPoints): Record<string, number> | null {
  const bytes = files.readFile(`${dir}/${name}`)
  return bytes === null ? null : Object.fromEntries(parseOffsetCheckpoint(bytes.toString()))
}

/** Lets everything happen that waits for nobody. */
async function idle(): Promise<void> {
  for (let count = 0; count < 60; count++) await turn()
}

/** A promise and what ends it. */
function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => {
    open = resolve
  })
  return { passed, open }
}

function diskError(): Error {
  return Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'rename' })
}

describe('Checkpointer, when it writes', () => {
  it('flushed a little -> after one second, not before', async () => {
    const { files, clock, add } = testCheckpointer()
    const { partition, handle } = add()
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
    const { files, clock, checkpointer, add } = testCheckpointer()
    const { partition, handle } = add()
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
    const { files, clock, checkpointer, add } = testCheckpointer()
    const { partition } = add()
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
    const { checkpointer, replaced, add } = testCheckpointer()
    const { partition } = add()
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

describe('Checkpointer, never ahead of a partition', () => {
  it('flushed further while a partition prepares -> the value from before is written', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    const { passed, open } = gate()
    partition.prepare = () => passed
    partition.reach(20)
    const written = checkpointer.write()
    await idle()
    partition.reach(99)
    open()
    await written
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 99 })
  })

  it('a partition has not prepared yet -> no file is replaced', async () => {
    const { checkpointer, replaced, add } = testCheckpointer()
    const { partition } = add()
    const { passed, open } = gate()
    partition.prepare = () => passed
    partition.reach(20)
    const written = checkpointer.write()
    await idle()
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
    const { files, clock, failures, add } = testCheckpointer()
    const { partition, handle } = add()
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
    const { files, clock, failures, add } = testCheckpointer()
    const { partition, handle } = add()
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
    const { files, room, checkpointer, add } = testCheckpointer()
    const { partition } = add()
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
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    await checkpointer.write()
    partition.reach(20)
    const { rename } = files
    files.rename = () => {
      throw diskError()
    }
    await assert.rejects(checkpointer.write(), StorageError)
    files.rename = rename
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 20 })
  })

  it('replaced, but not known to be durable, and lowered to what was there before -> written again', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    await checkpointer.write()
    partition.reach(20)
    const { rename } = files
    files.rename = (from, to) => {
      rename(from, to)
      if (to.endsWith(recoveryPoints)) throw diskError()
    }
    await assert.rejects(checkpointer.write(), StorageError)
    files.rename = rename
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
    const { files, checkpointer, add } = testCheckpointer()
    const { partition, handle } = add()
    await checkpointer.lower(partition.identity, 4)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 4 })
    partition.reach(6)
    handle.flushed(1)
    await checkpointer.write()
    assert.deepEqual(linesOf(files), { 'orders-0': 6 })
  })

  it('above the lines -> nothing is raised', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    await checkpointer.lower(partition.identity, 50)
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
  })

  it('a write is under way -> comes behind it, and has the last word', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    const { passed, open } = gate()
    partition.prepare = () => passed
    partition.reach(20)
    const written = checkpointer.write()
    await idle()
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

describe('Checkpointer, calls that overlap', () => {
  it('several before one has begun -> share it', async () => {
    const { checkpointer, add } = testCheckpointer()
    add()
    assert.equal(checkpointer.write(), checkpointer.write())
    await checkpointer.write()
  })

  it('while one runs -> another, which takes what was flushed before the call', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
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
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
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
    const { files, clock, checkpointer, add } = testCheckpointer()
    const { handle } = add()
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

describe('Checkpointer.raiseLogStart', () => {
  it('resolves -> the log start is in the file before the partition shows it, its recovery point as well', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    await checkpointer.raiseLogStart(partition.identity, 7)
    assert.equal(partition.logStartOffset, 0)
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 7 })
    assert.deepEqual(linesOf(files), { 'orders-0': 10 })
    assert.equal(partition.preparations, 1)
  })

  it('other writes come before the partition shows it -> it stays', async () => {
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
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
    const { files, checkpointer, add } = testCheckpointer()
    const { partition } = add()
    partition.logStartOffset = 2
    await checkpointer.write()
    const { rename } = files
    files.rename = (from, to) => {
      if (to.endsWith(logStarts)) throw diskError()
      rename(from, to)
    }
    await assert.rejects(checkpointer.raiseLogStart(partition.identity, 7), StorageError)
    files.rename = rename
    partition.reach(20)
    await checkpointer.write()
    assert.deepEqual(linesOf(files, logStarts), { 'orders-0': 2 })
  })

  it('the partition is gone -> UnknownTopicOrPartitionError', async () => {
    const { checkpointer, add } = testCheckpointer()
    const { partition } = add()
    checkpointer.remove(partition.identity)
    await assert.rejects(
      checkpointer.raiseLogStart(partition.identity, 7),
      UnknownTopicOrPartitionError,
    )
  })
})
