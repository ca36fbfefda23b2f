/** Segments that compaction has written, verified with every record, also while it is at work. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { verifyPartition } from '../../lib/storage/verify-partition.ts'
import { WorkPace } from '../../lib/storage/work-pace.ts'
import { compact } from '../support/compaction.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'

const config = { segmentBytes: 700, indexIntervalBytes: 100 }

async function append(opened: TestPartition, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const value = index % 5 === 4 ? null : `${index}`.padEnd(40, 'v')
    await opened.partition.append({ key: `k${(index * 7) % 6}`, value }, durable)
  }
}

async function findingsOf({ environment, partition, clock }: TestPartition): Promise<unknown> {
  const pace = new WorkPace(clock, { maxBytesPerSecond: -1 })
  const found = await verifyPartition(environment, partition, {
    deep: true,
    pace,
    onChecked: () => {},
  })
  return found.findings.map(({ type, what, path }) => [type, what, path])
}

describe('verifyPartition of a compacted partition', () => {
  for (const compressionType of ['none', 'gzip'] as const) {
    it(`${compressionType} -> no finding, now and after another open`, async () => {
      const opened = await openPartition({ config: { ...config, compressionType } })
      await append(opened, 60)
      await compact(opened.partition)
      assert.deepEqual(await findingsOf(opened), [])
      opened.clock.advance(10_000)
      await append(opened, 20)
      await compact(opened.partition)
      assert.deepEqual(await findingsOf(opened), [])
      const { recoveryPoint } = opened.partition
      await opened.partition.close()
      const again = await openPartition({ config, files: opened.files, recoveryPoint })
      assert.deepEqual(await findingsOf(again), [])
    })
  }

  it('while it is compacted -> what it takes away is no finding', async () => {
    const opened = await openPartition({ config })
    for (let round = 0; round < 5; round++) {
      await append(opened, 40)
      const compacting = compact(opened.partition)
      for (let count = 0; count < 4; count++) assert.deepEqual(await findingsOf(opened), [])
      await compacting
    }
    assert.deepEqual(await findingsOf(opened), [])
  })
})
