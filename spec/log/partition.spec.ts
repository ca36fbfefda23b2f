/** `partition.read()`: one chunk, at once or after a wait that time, an abort or a record ends. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { OffsetOutOfRangeError } from '../../lib/errors.ts'
import { sceneOf } from '../support/scripted-topic.ts'

function turns(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(resolve)))
}

describe('partition.read', () => {
  it('gives whole batches, where to go on, and the offsets as they are', async () => {
    const { topic, partition } = sceneOf(2, 2, 2)
    topic.at(0).logStartOffset = 1
    const result = await partition.read({ from: 3 })
    assert.deepEqual(
      result.batches.map(batch => [batch.baseOffset, batch.nextOffset]),
      [
        [2, 4],
        [4, 6],
      ],
    )
    assert.deepEqual([result.nextOffset, result.highWatermark, result.logStartOffset], [6, 6, 1])
  })

  it('gives the first batch even if it is larger than maxBytes', async () => {
    const result = await sceneOf(2, 2).partition.read({ from: 0, maxBytes: 1 })
    assert.deepEqual([result.batches.length, result.nextOffset], [1, 2])
  })

  it('at the end gives nothing at once without maxWaitMs', async () => {
    const result = await sceneOf(2).partition.read({ from: 2 })
    assert.deepEqual([result.batches.length, result.nextOffset], [0, 2])
  })

  it('at the end waits for a record', async () => {
    const { topic, partition } = sceneOf(2)
    const read = partition.read({ from: 2, maxWaitMs: 1000 })
    await turns()
    topic.at(0).store(1)
    assert.equal((await read).nextOffset, 3)
  })

  it('waits no longer than maxWaitMs', async () => {
    const { topic, partition } = sceneOf(2)
    const read = partition.read({ from: 2, maxWaitMs: 1000 })
    await turns()
    topic.clock.advance(1000)
    assert.equal((await read).nextOffset, 2)
    assert.equal(topic.at(0).waiterCount, 0)
  })

  it('rejects with the reason of an abort while it waits', async () => {
    const { topic, partition } = sceneOf(2)
    const abort = new AbortController()
    const read = partition.read({ from: 2, maxWaitMs: -1, signal: abort.signal })
    await turns()
    abort.abort(new Error('enough'))
    await assert.rejects(read, { message: 'enough' })
    assert.equal(topic.at(0).waiterCount, 0)
  })

  it('above the end → OffsetOutOfRangeError', async () => {
    await assert.rejects(sceneOf(2).partition.read({ from: 3 }), OffsetOutOfRangeError)
  })

  for (const options of [
    undefined,
    null,
    {},
    { from: '1' },
    { from: 0, x: 1 },
    { from: 'latest' },
  ]) {
    it(`${JSON.stringify(options)} → TypeError`, async () => {
      await assert.rejects(sceneOf(2).partition.read(options as never), TypeError)
    })
  }
  for (const options of [
    { from: -1 },
    { from: 0.5 },
    { from: Number.NaN },
    { from: 0, maxBytes: 0 },
  ]) {
    it(`${JSON.stringify(options)} → RangeError`, async () => {
      await assert.rejects(sceneOf(2).partition.read(options), RangeError)
    })
  }
})

describe('partition.offsetForTimestamp', () => {
  it('takes a number or a Date', async () => {
    const { partition } = sceneOf(5)
    assert.equal(await partition.offsetForTimestamp(3), 3)
    assert.equal(await partition.offsetForTimestamp(new Date(3)), 3)
    assert.equal(await partition.offsetForTimestamp(9), null)
  })
  it('of no time → TypeError or RangeError', async () => {
    const { partition } = sceneOf(5)
    await assert.rejects(partition.offsetForTimestamp('1' as never), TypeError)
    await assert.rejects(partition.offsetForTimestamp(Number.NaN), RangeError)
    await assert.rejects(partition.offsetForTimestamp(new Date(Number.NaN)), RangeError)
  })
})
