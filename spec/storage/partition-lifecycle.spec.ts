/** Closing, abandoning, recovering and truncating, also when two of them meet. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { FlushGate } from '../../lib/storage/flush-gate.ts'
import {
  durable,
  openPartition,
  readValues,
  stateOf,
  type TestPartition,
  turn,
} from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })
const nothing = async (): Promise<void> => {}

/** A partition with one durable record and one whose sync failed. */
async function failedPartition(): Promise<TestPartition> {
  const test = await openPartition()
  await test.partition.append(record('kept'), durable)
  test.files.hold('sync')
  const lost = test.partition.append(record('lost'), durable)
  ;(await test.files.whenHeld('sync')).fail('EIO')
  await assert.rejects(lost, StorageError)
  test.files.releaseAll()
  return test
}

/** Ten records in batches of two, two batches a segment. */
async function tenRecords(): Promise<TestPartition> {
  const test = await openPartition({ config: { segmentBytes: 170 } })
  for (const value of ['a', 'b', 'c', 'd', 'e']) {
    await test.partition.append([record(value), record(value)], durable)
  }
  return test
}

describe('recover()', () => {
  it('twice at once → one recovery, and no append is lost between', async () => {
    const { partition } = await failedPartition()
    const epoch = partition.leaderEpoch
    const second = (async () => {
      await turn()
      await partition.recover()
    })()
    await Promise.all([partition.recover(), partition.recover()])
    const append = partition.append(record('new'), durable)
    await second
    assert.equal((await append).leaderEpoch, epoch + 1)
    assert.equal((await readValues(partition)).at(-1), `${(await append).baseOffset}:new`)
  })

  it('of a partition that is being closed → ClosedError, and it stays closed', async () => {
    const { partition } = await failedPartition()
    const closed = partition.close()
    closed.catch(() => {})
    await assert.rejects(partition.recover())
    await assert.rejects(closed, StorageError)
    await assert.rejects(partition.append(record('new'), durable))
  })

  it('of a partition that is abandoned meanwhile → rejects, and it stays abandoned', async () => {
    const { partition, files } = await failedPartition()
    const recovered = assert.rejects(partition.recover(), /the topic is gone/)
    await turn()
    await partition.abandon(new Error('the topic is gone'))
    files.trace.length = 0
    await recovered
    await assert.rejects(partition.append(record('new'), durable), /the topic is gone/)
    await turn()
    assert.deepEqual(files.trace, [])
  })
})

describe('close() of a partition that had failed', () => {
  it('recovered since, and every caller was told → resolves', async () => {
    const { partition } = await failedPartition()
    await partition.recover()
    await partition.append(record('new'), durable)
    await partition.close()
  })

  for (const acks of ['queued', 'written'] as const) {
    it(`recovered since, with records that were told to be ${acks} → rejects with the failure, once`, async () => {
      const { partition, files } = await openPartition()
      files.hold('sync')
      await partition.append(record('a'), { acks, maxBlockMs: -1 })
      ;(await files.whenHeld('sync')).fail('EIO')
      await turn()
      assert.equal(partition.state, 'failed')
      files.releaseAll()
      await partition.recover()
      await partition.append(record('b'), durable)
      await assert.rejects(partition.close(), { code: 'STORAGE_FAILED', outcome: 'unknown' })
    })
  }

  it('recovered since, and a flush has told the failure → resolves', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    await partition.append(record('a'), { acks: 'queued', maxBlockMs: -1 })
    ;(await files.whenHeld('sync')).fail('EIO')
    await turn()
    await assert.rejects(partition.flush(), StorageError)
    files.releaseAll()
    await partition.recover()
    await partition.close()
  })
})

describe('abandon()', () => {
  it('while close() waits for a flush → close() writes nothing of what is not synced', async () => {
    const { partition, files } = await openPartition()
    await partition.append(record('kept'), durable)
    files.hold('sync')
    const covered = partition.append(record('a'), durable)
    covered.catch(() => {})
    const closed = partition.close()
    closed.catch(() => {})
    await files.whenHeld('sync')
    const abandoned = partition.abandon(new StorageError('p-0', 'close', new Error('too late')))
    files.trace.length = 0
    files.releaseAll()
    await abandoned
    await assert.rejects(closed, StorageError)
    assert.deepEqual(
      files.trace.filter(line => !line.startsWith('sync ')),
      [],
    )
  })
})

