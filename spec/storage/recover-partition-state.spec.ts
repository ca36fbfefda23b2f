/** What recovery brings back beside the records: epochs, producers, the active segment; and clean opens. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { faultyFiles } from '../../lib/files/faulty-files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { ProducerState } from '../../lib/storage/producer-state.ts'
import { add, flip } from '../support/corrupt.ts'
import {
  batchesFrom,
  dir,
  exposed,
  exposedOffsets,
  get,
  layDown,
  makeBatch,
  names,
  nowMs,
  pathOf,
  put,
  recover,
} from '../support/log-files.ts'
import { seeds } from '../support/random.ts'

const clean = { wasClean: true, checkpointedRecoveryPoint: 20 }
const twoSegments = [batchesFrom(0, 10), batchesFrom(10, 10)]

describe('recoverPartition after a clean close', () => {
  it('everything fits -> the same epoch, nothing reported, no log is changed', async () => {
    const files = faultyFiles({ seed: 1 })
    await layDown(files, twoSegments, { manifest: 'all', epochs: [[4, 0]] })
    const before = files.operations
    const recovered = await recover(files, clean)
    assert.equal(recovered.report, null)
    assert.equal(recovered.leaderEpoch, 4)
    assert.equal(recovered.epochIsSaved, true)
    assert.equal(recovered.active?.nextOffset, 20)
    assert.equal(recovered.active?.maxTimestampOffset, 19)
    assert.equal(recovered.lastAppendMs, 1_700_000_000_000)
    const changes = files.trace
      .slice(-(files.operations - before))
      .filter(line => !/ (open|read|readFile|list|stat) /.test(line))
    assert.deepEqual(changes, [])
  })

  it('an active segment without a batch -> it is appended to', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 20)], { manifest: 'none' })
    await put(files, pathOf(20), Buffer.alloc(0))
    const recovered = await recover(files, clean)
    assert.equal(recovered.report, null)
    assert.equal(recovered.active?.baseOffset, 20)
    assert.deepEqual(exposedOffsets(files, recovered).length, 20)
  })

  it('no manifest line for the active segment, or another size -> as after a crash', async () => {
    for (const how of ['none', 'longer'] as const) {
      const files = memoryFiles()
      await layDown(files, twoSegments, { manifest: how === 'none' ? 'sealed' : 'all' })
      if (how === 'longer') await add(files, pathOf(10), Buffer.from('more'))
      const recovered = await recover(files, clean)
      assert.equal(recovered.leaderEpoch, 1)
      assert.equal(recovered.logEndOffset, 20)
      assert.equal(exposed(files, recovered).length, 20)
      assert.notEqual(recovered.report, null)
    }
  })

  it('the epoch file names a lower epoch than the last batch has -> it is not believed', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 20, { leaderEpoch: 6 })], {
      manifest: 'all',
      epochs: [[2, 0]],
    })
    assert.equal((await recover(files, clean)).leaderEpoch, 7)
  })
})

describe('recoverPartition and leader epochs', () => {
  it('entries at or above the log end -> they are gone from the file, their epochs are not reused', async () => {
    const files = memoryFiles()
    await layDown(files, twoSegments, {
      epochs: [
        [0, 0],
        [3, 20],
        [5, 31],
      ],
    })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 20 })
    assert.equal(recovered.leaderEpoch, 6)
    assert.equal(recovered.epochIsSaved, true)
    const text = get(files, join(dir, 'leader-epoch-checkpoint')).toString()
    assert.equal(text, '0\n2\n0 0\n6 20\n')
  })

  it('the file is lost or unreadable -> the epochs are read from the batches', async () => {
    const batches = [
      ...batchesFrom(0, 10, { leaderEpoch: 2 }),
      ...batchesFrom(10, 10, { leaderEpoch: 9 }),
    ]
    for (const text of [null, 'no checkpoint']) {
      const files = memoryFiles()
      await layDown(files, [batches], { epochs: null, manifest: 'all' })
      if (text !== null) await put(files, join(dir, 'leader-epoch-checkpoint'), Buffer.from(text))
      const recovered = await recover(files, clean)
      assert.deepEqual(recovered.epochs.entries, [
        { epoch: 2, startOffset: 0 },
        { epoch: 9, startOffset: 10 },
        { epoch: 10, startOffset: 20 },
      ])
    }
  })
})

describe('recoverPartition and producers', () => {
  const producer = { producerId: 42, producerEpoch: 0 }
  const check = { ...producer, recordCount: 1 }

  function withProducer(baseOffset: number, baseSequence: number): Buffer {
    return makeBatch({ baseOffset, producer: { ...producer, baseSequence } })
  }

  it('no snapshot -> the batches above the recovery point tell of their producers', async () => {
    const files = memoryFiles()
    await layDown(files, [[...batchesFrom(0, 5), withProducer(5, 0), withProducer(6, 1)]])
    const { producers } = await recover(files, { checkpointedRecoveryPoint: 5 })
    const found = producers.check({ ...check, baseSequence: 1 })
    assert.equal(found.kind, 'duplicate')
    assert.equal(producers.check({ ...check, baseSequence: 2 }).kind, 'new')
  })

  it('a snapshot below the recovery point -> the batches behind it are replayed', async () => {
    const files = memoryFiles()
    await layDown(files, [[withProducer(0, 0), withProducer(1, 1), withProducer(2, 2)]])
    const state = new ProducerState()
    state.accept({ ...producer, baseSequence: 0, baseOffset: 0, nextOffset: 1, timestamp: 1 })
    state.commit(1)
    await put(files, pathOf(1, 'snapshot'), state.snapshot())
    const { producers } = await recover(files, { checkpointedRecoveryPoint: 3 })
    assert.equal(producers.check({ ...check, baseSequence: 1 }).kind, 'duplicate')
    assert.equal(producers.check({ ...check, baseSequence: 3 }).kind, 'new')
  })

  it('a snapshot that cannot be read -> all batches are replayed, the snapshot goes', async () => {
    const files = memoryFiles()
    await layDown(files, [[withProducer(0, 0), withProducer(1, 1)], [withProducer(2, 2)]])
    await put(files, pathOf(2, 'snapshot'), Buffer.from('garbage'))
    const { producers } = await recover(files, { checkpointedRecoveryPoint: 3 })
    assert.equal(producers.check({ ...check, baseSequence: 3 }).kind, 'new')
    assert.throws(() => producers.check({ ...check, baseSequence: 5 }))
    assert.ok(!names(files).some(name => name.endsWith('.snapshot')))
  })

  it('a snapshot above the log end -> it goes', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 5)])
    await put(files, pathOf(9, 'snapshot'), new ProducerState().snapshot())
    const { producers } = await recover(files, { checkpointedRecoveryPoint: 5 })
    assert.ok(producers.isUntouched)
    assert.ok(!names(files).some(name => name.endsWith('.snapshot')))
  })
})

describe('recoverPartition and the active segment', () => {
  it('the append times are not known -> they count as now', async () => {
    const files = memoryFiles()
    await layDown(files, twoSegments)
    const { active } = await recover(files, { checkpointedRecoveryPoint: 12 })
    assert.equal(active?.firstAppendMs, nowMs)
    assert.equal(active?.lastAppendMs, nowMs)
  })

  it('batches behind those of the last clean close -> the checksum over the headers goes on', async () => {
    const whole = memoryFiles()
    await layDown(whole, [batchesFrom(0, 30)])
    const expected = (await recover(whole)).active?.headersCrc
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 20)], { manifest: 'all' })
    await add(files, pathOf(0), Buffer.concat(batchesFrom(20, 10)))
    const { active } = await recover(files, { checkpointedRecoveryPoint: 20 })
    assert.equal(active?.headersCrc, expected)
    assert.notEqual(expected ?? null, null)
  })

  it('a stray index where the next segment begins -> it goes', async () => {
    const files = memoryFiles()
    await layDown(files, twoSegments)
    await put(files, pathOf(33, 'index'), Buffer.alloc(16))
    await recover(files, { checkpointedRecoveryPoint: 20 })
    assert.ok(!names(files).includes(`${'0'.repeat(18)}33.index`))
  })

  it('files that are not of a log -> they stay', async () => {
    const files = memoryFiles()
    await layDown(files, twoSegments)
    await put(files, join(dir, 'notes.txt'), Buffer.from('mine'))
    await put(files, join(dir, 'notes.tmp'), Buffer.from('mine'))
    await recover(files)
    assert.ok(names(files).includes('notes.txt') && names(files).includes('notes.tmp'))
  })

  it('a segment whose name was never synced -> what was exposed survives a power cut', async () => {
    for (const seed of seeds(40)) {
      const files = faultyFiles({ seed })
      await layDown(files, [batchesFrom(0, 10)])
      // Too short for an index file, whose replacement would sync the directory by the way.
      await put(files, pathOf(10), Buffer.concat(batchesFrom(10, 2)), false)
      const before = await recover(files, { checkpointedRecoveryPoint: 10 })
      assert.equal(before.logEndOffset, 12)
      files.crash()
      const after = await recover(files, { checkpointedRecoveryPoint: 10 })
      assert.equal(after.logEndOffset, 12, `SEED=${seed}`)
      assert.equal(exposed(files, after).length, 12)
    }
  })

  it('an append behind a cut, then a power cut -> the append is there, nothing of the cut is', async () => {
    for (const seed of seeds(40)) {
      const files = faultyFiles({ seed })
      await layDown(files, [batchesFrom(0, 10), batchesFrom(10, 10), batchesFrom(20, 10)])
      await flip(files, pathOf(0), { position: get(files, pathOf(0)).length - 1 })
      const known = { checkpointedRecoveryPoint: 5 }
      const { active, leaderEpoch, logEndOffset } = await recover(files, known)
      assert.equal(logEndOffset, 9)
      const batch = makeBatch({ baseOffset: 9, leaderEpoch, valueBytes: 33 })
      const file = files.open(pathOf(0), 'write')
      assert.equal(await file.write(batch, active?.sizeBytes ?? 0), batch.length)
      await file.syncData()
      file.close()
      files.crash()
      const after = await recover(files, known)
      assert.equal(after.logEndOffset, 10, `SEED=${seed}`)
      assert.deepEqual(exposed(files, after).at(-1), batch)
      assert.deepEqual(
        names(files).filter(name => /^0+(10|20)\.(log|index|timeindex)$/.test(name)),
        [],
      )
    }
  })
})
