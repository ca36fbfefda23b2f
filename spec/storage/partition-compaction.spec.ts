/** What a compaction of one partition keeps, drops and leaves alone, record by record. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { OutOfOrderSequenceError } from '../../lib/errors.ts'
import type { Files, RecordInput } from '../../lib/index.ts'
import { batchSizeAt, decodeBatchHeader } from '../../lib/record/batch-format.ts'
import { BatchWriter } from '../../lib/record/batch-writer.ts'
import type { PartitionLog } from '../../lib/storage/partition-log.ts'
import { parseManifest } from '../../lib/storage/segments-manifest.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { append, assertGapless, compact, logPath, put, readRecords } from '../support/compaction.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'

const dir = 'p-0'

/** The batches of a log file. */
function batchesIn(files: Files, base: number): Buffer[] {
  const bytes = files.readFile(logPath(base)) ?? Buffer.alloc(0)
  const batches: Buffer[] = []
  for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at)) {
    batches.push(bytes.subarray(at, at + batchSizeAt(bytes, at)))
  }
  return batches
}

async function keysAndValues(partition: PartitionLog): Promise<string[]> {
  return (await readRecords(partition)).map(({ offset, key, value }) => `${offset} ${key}=${value}`)
}

/** Puts a partition with one sealed segment of these batches, and an active one behind it. */
async function layDown(...batches: readonly Buffer[]): Promise<TestPartition> {
  return layDownFrom(Number.POSITIVE_INFINITY, batches)
}

async function layDownFrom(scanned: number, batches: readonly Buffer[]): Promise<TestPartition> {
  const files = memoryFiles()
  files.makeDirectory(dir)
  const end = decodeBatchHeader(batches.at(-1) as Buffer, 0).nextOffset
  const sealed = files.open(logPath(0), 'create')
  sealed.writeSync(Buffer.concat(batches), 0)
  sealed.close()
  files.open(logPath(end), 'create').close()
  return openPartition({ files, recoveryPoint: Math.min(scanned, end) })
}

function batch(
  baseOffset: number,
  records: readonly RecordInput[],
  header: Partial<Parameters<BatchWriter['finish']>[0]> = {},
): Buffer {
  const target = Buffer.alloc(4096)
  const writer = new BatchWriter()
  writer.begin(target, 0)
  for (const record of records) writer.add(record, 1000 + baseOffset)
  return target.subarray(0, writer.finish({ baseOffset, leaderEpoch: 0, ...header }))
}

describe('Compaction of batches', () => {
  it('nothing of a batch is superseded -> it is copied byte for byte', async () => {
    const { partition, files } = await openPartition()
    await append(partition, put('a', '1'), put('b', '1'))
    await append(partition, put('a', '2'), put('c', '2'))
    await append(partition, put('d', '3'))
    const before = batchesIn(files, 0)
    await compact(partition)
    const after = batchesIn(files, 0)
    assert.deepEqual(after.slice(1), before.slice(1))
    assert.notDeepEqual(after[0], before[0])
    assert.deepEqual(await keysAndValues(partition), ['1 b=1', '2 a=2', '3 c=2', '4 d=3'])
  })

  it('whole batches are superseded -> one batch without records stands for each run of them', async () => {
    const { partition, files } = await openPartition()
    for (let count = 0; count < 5; count++) await append(partition, put('a', `${count}`))
    await append(partition, put('b', 'kept'))
    for (let count = 0; count < 5; count++) await append(partition, put('a', `${count}`))
    await compact(partition)
    const headers = batchesIn(files, 0).map(it => decodeBatchHeader(it, 0))
    assert.deepEqual(
      headers.map(({ baseOffset, nextOffset, recordCount }) => [
        baseOffset,
        nextOffset,
        recordCount,
      ]),
      [
        [0, 5, 0],
        [5, 6, 1],
        [6, 10, 0],
        [10, 11, 1],
      ],
    )
  })

  it('runs over several leader epochs -> one batch for each epoch, which begins where it did', async () => {
    const opened = await layDown(
      batch(0, [put('a', '1')], { leaderEpoch: 0 }),
      batch(1, [put('a', '2')], { leaderEpoch: 2 }),
      batch(2, [put('a', '3')], { leaderEpoch: 2 }),
      batch(3, [put('b', '4')], { leaderEpoch: 5 }),
    )
    await append(opened.partition, put('a', 'last'))
    await compact(opened.partition)
    const headers = batchesIn(opened.files, 0).map(it => decodeBatchHeader(it, 0))
    assert.deepEqual(
      headers.map(({ baseOffset, leaderEpoch }) => [baseOffset, leaderEpoch]).slice(0, 3),
      [
        [0, 0],
        [1, 2],
        [3, 5],
      ],
    )
  })

  it('small segments -> they become one, as large as a segment may be', async () => {
    const { partition, files } = await openPartition({ config: { segmentBytes: 1000 } })
    for (let count = 0; count < 100; count++)
      await append(partition, put(`k${count % 4}`, 'v'.repeat(50)))
    const many = partition.segmentCount
    await compact(partition)
    await compact(partition, { firstDirtyOffset: 100 })
    assert.ok(many > 12 && partition.segmentCount <= 3, `${many} became ${partition.segmentCount}`)
    assertGapless(files, dir)
    assert.equal((await readRecords(partition)).length, 4)
  })

  it('nothing to do -> no file is touched', async () => {
    const { partition, files } = await openPartition()
    await append(partition, put('a', '1'), put('b', '1'))
    await compact(partition)
    const before = files.stat(logPath(0))
    const { droppedRecords } = await compact(partition)
    assert.equal(droppedRecords, 0)
    assert.deepEqual(files.stat(logPath(0)), before)
  })

  it('append times of the sources -> they are those of what is made of them', async () => {
    const { partition, files, clock } = await openPartition({ config: { segmentBytes: 100 } })
    const startMs = clock.wallMs()
    for (let count = 0; count < 4; count++) {
      await append(partition, put('a', 'v'.repeat(30)))
      clock.advance(1000)
    }
    await partition.roll()
    await compact(partition)
    const big = await openPartition({ files, config: { segmentBytes: 10_000 }, recoveryPoint: 4 })
    await compact(big.partition, { firstDirtyOffset: 4 })
    const manifest = parseManifest(files.readFile(join(dir, 'segments.manifest'))?.toString() ?? '')
    const [line] = manifest?.sealed ?? []
    assert.deepEqual(
      [line?.baseOffset, line?.nextOffset, line?.firstAppendMs, line?.lastAppendMs],
      [0, 4, startMs, startMs + 3000],
    )
  })
})

