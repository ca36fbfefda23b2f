/** Indexes save work and prove nothing: what they say is checked against the batches that they name. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CorruptRecordError } from '../../lib/errors.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { overwrite } from '../support/corrupt.ts'
import {
  durable,
  openPartition,
  readValues,
  type TestPartition,
} from '../support/open-partition.ts'

describe('an index entry that leads straight to a damaged batch', () => {
  it('does not make the good batches before it part of the damage', async () => {
    const files = memoryFiles()
    const { partition } = await openPartition({ files, config: { indexIntervalBytes: 1 } })
    for (let count = 0; count < 4; count++) await partition.append({ value: 'abcd' }, durable)
    const sizeBytes = partition.sizeBytes / 4
    const file = files.open('p-0/00000000000000000000.log', 'write')
    file.writeSync(Buffer.from('xxx'), 2 * sizeBytes + sizeBytes - 5)
    file.close()
    await assert.rejects(
      partition.readChunk({ from: 2, maxBytes: 1000, checkCrcs: true }),
      (error: unknown) => error instanceof CorruptRecordError && error.from === 2 && error.to === 3,
    )
    assert.deepEqual(
      partition.damage.map(({ from, to }) => [from, to]),
      [[2, 3]],
    )
  })
})

describe('an offset index of the right form that goes beyond the end of its sealed segment', () => {
  const config = { segmentBytes: 600, indexIntervalBytes: 1 }
  const path = 'p-0/00000000000000000000.index'

  /** Closed, given one entry for the first segment, and opened again. */
  async function reopened(
    entry: (segment: { lastOffset: number; sizeBytes: number }) => Buffer,
  ): Promise<TestPartition> {
    const files = memoryFiles()
    const { partition } = await openPartition({ files, config })
    for (let index = 0; index < 16; index++) {
      await partition.append({ value: 'x'.repeat(20) }, durable)
    }
    await partition.close()
    const [first] = partition.verifiableSegments()
    const [second] = partition.verifiableSegments().slice(1)
    assert.ok(first !== undefined && second !== undefined && second.baseOffset > 2)
    const bytes = entry({ lastOffset: second.baseOffset - 1, sizeBytes: first.endPosition })
    await overwrite(files, path, bytes)
    return await openPartition({ files, config, recoveryPoint: 16 })
  }

  const values = Array.from({ length: 16 }, (_, offset) => `${offset}:${'x'.repeat(20)}`)

  it('says that the last record lies there -> a read from that record begins with it', async () => {
    const { partition } = await reopened(({ lastOffset, sizeBytes }) =>
      entryBytes(lastOffset, sizeBytes),
    )
    for (const from of values.keys()) {
      assert.deepEqual(await readValues(partition, from), values.slice(from))
    }
    assert.deepEqual(partition.damage, [])
  })

  it('says that an earlier record lies there -> nothing is taken for missing', async () => {
    const { partition } = await reopened(({ sizeBytes }) => entryBytes(1, sizeBytes + 4096))
    for (const from of values.keys()) {
      assert.deepEqual(await readValues(partition, from), values.slice(from))
    }
    assert.deepEqual(partition.damage, [])
  })
})

function entryBytes(relativeOffset: number, position: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(relativeOffset, 0)
  bytes.writeInt32BE(position, 4)
  return bytes
}

describe('a time index of the right form that says something else', () => {
  for (const [name, timestamp, offset] of [
    ['a later offset', 1000, 5],
    ['a later time', 1_000_000, 3],
  ] as const) {
    it(`${name} than the log has is not believed`, async () => {
      const files = memoryFiles()
      const config = { segmentBytes: 600, indexIntervalBytes: 1 }
      const { partition } = await openPartition({ files, config })
      for (let index = 0; index < 16; index++) {
        await partition.append({ value: 'x'.repeat(20), timestamp: 1000 + index }, durable)
      }
      await partition.close()
      const path = 'p-0/00000000000000000000.timeindex'
      const entry = Buffer.alloc(12)
      entry.writeBigInt64BE(BigInt(timestamp), 0)
      entry.writeInt32BE(offset, 8)
      await files.remove(path)
      const file = files.open(path, 'create')
      file.writeSync(entry, 0)
      file.close()
      const again = await openPartition({ files, config, recoveryPoint: 16 })
      for (let index = 0; index < 16; index++) {
        assert.equal(await again.partition.offsetForTimestamp(1000 + index), index)
      }
    })
  }
})

describe('a look-up by time in a segment whose last batch has a length of no meaning', () => {
  for (const length of [-12, -100, 0, 2 ** 31 - 1]) {
    it(`${length} -> says that the batch is damaged, and finds the others`, async () => {
      const files = memoryFiles()
      const config = { segmentBytes: 600, indexIntervalBytes: 200 }
      const { partition } = await openPartition({ files, config })
      for (let index = 0; index < 16; index++) {
        await partition.append({ value: 'x'.repeat(20), timestamp: 1000 + index }, durable)
      }
      await partition.close()
      const path = 'p-0/00000000000000000000.log'
      const last = (files.stat(path)?.sizeBytes ?? 0) - partition.sizeBytes / 16
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(length)
      const file = files.open(path, 'write')
      file.writeSync(bytes, last + 8)
      file.close()
      const again = await openPartition({ files, config, recoveryPoint: 16 })
      const [, second] = again.partition.verifiableSegments()
      const damaged = (second?.baseOffset ?? 0) - 1
      await assert.rejects(again.partition.offsetForTimestamp(1000 + damaged), CorruptRecordError)
      for (const offset of [0, 1, damaged - 1, damaged + 1, 15]) {
        assert.equal(await again.partition.offsetForTimestamp(1000 + offset), offset)
      }
    })
  }
})
