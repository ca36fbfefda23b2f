/** Giving up the head of one partition: damage and producers that go with it, and what stands in its way. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files } from '../../lib/files/files.ts'
import type { RetentionRequest } from '../../lib/storage/partition-retention.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { endOfLogFiles } from '../support/compaction.ts'
import {
  durable,
  openPartition,
  readValues,
  type TestPartition,
} from '../support/open-partition.ts'

const segmentBytes = 300
const pair = [{ value: 'x'.repeat(100) }, { value: 'y'.repeat(100) }]

function keeping(retentionRecords: number): RetentionRequest {
  const limits = {
    cleanupPolicy: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    retentionRecords,
    retentionBy: 'append',
    retainUntilConsumed: [],
  } as const
  return { limits, positions: [], nowMs: 1_700_000_000_000 }
}

/** A partition of four segments with two records each. */
async function fourSegments(files: Files = memoryFiles()): Promise<TestPartition> {
  const opened = await openPartition({ files, config: { segmentBytes } })
  for (let count = 0; count < 4; count++) await opened.partition.append(pair, durable)
  return opened
}

const raise = async (): Promise<void> => {}

describe('a sweep of a partition', () => {
  it('a segment that goes held damage -> it is named, and the partition is well again', async () => {
    const files = memoryFiles()
    await (await fourSegments(files)).partition.close()
    await files.remove('p-0/00000000000000000002.log')
    const { partition, told } = await openPartition({ files, recoveryPoint: 8 })
    assert.equal(partition.state, 'damaged')
    const deleted = await partition.retention.sweep(keeping(4), raise)
    assert.deepEqual(
      deleted.map(({ baseOffset, damage }) => [
        baseOffset,
        damage.map(({ from, to }) => [from, to]),
      ]),
      [[0, [[2, 4]]]],
    )
    assert.deepEqual([partition.state, told.at(-1)], ['ok', 'state ok'])
    assert.equal((await readValues(partition)).length, 4)
  })

  it('nothing goes -> neither a file is written nor a log start raised', async () => {
    const { partition, files } = await fourSegments()
    await partition.close()
    const before = files.trace.length
    const deleted = await partition.retention.sweep(keeping(8), () => Promise.reject(new Error()))
    assert.deepEqual([deleted, files.trace.length], [[], before])
  })

  it('appends are under way -> the active segment stays this time, and is rolled with the next write', async () => {
    const { partition } = await fourSegments()
    const appended = partition.append(pair, durable)
    await partition.retention.sweep(keeping(0), raise)
    await appended
    assert.equal(partition.logStartOffset, 6)
    await partition.append(pair, durable)
    await partition.flush()
    await partition.retention.sweep(keeping(0), raise)
    assert.deepEqual([partition.logStartOffset, partition.logEndOffset], [12, 12])
  })

  it('the log start cannot be made durable -> StorageError, everything is there, and the next sweep does it', async () => {
    const { partition } = await fourSegments()
    const refuse = (): Promise<void> =>
      Promise.reject(new StorageError('x', 'replace', new Error('no')))
    await assert.rejects(partition.retention.sweep(keeping(4), refuse), StorageError)
    assert.deepEqual([partition.logStartOffset, (await readValues(partition)).length], [0, 8])
    await partition.retention.sweep(keeping(4), raise)
    assert.deepEqual([partition.logStartOffset, (await readValues(partition)).length], [4, 4])
  })

  it('a file cannot be removed -> it is reported, nobody reads it, and the next sweep removes it', async () => {
    const { partition, files, told } = await fourSegments()
    const { remove } = files
    files.remove = async path => {
      if (path.endsWith('0.log')) throw Object.assign(new Error('busy'), { code: 'EBUSY' })
      await remove(path)
    }
    await partition.retention.sweep(keeping(4), raise)
    assert.match(told.at(-1) ?? '', /^background removing segments below the log start/)
    assert.deepEqual([partition.logStartOffset, (await readValues(partition)).length], [4, 4])
    assert.notEqual(files.stat('p-0/00000000000000000000.log'), null)
    files.remove = remove
    await partition.retention.sweep(keeping(4), raise)
    for (const base of [0, 2]) {
      assert.equal(files.stat(`p-0/0000000000000000000${base}.log`), null)
    }
  })

  it('the partition has failed -> nothing is given up', async () => {
    const { partition, files } = await fourSegments()
    files.nextWrite('EIO')
    await assert.rejects(partition.append(pair, durable))
    assert.deepEqual(await partition.retention.sweep(keeping(0), raise), [])
    const [first] = await partition.retention.judge(keeping(0))
    assert.equal(first?.verdict.keptBecause, 'partition failed')
  })

  it('the partition is closed meanwhile -> close() waits for it', async () => {
    const { partition, files } = await fourSegments()
    let isRaised = false
    const swept = partition.retention.sweep(keeping(4), async () => {
      for (let count = 0; count < 10; count++) await new Promise(resolve => setImmediate(resolve))
      isRaised = true
    })
    await new Promise(resolve => setImmediate(resolve))
    await partition.close()
    assert.equal(isRaised, true)
    assert.equal((await swept).length, 2)
    assert.equal(files.stat('p-0/00000000000000000002.log'), null)
  })
})

