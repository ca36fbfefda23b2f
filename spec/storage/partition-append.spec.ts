/** Accepting, writing and flushing: which appends share a batch, what a flush covers, who is answered when. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { QueueFullError, RecordBatchTooLargeError, RecordTooLargeError } from '../../lib/errors.ts'
import {
  durable,
  openPartition,
  readBatches,
  readValues,
  stateOf,
  turn,
} from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })
const kilobyte = 'x'.repeat(1000)
/** An array of two is never shared with others. */
const pair = [record('x'.repeat(500)), record('y'.repeat(500))]

describe('batches of a partition', () => {
  it('single appends of one turn share a batch', async () => {
    const { partition } = await openPartition()
    await Promise.all(['a', 'b', 'c'].map(value => partition.append(record(value), durable)))
    const batches = await readBatches(partition, 0)
    assert.deepEqual(
      batches.map(batch => batch.recordCount),
      [3],
    )
  })

  it('single appends that arrive during a flush share the next batch', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const appends = [partition.append(record('a'), durable)]
    const flush = await files.whenHeld('sync')
    for (const value of ['b', 'c', 'd']) {
      appends.push(partition.append(record(value), durable))
      await turn()
    }
    flush.proceed()
    ;(await files.whenHeld('sync')).proceed()
    await Promise.all(appends)
    const batches = await readBatches(partition, 0)
    assert.deepEqual(
      batches.map(batch => batch.recordCount),
      [1, 3],
    )
  })

  it('an append that asks for written is not kept open for the running flush', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const first = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    await partition.append(record('b'), { acks: 'written', maxBlockMs: -1 })
    assert.equal(partition.writtenOffset, 2)
    assert.equal(partition.recoveryPoint, 0)
    flush.proceed()
    files.releaseAll()
    await first
  })

  it('an array is a batch of its own, in order with its neighbours', async () => {
    const { partition } = await openPartition()
    const results = await Promise.all([
      partition.append(record('a'), durable),
      partition.append([record('b'), record('c')], durable),
      partition.append(record('d'), durable),
    ])
    assert.deepEqual(
      results.map(result => [result.baseOffset, result.nextOffset]),
      [
        [0, 1],
        [1, 3],
        [3, 4],
      ],
    )
    const batches = await readBatches(partition, 0)
    assert.deepEqual(
      batches.map(batch => batch.recordCount),
      [1, 2, 1],
    )
  })

  it('buffers may be reused as soon as append has returned', async () => {
    const { partition, files } = await openPartition({ maxQueuedBytes: 200 })
    files.hold('sync')
    const buffer = Buffer.from('first')
    const appends = [partition.append({ value: buffer }, durable)]
    buffer.write('other')
    // The queue is full now: this one waits, and is copied all the same.
    appends.push(partition.append([{ value: kilobyte }, { value: buffer }], durable))
    buffer.fill(0)
    files.releaseAll()
    await Promise.all(appends)
    assert.deepEqual(await readValues(partition), ['0:first', `1:${kilobyte}`, '2:other'])
  })

  it('a compressed topic compresses shared batches and arrays, in order', async () => {
    const { partition } = await openPartition({ config: { compressionType: 'gzip' } })
    const results = await Promise.all([
      partition.append(record(kilobyte), durable),
      partition.append([record(kilobyte), record(kilobyte)], durable),
      partition.append(record(kilobyte), durable),
    ])
    assert.deepEqual(
      results.map(result => result.baseOffset),
      [0, 1, 3],
    )
    const batches = await readBatches(partition, 0)
    assert.deepEqual(
      batches.map(batch => batch.compressionType),
      ['gzip', 'gzip', 'gzip'],
    )
  })
})

describe('limits of a batch', () => {
  it('a record that is too large is refused before anything is written', async () => {
    const { partition, files } = await openPartition({ config: { maxBatchBytes: 500 } })
    files.trace.length = 0
    await assert.rejects(partition.append(record(kilobyte), durable), RecordTooLargeError)
    await assert.rejects(
      partition.append(record(kilobyte.repeat(10)), durable),
      RecordTooLargeError,
    )
    assert.equal(partition.logEndOffset, 0)
    assert.deepEqual(files.trace, [])
  })

  it('a batch that is too large is refused whole, and the next append gets its offset', async () => {
    const { partition } = await openPartition({ config: { maxBatchBytes: 500 } })
    const many = Array.from({ length: 50 }, () => record('0123456789'))
    await assert.rejects(partition.append(many, durable), RecordBatchTooLargeError)
    const { baseOffset } = await partition.append(record('a'), durable)
    assert.equal(baseOffset, 0)
  })

  it('shared batches are cut at the limit', async () => {
    const { partition } = await openPartition({ config: { maxBatchBytes: 500 } })
    await Promise.all(
      Array.from({ length: 20 }, () => partition.append(record('x'.repeat(100)), durable)),
    )
    const batches = await readBatches(partition, 0)
    assert.ok(batches.every(batch => batch.sizeBytes <= 500))
    assert.equal(
      batches.reduce((sum, batch) => sum + batch.recordCount, 0),
      20,
    )
  })
})