describe('truncateTo', () => {
  for (const [what, offset, values] of [
    ['the log start', 0, []],
    ['the base of a segment', 4, ['0:a', '1:a', '2:b', '3:b']],
    ['a batch boundary', 6, ['0:a', '1:a', '2:b', '3:b', '4:c', '5:c']],
    ['the middle of a batch', 7, ['0:a', '1:a', '2:b', '3:b', '4:c', '5:c']],
    ['the log end', 10, ['0:a', '1:a', '2:b', '3:b', '4:c', '5:c', '6:d', '7:d', '8:e', '9:e']],
  ] as const) {
    it(`${what} → the batches below, and appends go on behind them, also after reopening`, async () => {
      const { partition, files } = await tenRecords()
      assert.ok(partition.segmentCount > 2)
      await partition.truncateTo(offset, nothing)
      assert.deepEqual(await readValues(partition), values)
      await partition.append(record('x'), durable)
      const expected = [...values, `${values.length}:x`]
      assert.deepEqual(await readValues(partition), expected)
      await partition.close()
      const { partition: again } = await openPartition({ files })
      assert.deepEqual(await readValues(again), expected)
      assert.deepEqual(again.damage, [])
    })
  }

  it('with records that are not flushed → they are, before anything is cut', async () => {
    const { partition } = await openPartition({ config: { flushRecords: 100 } })
    const appends = [
      partition.append([record('a'), record('a')], durable),
      partition.append([record('b'), record('b')], durable),
    ]
    await partition.truncateTo(2, nothing)
    await Promise.all(appends)
    assert.deepEqual(await readValues(partition), ['0:a', '1:a'])
  })

  it('of a failed partition → rejects, and exposes nothing that is not synced', async () => {
    const { partition } = await failedPartition()
    await partition.flush().catch(() => {})
    await assert.rejects(partition.truncateTo(partition.logEndOffset, nothing), StorageError)
    assert.equal(partition.highWatermark, 1)
  })

  it('when the checkpoints cannot be lowered → the partition fails, and recover() loses nothing', async () => {
    const { partition } = await tenRecords()
    await assert.rejects(
      partition.truncateTo(4, () => Promise.reject(new Error('no room'))),
      /no room/,
    )
    assert.equal(partition.state, 'failed')
    await partition.recover()
    assert.equal(partition.logEndOffset, 10)
    await partition.append(record('x'), durable)
    assert.equal((await readValues(partition)).length, 11)
  })

  it('while a reader waits for more → it goes on waiting', async () => {
    const { partition } = await tenRecords()
    let release = (): void => {}
    const lowered = new Promise<void>(resolve => {
      release = resolve
    })
    const truncated = partition.truncateTo(4, () => lowered)
    await turn()
    const waiting = new Promise<void>(resolve => partition.onceAbove(10, resolve))
    assert.equal(await stateOf(waiting), 'pending')
    release()
    await truncated
    await partition.append(Array(8).fill(record('x')), durable)
    await waiting
  })

  it('and a position that a reader remembers from before → read by the offset alone', async () => {
    const { partition } = await openPartition()
    const long = record('x'.repeat(1000))
    for (let count = 0; count < 6; count++) await partition.append([long], durable)
    const request = { from: 0, upTo: 4, maxBytes: 1 << 20, checkCrcs: true }
    const { hint, nextOffset } = await partition.readChunk(request)
    await partition.truncateTo(1, nothing)
    for (let count = 0; count < 6; count++) await partition.append([record('y')], durable)
    assert.equal(nextOffset, 4)
    const chunk = await partition.readChunk({ ...request, from: 4, upTo: 7, hint })
    assert.equal(chunk.positions.length, 3)
    assert.deepEqual(partition.damage, [])
  })
})

describe('onceAbove', () => {
  it('of a partition that failed and is closed → ends', async () => {
    const { partition } = await failedPartition()
    await partition.close().catch(() => {})
    let isWoken = false
    partition.onceAbove(5, () => {
      isWoken = true
    })
    assert.ok(isWoken)
  })
})

describe('FlushGate', () => {
  it('flushes that are over as soon as they start → any number of them in order', () => {
    const gate = new FlushGate(1)
    const started: number[] = []
    gate.enter(() => {})
    for (let index = 0; index < 20_000; index++) {
      gate.enter(() => {
        started.push(index)
        gate.leave()
      })
    }
    gate.leave()
    assert.equal(started.length, 20_000)
    assert.equal(started[7], 7)
  })
})
