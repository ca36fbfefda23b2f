/** What fails for good, what does not, and what is left in the log either way. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { DiskFullError, StorageError } from '../../lib/errors.ts'
import { durable, openPartition, readValues, stateOf, turn } from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })
const large = 'x'.repeat(80_000)

/** The reasons of promises that must all have been rejected. */
async function reasons(promises: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map(result => (result.status === 'rejected' ? result.reason : 'fulfilled'))
}

describe('a failed sync', () => {
  it('rejects what it covered and everything after it, with an outcome that is true', async () => {
    const { partition, files, told } = await openPartition()
    await partition.append(record('kept'), durable)
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    const behind = partition.append(record('b'), durable)
    await turn()
    flush.fail('EIO')
    const [first, second] = await reasons([covered, behind])
    assert.ok(first instanceof StorageError && second instanceof StorageError)
    assert.equal(first.outcome, 'unknown')
    assert.equal(second.outcome, 'not-written')
    assert.equal((first.cause as { code?: string }).code, 'EIO')
    assert.deepEqual(told, ['flush failed', 'state failed'])
  })

  it('is never retried: no further sync is submitted and no later append acknowledged', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    const flush = await files.whenHeld('sync')
    flush.fail('EIO')
    await reasons([covered])
    files.releaseAll()
    files.trace.length = 0
    const [reason] = await reasons([partition.append(record('b'), durable)])
    assert.ok(reason instanceof StorageError)
    await turn()
    assert.deepEqual(files.trace, [])
    assert.equal(partition.state, 'failed')
  })

  it('leaves what was flushed before readable', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    ;(await files.whenHeld('sync')).fail('EIO')
    await reasons([covered])
    assert.deepEqual(await readValues(partition), ['0:kept'])
  })

  it('ends with recover(): the partition is read from the disk again, under a new leader epoch', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    const epoch = partition.leaderEpoch
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    ;(await files.whenHeld('sync')).fail('EIO')
    await reasons([covered])
    files.releaseAll()
    await partition.recover()
    assert.equal(partition.state, 'ok')
    assert.ok(partition.leaderEpoch > epoch)
    const { baseOffset } = await partition.append(record('b'), durable)
    const values = await readValues(partition)
    assert.deepEqual(values.slice(0, 1), ['0:kept'])
    assert.equal(values.at(-1), `${baseOffset}:b`)
  })

  it('makes close() reject, and close() still ends', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    ;(await files.whenHeld('sync')).fail('EIO')
    await reasons([covered])
    await assert.rejects(partition.close(), StorageError)
  })
})

describe('a failed write', () => {
  it('other than for want of room is final', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    files.nextWrite('EIO')
    const [reason] = await reasons([partition.append(record('a'), durable)])
    assert.ok(reason instanceof StorageError)
    assert.equal(partition.state, 'failed')
    assert.deepEqual(await readValues(partition), ['0:kept'])
  })

  it('in the pool is final as well', async () => {
    const { partition, files } = await openPartition()
    files.hold('write')
    const append = partition.append([record(large), record('a')], durable)
    ;(await files.whenHeld('write')).fail('EIO')
    const [reason] = await reasons([append])
    assert.ok(reason instanceof StorageError)
    assert.equal(reason.outcome, 'unknown')
  })
})

