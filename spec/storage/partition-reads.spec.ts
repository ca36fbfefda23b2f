/** Reads and lookups: what they find, whatever the indexes say and whatever else goes on. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BatchAccumulator } from '../../lib/storage/batch-accumulator.ts'
import { ChunkPool } from '../../lib/storage/chunk-pool.ts'
import type { CompressionType } from '../../lib/types.ts'
import {
  durable,
  openPartition,
  readValues,
  type TestPartition,
} from '../support/open-partition.ts'
import { forEachSeed } from '../support/random.ts'

const small = { segmentBytes: 2000, indexIntervalBytes: 100 }

/** Appends batches of records with these timestamps. */
async function appendAt(
  { partition }: TestPartition,
  batches: readonly (readonly number[])[],
): Promise<void> {
  for (const timestamps of batches) {
    const records = timestamps.map(timestamp => ({ timestamp, value: `at ${timestamp}` }))
    await partition.append(records, durable)
  }
}

/** The offset of the first record at or after, by looking at all of them. */
function firstAtOrAfter(batches: readonly (readonly number[])[], timestamp: number): number | null {
  const offset = batches.flat().findIndex(it => it >= timestamp)
  return offset === -1 ? null : offset
}

describe('offsetForTimestamp', () => {
  for (const compressionType of ['none', 'gzip'] as readonly CompressionType[]) {
    it(`any timestamps, ${compressionType} → the same as a look at every record`, async () => {
      await forEachSeed(3, async random => {
        const test = await openPartition({ config: { ...small, compressionType } })
        const batches = Array.from({ length: 60 }, (_, index) =>
          Array.from({ length: 1 + random.below(4) }, () => 100 + index + random.below(30)),
        )
        await appendAt(test, batches)
        assert.ok(test.partition.segmentCount > 2)
        for (let timestamp = 95; timestamp < 200; timestamp++) {
          const found = await test.partition.offsetForTimestamp(timestamp)
          assert.equal(found, firstAtOrAfter(batches, timestamp), `timestamp ${timestamp}`)
        }
        await test.partition.close()
      })
    })
  }

  it('the log starts inside a batch → its first record from there on', async () => {
    const test = await openPartition()
    await appendAt(test, [
      [10, 10, 10, 10],
      [20, 20],
    ])
    await test.partition.close()
    const { partition } = await openPartition({ files: test.files, logStart: 2, recoveryPoint: 6 })
    assert.equal(await partition.offsetForTimestamp(5), 2)
  })
})

describe('readChunk', () => {
  it('maxBytes: 1 → one batch at a time, all of them', async () => {
    const test = await openPartition({ config: small })
    await appendAt(test, Array(40).fill([1, 2, 3]))
    const { partition } = test
    for (let from = 0; from < 120; from++) {
      const chunk = await partition.readChunk({ from, maxBytes: 1, checkCrcs: true })
      assert.equal(chunk.positions.length, 1)
      assert.equal(chunk.nextOffset, from - (from % 3) + 3)
    }
  })

  it('upTo → only batches that begin below', async () => {
    const test = await openPartition()
    await appendAt(test, Array(4).fill([1, 2, 3]))
    const request = { from: 0, maxBytes: 1 << 20, checkCrcs: true }
    for (const [upTo, count] of [
      [1, 1],
      [3, 1],
      [4, 2],
      [12, 4],
      [99, 4],
    ] as const) {
      const chunk = await test.partition.readChunk({ ...request, upTo })
      assert.equal(chunk.positions.length, count, `up to ${upTo}`)
    }
  })

  for (const [what, bytes] of [
    ['missing', null],
    ['empty', Buffer.alloc(0)],
    ['no index', Buffer.alloc(13, 7)],
    ['another index', Buffer.from('000000050000000a', 'hex')],
  ] as const) {
    it(`the index of a sealed segment is ${what} → every offset is read all the same`, async () => {
      const test = await openPartition({ config: small })
      await appendAt(test, Array(60).fill([1, 2, 3]))
      await test.partition.close()
      const { files } = test
      const path = 'p-0/00000000000000000000.index'
      await files.remove(path)
      if (bytes !== null) {
        const file = files.open(path, 'create')
        file.writeSync(bytes, 0)
        file.close()
      }
      const { partition } = await openPartition({ files, config: small, recoveryPoint: 180 })
      for (let from = 0; from < 180; from += 7) {
        assert.equal(
          (await readValues(partition, from))[0]?.startsWith(`${from - (from % 3)}:`),
          true,
        )
      }
    })
  }
})

describe('BatchAccumulator', () => {
  it('batches beyond the offsets of a segment → left for the next write', () => {
    const accumulator = new BatchAccumulator(new ChunkPool(0))
    for (const baseOffset of [0, 10, 20]) {
      const at = { baseOffset, recordCount: 10, leaderEpoch: 0 }
      accumulator.pushEncoded(Buffer.alloc(100), at)
    }
    assert.equal(accumulator.takeRegion(1000, 20).batches.length, 2)
    assert.equal(accumulator.takeRegion(1000, 20).batches.length, 1)
  })
})
