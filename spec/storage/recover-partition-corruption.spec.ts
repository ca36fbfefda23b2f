/**
 * A segment cut at every byte, every byte of a batch damaged, every byte of the side files damaged:
 * what is exposed is always made of the batches that were written, and what is missing below the
 * recovery point is always named.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { nextOffsetAt } from '../../lib/record/batch-format.ts'
import { ProducerState } from '../../lib/storage/producer-state.ts'
import type { RecoveredPartition } from '../../lib/storage/recover-partition.ts'
import { cut, flip, overwrite } from '../support/corrupt.ts'
import {
  batchesFrom,
  dir,
  exposed,
  exposedOffsets,
  get,
  layDown,
  makeBatch,
  pathOf,
  put,
  recover,
} from '../support/log-files.ts'

/** Whether every offset of `[0, end)` is either exposed or named as damage. */
function assertAccounted(
  files: Files,
  recovered: RecoveredPartition,
  at: { readonly end: number; readonly where: string },
): void {
  const { end, where } = at
  const accounted = new Set<number>(exposedOffsets(files, recovered))
  for (const { from, to } of recovered.damage) for (let it = from; it < to; it++) accounted.add(it)
  for (let offset = 0; offset < end; offset++) {
    assert.ok(accounted.has(offset), `${where}: offset ${offset} is neither exposed nor reported`)
  }
}

/** A batch per offset, `sizeBytes` or more in all. */
function segmentOf(sizeBytes: number): { batches: Buffer[]; ends: number[] } {
  const batches: Buffer[] = []
  const ends: number[] = []
  for (let size = 0; size < sizeBytes; ) {
    const batch = makeBatch({
      baseOffset: batches.length,
      valueBytes: 50 + (batches.length % 7) * 90,
    })
    batches.push(batch)
    size += batch.length
    ends.push(size)
  }
  return { batches, ends }
}

describe('recoverPartition of a segment cut at every byte', () => {
  const { batches, ends } = segmentOf(16 << 10)
  const whole = Buffer.concat(batches)

  it('nothing is known to be synced -> exactly the whole batches before the cut survive', async () => {
    const files = memoryFiles()
    await layDown(files, [batches], { indexes: false })
    for (let size = 0; size <= whole.length; size++) {
      await put(files, pathOf(0), whole.subarray(0, size), false)
      const recovered = await recover(files, { quarantineBytes: 0 })
      const expected = ends.filter(end => end <= size).length
      assert.equal(recovered.logEndOffset, expected, `cut at ${size}`)
      assert.equal(get(files, pathOf(0)).length, ends[expected - 1] ?? 0, `cut at ${size}`)
      assert.deepEqual(recovered.damage, [], `cut at ${size}`)
    }
  })

  it('all of it was synced -> the missing part is damage, and nothing is dropped', async () => {
    const files = memoryFiles()
    await layDown(files, [batches], { indexes: false })
    for (let size = whole.length - 1; size >= 0; size--) {
      await cut(files, pathOf(0), size)
      const recovered = await recover(files, { checkpointedRecoveryPoint: batches.length })
      const expected = ends.filter(end => end <= size).length
      assert.equal(recovered.logEndOffset, batches.length, `cut at ${size}`)
      assert.equal(recovered.active, null)
      assert.equal(recovered.damage.length, 1, `cut at ${size}`)
      assert.equal(recovered.damage[0]?.from, expected, `cut at ${size}`)
      assert.equal(recovered.damage[0]?.to, batches.length, `cut at ${size}`)
      assert.equal(get(files, pathOf(0)).length, size, `cut at ${size}`)
    }
  })
})

describe('recoverPartition with one damaged byte in a batch', () => {
  const batches = batchesFrom(0, 12)
  const size = (batches[5] as Buffer).length
  const start = batches.slice(0, 5).reduce((sum, batch) => sum + batch.length, 0)
  const originals = new Set(batches.map(batch => batch.toString('hex')))

  it('below the recovery point -> the other batches are exposed, its offset is named', async () => {
    for (let position = start; position < start + size; position++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const files = memoryFiles()
        await layDown(files, [batches], { indexes: false })
        await flip(files, pathOf(0), { position, mask })
        const damaged = get(files, pathOf(0))
        const recovered = await recover(files, { checkpointedRecoveryPoint: 12 })
        const where = `byte ${position - start} of the batch, mask ${mask}`
        assert.equal(recovered.logEndOffset, 12, where)
        assertAccounted(files, recovered, { end: 12, where })
        for (const offset of [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]) {
          assert.ok(exposedOffsets(files, recovered).includes(offset), `${where}: ${offset}`)
        }
        assert.deepEqual(get(files, pathOf(0)), damaged, where)
      }
    }
  })

  it('above the recovery point -> a prefix of the batches as they were written', async () => {
    const files = memoryFiles()
    await layDown(files, [batches], { indexes: false })
    const whole = get(files, pathOf(0))
    for (let position = start; position < start + size; position++) {
      await overwrite(files, pathOf(0), whole)
      await flip(files, pathOf(0), { position, mask: 0xff })
      const recovered = await recover(files, { checkpointedRecoveryPoint: 3, quarantineBytes: 0 })
      const where = `byte ${position - start} of the batch`
      assert.deepEqual(recovered.damage, [], where)
      const offsets = exposedOffsets(files, recovered)
      // The epoch is outside the checksum: a batch with another one is whole all the same.
      const isEpoch = position - start >= 12 && position - start < 16
      if (!isEpoch) assert.deepEqual(offsets, [0, 1, 2, 3, 4], where)
      assert.deepEqual(offsets, [...offsets.keys()], where)
      if (isEpoch) continue
      for (const batch of exposed(files, recovered)) assert.ok(originals.has(batch.toString('hex')))
    }
  })

  it('a raised leader epoch -> the batches behind are not taken for older ones', async () => {
    const files = memoryFiles()
    await layDown(files, [batches], { indexes: false })
    await flip(files, pathOf(0), { position: start + 14, mask: 0x40 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 3 })
    assert.equal(recovered.logEndOffset, 12)
  })
})

