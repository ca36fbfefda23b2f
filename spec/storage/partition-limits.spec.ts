/** Batches at the limit, above it, and larger than a segment. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { RecordBatchTooLargeError, RecordTooLargeError } from '../../lib/errors.ts'
import { durable, openPartition, readValues } from '../support/open-partition.ts'

const one = { value: 'x'.repeat(500) }
const two = { value: 'é'.repeat(250) }

/** Size of the batch that these records make. */
async function batchBytes(records: readonly { value: string }[]): Promise<number> {
  const { partition } = await openPartition()
  await partition.append(records, durable)
  return partition.sizeBytes
}

describe('maxBatchBytes', () => {
  for (const [what, records, error] of [
    ['a record', [one], RecordTooLargeError],
    ['a record that is not ASCII', [two], RecordTooLargeError],
    ['an array', [one, two, one], RecordBatchTooLargeError],
  ] as const) {
    it(`${what} of exactly that size → accepted, one byte less allowed → refused`, async () => {
      const maxBatchBytes = await batchBytes(records)
      const exact = await openPartition({ config: { maxBatchBytes } })
      await exact.partition.append(records, durable)
      assert.equal(exact.partition.sizeBytes, maxBatchBytes)
      const below = await openPartition({ config: { maxBatchBytes: maxBatchBytes - 1 } })
      await assert.rejects(below.partition.append(records, durable), error)
      assert.equal(below.partition.logEndOffset, 0)
      assert.equal(below.environment.budget.queuedBytes, 0)
      await below.partition.append({ value: 'small' }, durable)
      assert.deepEqual(await readValues(below.partition), ['0:small'])
    })
  }
})

describe('segmentBytes', () => {
  it('smaller than every batch → a segment each, and all are read', async () => {
    const { partition } = await openPartition({ config: { segmentBytes: 100 } })
    const appends = [one, one, two].map(record => partition.append([record, record], durable))
    await Promise.all(appends)
    assert.equal(partition.segmentCount, 3)
    assert.equal((await readValues(partition)).length, 6)
  })
})
