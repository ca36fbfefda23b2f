/**
 * Arrays whose first record is not like the others: what it takes is what room is looked for at first.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { RecordInput } from '../../lib/types.ts'
import { durable, openPartition, readBatches, readValues, turn } from '../support/open-partition.ts'

const small: RecordInput = { value: Buffer.from('small') }

function valueLike(sizeBytes: number, letter: string): RecordInput {
  return { value: Buffer.alloc(sizeBytes, letter) }
}

/** As `readValues`, with the lengths of the values. */
async function lengthsOf(
  partition: Awaited<ReturnType<typeof openPartition>>['partition'],
): Promise<string[]> {
  const values = await readValues(partition, 0)
  return values.map(value => {
    const [offset, text = ''] = value.split(':')
    return `${offset}:${text[0]}${text.length}`
  })
}

describe('an array whose first record is', () => {
  const shapes: readonly (readonly [string, readonly RecordInput[], readonly string[]])[] = [
    [
      'smaller than the others, which have no room in the chunk',
      [small, valueLike(200_000, 'a'), valueLike(500_000, 'b')],
      ['s5', 'a200000', 'b500000'],
    ],
    [
      'larger than the others',
      [valueLike(300_000, 'a'), small, small, small, small, small],
      ['a300000', 's5', 's5', 's5', 's5', 's5'],
    ],
    [
      'of bytes, and the others are strings of wide characters',
      [small, { value: '語'.repeat(5000) }, { value: 'ä'.repeat(5000) }],
      ['s5', '語5000', 'ä5000'],
    ],
    ['a tombstone', [{ value: null }, valueLike(20_000, 'a')], ['n4', 'a20000']],
  ]
  for (const [what, records, lengths] of shapes) {
    it(`${what} -> one batch of all of them, between its neighbours`, async () => {
      const { partition } = await openPartition()
      const appends = [small, records, small, [small, small]].map(given =>
        partition.append(given, durable),
      )
      const results = await Promise.all(appends)
      const end = 1 + records.length
      assert.deepEqual(
        results.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset]),
        [
          [0, 1],
          [1, end],
          [end, end + 1],
          [end + 1, end + 3],
        ],
      )
      assert.deepEqual(
        await lengthsOf(partition),
        ['s5', ...lengths, 's5', 's5', 's5'].map((length, offset) => `${offset}:${length}`),
      )
      const batches = await readBatches(partition, 0)
      assert.deepEqual(
        batches.map(batch => batch.recordCount),
        [1, records.length, 1, 2],
      )
    })
  }

  it('small, and a later one is none -> nothing of the array is in the log', async () => {
    const { partition } = await openPartition()
    const records = [small, valueLike(20_000, 'a'), { value: 5 } as unknown as RecordInput]
    await assert.rejects(partition.append(records, durable), {
      name: 'TypeError',
      message: /`value`/,
    })
    await partition.append([small, small], durable)
    assert.deepEqual(await readValues(partition, 0), ['0:small', '1:small'])
  })

  it('small, and all of them are too much for a batch -> refused with their size', async () => {
    const { partition } = await openPartition({ config: { maxBatchBytes: 10_000 } })
    for (const sizeBytes of [10_000, 200_000]) {
      await assert.rejects(partition.append([small, valueLike(sizeBytes, 'a')], durable), {
        name: 'RecordBatchTooLargeError',
      })
    }
    await partition.append([small, small], durable)
    assert.deepEqual(await readValues(partition, 0), ['0:small', '1:small'])
  })

  it('small, and there is no room in the queue for all of them -> waits for it', async () => {
    const { partition, files, environment } = await openPartition({ maxQueuedBytes: 8000 })
    files.hold('sync')
    const first = partition.append([small, valueLike(5000, 'a')], durable)
    const second = partition.append([small, valueLike(4000, 'b')], durable)
    assert.equal(partition.logEndOffset, 2)
    assert.ok(environment.budget.queuedBytes <= 8000)
    files.releaseAll()
    const results = await Promise.all([first, second])
    assert.deepEqual(
      results.map(({ baseOffset }) => baseOffset),
      [0, 2],
    )
    await turn()
    assert.deepEqual(await lengthsOf(partition), ['0:s5', '1:a5000', '2:s5', '3:b4000'])
  })
})