describe('a partition of which everything goes', () => {
  it('the power goes at any call -> the log files alone say where its offsets go on', async () => {
    let isOver = false
    for (let call = 1; !isOver; call++) {
      const files = faultyFiles({ seed: call })
      const { partition, dir } = await fourSegments(files.currentProcess())
      await files.syncDirectory('.')
      files.failAt({ operation: call, kind: 'crash' })
      await partition.retention.sweep(keeping(0), raise).catch(() => {})
      files.clearFaults()
      isOver = files.crashes === 0
      if (isOver) files.crash()
      const context = `call ${call}\n${files.trace.join('\n')}`
      assert.equal(endOfLogFiles(files, dir), 8, context)
    }
  })

  it('no file beside the log files is left of it -> its offsets go on', async () => {
    const files = faultyFiles({ seed: 1 })
    const { partition, dir } = await fourSegments(files.currentProcess())
    await files.syncDirectory('.')
    await partition.retention.sweep(keeping(0), raise)
    files.crash()
    for (const { name } of files.list(dir)) {
      if (!name.endsWith('.log')) await files.remove(`${dir}/${name}`)
    }
    const reopened = await openPartition({ files: files.currentProcess() })
    assert.equal(reopened.partition.logEndOffset, 8)
    await reopened.partition.close()
  })
})

describe('producers whose batches are given up', () => {
  it('known before -> known after a crash as well, by the one snapshot that is left', async () => {
    const files = memoryFiles()
    const { partition } = await openPartition({ files, config: { segmentBytes } })
    const producer = (baseSequence: number) => ({ producerId: 7, producerEpoch: 0, baseSequence })
    for (let count = 0; count < 4; count++) {
      await partition.append(pair, { ...durable, producer: producer(count * 2) })
      await partition.checkpoint()
    }
    await partition.retention.sweep(keeping(2), () => partition.checkpoint())
    const snapshots = files.list('p-0').filter(({ name }) => name.endsWith('.snapshot'))
    assert.deepEqual(
      snapshots.map(({ name }) => Number.parseInt(name, 10)),
      [8],
    )
    const again = await openPartition({ files, recoveryPoint: 8, config: { segmentBytes } })
    const repeated = await again.partition.append(pair, { ...durable, producer: producer(6) })
    assert.equal(repeated.baseOffset, 6)
    await assert.rejects(again.partition.append(pair, { ...durable, producer: producer(20) }), {
      code: 'OUT_OF_ORDER_SEQUENCE',
    })
  })
})
