/** Indexes that are made anew from a log are those that appending would have made, also around damage. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { OpenFile } from '../../lib/files/files.ts'
import type { SegmentIndexes } from '../../lib/storage/index-cache.ts'
import { rebuildIndexes } from '../../lib/storage/rebuild-indexes.ts'
import { ActiveSegment, emptySegmentState } from '../../lib/storage/segment.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { makeBatch } from '../support/log-files.ts'

function fileOf(bytes: Buffer): OpenFile {
  const file = memoryFiles().open('/log', 'create')
  file.writeSync(bytes, 0)
  return file
}

/** 40 batches of about 500 bytes each, from offset 100 on, whose timestamps go up and down. */
const batches: readonly Buffer[] = Array.from({ length: 40 }, (_, index) => {
  const timestamp = 1000 + 10 * index - (index % 3 === 2 ? 25 : 0)
  return makeBatch({ baseOffset: 100 + 2 * index, recordCount: 2, valueBytes: 200, timestamp })
})
const log = Buffer.concat(batches)
const segment = { baseOffset: 100, nextOffset: 180, endPosition: log.length }

function positionOf(index: number): number {
  return Buffer.concat(batches.slice(0, index)).length
}

function entriesOf({ offsets }: SegmentIndexes): { offset: number; position: number }[] {
  return Array.from({ length: offsets.entryCount }, (_, index) => offsets.entryAt(index))
}

describe('rebuildIndexes', () => {
  it('a good log -> the bytes that appending it made', async () => {
    const active = new ActiveSegment(emptySegmentState(100), 0)
    for (const batch of batches) {
      const at = { sizeBytes: batch.length, nowMs: 0, indexIntervalBytes: 4096 }
      active.noteBatch(batch, 0, at)
    }
    active.finishTimeIndex()
    const { offsets, times } = await rebuildIndexes(fileOf(log), segment)
    assert.ok(offsets.entryCount >= 3)
    assert.deepEqual(offsets.bytes(), active.indexes.offsets.bytes())
    assert.deepEqual(times.bytes(), active.indexes.times.bytes())
  })

  it('a damaged batch -> an entry at once behind the hole, and all from there on', async () => {
    const damaged = Buffer.from(log)
    damaged.writeUInt8(damaged.readUInt8(positionOf(3) + 100) ^ 1, positionOf(3) + 100)
    const rebuilt = await rebuildIndexes(fileOf(damaged), segment)
    const [first] = entriesOf(rebuilt)
    assert.deepEqual(first, { offset: 109, position: positionOf(4) })
    assert.ok(entriesOf(rebuilt).length >= 3)
    assert.equal(rebuilt.times.lastEntry?.timestamp, 1000 + 10 * 39)
  })

  it('damage up to the end -> what lies before it', async () => {
    const torn = log.subarray(0, positionOf(20) + 70)
    const rebuilt = await rebuildIndexes(fileOf(torn), { ...segment, endPosition: torn.length })
    assert.ok(rebuilt.offsets.lastOffset < 140)
    assert.deepEqual(rebuilt.times.lastEntry, { timestamp: 1190, offset: 139 })
  })

  it('bytes of batches that end above the segment -> are not taken for its batches', async () => {
    const foreign = makeBatch({ baseOffset: 500, timestamp: 99_999 })
    const bytes = Buffer.concat([log.subarray(0, positionOf(2)), Buffer.alloc(30, 1), foreign])
    const rebuilt = await rebuildIndexes(fileOf(bytes), { ...segment, endPosition: bytes.length })
    assert.deepEqual(rebuilt.times.lastEntry, { timestamp: 1010, offset: 103 })
  })

  it('the file is shorter than the segment says -> as far as it goes', async () => {
    const short = fileOf(log.subarray(0, positionOf(10)))
    const rebuilt = await rebuildIndexes(short, segment)
    assert.deepEqual(rebuilt.times.lastEntry, { timestamp: 1090, offset: 119 })
  })

  it('an empty log -> no entries', async () => {
    const empty = { baseOffset: 100, nextOffset: 100, endPosition: 0 }
    const { offsets, times } = await rebuildIndexes(fileOf(Buffer.alloc(0)), empty)
    assert.deepEqual([offsets.entryCount, times.entryCount], [0, 0])
  })
})
