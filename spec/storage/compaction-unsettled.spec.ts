/**
 * A swap of a compaction that failed, and that could not be taken back or ended either, because the
 * disk went on failing. Once it works again the partition goes on by itself: nothing waits for the
 * next open.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { RetentionRequest } from '../../lib/storage/partition-retention.ts'
import {
  assertCompacted,
  assertUnlisted,
  compact,
  readRecords,
  swapNames,
  wholePartition,
} from '../support/compaction.ts'
import {
  contextOf,
  type Prepared,
  prepare,
  reopenAndCheck,
  run,
} from '../support/compaction-crashes.ts'
import { durable } from '../support/open-partition.ts'
import { SeededRandom, seeds } from '../support/random.ts'

const keepAll: RetentionRequest = {
  limits: {
    cleanupPolicy: 'compact',
    retentionMs: -1,
    retentionBytes: -1,
    retentionRecords: -1,
    retentionBy: 'append',
    retainUntilConsumed: [],
  },
  positions: [],
  nowMs: 0,
}

const raise = async (): Promise<void> => {}

/** From one call of the compaction on everything fails; `check` sees what is left unsettled by that. */
async function afterEveryCall(
  seed: number,
  check: (prepared: Prepared, context: string) => Promise<void>,
): Promise<number> {
  let unsettled = 0
  for (let call = 1; ; call++) {
    const prepared = await prepare(seed * 1000 + call)
    const { files, opened } = prepared
    files.failAt({ operation: call, kind: 'EIO', sticky: true })
    const failure = await run(prepared)
    files.clearFaults()
    if (failure === null) return unsettled
    if (!swapNames(files, opened.dir).some(isMark)) continue
    unsettled++
    await check(prepared, contextOf(prepared, call))
  }
}

/** Nothing of the swap is left, now or after a power cut, and everything is there. */
async function assertSettled(prepared: Prepared, context: string): Promise<void> {
  const { files, opened, appended } = prepared
  assert.deepEqual(swapNames(files, opened.dir), [], context)
  assertCompacted(await readRecords(opened.partition), appended, context)
  files.crash()
  assert.deepEqual(swapNames(files, opened.dir).filter(isMark), [], context)
  await reopenAndCheck(prepared, context)
}

function isMark(name: string): boolean {
  return name.endsWith('.compacted')
}

describe('A compaction that fails from one of its calls on, until the disk works again', () => {
  it('compacted again -> done, as if nothing had been', async () => {
    const unsettled = await afterEveryCall(1, async (prepared, context) => {
      const { partition } = prepared.opened
      const { skipped } = await compact(partition)
      assert.equal(skipped, null, context)
      await assertSettled(prepared, context)
    })
    assert.ok(unsettled > 10, 'swaps are left unsettled')
  })

  it('swept -> nothing of it is left, though nothing else is to be deleted', async () => {
    await afterEveryCall(2, async (prepared, context) => {
      await prepared.opened.partition.retention.sweep(keepAll, raise)
      await assertSettled(prepared, context)
    })
  })

  it('records are deleted -> the segments below go', async () => {
    await afterEveryCall(3, async (prepared, context) => {
      const { files, opened, appended } = prepared
      const end = opened.partition.highWatermark
      await opened.partition.retention.deleteRecords(end, raise)
      assert.deepEqual(swapNames(files, opened.dir), [], context)
      assert.deepEqual(await readRecords(opened.partition), [], context)
      assert.equal(end, appended.length, context)
    })
  })

  it('it fails again -> skipped, told why, and everything is read', async () => {
    await afterEveryCall(4, async (prepared, context) => {
      const { files, opened, appended } = prepared
      files.failAt({ operation: 1, kind: 'EIO', on: 'syncDirectory', sticky: true })
      const { skipped } = await opened.partition.compact(
        wholePartition,
        new AbortController().signal,
      )
      assert.equal(skipped, 'failed swap', context)
      files.clearFaults()
      assertCompacted(await readRecords(opened.partition), appended, context)
    })
  })

  it('segments roll meanwhile -> the manifest says nothing of what the swap may take away', async () => {
    await afterEveryCall(5, async (prepared, context) => {
      const { files, opened, appended } = prepared
      const value = 'v'.repeat(400)
      const more = []
      for (let count = 0; count < 3; count++) {
        const { baseOffset, timestamp } = await opened.partition.append(
          { key: `more${count}`, value },
          durable,
        )
        more.push({ key: `more${count}`, value, offset: baseOffset, timestamp })
      }
      await opened.partition.roll()
      assertUnlisted(files, opened.dir, context)
      files.crash()
      await reopenAndCheck({ ...prepared, appended: [...appended, ...more] }, context)
    })
  })

  it('a power cut at a call of what settles it -> the old segments or the new ones', async () => {
    for (const seed of seeds(3)) {
      const random = new SeededRandom(seed)
      await afterEveryCall(seed + 5, async (prepared, context) => {
        const { files, opened } = prepared
        files.failAt({ operation: 1 + random.below(8), kind: 'crash' })
        await opened.partition.retention.sweep(keepAll, raise).catch(() => {})
        files.clearFaults()
        if (files.crashes === 0) files.crash()
        await reopenAndCheck(prepared, context)
      })
    }
  })
})