describe('what a flush covers', () => {
  it('nothing is visible or acknowledged before the sync has ended', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const append = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    assert.equal(partition.writtenOffset, 1)
    assert.equal(partition.highWatermark, 0)
    assert.deepEqual(await readValues(partition), [])
    assert.equal(await stateOf(append), 'pending')
    flush.proceed()
    await append
    assert.equal(partition.highWatermark, 1)
  })

  it('what is written while a sync runs is covered by the next one only', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const first = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    const second = partition.append([record('b'), record('c')], durable)
    await turn()
    assert.equal(partition.writtenOffset, 3)
    flush.proceed()
    await first
    assert.equal(partition.recoveryPoint, 1)
    assert.equal(await stateOf(second), 'pending')
    ;(await files.whenHeld('sync')).proceed()
    await second
    assert.equal(partition.recoveryPoint, 3)
  })

  it('single appends of one turn are answered by its flush, not by that of those behind them', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const append = (value: string): Promise<unknown> => partition.append(record(value), durable)
    const covered = ['a', 'b', 'c'].map(append)
    const flush = await files.whenHeld('sync')
    const behind = ['d', 'e'].map(append)
    await turn()
    flush.proceed()
    const states = await Promise.all([...covered, ...behind].map(stateOf))
    assert.deepEqual(states, ['fulfilled', 'fulfilled', 'fulfilled', 'pending', 'pending'])
    files.releaseAll()
    await Promise.all(behind)
  })

  it('a flush over a roll syncs the old segment, then the directory, then the new segment', async () => {
    const { partition, files } = await openPartition({ config: { segmentBytes: 1500 } })
    await partition.append(record(kilobyte), durable)
    files.trace.length = 0
    await partition.append(pair, durable)
    await partition.close()
    const order = files.trace.filter(line =>
      /^sync p-0\/\d+\.log|^syncDirectory|^create .*\.log/.test(line),
    )
    assert.deepEqual(order.slice(0, 3), [
      'create p-0/00000000000000000001.log',
      'syncDirectory p-0',
      'sync p-0/00000000000000000001.log',
    ])
  })

  it('un-flushed bytes of a rolled segment are synced before those of the next', async () => {
    const { partition, files } = await openPartition({
      config: { segmentBytes: 1500, flushRecords: 100 },
    })
    await Promise.all(
      [1, 2, 3].map(() => partition.append(pair, { acks: 'written', maxBlockMs: -1 })),
    )
    files.trace.length = 0
    await partition.flush()
    assert.deepEqual(
      files.trace.filter(line => /^sync.*\.log|^syncDirectory/.test(line)).slice(0, 4),
      [
        'sync p-0/00000000000000000000.log',
        'sync p-0/00000000000000000002.log',
        'syncDirectory p-0',
        'sync p-0/00000000000000000004.log',
      ],
    )
  })
})

