/**
 * Opening a partition after a crash: what is above the recovery point survives as a prefix of whole
 * batches, what is below it survives or is named as damage.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { add, cut, flip } from '../support/corrupt.ts'
import {
  batchesFrom,
  damageOf,
  dir,
  exposedOffsets,
  get,
  layDown,
  makeBatch,
  names,
  pathOf,
  recover,
} from '../support/log-files.ts'

/** Positions of the batches, and the end. */
function positionsOf(batches: readonly Buffer[]): number[] {
  const positions = [0]
  for (const batch of batches) positions.push((positions.at(-1) as number) + batch.length)
  return positions
}

function at(positions: readonly number[], index: number): number {
  return positions[index] as number
}

const ten = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

async function oneSegment(options: Parameters<typeof layDown>[2] = {}): Promise<{
  files: Files
  positions: number[]
}> {
  const files = memoryFiles()
  const batches = batchesFrom(0, 10)
  await layDown(files, [batches], options)
  return { files, positions: positionsOf(batches) }
}

describe('recoverPartition without damage', () => {
  it('a directory without segments -> an empty log in epoch 0, nothing to report', async () => {
    const files = memoryFiles()
    files.makeDirectory(dir)
    const recovered = await recover(files)
    assert.equal(recovered.logEndOffset, 0)
    assert.equal(recovered.leaderEpoch, 0)
    assert.equal(recovered.epochIsSaved, false)
    assert.equal(recovered.active, null)
    assert.equal(recovered.report, null)
  })

  it('whole batches above the recovery point -> all are kept, the epoch is raised', async () => {
    const { files } = await oneSegment()
    const recovered = await recover(files, { checkpointedRecoveryPoint: 4 })
    assert.deepEqual(exposedOffsets(files, recovered), ten)
    assert.equal(recovered.logEndOffset, 10)
    assert.equal(recovered.leaderEpoch, 1)
    assert.equal(recovered.report?.keptFrom, 4)
    assert.equal(recovered.report?.keptTo, 10)
  })

  it('several segments -> the last is active, the others are sealed', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 5), batchesFrom(5, 5), batchesFrom(10, 5)])
    const recovered = await recover(files, { checkpointedRecoveryPoint: 12 })
    assert.deepEqual(
      recovered.sealed.map(it => [it.baseOffset, it.nextOffset]),
      [
        [0, 5],
        [5, 10],
      ],
    )
    assert.equal(recovered.active?.baseOffset, 10)
    assert.equal(recovered.logEndOffset, 15)
  })

  it('segments below the log start -> they are removed, the log begins at the log start', async () => {
    const files = memoryFiles()
    const segments = [batchesFrom(0, 5), batchesFrom(5, 5), batchesFrom(10, 5)]
    await layDown(files, segments, { manifest: 'all' })
    const recovered = await recover(files, {
      checkpointedLogStart: 7,
      checkpointedRecoveryPoint: 15,
    })
    assert.equal(recovered.logStartOffset, 7)
    assert.deepEqual(damageOf(recovered), [])
    assert.deepEqual(
      names(files).filter(name => name.startsWith(`${'0'.repeat(20)}.`)),
      [],
    )
    assert.deepEqual(exposedOffsets(files, recovered), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
  })
})

