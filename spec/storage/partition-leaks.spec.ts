/** What failures leave behind: nothing counted, nothing held, nobody waiting. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { DiskFullError, StorageError } from '../../lib/errors.ts'
import type { AppendRequest } from '../../lib/storage/append-request.ts'
import {
  durable,
  openPartition,
  readValues,
  stateOf,
  type TestPartition,
  turn,
} from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })
const large = record('x'.repeat(300_000))
const queued: AppendRequest = { acks: 'queued', maxBlockMs: -1 }

/** Everything that the budget of a log counts. */
function counted({ environment }: TestPartition): readonly number[] {
  const { queuedBytes, unflushedBytes, waitingBytes, waitingCount } = environment.budget
  return [queuedBytes, unflushedBytes, waitingBytes, waitingCount]
}

const nothing = [0, 0, 0, 0]

/** Makes the next opening of a file fail. */
function failNextOpen({ files }: TestPartition, code: string): void {
  const { open } = files
  files.open = path => {
    files.open = open
    throw Object.assign(new Error(`${code}: ${path}`), { code })
  }
}

describe('a failure inside the append call itself', () => {
  it('rejects that append, also when it is the one that found the file missing', async () => {
    const test = await openPartition()
    const { partition, environment } = test
    await partition.append(record('kept'), durable)
    environment.handles.forgetAll('p-0/')
    failNextOpen(test, 'EIO')
    const append = partition.append([large, large], durable)
    assert.equal(await stateOf(append), 'rejected')
    assert.equal(partition.state, 'failed')
    await assert.rejects(append, StorageError)
    assert.deepEqual(counted(test), nothing)
  })

  it('never answers it with the offsets of what is appended after recover()', async () => {
    const test = await openPartition()
    const { partition, environment } = test
    await partition.append(record('kept'), durable)
    environment.handles.forgetAll('p-0/')
    failNextOpen(test, 'EIO')
    const lost = partition.append([large, large], durable)
    lost.catch(() => {})
    await turn()
    await partition.recover()
    await partition.append([record('a'), record('b'), record('c')], durable)
    await assert.rejects(lost, StorageError)
    assert.deepEqual(await readValues(partition), ['0:kept', '1:a', '2:b', '3:c'])
  })
})

describe('a failure with appends that wait for room', () => {
  it('rejects all of them and counts nothing for them any more', async () => {
    const test = await openPartition({ maxQueuedBytes: 400_000 })
    const { partition, files } = test
    files.hold('write')
    const appends = [1, 2, 3].map(() => partition.append([large, record('a')], durable))
    const settled = Promise.allSettled(appends)
    const write = await files.whenHeld('write')
    write.fail('EIO')
    const states = (await settled).map(({ status }) => status)
    assert.deepEqual(states, ['rejected', 'rejected', 'rejected'])
    assert.deepEqual(counted(test), nothing)
    assert.equal(partition.logEndOffset, 0)
  })

  it('lets the appends of other partitions in', async () => {
    const test = await openPartition({ maxQueuedBytes: 400_000 })
    const other = await openPartition({ beside: test, partitionId: 1 })
    test.files.hold('write')
    const failing = test.partition.append([large, record('a')], durable)
    failing.catch(() => {})
    const waiting = other.partition.append([large, record('b')], durable)
    ;(await test.files.whenHeld('write')).fail('EIO')
    await turn()
    test.files.releaseAll()
    assert.equal((await waiting).nextOffset, 2)
    assert.deepEqual(counted(test), nothing)
  })
})

