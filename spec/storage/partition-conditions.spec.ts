/** Appends that depend on what lies in the log: a condition, or the sequence of a producer. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { OffsetMismatchError, OutOfOrderSequenceError } from '../../lib/errors.ts'
import { durable, openPartition, readValues, stateOf } from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })

describe('conditional and idempotent appends', () => {
  it("expectedOffset is compared with the log end offset at the call's turn", async () => {
    const { partition } = await openPartition()
    const appends = [
      partition.append(record('a'), { ...durable, expectedOffset: 0 }),
      partition.append(record('b'), { ...durable, expectedOffset: 1 }),
      partition.append(record('c'), { ...durable, expectedOffset: 1 }),
    ]
    const settled = await Promise.allSettled(appends)
    assert.deepEqual(
      settled.map(result => result.status),
      ['fulfilled', 'fulfilled', 'rejected'],
    )
    assert.ok((settled[2] as PromiseRejectedResult).reason instanceof OffsetMismatchError)
    assert.deepEqual(await readValues(partition), ['0:a', '1:b'])
  })

  const from = (
    baseSequence: number,
  ): { producerId: number; producerEpoch: number; baseSequence: number } => ({
    producerId: 7,
    producerEpoch: 0,
    baseSequence,
  })

  it("a repeated batch gets the first one's offsets and is not appended again", async () => {
    const { partition } = await openPartition()
    const first = await partition.append([record('a'), record('b')], {
      ...durable,
      producer: from(0),
    })
    const again = await partition.append([record('a'), record('b')], {
      ...durable,
      producer: from(0),
    })
    assert.deepEqual(again, first)
    assert.equal(partition.logEndOffset, 2)
  })

  it('a duplicate is not answered before its original is durable', async () => {
    const { partition, files } = await openPartition()
    files.hold('sync')
    const first = partition.append([record('a')], { ...durable, producer: from(0) })
    const flush = await files.whenHeld('sync')
    const again = partition.append([record('a')], { ...durable, producer: from(0) })
    assert.equal(await stateOf(again), 'pending')
    flush.proceed()
    assert.deepEqual(await again, await first)
  })

  it('a gap in the sequence is refused', async () => {
    const { partition } = await openPartition()
    await partition.append([record('a')], { ...durable, producer: from(0) })
    await assert.rejects(
      partition.append([record('c')], { ...durable, producer: from(2) }),
      OutOfOrderSequenceError,
    )
  })

  it('producers are known again after reopening', async () => {
    const { partition, files } = await openPartition()
    const first = await partition.append([record('a')], { ...durable, producer: from(0) })
    await partition.close()
    const again = await openPartition({ files })
    const repeated = await again.partition.append([record('a')], { ...durable, producer: from(0) })
    assert.equal(repeated.baseOffset, first.baseOffset)
  })
})