describe('recoverPartition with a torn tail', () => {
  it('garbage behind the last batch -> it is cut and kept aside', async () => {
    const { files, positions } = await oneSegment()
    await add(files, pathOf(0), Buffer.from('no batch'))
    const recovered = await recover(files)
    assert.equal(recovered.logEndOffset, 10)
    assert.equal(get(files, pathOf(0)).length, at(positions, 10))
    assert.equal(recovered.report?.cutBytes, 8)
    assert.equal(recovered.report?.quarantinedBytes, 8)
    const kept = get(files, `${dir}/${'0'.repeat(20)}.${at(positions, 10)}.quarantined`)
    assert.equal(kept.toString(), 'no batch')
  })

  it('zeros behind the last batch -> they are cut', async () => {
    const { files, positions } = await oneSegment()
    await add(files, pathOf(0), Buffer.alloc(10_000))
    const recovered = await recover(files, { checkpointedRecoveryPoint: 10 })
    assert.deepEqual(damageOf(recovered), [])
    assert.equal(recovered.active?.sizeBytes, at(positions, 10))
  })

  it('a bad batch above the recovery point -> cut there, whole batches behind are counted', async () => {
    const { files, positions } = await oneSegment()
    await flip(files, pathOf(0), { position: at(positions, 6) + 70 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 5 })
    assert.equal(recovered.logEndOffset, 6)
    assert.equal(recovered.report?.cutBatches, 3)
    assert.deepEqual([recovered.cut?.from, recovered.cut?.to], [6, 10])
    assert.deepEqual(damageOf(recovered), [])
  })

  it('a bad batch in front of later segments -> they go with it, their bytes are kept aside', async () => {
    const files = memoryFiles()
    const first = batchesFrom(0, 5)
    await layDown(files, [first, batchesFrom(5, 5), batchesFrom(10, 5)])
    const bytes = get(files, pathOf(5)).length + get(files, pathOf(10)).length
    await flip(files, pathOf(0), { position: at(positionsOf(first), 4) + 70 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 2 })
    assert.equal(recovered.logEndOffset, 4)
    assert.equal(recovered.report?.cutBytes, bytes + (first[4] as Buffer).length)
    assert.equal(recovered.report?.cutBatches, 10)
    assert.deepEqual(
      names(files).filter(name => /^0+(5|10)\.(log|index|timeindex)$/.test(name)),
      [],
    )
  })

  it('a segment that does not continue above the recovery point -> it goes', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 5), batchesFrom(8, 5)])
    const recovered = await recover(files, { checkpointedRecoveryPoint: 5 })
    assert.equal(recovered.logEndOffset, 5)
    assert.equal(recovered.report?.cutBatches, 5)
    assert.equal(recovered.active?.baseOffset, 0)
  })

  it('a batch of a lower epoch than the one before -> it is not of this log and goes', async () => {
    const files = memoryFiles()
    const batches = [
      ...batchesFrom(0, 5, { leaderEpoch: 3 }),
      ...batchesFrom(5, 5, { leaderEpoch: 2 }),
    ]
    await layDown(files, [batches], { epochs: [[3, 0]] })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 1 })
    assert.equal(recovered.logEndOffset, 5)
    assert.equal(recovered.leaderEpoch, 4)
  })

  it('the epoch of the cut batches began at the cut -> that epoch is never given again', async () => {
    const files = memoryFiles()
    const batches = [...batchesFrom(0, 5), ...batchesFrom(5, 1, { leaderEpoch: 7 })]
    await layDown(files, [batches], {
      epochs: [
        [0, 0],
        [7, 5],
      ],
    })
    await flip(files, pathOf(0), { position: at(positionsOf(batches), 5) + 70 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 5 })
    assert.equal(recovered.leaderEpoch, 8)
    assert.equal((await recover(files, { checkpointedRecoveryPoint: 5 })).leaderEpoch, 9)
  })

  it('no room for cut bytes -> they are dropped, and the report says how many', async () => {
    const { files } = await oneSegment()
    await add(files, pathOf(0), Buffer.alloc(1000, 'x'))
    const recovered = await recover(files, { quarantineBytes: 300 })
    assert.equal(recovered.report?.cutBytes, 1000)
    assert.equal(recovered.report?.quarantinedBytes, 300)
  })
})

