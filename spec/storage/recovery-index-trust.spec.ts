/**
 * Recovery uses the indexes to find where to begin and believes nothing that they say: whatever lies in
 * the index files after an unclean stop, every batch above the recovery point is looked at, none that is
 * good is lost, and no entry for what was scanned comes from the old files.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  maxTimestampAt,
  nextOffsetAt,
} from '../../lib/record/batch-format.ts'
import { OffsetIndex } from '../../lib/storage/offset-index.ts'
import { TimeIndex } from '../../lib/storage/time-index.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { flip, overwrite } from '../support/corrupt.ts'
import {
  batchesFrom,
  damageOf,
  exposedOffsets,
  get,
  layDown,
  makeBatch,
  pathOf,
  recover,
} from '../support/log-files.ts'

const batchCount = 40

/** One segment; the largest timestamp lies in the middle, where the time index may not reach any more. */
async function laidDown(): Promise<Files> {
  const files = memoryFiles()
  const batches = batchesFrom(0, batchCount)
  batches[25] = makeBatch({ baseOffset: 25, timestamp: 1_800_000_000_000 })
  await layDown(files, [batches])
  return files
}

/** Entries of the offset index as `[offset, position]`. */
function offsetEntries(files: Files): [number, number][] {
  const index = OffsetIndex.load(0, get(files, pathOf(0, 'index')))
  assert.ok(index !== null)
  return Array.from({ length: index.entryCount }, (_, at) => {
    const { offset, position } = index.entryAt(at)
    return [offset, position]
  })
}

function offsetIndexBytes(entries: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(entries.length * 8)
  for (const [at, [offset, position]] of entries.entries()) {
    bytes.writeInt32BE(offset, at * 8)
    bytes.writeInt32BE(position, at * 8 + 4)
  }
  return bytes
}

/** Positions of the batches by their last offsets. */
function positions(files: Files): Map<number, number> {
  const bytes = get(files, pathOf(0))
  const found = new Map<number, number>()
  for (let position = 0; position < bytes.length; position += batchSizeAt(bytes, position)) {
    found.set(nextOffsetAt(bytes, position) - 1, position)
  }
  return found
}

/** The index is that of the batches from `fromOffset` on, and its time index is complete. */
function assertIndexed(files: Files, fromOffset: number): void {
  const known = positions(files)
  for (const [offset, position] of offsetEntries(files)) {
    if (offset >= fromOffset) assert.equal(known.get(offset), position, `the entry of ${offset}`)
  }
}

const wrongEntries: readonly {
  readonly title: string
  readonly change: (entry: readonly [number, number], batchBytes: number) => [number, number]
}[] = [
  { title: 'a later offset', change: ([offset, position]) => [offset + 1, position] },
  { title: 'an earlier offset', change: ([offset, position]) => [offset - 1, position] },
  { title: 'a position inside the batch', change: ([offset, position]) => [offset, position + 5] },
  {
    title: 'the position of the next batch',
    change: ([offset, position], batchBytes) => [offset, position + batchBytes],
  },
  {
    title: 'the position of the batch before',
    change: ([offset, position], batchBytes) => [offset, position - batchBytes],
  },
]

describe('recovery after an unclean stop with an index entry that has', () => {
  for (const { title, change } of wrongEntries) {
    it(`${title} -> every batch is kept, and what was scanned is indexed right`, async () => {
      const sound = offsetEntries(await laidDown())
      assert.ok(sound.length > 8)
      for (const wrong of sound.keys()) {
        for (const recoveryPoint of [0, 12, 26, 39, 40]) {
          const files = await laidDown()
          const batchBytes = batchSizeAt(get(files, pathOf(0)), 0)
          const entries = sound.map((entry, at) =>
            at === wrong ? change(entry, batchBytes) : entry,
          )
          await overwrite(files, pathOf(0, 'index'), offsetIndexBytes(entries))
          const recovered = await recover(files, { checkpointedRecoveryPoint: recoveryPoint })
          const at = `entry ${wrong}, recovery point ${recoveryPoint}`
          assert.deepEqual(damageOf(recovered), [], at)
          assert.equal(recovered.logEndOffset, batchCount, at)
          assert.equal(exposedOffsets(files, recovered).length, batchCount, at)
          assertIndexed(files, recoveryPoint)
        }
      }
    })
  }
})

describe('recovery with indexes that name batches above the recovery point', () => {
  it('one of those batches is bad -> the log ends before it, and so do the indexes', async () => {
    for (const bad of [21, 24, 30, 38]) {
      const files = await laidDown()
      const position = positions(files).get(bad) ?? 0
      await flip(files, pathOf(0), { position: position + 70 })
      const recovered = await recover(files, { checkpointedRecoveryPoint: 20 })
      assert.equal(recovered.logEndOffset, bad)
      assert.equal(exposedOffsets(files, recovered).at(-1), bad - 1)
      for (const [offset, at] of offsetEntries(files)) {
        assert.ok(offset < bad && at < position, `an entry for ${offset} is left`)
      }
    }
  })

  it('the batch before the last entry is bad -> the entry does not bring the scan past it', async () => {
    const files = await laidDown()
    const [last = 0] = offsetEntries(files).at(-1) ?? []
    const position = positions(files).get(last - 1) ?? 0
    await flip(files, pathOf(0), { position: position + 70 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 20 })
    assert.equal(recovered.logEndOffset, last - 1)
  })
})

describe('recovery with a time index', () => {
  it('that ends before the offset index does -> the largest timestamp is not lost', async () => {
    const count = get(await laidDown(), pathOf(0, 'timeindex')).length / 12
    for (let kept = 0; kept <= count; kept++) {
      for (const recoveryPoint of [20, 30, 40]) {
        const files = await laidDown()
        const bytes = get(files, pathOf(0, 'timeindex')).subarray(0, kept * 12)
        await overwrite(files, pathOf(0, 'timeindex'), Buffer.from(bytes))
        const { active } = await recover(files, { checkpointedRecoveryPoint: recoveryPoint })
        assert.equal(active?.maxTimestamp, 1_800_000_000_000, `${kept} entries, ${recoveryPoint}`)
        assert.equal(active?.maxTimestampOffset, 25)
      }
    }
  })

  it('that has entries for batches that were cut -> they are gone', async () => {
    const files = await laidDown()
    const position = positions(files).get(24) ?? 0
    await flip(files, pathOf(0), { position: position + 70 })
    const { active } = await recover(files, { checkpointedRecoveryPoint: 20 })
    const times = TimeIndex.load(0, get(files, pathOf(0, 'timeindex')))
    assert.ok(times !== null && active !== null)
    const bytes = get(files, pathOf(0))
    let largest = -1
    for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)) {
      assert.ok(baseOffsetAt(bytes, at) < 24)
      largest = Math.max(largest, maxTimestampAt(bytes, at))
    }
    for (let entry = 0; entry < times.entryCount; entry++) {
      const { offset, timestamp } = times.entryAt(entry)
      assert.ok(offset < 24 && timestamp <= largest, `an entry for ${offset} is left`)
    }
  })
})
