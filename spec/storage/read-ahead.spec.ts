/** Reads that are begun before they are asked for: what they save, and that they are not believed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Files } from '../../lib/files/files.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import type { LogChunk, ReadHint } from '../../lib/storage/readable.ts'
import { faultyFiles, memoryFiles } from '../../lib/testing/index.ts'
import { durable, openPartition, type TestPartition, turn } from '../support/open-partition.ts'

const batchCount = 60
const request = { maxBytes: 128 << 10, checkCrcs: true }

/** Some fifteen chunks of six batches each. */
async function filled(files: Files = memoryFiles()): Promise<TestPartition> {
  const test = await openPartition({ files, config: { segmentBytes: 4 << 20 } })
  for (let batch = 0; batch < batchCount; batch++) {
    await test.partition.append([{ value: Buffer.alloc(20_000, batch) }], durable)
  }
  return test
}

/** What the chunk holds, as the byte that each value is full of. */
function valuesOf(chunk: LogChunk): readonly number[] {
  const context = { topic: 'p', partition: 0, key: null, value: null }
  return chunk.positions.flatMap(position =>
    [...new BatchView(context, { buffer: chunk.buffer, position })].map(record => {
      const { valueBytes } = record
      assert.ok(valueBytes !== null)
      assert.ok(valueBytes.every(byte => byte === valueBytes[0]))
      return valueBytes[0] as number
    }),
  )
}

/** Everything from the chunk on, each chunk by the hint of the one before. */
async function readOn({ partition }: TestPartition, first: LogChunk): Promise<readonly number[]> {
  const values = [...valuesOf(first)]
  let { nextOffset: from, hint } = first
  while (from < partition.highWatermark) {
    const chunk: LogChunk = await partition.readChunk({ ...request, from, hint })
    values.push(...valuesOf(chunk))
    from = chunk.nextOffset
    hint = chunk.hint
  }
  return values
}

/** The second chunk: the first one that is read ahead of. */
async function secondChunk({ partition }: TestPartition): Promise<LogChunk> {
  const { nextOffset: from, hint } = await partition.readChunk({ ...request, from: 0 })
  return await partition.readChunk({ ...request, from, hint })
}

const restFrom = (first: number): readonly number[] =>
  Array.from({ length: batchCount - first }, (_, index) => first + index)

function aheadOf(chunk: LogChunk): NonNullable<ReadHint['ahead']> {
  assert.ok(chunk.hint?.ahead !== undefined)
  return chunk.hint.ahead
}

describe('reading on from where a chunk ended', () => {
  it('→ the next chunk is in memory before it is asked for', async () => {
    const test = await filled()
    const chunk = await secondChunk(test)
    const bytes = await aheadOf(chunk).bytes
    assert.ok(bytes !== null)
    const { reads } = test.environment.counters
    const next = await test.partition.readChunk({
      ...request,
      from: chunk.nextOffset,
      hint: chunk.hint,
    })
    assert.equal(next.buffer, bytes)
    assert.equal(aheadOf(next).position, next.hint?.position)
    await aheadOf(next).bytes
    assert.equal(test.environment.counters.reads, reads + 1)
  })

  it('→ every record, once and in order', async () => {
    const test = await filled()
    const first = await test.partition.readChunk({ ...request, from: 0 })
    assert.deepEqual(await readOn(test, first), restFrom(0))
  })

  it('to an end within the chunk → nothing is read behind it', async () => {
    const test = await filled()
    const { nextOffset: from, hint } = await test.partition.readChunk({ ...request, from: 0 })
    const chunk = await test.partition.readChunk({ ...request, from, hint, upTo: from + 2 })
    assert.equal(chunk.hint?.ahead, undefined)
    await turn()
    assert.equal(test.environment.counters.reads, 2)
  })
})

describe('a first chunk', () => {
  it('→ nothing is read ahead: most who read once do not read on', async () => {
    const test = await filled()
    const chunk = await test.partition.readChunk({ ...request, from: 0 })
    assert.equal(chunk.hint?.ahead, undefined)
    assert.equal(test.environment.counters.reads, 1)
  })
})

describe('what was read ahead', () => {
  it('failed → it is read anew, and no record is missing', async () => {
    const files = faultyFiles({ seed: 1 })
    const test = await filled(files)
    const { nextOffset: from, hint } = await test.partition.readChunk({ ...request, from: 0 })
    files.failAt({ operation: 2, kind: 'EIO', on: 'read' })
    const chunk = await test.partition.readChunk({ ...request, from, hint })
    assert.equal(await aheadOf(chunk).bytes, null)
    assert.deepEqual(await readOn(test, chunk), restFrom(from))
  })

  it('is not what lies there now → it is read anew, and no record is missing', async () => {
    const test = await filled()
    const chunk = await secondChunk(test)
    const ahead = aheadOf(chunk)
    const others = Buffer.alloc(ahead.sizeBytes, 7)
    const hint = {
      ...(chunk.hint as ReadHint),
      ahead: { ...ahead, bytes: Promise.resolve(others) },
    }
    assert.deepEqual(await readOn(test, { ...chunk, hint }), restFrom(6))
    assert.deepEqual(test.damage, [])
  })

  it('has a flipped bit → it is read anew, and no record is missing', async () => {
    const test = await filled()
    const chunk = await secondChunk(test)
    const ahead = aheadOf(chunk)
    const bytes = await ahead.bytes
    assert.ok(bytes !== null)
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(10_000) ^ 1, 10_000)
    const hint = {
      ...(chunk.hint as ReadHint),
      ahead: { ...ahead, bytes: Promise.resolve(flipped) },
    }
    assert.deepEqual(await readOn(test, { ...chunk, hint }), restFrom(6))
    assert.deepEqual(test.damage, [])
  })

  it('is damaged on the disk as well → what lies before is read, then the damage is named', async () => {
    const test = await filled()
    const { path, filePosition, positions } = await test.partition.readChunk({
      ...request,
      from: 13,
    })
    const file = test.files.open(path, 'write')
    file.writeSync(Buffer.of(14), filePosition + (positions[0] as number) + 10_000)
    file.close()
    const chunk = await secondChunk(test)
    assert.equal(chunk.nextOffset, 12)
    await assert.rejects(readOn(test, chunk), { code: 'CORRUPT_RECORD', from: 13, to: 14 })
  })

  it('is of another size than what is asked for → it is read anew', async () => {
    const test = await filled()
    const chunk = await secondChunk(test)
    const { hint, nextOffset: from } = chunk
    const larger = await test.partition.readChunk({ ...request, from, hint, maxBytes: 256 << 10 })
    assert.equal(larger.positions.length, 13)
  })
})
