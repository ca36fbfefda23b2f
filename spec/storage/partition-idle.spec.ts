/**
 * A partition that nothing was appended to since it was opened. It has no writing side yet, and what
 * is asked of it, or set, before it has one must hold all the same.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClosedError, DiskFullError, RecordTooLargeError } from '../../lib/errors.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { durable, openPartition, plainConfig, readValues } from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })

/** Files in which `p-0` holds one record. */
async function withOneRecord(): Promise<ReturnType<typeof memoryFiles>> {
  const files = memoryFiles()
  const { partition } = await openPartition({ files })
  await partition.append(record('a'), durable)
  await partition.close()
  return files
}

describe('a partition that nothing was appended to', () => {
  it('flushed, swept and read → no call writes, and nothing has failed', async () => {
    const { partition, files } = await openPartition({ files: await withOneRecord() })
    files.trace.length = 0
    await partition.flush()
    partition.flushSoon()
    partition.sweep(1_700_000_100_000)
    assert.deepEqual(await readValues(partition), ['0:a'])
    assert.deepEqual(files.trace, [])
    assert.equal(partition.state, 'ok')
    assert.equal(partition.isIdle, true)
  })

  it('configured anew → the first append goes by that', async () => {
    const { partition } = await openPartition()
    partition.configure({ ...plainConfig, maxBatchBytes: 100 })
    const append = partition.append(record('x'.repeat(200)), durable)
    await assert.rejects(append, RecordTooLargeError)
    partition.configure({ ...plainConfig, timestampAfterMaxMs: 1000 })
    await partition.append({ value: 'ahead', timestamp: 1_800_000_000_000 }, durable)
    assert.equal(partition.takeImplausible()?.furthest, 1_800_000_000_000)
  })

  it('closed → appends are refused, waiting ends at once, closing again does nothing', async () => {
    const { partition } = await openPartition()
    await partition.close()
    await assert.rejects(partition.append(record('late'), durable), ClosedError)
    await partition.close()
    await new Promise<void>(resolve => partition.onceAbove(0, resolve))
  })

  it('closed while somebody waits at its end → the waiting ends', async () => {
    const { partition } = await openPartition()
    const waiting = new Promise<void>(resolve => partition.onceAbove(0, resolve))
    await partition.close()
    await waiting
  })

  it('abandoned → appends are refused with the reason', async () => {
    const { partition } = await openPartition()
    const reason = new ClosedError('the topic is gone')
    await partition.abandon(reason)
    await assert.rejects(partition.append(record('late'), durable), error => error === reason)
  })

  it('refused room, then appended to → the append is taken', async () => {
    const { partition } = await openPartition()
    partition.refuseWaiting(new DiskFullError('p-0', new Error('full')))
    assert.equal((await partition.append(record('a'), durable)).baseOffset, 0)
  })

  it('cut → holds what lies below, and the next append goes there', async () => {
    const { partition } = await openPartition({ files: await withOneRecord() })
    await partition.truncateTo(0, async () => {})
    assert.equal(partition.logEndOffset, 0)
    assert.equal((await partition.append(record('b'), durable)).baseOffset, 0)
    assert.deepEqual(await readValues(partition), ['0:b'])
  })
})