describe('Tombstones', () => {
  it('seen by a compaction -> they stay until deleteRetentionMs later, then go', async () => {
    const { partition, clock } = await openPartition()
    await append(partition, put('a', '1'), put('b', '1'))
    await append(partition, put('a', null), put('c', '1'))
    await compact(partition, { deleteRetentionMs: 500 })
    const withTombstone = ['1 b=1', '2 a=null', '3 c=1']
    assert.deepEqual(await keysAndValues(partition), withTombstone)
    clock.advance(499)
    await compact(partition, { firstDirtyOffset: 4 })
    assert.deepEqual(await keysAndValues(partition), withTombstone)
    clock.advance(1)
    await compact(partition, { firstDirtyOffset: 4 })
    assert.deepEqual(await keysAndValues(partition), ['1 b=1', '3 c=1'])
  })

  it('timestamps in a batch with a delete horizon -> as they were', async () => {
    const { partition } = await openPartition()
    const at = (key: string, value: string | null, timestamp: number): RecordInput => ({
      key,
      value,
      timestamp,
    })
    await append(partition, at('a', null, 5000), at('b', 'x', 17), at('c', 'y', 2 ** 42))
    await compact(partition)
    const timestamps = (await readRecords(partition)).map(({ timestamp }) => timestamp)
    assert.deepEqual(timestamps, [5000, 17, 2 ** 42])
    assert.equal(await partition.offsetForTimestamp(6000), 2)
  })

  it('a tombstone that the last compaction did not map -> its time begins with the one that does', async () => {
    const { partition, clock } = await openPartition()
    await append(partition, put('a', '1'), put('b', '1'), put('c', '1'), put('a', null))
    // Room for one key: the tombstone is reached by the last of several passes.
    const { passes } = await compact(partition, { mapBytes: 40, deleteRetentionMs: 100 })
    assert.ok(passes > 1)
    clock.advance(100)
    await compact(partition, { firstDirtyOffset: 4 })
    assert.deepEqual(await keysAndValues(partition), ['1 b=1', '2 c=1'])
  })

  it('a tombstone below what is dirty without a horizon -> it stays, for older records may be below it', async () => {
    const { partition, clock } = await openPartition()
    await append(partition, put('a', '1'))
    await append(partition, put('a', null))
    // A checkpoint that says more than was done.
    await compact(partition, { firstDirtyOffset: 2, deleteRetentionMs: 1 })
    clock.advance(1000)
    await compact(partition, { firstDirtyOffset: 2, deleteRetentionMs: 1 })
    assert.deepEqual(await keysAndValues(partition), ['0 a=1', '1 a=null'])
  })
})

describe('Memory for keys', () => {
  it('too little for all of them -> several passes, each durable for the next', async () => {
    const { partition } = await openPartition({ config: { segmentBytes: 2000 } })
    for (let count = 0; count < 120; count++)
      await append(partition, put(`k${count % 40}`, `${count}`))
    const cleaned: number[] = []
    const { passes, skipped } = await compact(partition, {
      mapBytes: 20 * 20,
      onCleaned: async offset => void cleaned.push(offset),
    })
    assert.equal(skipped, null)
    assert.ok(passes >= 3)
    assert.equal(cleaned.length, passes)
    assert.deepEqual(
      cleaned,
      [...cleaned].sort((a, b) => a - b),
    )
    assert.equal(cleaned.at(-1), 120)
    const records = await readRecords(partition)
    assert.deepEqual(
      records.map(({ offset }) => offset),
      Array.from({ length: 40 }, (_, i) => 80 + i),
    )
  })
})

