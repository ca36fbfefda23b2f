/** What a read-only log takes the index files of another process for: whole where the manifest says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ForeignSegments } from '../../lib/log/foreign-segments.ts'
import { manifestName } from '../../lib/storage/partition-files.ts'
import { assumedFacts, formatManifest } from '../../lib/storage/segments-manifest.ts'
import { batchesFrom, dir, layDown, pathOf, put } from '../support/log-files.ts'
import { openPartition, type TestPartition } from '../support/open-partition.ts'

/** Three segments, as somebody sees them who writes none of them. */
async function scene(): Promise<TestPartition & { readonly seen: ForeignSegments }> {
  const opened = await openPartition()
  await layDown(opened.files, [batchesFrom(0, 5), batchesFrom(5, 5), batchesFrom(10, 5)])
  const owner = { onDamage: () => {}, hasMoved: () => false }
  return { ...opened, seen: new ForeignSegments(opened.environment, dir, owner) }
}

async function list({ files }: TestPartition, ...bases: number[]): Promise<void> {
  const facts = (baseOffset: number): ReturnType<typeof assumedFacts> =>
    assumedFacts({ baseOffset, nextOffset: baseOffset + 5, sizeBytes: 1 }, 1)
  const text = formatManifest({ sealed: bases.map(facts), active: null })
  await put(files, `${dir}/${manifestName}`, Buffer.from(text))
}

function finished({ seen }: { readonly seen: ForeignSegments }): readonly number[] {
  const segments = seen.segments().filter(({ isFinished }) => isFinished)
  return segments.map(({ baseOffset }) => baseOffset)
}

describe('the segments of another process', () => {
  it('without a manifest, or with one that cannot be read -> none is finished', async () => {
    const opened = await scene()
    assert.deepEqual(finished(opened), [])
    await put(opened.files, `${dir}/${manifestName}`, Buffer.from('varve segments 1\nsealed'))
    opened.clock.advance(1000)
    assert.deepEqual(finished(opened), [])
  })

  it('a segment has a line -> it is finished, at the latest when the files are looked at again', async () => {
    const opened = await scene()
    await list(opened, 0)
    assert.deepEqual(finished(opened), [0])
    await list(opened, 0, 5)
    opened.clock.advance(1000)
    assert.deepEqual(finished(opened), [0, 5])
  })

  it('a log is replaced by another under the same name -> what was said of the old one is forgotten', async () => {
    const opened = await scene()
    await list(opened, 0, 5)
    assert.deepEqual(finished(opened), [0, 5])
    await list(opened, 5)
    await put(opened.files, pathOf(0), Buffer.concat(batchesFrom(0, 4)))
    opened.clock.advance(1000)
    assert.deepEqual(finished(opened), [5])
  })

  it('nothing has changed -> a read that failed need not begin anew', async () => {
    const { seen } = await scene()
    assert.equal(seen.refresh(seen.segments()), false)
  })
})