describe('a full disk', () => {
  for (const fault of ['ENOSPC', 'EDQUOT', 'EFBIG', 40] as const) {
    const name = typeof fault === 'number' ? 'a short write' : fault
    it(`${name} rejects the append, cuts the file and leaves the partition in service`, async () => {
      const { partition, files, told, dir } = await openPartition()
      await partition.append(record('kept'), durable)
      const sizeBytes = files.stat(`${dir}/00000000000000000000.log`)?.sizeBytes
      files.nextWrite(fault)
      const [reason] = await reasons([partition.append(record('a'), durable)])
      assert.ok(reason instanceof DiskFullError)
      assert.equal(reason.outcome, 'not-written')
      assert.equal(files.stat(`${dir}/00000000000000000000.log`)?.sizeBytes, sizeBytes)
      assert.equal(partition.logEndOffset, 1)
      assert.deepEqual(told, ['disk full'])
      const { baseOffset } = await partition.append(record('b'), durable)
      assert.equal(baseOffset, 1)
      assert.deepEqual(await readValues(partition), ['0:kept', '1:b'])
    })
  }

  it('flushes and acknowledges what was written before', async () => {
    const { partition, files } = await openPartition({ config: { flushRecords: 100 } })
    const before = partition.append([record('a'), record('b')], durable)
    await partition.append([record('c'), record('d')], { acks: 'written', maxBlockMs: -1 })
    files.nextWrite('ENOSPC')
    const refused = partition.append([record('e'), record('f')], durable)
    const flushed = partition.flush()
    const [reason] = await reasons([refused])
    assert.ok(reason instanceof DiskFullError)
    await assert.rejects(flushed, DiskFullError)
    await before
    assert.equal(partition.recoveryPoint, 4)
  })

  it('takes single appends back alone, those of the batch before them stay', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const append = (value: string): Promise<unknown> => partition.append(record(value), durable)
    const written = ['a', 'b', 'c'].map(append)
    await files.whenHeld('sync')
    const behind = ['d', 'e'].map(append)
    files.releaseAll()
    files.nextWrite('ENOSPC')
    for (const reason of await reasons(behind)) assert.ok(reason instanceof DiskFullError)
    assert.deepEqual(await reasons(written), ['fulfilled', 'fulfilled', 'fulfilled'])
    assert.deepEqual(await readValues(partition), ['0:a', '1:b', '2:c'])
  })

  it('refuses appends as long as there is no room', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    files.nextWrite('ENOSPC')
    await reasons([partition.append(record('a'), durable)])
    const space = files.freeSpace
    files.freeSpace = async () => ({ freeBytes: 0, totalBytes: 1000 })
    const [reason] = await reasons([partition.append(record('b'), durable)])
    assert.ok(reason instanceof DiskFullError)
    files.freeSpace = space
    await partition.append(record('c'), durable)
    assert.deepEqual(await readValues(partition), ['0:kept', '1:c'])
  })

  it('takes the producer state back with the batch', async () => {
    const { partition, files } = await openPartition()
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 }
    await partition.append([record('kept')], { ...durable, producer })
    files.nextWrite('ENOSPC')
    const second = { ...producer, baseSequence: 1 }
    await reasons([partition.append([record('a')], { ...durable, producer: second })])
    const { baseOffset } = await partition.append([record('a')], { ...durable, producer: second })
    assert.equal(baseOffset, 1)
    assert.deepEqual(await readValues(partition), ['0:kept', '1:a'])
  })

  it('is final when the torn tail cannot be cut', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    files.nextWrite('ENOSPC')
    files.hold('sync')
    const append = partition.append(record('a'), durable)
    ;(await files.whenHeld('sync')).fail('EIO')
    const [reason] = await reasons([append])
    assert.ok(reason instanceof StorageError)
    assert.equal(partition.state, 'failed')
  })
})

describe('flush() and abandon()', () => {
  it('reports the first failure since the last flush, once', async () => {
    const { partition, files } = await openPartition()
    files.nextWrite('ENOSPC')
    // Nobody looks at this promise: the flush speaks for it, or the process would end.
    void partition.append(record('a'), durable)
    await assert.rejects(partition.flush(), DiskFullError)
    await partition.flush()
  })

  it('abandon() settles every append, written or not', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    await files.whenHeld('sync')
    const waiting = partition.append(record('b'), durable)
    const abandoned = partition.abandon(new Error('the topic is gone'))
    const states = await Promise.all([stateOf(covered), stateOf(waiting)])
    assert.deepEqual(states, ['rejected', 'rejected'])
    files.releaseAll()
    await abandoned
  })
})

describe('truncateTo', () => {
  it('cuts to the batch boundary, after the checkpoint says so, and appends go on there', async () => {
    const { partition, files } = await openPartition({ config: { segmentBytes: 400 } })
    for (const value of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
      await partition.append([record(value), record(value)], durable)
    }
    files.trace.length = 0
    await partition.truncateTo(5, async offset => void files.trace.push(`lower ${offset}`))
    assert.equal(
      files.trace.find(line => /^lower|^truncate .*\.log /.test(line)),
      'lower 4',
    )
    assert.equal(partition.logEndOffset, 4)
    const { baseOffset } = await partition.append(record('x'), durable)
    assert.equal(baseOffset, 4)
    assert.deepEqual(await readValues(partition), ['0:a', '1:a', '2:b', '3:b', '4:x'])
  })
})
