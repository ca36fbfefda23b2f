/**
 * Putting a compacted segment in its place: a power cut or an error at every call, on a disk that may
 * undo each un-synced change of a name by itself. Afterwards there are the old segments or the new one.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files } from '../../lib/files/files.ts'
import { gapBatch } from '../../lib/record/batch-filter.ts'
import { replaceFile } from '../../lib/storage/checkpoint-file.ts'
import { FileHandles } from '../../lib/storage/file-handles.ts'
import { readPartitionFiles } from '../../lib/storage/partition-files.ts'
import {
  cleanedPath,
  finishSwaps,
  type SwapHost,
  type SwapOutcome,
  swapSegments,
} from '../../lib/storage/segment-swap.ts'
import { formatManifest } from '../../lib/storage/segments-manifest.ts'
import { assertGapless, swapNames } from '../support/compaction.ts'
import { batchesFrom, dir, get, layDown, names, pathOf, put } from '../support/log-files.ts'
import { seeds } from '../support/random.ts'

const range = { baseOffset: 5, nextOffset: 20 }
const bases = [5, 10, 15]
const old = [batchesFrom(0, 5), ...bases.map(base => batchesFrom(base, 5)), batchesFrom(20, 2)]
const compacted = Buffer.concat([
  gapBatch({ baseOffset: 5, nextOffset: 12, leaderEpoch: 0 }),
  ...batchesFrom(12, 8),
])
const cleanedName = '00000000000000000005.log.cleaned'
const markerName = '00000000000000000005.20.compacted'

async function prepare(seed: number): Promise<FaultyFiles> {
  const files = faultyFiles({ seed })
  await layDown(files, old, { manifest: 'all' })
  await put(files, cleanedPath(dir, 5), compacted)
  return files
}

/** What the log keeps its list for. */
function host(files: Files, isCurrent = true): SwapHost & { readonly published: number } {
  return {
    published: 0,
    isCurrent: () => isCurrent,
    dropLines: () =>
      replaceFile(
        files,
        join(dir, 'segments.manifest'),
        formatManifest({ sealed: [], active: null }),
      ),
    publish() {
      Object.assign(this, { published: this.published + 1 })
    },
  }
}

/** What runs on behind a power cut does not touch the files any more. */
function swap(disk: FaultyFiles, to?: SwapHost): Promise<SwapOutcome> {
  const files = disk.currentProcess()
  const handles = new FileHandles(files, 4)
  return swapSegments({ files, handles }, { dir, range, bases }, to ?? host(files))
}

async function finish(disk: FaultyFiles): Promise<void> {
  const files = disk.currentProcess()
  await finishSwaps(files, dir, readPartitionFiles(files, dir))
}

/** The log is whole, either way, and nothing of the swap is left. */
function check(files: FaultyFiles, context: string): 'old' | 'new' {
  assert.deepEqual(swapNames(files, dir), [], context)
  assertGapless(files, dir, context)
  const isNew = get(files, pathOf(5)).equals(compacted)
  assert.equal(files.stat(pathOf(10)) === null, isNew, context)
  assert.equal(files.stat(pathOf(15)) === null, isNew, context)
  assert.ok(isNew || get(files, pathOf(5)).equals(Buffer.concat(old[1] ?? [])), context)
  // The old log's indexes never stand beside the new log.
  if (isNew) assert.equal(files.stat(pathOf(5, 'index')), null, context)
  return isNew ? 'new' : 'old'
}

