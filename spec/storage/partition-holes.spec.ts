/** Offsets that the log should hold and no segment does: a gap with a type, never a silent jump. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CorruptRecordError } from '../../lib/errors.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { durable, openPartition, readValues } from '../support/open-partition.ts'

const pair = [{ value: 'x'.repeat(100) }, { value: 'y'.repeat(100) }]

/** A partition of four segments with two records each, closed. */
async function fourSegments(): Promise<ReturnType<typeof memoryFiles>> {
  const files = memoryFiles()
  const { partition } = await openPartition({ files, config: { segmentBytes: 300 } })
  for (let count = 0; count < 4; count++) await partition.append(pair, durable)
  await partition.close()
  return files
}

describe('a missing segment', () => {
  it('is a typed gap whose end is where reading goes on, in every session', async () => {
    const files = await fourSegments()
    await files.remove('p-0/00000000000000000002.log')
    for (let session = 0; session < 2; session++) {
      const { partition } = await openPartition({ files, recoveryPoint: 8 })
      await assert.rejects(
        partition.readChunk({ from: 2, maxBytes: 1000, checkCrcs: true }),
        (error: unknown) =>
          error instanceof CorruptRecordError && error.from === 2 && error.to === 4,
      )
      assert.deepEqual((await readValues(partition, 4)).length, 4)
      assert.equal(partition.state, 'damaged')
      await partition.close()
    }
  })

  it('also when nothing but the other segments tells of it', async () => {
    const files = await fourSegments()
    await files.remove('p-0/00000000000000000002.log')
    await files.remove('p-0/segments.manifest')
    const { partition } = await openPartition({ files, recoveryPoint: 8 })
    await assert.rejects(
      partition.readChunk({ from: 3, maxBytes: 1000, checkCrcs: true }),
      (error: unknown) => error instanceof CorruptRecordError && error.from === 3 && error.to === 4,
    )
  })
})

describe('a segment that lost its end', () => {
  it('is a typed gap up to the next segment', async () => {
    const files = await fourSegments()
    const file = files.open('p-0/00000000000000000002.log', 'write')
    file.truncate(0)
    file.close()
    const { partition } = await openPartition({ files, recoveryPoint: 8 })
    await assert.rejects(
      partition.readChunk({ from: 2, maxBytes: 1000, checkCrcs: true }),
      (error: unknown) => error instanceof CorruptRecordError && error.to === 4,
    )
    assert.equal((await readValues(partition, 4)).length, 4)
  })
})