describe('flush policy', () => {
  it('flushRecords: n flushes when n records are un-flushed', async () => {
    const { partition } = await openPartition({ config: { flushRecords: 3 } })
    const appends = [
      partition.append([record('a')], durable),
      partition.append([record('b')], durable),
    ]
    assert.equal(await stateOf(appends[1] as Promise<unknown>), 'pending')
    assert.equal(partition.recoveryPoint, 0)
    appends.push(partition.append([record('c')], durable))
    await Promise.all(appends)
    assert.equal(partition.recoveryPoint, 3)
  })

  it('flushMs flushes when the oldest un-flushed record is that old', async () => {
    const { partition, clock } = await openPartition({
      config: { flushRecords: 100, flushMs: 1000 },
    })
    const append = partition.append(record('a'), durable)
    await turn()
    clock.advance(999)
    assert.equal(await stateOf(append), 'pending')
    clock.advance(1)
    await append
  })

  it('a flushMs that is set later counts from the oldest un-flushed record as well', async () => {
    const { partition, clock } = await openPartition({ config: { flushRecords: -1 } })
    const append = partition.append(record('a'), durable)
    await turn()
    clock.advance(5000)
    assert.equal(await stateOf(append), 'pending')
    partition.configure({ ...partition.config, flushMs: 6000 })
    clock.advance(999)
    assert.equal(await stateOf(append), 'pending')
    clock.advance(1)
    await append
  })

  it('flushBytes flushes when that many bytes are un-flushed', async () => {
    const { partition } = await openPartition({ config: { flushRecords: -1, flushBytes: 2000 } })
    const first = partition.append(record(kilobyte), durable)
    assert.equal(await stateOf(first), 'pending')
    await Promise.all([first, partition.append(record(kilobyte), durable)])
  })

  it('a policy that never flushes does so at 16 MiB, and not before', async () => {
    const config = { flushRecords: -1, maxBatchBytes: 2 << 20, segmentBytes: 32 << 20 }
    const { partition, clock } = await openPartition({ config })
    const mebibyte = Buffer.alloc(1 << 20)
    const first = partition.append(record('a'), durable)
    const written = { acks: 'written', maxBlockMs: -1 } as const
    for (let count = 0; count < 15; count++) await partition.append({ value: mebibyte }, written)
    clock.advance(3_600_000)
    assert.equal(await stateOf(first), 'pending')
    assert.equal(partition.recoveryPoint, 0)
    await partition.append({ value: mebibyte }, written)
    await first
  })

  it('flush() forces a flush under any policy', async () => {
    const { partition } = await openPartition({ config: { flushRecords: -1 } })
    const append = partition.append(record('a'), durable)
    await partition.flush()
    await append
    assert.equal(partition.recoveryPoint, 1)
  })
})

describe('back-pressure', () => {
  it('appends past the queue wait and are accepted in arrival order', async () => {
    const { partition, files } = await openPartition({
      maxQueuedBytes: 3000,
      config: { flushRecords: -1 },
    })
    files.hold('write')
    const big = 'y'.repeat(70_000)
    const order: string[] = []
    const written = { acks: 'written', maxBlockMs: -1 } as const
    const appends = [big, 'b', 'c', 'd'].map((value, index) =>
      partition.append([record(value), record(value)], written).then(() => order.push(`${index}`)),
    )
    await files.whenHeld('write')
    assert.equal(partition.logEndOffset, 2)
    files.releaseAll()
    await Promise.all(appends)
    assert.deepEqual(order, ['0', '1', '2', '3'])
    assert.equal(partition.logEndOffset, 8)
  })

  it('past as much again in waiting bytes an append is refused, nothing of it accepted', async () => {
    const { partition, files } = await openPartition({ maxQueuedBytes: 100_000 })
    files.hold('write', 'sync')
    const big = 'y'.repeat(30_000)
    const appends = Array.from({ length: 12 }, () =>
      partition.append([record(big), record('z')], durable),
    )
    const outcomes = Promise.allSettled(appends)
    await turn()
    files.releaseAll()
    const settled = await outcomes
    const refused = settled.filter(result => result.status === 'rejected')
    assert.ok(refused.length > 0)
    for (const result of refused) assert.ok(result.reason instanceof QueueFullError)
    const accepted = settled.length - refused.length
    assert.equal(partition.logEndOffset, 2 * accepted)
  })

  it('an append that waits longer than maxBlockMs is refused', async () => {
    const { partition, files, clock } = await openPartition({ maxQueuedBytes: 1000 })
    files.hold('write')
    const first = partition.append([record('y'.repeat(70_000)), record('a')], durable)
    await files.whenHeld('write')
    const second = partition.append([record('b'), record('c')], {
      acks: 'durable',
      maxBlockMs: 500,
    })
    const refused = assert.rejects(second, QueueFullError)
    clock.advance(500)
    await refused
    files.releaseAll()
    await first
    assert.equal(partition.logEndOffset, 2)
  })

  it('a signal takes back an append that waits, and is not heard once it is accepted', async () => {
    const { partition, files } = await openPartition({ maxQueuedBytes: 1000 })
    files.hold('write')
    const controller = new AbortController()
    const first = partition.append([record('y'.repeat(70_000)), record('a')], {
      ...durable,
      signal: controller.signal,
    })
    await files.whenHeld('write')
    const second = partition.append([record('b'), record('c')], {
      ...durable,
      signal: controller.signal,
    })
    const refused = assert.rejects(second, /gave up/)
    controller.abort(new Error('gave up'))
    await refused
    files.releaseAll()
    await first
    assert.equal(partition.logEndOffset, 2)
  })
})