describe('swapSegments', () => {
  it('nothing fails -> the new segment alone, and the log hears of it once', async () => {
    const files = await prepare(1)
    const to = host(files)
    assert.deepEqual(await swap(files, to), { kind: 'done' })
    assert.equal(to.published, 1)
    assert.equal(check(files, ''), 'new')
    files.crash()
    assert.equal(check(files, 'after a power cut'), 'new')
  })

  it('an old segment went meanwhile -> taken back, and nothing is published', async () => {
    const files = await prepare(1)
    const to = host(files, false)
    assert.deepEqual(await swap(files, to), { kind: 'outdated' })
    assert.equal(to.published, 0)
    assert.equal(check(files, ''), 'old')
    // What was prepared may come back with the power, and is of no use then.
    files.crash()
    await finish(files)
    assert.equal(check(files, 'after a power cut'), 'old')
  })

  it('somebody reads an old segment -> it is not removed before the read is over', async () => {
    const files = await prepare(1)
    const handles = new FileHandles(files, 4)
    const pin = handles.pin(pathOf(15), 'read')
    const swapping = swapSegments({ files, handles }, { dir, range, bases }, host(files))
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    assert.ok(files.stat(pathOf(15)) !== null)
    pin.release()
    await swapping
    assert.equal(check(files, ''), 'new')
  })

  it('a power cut at each of its calls -> the old segments or the new one', async () => {
    const seen = new Set<string>()
    for (const seed of seeds(20)) {
      for (let call = 1, isOver = false; !isOver; call++) {
        const files = await prepare(seed * 1000 + call)
        files.failAt({ operation: call, kind: 'crash' })
        const outcome = await swap(files)
        isOver = outcome.kind === 'done'
        files.clearFaults()
        if (isOver) files.crash()
        await finish(files)
        const context = `call ${call}, seed ${files.seed}\n${files.trace.join('\n')}`
        const found = check(files, context)
        seen.add(found)
        files.crash()
        await finish(files)
        assert.equal(check(files, context), found, context)
      }
    }
    assert.deepEqual([...seen].sort(), ['new', 'old'])
  })

  it('a power cut at each call of finishing it -> the old segments or the new one', async () => {
    for (const seed of seeds(8)) {
      for (let call = 1, isOver = false; !isOver; call++) {
        const files = await prepare(seed * 1000 + call)
        // Right behind the commit there is most to be done.
        files.failAt({ operation: 1, kind: 'crash', on: 'rename', path: /cleaned/ })
        await swap(files)
        files.clearFaults()
        files.failAt({ operation: call, kind: 'crash' })
        isOver = await finish(files).then(
          () => true,
          () => false,
        )
        files.clearFaults()
        files.crash()
        await finish(files)
        assert.equal(
          check(files, `call ${call}, seed ${files.seed}\n${files.trace.join('\n')}`),
          'new',
        )
      }
    }
  })

  it('an I/O error at each of its calls -> done, taken back, or left to the next open', async () => {
    for (let call = 1, isOver = false; !isOver; call++) {
      const files = await prepare(call)
      files.failAt({ operation: call, kind: 'EIO' })
      const to = host(files)
      const outcome = await swap(files, to)
      isOver = outcome.kind === 'done'
      files.clearFaults()
      const context = `call ${call}, ${outcome.kind}\n${files.trace.join('\n')}`
      if (outcome.kind === 'failed') assert.equal(to.published, 0, context)
      files.crash()
      await finish(files)
      const found = check(files, context)
      if (to.published === 1) assert.equal(found, 'new', context)
      if (outcome.kind === 'failed') assert.equal(found, 'old', context)
    }
  })

  it('two errors on end -> left to the next open, which ends it or finds it undone', async () => {
    const files = await prepare(1)
    files.failAt({ operation: 2, kind: 'EIO', on: 'syncDirectory', sticky: true })
    const outcome = await swap(files)
    assert.equal(outcome.kind, 'unsettled')
    files.clearFaults()
    await finish(files)
    check(files, '')
  })
})

describe('finishSwaps', () => {
  it('a segment that is not in its place, and no mark -> it is removed', async () => {
    const files = await prepare(1)
    await finish(files)
    assert.equal(check(files, ''), 'old')
  })

  it('a mark, and the segment that it speaks of does not reach as far -> no segment is removed', async () => {
    const files = await prepare(1)
    await files.remove(cleanedPath(dir, 5))
    await put(files, join(dir, markerName), Buffer.alloc(0))
    await finish(files)
    assert.equal(check(files, ''), 'old')
  })

  it('lines of the manifest for what is replaced -> they go first', async () => {
    const files = await prepare(1)
    await put(files, join(dir, markerName), Buffer.alloc(0))
    assert.ok(names(files).includes(cleanedName))
    await finish(files)
    const { manifest } = readPartitionFiles(files, dir)
    assert.deepEqual(
      manifest.sealed.map(line => line.baseOffset),
      [0],
    )
    assert.equal(manifest.active?.baseOffset, 20)
  })
})