describe('recoverPartition with damage below the recovery point', () => {
  it('a bad batch among good ones -> only it is lost, and it is named', async () => {
    for (const indexes of [true, false]) {
      const { files, positions } = await oneSegment({ indexes })
      await flip(files, pathOf(0), { position: at(positions, 3) + 70 })
      const before = get(files, pathOf(0))
      const options = { checkpointedRecoveryPoint: 10, checkpointedLogStart: 0 }
      const recovered = await recover(files, { ...options, checkpointedRecoveryPoint: 10 })
      // The index leads past the damage; without it everything is read.
      if (!indexes) {
        assert.deepEqual(damageOf(recovered), [[3, 4, 'crc']])
        assert.equal(recovered.damage[0]?.position, at(positions, 3))
      }
      assert.deepEqual(exposedOffsets(files, recovered), [0, 1, 2, 4, 5, 6, 7, 8, 9])
      assert.equal(recovered.logEndOffset, 10)
      assert.deepEqual(get(files, pathOf(0)), before)
    }
  })

  it('the last batch below the recovery point is bad -> the segment stays, appends start a new one', async () => {
    const { files, positions } = await oneSegment({ indexes: false })
    await flip(files, pathOf(0), { position: at(positions, 9) + 70 })
    const before = get(files, pathOf(0))
    const recovered = await recover(files, { checkpointedRecoveryPoint: 10 })
    assert.deepEqual(damageOf(recovered), [[9, 10, 'crc']])
    assert.equal(recovered.active, null)
    assert.equal(recovered.logEndOffset, 10)
    assert.deepEqual(get(files, pathOf(0)), before)
  })

  it('a whole batch was seen behind damage that reaches past the recovery point -> its offset is not given again', async () => {
    const { files, positions } = await oneSegment({ indexes: false })
    // The good batch at 7 is no proof: bad bytes before and behind it, and no anchor.
    await flip(files, pathOf(0), { position: at(positions, 4) + 70 })
    await flip(files, pathOf(0), { position: at(positions, 6) + 70 })
    await flip(files, pathOf(0), { position: at(positions, 8) + 70 })
    await flip(files, pathOf(0), { position: at(positions, 9) + 70 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 5 })
    assert.ok(recovered.logEndOffset >= 5)
    assert.deepEqual(exposedOffsets(files, recovered), [0, 1, 2, 3, 5])
    const beyond = await recover(await damagedAround7(), { checkpointedRecoveryPoint: 6 })
    assert.equal(beyond.logEndOffset, 8)
    assert.deepEqual(damageOf(beyond), [[4, 8, 'crc']])
  })

  it('a value that holds a batch, in a damaged batch -> it is not taken for a record of the log', async () => {
    const files = memoryFiles()
    const inner = makeBatch({ baseOffset: 4, recordCount: 2 })
    const outer = Buffer.concat([...batchesFrom(0, 4)])
    const carrier = makeCarrier(4, inner)
    const rest = batchesFrom(5, 5)
    await layDown(files, [[...batchesFrom(0, 4), carrier, ...rest]], { indexes: false })
    await flip(files, pathOf(0), { position: outer.length + 62 })
    const recovered = await recover(files, { checkpointedRecoveryPoint: 10 })
    assert.deepEqual(damageOf(recovered), [[4, 5, 'crc']])
  })

  it('a segment in the middle is missing -> its offsets are damage, the rest is there', async () => {
    for (const manifest of ['none', 'sealed', 'all'] as const) {
      for (const wasClean of [true, false]) {
        const files = memoryFiles()
        const segments = [batchesFrom(0, 5), batchesFrom(5, 5), batchesFrom(10, 5)]
        await layDown(files, segments, { manifest })
        await files.remove(pathOf(5))
        const recovered = await recover(files, { checkpointedRecoveryPoint: 15, wasClean })
        assert.equal(recovered.logEndOffset, 15)
        // Without a manifest, and with nothing scanned there, a reader has to find it.
        if (manifest !== 'none') assert.deepEqual(damageOf(recovered), [[5, 10, 'missing']])
      }
    }
  })

  it('a sealed segment is shorter than its manifest line says -> the missing end is damage', async () => {
    for (const wasClean of [true, false]) {
      const files = memoryFiles()
      const first = batchesFrom(0, 5)
      await layDown(files, [first, batchesFrom(5, 5), batchesFrom(10, 5)], { manifest: 'all' })
      await cut(files, pathOf(0), at(positionsOf(first), 3) + 10)
      const recovered = await recover(files, { checkpointedRecoveryPoint: 15, wasClean })
      assert.deepEqual(damageOf(recovered), [[3, 5, 'missing']])
      assert.deepEqual(
        exposedOffsets(files, recovered),
        [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
      )
    }
  })

  it('a recovery point and no segment -> all of it is missing, the log goes on at the recovery point', async () => {
    const files = memoryFiles()
    await layDown(files, [])
    const recovered = await recover(files, {
      checkpointedRecoveryPoint: 42,
      checkpointedLogStart: 7,
    })
    assert.deepEqual(damageOf(recovered), [[7, 42, 'missing']])
    assert.equal(recovered.logEndOffset, 42)
  })

  it('the first segments are missing above the log start -> that is damage', async () => {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(5, 5)])
    const recovered = await recover(files, {
      checkpointedRecoveryPoint: 10,
      checkpointedLogStart: 2,
    })
    assert.deepEqual(damageOf(recovered), [[2, 5, 'missing']])
  })

  it('no recovery point, a manifest that vouches for a sealed segment -> damage in it is not cut', async () => {
    const files = memoryFiles()
    const first = batchesFrom(0, 5)
    await layDown(files, [first, batchesFrom(5, 5)], { manifest: 'sealed' })
    await flip(files, pathOf(0), { position: at(positionsOf(first), 2) + 70 })
    const recovered = await recover(files)
    assert.deepEqual(damageOf(recovered), [[2, 3, 'crc']])
    assert.equal(recovered.logEndOffset, 10)
  })
})

function makeCarrier(baseOffset: number, inner: Buffer): Buffer {
  const plain = makeBatch({ baseOffset, valueBytes: inner.length })
  const marker = Buffer.alloc(inner.length, `${baseOffset}:`)
  const position = plain.indexOf(marker)
  assert.ok(position > 0)
  inner.copy(plain, position)
  return plain
}

async function damagedAround7(): Promise<Files> {
  const { files, positions } = await oneSegment({ indexes: false })
  for (const index of [4, 5, 6, 8, 9]) {
    await flip(files, pathOf(0), { position: at(positions, index) + 70 })
  }
  return files
}