describe('Producers', () => {
  const producer = { producerId: 9, producerEpoch: 0 }
  const request = (baseSequence: number) => ({
    ...durable,
    producer: { ...producer, baseSequence },
  })

  async function withProducer(): Promise<TestPartition> {
    const opened = await openPartition()
    await opened.partition.append([put('a', '1'), put('b', '1')], request(0))
    await opened.partition.append([put('a', '2'), put('b', '2')], request(2))
    await append(opened.partition, put('a', '3'), put('b', '3'))
    return opened
  }

  it('the last batch of a producer loses all its records -> it stays without them', async () => {
    const { partition, files } = await withProducer()
    await compact(partition)
    const headers = batchesIn(files, 0).map(it => decodeBatchHeader(it, 0))
    assert.deepEqual(
      headers.map(it => [
        it.baseOffset,
        it.nextOffset,
        it.producerId,
        it.baseSequence,
        it.recordCount,
      ]),
      [
        [0, 2, -1, -1, 0],
        [2, 4, 9, 2, 0],
        [4, 6, -1, -1, 2],
      ],
    )
  })

  it('a repeated append behind a compaction -> answered with its original', async () => {
    const { partition } = await withProducer()
    await compact(partition)
    const { baseOffset, nextOffset } = await partition.append(
      [put('a', '2'), put('b', '2')],
      request(2),
    )
    assert.deepEqual([baseOffset, nextOffset, partition.logEndOffset], [2, 4, 6])
  })

  it('opened again without a snapshot -> the sequence is known from the batch that stayed', async () => {
    const { partition, files } = await withProducer()
    await compact(partition)
    await partition.close()
    for (const { name } of files.list(dir))
      if (name.endsWith('.snapshot')) await files.remove(join(dir, name))
    const { partition: again } = await openPartition({ files, recoveryPoint: 0 })
    const repeated = await again.append([put('a', '2'), put('b', '2')], request(2))
    assert.equal(repeated.baseOffset, 2)
    await assert.rejects(again.append([put('a', '4')], request(7)), OutOfOrderSequenceError)
    assert.equal((await again.append([put('a', '4')], request(4))).baseOffset, 6)
  })

  it('the producer has a later batch -> the emptied one goes with the next compaction', async () => {
    const { partition, files } = await withProducer()
    await compact(partition)
    await partition.append([put('c', '1')], request(4))
    await compact(partition, { firstDirtyOffset: 6 })
    const producers = batchesIn(files, 0).map(it => decodeBatchHeader(it, 0).producerId)
    assert.deepEqual(producers, [-1, -1, 9])
  })
})

describe('Transactions', () => {
  const of = { producerId: 4, producerEpoch: 0, isTransactional: true }
  const marker = (baseOffset: number): Buffer =>
    batch(baseOffset, [{ key: Buffer.alloc(4), value: Buffer.alloc(6) }], {
      ...of,
      isControl: true,
    })

  it('markers, and records within a transaction -> they supersede nothing and stay', async () => {
    const { partition, files } = await layDown(
      batch(0, [put('a', 'before')]),
      batch(1, [put('a', 'aborted, perhaps'), put('t', null)], { ...of, baseSequence: 0 }),
      marker(3),
      batch(4, [put('b', '1')]),
    )
    await append(partition, put('b', '2'))
    await compact(partition)
    assert.deepEqual(await keysAndValues(partition), [
      '0 a=before',
      '1 a=aborted, perhaps',
      '2 t=null',
      '5 b=2',
    ])
    assert.deepEqual(batchesIn(files, 0)[2], marker(3))
  })

  it('a later record outside -> supersedes one within', async () => {
    const { partition } = await layDown(
      batch(0, [put('a', 'within'), put('b', 'within')], { ...of, baseSequence: 0 }),
      marker(2),
      batch(3, [put('a', 'outside')]),
    )
    await append(partition, put('z', ''))
    await compact(partition)
    assert.deepEqual(await keysAndValues(partition), ['1 b=within', '3 a=outside', '4 z='])
  })

  it('one that is open -> nothing from its first record on is compacted', async () => {
    const batches = [
      batch(0, [put('a', '1')]),
      batch(1, [put('a', '2')], { ...of, baseSequence: 0 }),
    ]
    const { partition } = await layDownFrom(0, batches)
    await append(partition, put('a', '3'))
    const { firstDirtyOffset } = await compact(partition)
    assert.equal(firstDirtyOffset, 0)
    assert.equal((await readRecords(partition)).length, 3)
  })
})