describe('recoverPartition with damaged side files', () => {
  const producer = { producerId: 7, producerEpoch: 1 }
  const segments = [batchesFrom(0, 20), batchesFrom(20, 20), batchesFrom(40, 20)].map(batches =>
    batches.map((batch, i) =>
      i % 5 === 0
        ? makeBatch({
            baseOffset: Number(batch.readBigInt64BE(0)),
            producer: { ...producer, baseSequence: -1 },
          })
        : batch,
    ),
  )
  const side = ['segments.manifest', 'leader-epoch-checkpoint', `${'0'.repeat(18)}40.snapshot`]

  async function laidDown(): Promise<Files> {
    const files = memoryFiles()
    await layDown(files, segments, {
      manifest: 'all',
      epochs: [
        [0, 0],
        [12, 30],
      ],
    })
    const state = new ProducerState()
    state.accept({ ...producer, baseSequence: -1, baseOffset: 35, nextOffset: 36, timestamp: 1 })
    state.commit(40)
    await put(files, pathOf(40, 'snapshot'), state.snapshot())
    return files
  }

  for (const name of side) {
    for (const wasClean of [true, false]) {
      it(`each byte of ${name} flipped, ${wasClean ? 'clean' : 'not clean'} -> the same records`, async () => {
        const length = get(await laidDown(), join(dir, name)).length
        for (let position = 0; position < length; position++) {
          for (const mask of [0x01, 0x10, 0xff]) {
            const files = await laidDown()
            await flip(files, join(dir, name), { position, mask })
            const recovered = await recover(files, { checkpointedRecoveryPoint: 60, wasClean })
            assert.equal(recovered.logEndOffset, 60)
            assert.deepEqual(recovered.damage, [], `byte ${position}, mask ${mask}`)
            assert.equal(exposed(files, recovered).length, 60)
          }
        }
      })
    }
  }

  const contents: readonly (readonly [string, (bytes: Buffer) => Buffer | null])[] = [
    ['missing', () => null],
    ['empty', () => Buffer.alloc(0)],
    ['torn', bytes => bytes.subarray(0, bytes.length - 5)],
    ['stale', bytes => bytes.subarray(0, bytes.length - (bytes.length % 24 || 24))],
    ['all zeros', bytes => Buffer.alloc(bytes.length)],
    ['garbage', bytes => Buffer.alloc(bytes.length, 0x5a)],
    ['of another log', bytes => Buffer.from(bytes).swap32()],
  ]
  for (const [what, change] of contents) {
    it(`index files ${what} -> the same records, and indexes that fit them`, async () => {
      for (const suffix of ['index', 'timeindex'] as const) {
        for (const wasClean of [true, false]) {
          const files = await laidDown()
          const content = change(get(files, pathOf(40, suffix)))
          if (content === null) await files.remove(pathOf(40, suffix))
          else await overwrite(files, pathOf(40, suffix), content)
          const recovered = await recover(files, { checkpointedRecoveryPoint: 55, wasClean })
          assert.equal(recovered.logEndOffset, 60)
          assert.equal(exposed(files, recovered).length, 60)
          assert.deepEqual(recovered.damage, [])
          assertIndexed(files, recovered)
        }
      }
    })
  }
})

/** Every entry names a batch of the segment, and the largest timestamp is right. */
function assertIndexed(files: Files, recovered: RecoveredPartition): void {
  const { active } = recovered
  assert.ok(active !== null)
  const log = get(files, pathOf(active.baseOffset))
  for (let i = 0; i < active.offsets.entryCount; i++) {
    const entry = active.offsets.entryAt(i)
    assert.equal(entry.offset, nextOffsetAt(log, entry.position) - 1)
  }
  assert.ok(active.offsets.entryCount > 0)
  assert.equal(active.maxTimestampOffset, 59)
  const onDisk = get(files, pathOf(active.baseOffset, 'index'))
  assert.ok(onDisk.length <= active.offsets.bytes().length)
}
