/** Walks over the batches of a file, and searches for batches behind bad bytes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { type ScanResult, scanBatches } from '../../lib/storage/batch-scan.ts'
import { findChain, surveyBatches } from '../../lib/storage/batch-search.ts'
import { batchesFrom, makeBatch, put } from '../support/log-files.ts'

interface Walked extends ScanResult {
  readonly positions: readonly number[]
  readonly verified: Buffer
}

async function walk(
  bytes: Buffer,
  known: { expectedOffset?: number | null; maxLeaderEpoch?: number; limitOffset?: number } = {},
): Promise<Walked> {
  const files = memoryFiles()
  await put(files, 'log', bytes)
  const file = files.open('log', 'read')
  const positions: number[] = []
  const verified = Buffer.alloc(bytes.length)
  const result = await scanBatches(file, {
    startPosition: 0,
    endPosition: bytes.length,
    expectedOffset: 0,
    minLeaderEpoch: -1,
    ...known,
    onBatch: (_buffer, _position, filePosition) => positions.push(filePosition),
    onVerified: async (good, filePosition) => {
      good.copy(verified, filePosition)
    },
  })
  file.close()
  return { ...result, positions, verified: verified.subarray(0, result.position) }
}

describe('scanBatches', () => {
  it('batches to the end of the file -> end, each seen once, all bytes handed on', async () => {
    const batches = batchesFrom(0, 30_000, { valueBytes: 60 })
    const bytes = Buffer.concat(batches)
    assert.ok(bytes.length > 3 << 20, 'several chunks are read')
    const walked = await walk(bytes)
    assert.deepEqual(walked.end, { kind: 'end' })
    assert.equal(walked.positions.length, 30_000)
    assert.equal(walked.nextOffset, 30_000)
    assert.ok(walked.verified.equals(bytes))
  })

  it('a batch larger than a chunk, among small ones -> it is read whole', async () => {
    const large = makeBatch({ baseOffset: 2, valueBytes: 3 << 20 })
    const bytes = Buffer.concat([...batchesFrom(0, 2), large, ...batchesFrom(3, 2)])
    const walked = await walk(bytes)
    assert.deepEqual(walked.end, { kind: 'end' })
    assert.equal(walked.nextOffset, 5)
    assert.ok(walked.verified.equals(bytes))
  })

  it('the file ends inside a batch -> torn where it begins, at every byte', async () => {
    const [first, second] = batchesFrom(0, 2) as [Buffer, Buffer]
    for (let size = 1; size < second.length; size++) {
      const walked = await walk(Buffer.concat([first, second.subarray(0, size)]))
      assert.deepEqual(walked.end, { kind: 'torn', position: first.length }, `${size} bytes`)
    }
  })

  it('zeros -> corrupt by their length', async () => {
    const { end } = await walk(Buffer.alloc(100))
    assert.deepEqual(end, { kind: 'corrupt', position: 0, reason: 'length' })
  })

  it('an offset that does not follow, an older epoch, an end above the limit -> corrupt by their order', async () => {
    const cases: [Buffer[], { limitOffset?: number }][] = [
      [[...batchesFrom(0, 1), ...batchesFrom(2, 1)], {}],
      [[...batchesFrom(0, 1), ...batchesFrom(0, 1)], {}],
      [[...batchesFrom(0, 1, { leaderEpoch: 2 }), ...batchesFrom(1, 1, { leaderEpoch: 1 })], {}],
      [batchesFrom(0, 2), { limitOffset: 1 }],
    ]
    for (const [batches, known] of cases) {
      const { end } = await walk(Buffer.concat(batches), known)
      const position = (batches[0] as Buffer).length
      assert.deepEqual(end, { kind: 'corrupt', position, reason: 'offset-order' })
    }
  })

  it('an epoch above the highest known one -> it does not make those behind it older', async () => {
    const batches = [
      ...batchesFrom(0, 1, { leaderEpoch: 2 }),
      ...batchesFrom(1, 1, { leaderEpoch: 1000 }),
      ...batchesFrom(2, 1, { leaderEpoch: 2 }),
    ]
    const walked = await walk(Buffer.concat(batches), { maxLeaderEpoch: 2 })
    assert.equal(walked.nextOffset, 3)
    assert.equal(walked.leaderEpoch, 2)
  })
})

describe('findChain', () => {
  const search = {
    startPosition: 0,
    minOffset: 0,
    limitOffset: 1000,
    minLeaderEpoch: -1,
  }

  it('batches behind garbage of any length -> found at their first byte', async () => {
    const files = memoryFiles()
    const good = Buffer.concat(batchesFrom(5, 3))
    for (const garbage of [1, 16, 61, 5000, (128 << 10) - 30, (128 << 10) + 7]) {
      // Full of bytes that read like the magic of a batch.
      const bytes = Buffer.concat([Buffer.alloc(garbage, 2), good])
      await put(files, 'log', bytes)
      const file = files.open('log', 'read')
      const request = { ...search, endPosition: bytes.length }
      const chain = await findChain(file, request, () => false)
      assert.equal(chain?.position, garbage)
      assert.equal(chain?.batchCount, 3)
      assert.equal(chain?.isAnchored, true)
      file.close()
    }
  })

  it('a batch larger than the window, behind garbage -> it is found', async () => {
    const files = memoryFiles()
    const large = makeBatch({ baseOffset: 9, valueBytes: 2 << 20 })
    const bytes = Buffer.concat([Buffer.alloc(77, 2), large, Buffer.alloc(50, 2)])
    await put(files, 'log', bytes)
    const file = files.open('log', 'read')
    const request = { ...search, endPosition: bytes.length }
    const chain = await findChain(file, request, () => false)
    assert.equal(chain?.position, 77)
    assert.equal(chain?.isAnchored, false)
    assert.equal((await surveyBatches(file, request)).nextOffset, 10)
    file.close()
  })

  it('batches below the offset or above the limit -> they do not count', async () => {
    const files = memoryFiles()
    const bytes = Buffer.concat([...batchesFrom(3, 1), ...batchesFrom(50, 1), ...batchesFrom(8, 1)])
    await put(files, 'log', bytes)
    const file = files.open('log', 'read')
    const request = { ...search, endPosition: bytes.length, minOffset: 5, limitOffset: 20 }
    assert.equal((await findChain(file, request, () => false))?.baseOffset, 8)
    assert.equal((await surveyBatches(file, { ...request, limitOffset: 60 })).batchCount, 2)
    file.close()
  })
})