describe('after everything has settled, the budget counts nothing', () => {
  it('disk full with appends that wait', async () => {
    const test = await openPartition({ maxQueuedBytes: 400_000 })
    const { partition, files } = test
    files.hold('write')
    const appends = [1, 2].map(() => partition.append([large, record('a')], durable))
    const settled = Promise.allSettled(appends)
    ;(await files.whenHeld('write')).fail('ENOSPC')
    const [first, second] = await settled
    assert.ok(first?.status === 'rejected' && first.reason instanceof DiskFullError)
    assert.equal(second?.status, 'rejected')
    assert.deepEqual(counted(test), nothing)
  })

  it('abandon() with a write in the air, an un-flushed one and appends that wait', async () => {
    const test = await openPartition({ maxQueuedBytes: 400_000, config: { flushRecords: 100 } })
    const { partition, files } = test
    await partition.append(record('written'), { acks: 'written', maxBlockMs: -1 })
    files.hold('write')
    const appends = [1, 2].map(() => partition.append([large, record('a')], durable))
    const settled = Promise.allSettled(appends)
    await files.whenHeld('write')
    const abandoned = partition.abandon(new Error('gone'))
    await settled
    files.releaseAll()
    await abandoned
    assert.deepEqual(counted(test), nothing)
    assert.equal(test.environment.handles.hasRoom, true)
  })

  it('an append that a signal takes back', async () => {
    const test = await openPartition({ maxQueuedBytes: 400_000 })
    const { partition, files } = test
    files.hold('write')
    const first = partition.append([large, record('a')], durable)
    const abort = new AbortController()
    const second = partition.append([large, record('b')], { ...durable, signal: abort.signal })
    abort.abort(new Error('no longer wanted'))
    await assert.rejects(second, /no longer wanted/)
    files.releaseAll()
    await first
    assert.deepEqual(counted(test), nothing)
  })

  it('a failed flush with a write behind it, and recover()', async () => {
    const test = await openPartition()
    const { partition, files } = test
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    const behind = partition.append([large, record('b')], durable)
    const settled = Promise.allSettled([covered, behind])
    await turn()
    flush.fail('EIO')
    await settled
    assert.deepEqual(counted(test), nothing)
    files.releaseAll()
    await partition.recover()
    await partition.append(record('c'), durable)
    assert.deepEqual(counted(test), nothing)
  })
})

describe('file handles', () => {
  for (const [what, code] of [
    ['a failed flush over a roll', 'EIO'],
    ['a full disk', 'ENOSPC'],
  ] as const) {
    it(`${what} → none stays pinned`, async () => {
      const segmentBytes = code === 'EIO' ? 100 : 1 << 20
      const test = await openPartition({ config: { segmentBytes }, maxOpenFiles: 1 })
      const { partition, files } = test
      await partition.append([record('kept'), record('kept')], durable)
      files.hold(code === 'EIO' ? 'sync' : 'write')
      const append = partition.append([large, record('a')], durable)
      append.catch(() => {})
      const kind = code === 'EIO' ? 'sync' : 'write'
      ;(await files.whenHeld(kind)).fail(code)
      files.releaseAll()
      await assert.rejects(append)
      await turn()
      assert.equal(test.environment.handles.hasRoom, true)
    })
  }
})

describe('flush()', () => {
  it('rejects when records that were only queued could not be synced', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    await partition.append(record('a'), queued)
    ;(await files.whenHeld('sync')).fail('EIO')
    await turn()
    await assert.rejects(partition.flush(), StorageError)
  })

  it('rejects when records that were only queued found no room', async () => {
    const { partition, files } = await openPartition()
    files.nextWrite('ENOSPC')
    await partition.append(record('a'), queued)
    await assert.rejects(partition.flush(), DiskFullError)
    assert.equal(partition.logEndOffset, 0)
  })

  it('two at the same time both report a failure that lies in both', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const append = partition.append(record('a'), durable)
    append.catch(() => {})
    const flushes = Promise.allSettled([partition.flush(), partition.flush()])
    ;(await files.whenHeld('sync')).fail('EIO')
    const states = (await flushes).map(({ status }) => status)
    assert.deepEqual(states, ['rejected', 'rejected'])
  })

  it('close() rejects when records that were only queued could not be synced', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    await partition.append(record('a'), queued)
    const closed = partition.close()
    closed.catch(() => {})
    ;(await files.whenHeld('sync')).fail('EIO')
    await assert.rejects(closed, StorageError)
  })
})
