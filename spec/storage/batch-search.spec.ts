/** Batches behind damage: what is found, what does not count, and what proves that it is a boundary. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { OpenFile } from '../../lib/files/files.ts'
import {
  type Boundary,
  type Chain,
  findChain,
  type SearchRequest,
  surveyBatches,
} from '../../lib/storage/batch-search.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { encodeBatch } from '../support/batches.ts'
import { type BatchSpec, makeBatch } from '../support/log-files.ts'

function fileOf(...parts: readonly Buffer[]): OpenFile {
  const file = memoryFiles().open('/log', 'create')
  file.writeSync(Buffer.concat(parts), 0)
  return file
}

function request(file: OpenFile, change: Partial<SearchRequest> = {}): SearchRequest {
  return {
    startPosition: 0,
    endPosition: file.sizeBytes(),
    minOffset: 0,
    limitOffset: Number.MAX_SAFE_INTEGER,
    minLeaderEpoch: 0,
    ...change,
  }
}

function find(
  file: OpenFile,
  change: Partial<SearchRequest> = {},
  isAnchor: (boundary: Boundary) => boolean = () => false,
): Promise<Chain | null> {
  return findChain(file, request(file, change), isAnchor)
}

/** Bytes that hold no batch, with the magic byte in them. */
function junk(sizeBytes: number): Buffer {
  return Buffer.alloc(sizeBytes, Buffer.from([7, 2, 0, 255]))
}

function batch(baseOffset: number, spec: Partial<BatchSpec> = {}): Buffer {
  return makeBatch({ baseOffset, ...spec })
}

describe('findChain', () => {
  it('batches behind junk, up to the end -> an anchored chain of all of them', async () => {
    const [a, b] = [batch(5, { recordCount: 2 }), batch(7, { leaderEpoch: 3 })]
    assert.deepEqual(await find(fileOf(junk(100), a, b)), {
      position: 100,
      baseOffset: 5,
      nextOffset: 8,
      endPosition: 100 + a.length + b.length,
      leaderEpoch: 3,
      batchCount: 2,
      isAnchored: true,
    })
  })

  for (const sizeBytes of [1, 16, 17, 61]) {
    it(`${sizeBytes} bytes of junk before it -> found at its own position`, async () => {
      assert.equal((await find(fileOf(junk(sizeBytes), batch(5))))?.position, sizeBytes)
    })
  }

  it('it breaks off before the end -> not anchored by itself', async () => {
    const [a, b] = [batch(5), batch(6)]
    const chain = await find(fileOf(a, b, junk(80)))
    assert.deepEqual([chain?.batchCount, chain?.isAnchored], [2, false])
    assert.equal(chain?.endPosition, a.length + b.length)
  })

  it('one of its boundaries is known -> anchored', async () => {
    const [a, b] = [batch(5), batch(6)]
    const file = fileOf(a, b, junk(80))
    const asked: Boundary[] = []
    const chain = await find(file, {}, boundary => {
      asked.push(boundary)
      return boundary.position === a.length
    })
    assert.equal(chain?.isAnchored, true)
    assert.deepEqual(asked, [
      { baseOffset: 5, nextOffset: 6, position: 0 },
      { baseOffset: 6, nextOffset: 7, position: a.length },
    ])
  })

  it('offsets that do not follow each other -> the chain ends between them', async () => {
    const chain = await find(fileOf(batch(5), batch(9)))
    assert.deepEqual([chain?.batchCount, chain?.nextOffset, chain?.isAnchored], [1, 6, false])
  })

  it('a batch inside the value of another, whose own header is damaged -> found, not anchored', async () => {
    const inner = batch(8)
    const outer = encodeBatch([{ value: Buffer.concat([inner, junk(20)]) }])
    outer.writeUInt8(outer.readUInt8(20) ^ 1, 20)
    const chain = await find(fileOf(outer, batch(9)))
    assert.deepEqual([chain?.baseOffset, chain?.isAnchored], [8, false])
  })

  it('a damaged batch -> passed over for the next good one', async () => {
    const [a, b] = [batch(5), batch(6)]
    a.writeUInt8(a.readUInt8(a.length - 1) ^ 1, a.length - 1)
    assert.equal((await find(fileOf(a, b)))?.baseOffset, 6)
  })

  const uncounted: readonly (readonly [string, Partial<SearchRequest>])[] = [
    ['begins below the least offset', { minOffset: 6 }],
    ['ends above the limit', { limitOffset: 6 }],
    ['has an older leader epoch', { minLeaderEpoch: 3 }],
    ['lies before the start', { startPosition: 1 }],
    ['does not end before the end', { endPosition: 100 }],
  ]
  for (const [what, change] of uncounted) {
    it(`a batch that ${what} -> does not count`, async () => {
      const file = fileOf(batch(5, { recordCount: 2, leaderEpoch: 2 }))
      assert.notEqual(await find(file), null)
      assert.equal(await find(file, change), null)
    })
  }

  it('nothing but junk, nothing at all, less than a header -> null', async () => {
    assert.equal(await find(fileOf(junk(5000))), null)
    assert.equal(await find(fileOf()), null)
    assert.equal(await find(fileOf(batch(5).subarray(0, 60))), null)
  })

  const windowBytes = 128 << 10
  for (const before of [windowBytes - 60, windowBytes - 61, windowBytes - 17, windowBytes]) {
    it(`it begins ${before - windowBytes} bytes from the end of a window -> found`, async () => {
      assert.equal((await find(fileOf(junk(before), batch(5))))?.position, before)
    })
  }

  it('a batch larger than a window -> read whole', async () => {
    const large = batch(5, { valueBytes: 1_500_000 })
    const chain = await find(fileOf(junk(10), large, batch(6)))
    assert.deepEqual([chain?.position, chain?.batchCount, chain?.isAnchored], [10, 2, true])
  })
})

describe('surveyBatches', () => {
  it('several chains with damage between -> all batches, and the highest end and epoch', async () => {
    const parts = [junk(30), batch(9), batch(10, { leaderEpoch: 4 }), junk(70), batch(2), junk(5)]
    const file = fileOf(...parts)
    const survey = await surveyBatches(file, request(file))
    assert.deepEqual(survey, { batchCount: 3, nextOffset: 11, leaderEpoch: 4 })
  })

  it('none -> the least offset and epoch that were asked for', async () => {
    const file = fileOf(junk(300))
    const survey = await surveyBatches(file, request(file, { minOffset: 6, minLeaderEpoch: 2 }))
    assert.deepEqual(survey, { batchCount: 0, nextOffset: 6, leaderEpoch: 2 })
  })
})
