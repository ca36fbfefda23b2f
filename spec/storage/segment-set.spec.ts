/**
 * The segment files of a partition without the partition: which calls reach the disk in which order,
 * and what is on it afterwards. The order is read from a trace of all writes and syncs.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { BatchAccumulator } from '../../lib/storage/batch-accumulator.ts'
import { ChunkPool } from '../../lib/storage/chunk-pool.ts'
import type { StorageEnvironment } from '../../lib/storage/environment.ts'
import { manifestName } from '../../lib/storage/partition-files.ts'
import { SegmentSet } from '../../lib/storage/segment-set.ts'
import { parseManifest } from '../../lib/storage/segments-manifest.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import type { HeldFiles } from '../support/held-files.ts'
import { makeBatch } from '../support/log-files.ts'
import { openPartition } from '../support/open-partition.ts'

const dir = 's-0'
const [log0, log2] = [`${dir}/00000000000000000000.log`, `${dir}/00000000000000000002.log`]

interface TestSet {
  readonly set: SegmentSet
  readonly files: HeldFiles
  readonly environment: StorageEnvironment
  readonly told: string[]
  /** Writes a batch of one record. */
  append(baseOffset: number): void
}

/** Two batches of these specs fill a segment. */
const batchBytes = makeBatch({ baseOffset: 0 }).length
const segmentBytes = 2 * batchBytes

async function segmentSet(
  options: { readonly files?: Files; readonly maxOpenFiles?: number } = {},
): Promise<TestSet> {
  const { environment, files } = await openPartition(options)
  files.makeDirectory(dir)
  const told: string[] = []
  const listener = {
    segmentSealed: ({ baseOffset, nextOffset }: { baseOffset: number; nextOffset: number }) =>
      void told.push(`sealed [${baseOffset}, ${nextOffset})`),
    backgroundFailed: (what: string, error: Error) => void told.push(`${what}: ${error.message}`),
  }
  const set = new SegmentSet(environment, dir, { sealed: [], active: null, damage: [], listener })
  const batches = new BatchAccumulator(new ChunkPool(1 << 20))
  const append = (baseOffset: number): void => {
    const at = { baseOffset, recordCount: 1, leaderEpoch: 0 }
    const batch = batches.pushEncoded(makeBatch({ baseOffset, timestamp: 50 + baseOffset }), at)
    const file = set.output.fileFor(batch, segmentBytes)
    assert.ok(file !== null)
    const region = batches.takeRegion(set.output.roomFor(segmentBytes))
    const { buffer } = region.chunk
    const bytes = buffer.subarray(region.position, region.position + region.sizeBytes)
    file.writeSync(bytes, set.active?.sizeBytes ?? 0)
    set.output.wrote(region, 1000, { indexIntervalBytes: 4096, timestampAfterMaxMs: -1 })
    batches.wrote(region)
  }
  files.trace.length = 0
  return { set, files, environment, told, append }
}

function manifestOf(files: Files): unknown {
  const text = files.readFile(`${dir}/${manifestName}`)?.toString() ?? ''
  const manifest = parseManifest(text)
  return {
    sealed: manifest?.sealed.map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset]),
    active: manifest?.active?.nextOffset ?? null,
  }
}

describe('SegmentSet.sync', () => {
  it('a new file -> its name is synced as well, once', async () => {
    const { set, files, append } = await segmentSet()
    append(0)
    await set.output.sync()
    append(1)
    await set.output.sync()
    assert.deepEqual(files.trace, [
      `create ${log0}`,
      `write ${log0} ${batchBytes}`,
      `syncDirectory ${dir}`,
      `sync ${log0}`,
      `write ${log0} ${batchBytes}`,
      `sync ${log0}`,
    ])
  })

  it('over a roll -> the rolled segment, the names, the active segment', async () => {
    const { set, files, append } = await segmentSet()
    for (const offset of [0, 1]) append(offset)
    await set.output.sync()
    append(2)
    files.trace.length = 0
    await set.output.sync()
    const syncs = [`sync ${log0}`, `syncDirectory ${dir}`, `sync ${log2}`]
    assert.deepEqual(files.trace.slice(0, 3), syncs)
    await set.whenFinished()
  })

  it('it fails in the rolled segment -> the next one begins there again', async () => {
    const { set, files, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    files.hold('sync')
    const failed = set.output.sync()
    ;(await files.whenHeld('sync')).fail('EIO')
    await assert.rejects(failed, { code: 'EIO' })
    files.releaseAll()
    files.trace.length = 0
    await set.output.sync()
    assert.equal(files.trace[0], `sync ${log0}`)
    await set.whenFinished()
  })

  it('rolled while it runs -> what was rolled then is left to the next', async () => {
    const { set, files, append, told } = await segmentSet()
    for (const offset of [0, 1, 2, 3]) append(offset)
    files.hold('sync')
    const first = set.output.sync()
    await files.whenHeld('sync')
    append(4)
    files.releaseAll()
    await first
    await set.whenFinished()
    assert.deepEqual(told, ['sealed [0, 2)'])
    await set.output.sync()
    await set.whenFinished()
    assert.deepEqual(told, ['sealed [0, 2)', 'sealed [2, 4)'])
  })

  it('nothing was ever written -> resolves', async () => {
    const { set, files } = await segmentSet()
    await set.output.sync()
    assert.deepEqual(files.trace, [])
  })
})

describe('SegmentOutput, when a handle that it gives back wakes who writes to it', () => {
  it('giving up rolled segments -> what is written and rolled meanwhile is synced by the next flush', async () => {
    const { set, files, environment, append } = await segmentSet({ maxOpenFiles: 3 })
    append(0)
    append(1)
    await set.output.sync()
    const others = ['a', 'b'].map(name => environment.handles.pin(`${dir}/${name}`, 'create'))
    const next = { baseOffset: 2, nextOffset: 3, sizeBytes: batchBytes }
    assert.equal(set.output.fileFor(next, segmentBytes), null)
    environment.handles.onceFree(() => {
      for (const other of others) other.release()
      for (const offset of [2, 3, 4]) append(offset)
    })
    set.output.unpin()
    await Promise.resolve()
    files.trace.length = 0
    await set.output.sync()
    assert.deepEqual(
      files.trace.filter(call => call.startsWith('sync ') && call.endsWith('.log')),
      [`sync ${log2}`, `sync ${dir}/00000000000000000004.log`],
    )
  })

  it('rolling an idle segment -> what is written meanwhile is synced by the next flush', async () => {
    const { set, files, environment, append } = await segmentSet({ maxOpenFiles: 1 })
    append(0)
    await set.output.sync()
    set.output.unpin()
    environment.handles.onceFree(() => append(2))
    set.output.rollIdle(2)
    await Promise.resolve()
    files.trace.length = 0
    await set.output.sync()
    assert.ok(files.trace.includes(`sync ${log2}`), files.trace.join('\n'))
  })
})

describe('SegmentSet, finishing a sealed segment', () => {
  it('after the flush -> both indexes are synced before the manifest names it, then it is told', async () => {
    const { set, files, append, told } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    await set.output.sync()
    await set.whenFinished()
    const index = files.trace.indexOf(`sync ${dir}/00000000000000000000.index`)
    const timeIndex = files.trace.indexOf(`sync ${dir}/00000000000000000000.timeindex`)
    const manifest = files.trace.findIndex(line => line.startsWith(`create ${dir}/segments`))
    assert.ok(index >= 0 && timeIndex >= 0 && manifest > index && manifest > timeIndex)
    assert.deepEqual(manifestOf(files), { sealed: [[0, 2]], active: null })
    assert.deepEqual(told, ['sealed [0, 2)'])
    assert.equal(files.stat(`${dir}/00000000000000000000.timeindex`)?.sizeBytes, 12)
  })

  it('not flushed yet -> neither indexes nor manifest', async () => {
    const { set, files, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    await set.whenFinished()
    const names = files.list(dir).map(({ name }) => name)
    assert.deepEqual(names.sort(), ['00000000000000000000.log', '00000000000000000002.log'])
  })

  it('its index cannot be written -> told, no line for it, and the next segment gets its own', async () => {
    const inner = memoryFiles()
    // A directory in its place.
    const { set, files, append, told } = await segmentSet({ files: inner })
    inner.makeDirectory(`${dir}/00000000000000000000.index`)
    for (const offset of [0, 1, 2, 3, 4]) append(offset)
    await set.output.sync()
    await set.whenFinished()
    assert.equal(told.length, 2)
    assert.match(told[0] ?? '', /^finishing segment 0: EISDIR/)
    assert.equal(told[1], 'sealed [2, 4)')
    assert.deepEqual(manifestOf(files), { sealed: [[2, 4]], active: null })
  })

  it('readers -> use the indexes in memory until those on disk are complete', async () => {
    const { set, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    assert.notEqual(set.list.readable()[0]?.indexes, null)
    await set.output.sync()
    await set.whenFinished()
    assert.equal(set.list.readable()[0]?.indexes, null)
  })
})

describe('SegmentSet.list', () => {
  it('appended to -> the same array, whose last segment has grown', async () => {
    const { set, append } = await segmentSet()
    append(0)
    const before = set.list.readable()
    append(1)
    assert.equal(set.list.readable(), before)
    assert.deepEqual([before[0]?.nextOffset, before[0]?.endPosition], [2, 2 * batchBytes])
  })

  it('rolled -> both, in offset order, and the sums go over both', async () => {
    const { set, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    const ranges = set.list.readable().map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])
    assert.deepEqual(ranges, [
      [0, 2],
      [2, 3],
    ])
    assert.deepEqual([set.list.count, set.list.sizeBytes], [2, 3 * batchBytes])
  })
})

describe('SegmentSet, its files', () => {
  it('no handle is free -> null, and nothing is made', async () => {
    const { set, environment, files } = await segmentSet({ maxOpenFiles: 1 })
    files.open('/other', 'create').close()
    const pin = environment.handles.pin('/other', 'read')
    const batch = { baseOffset: 0, nextOffset: 1, sizeBytes: 100 }
    assert.equal(set.output.fileFor(batch, segmentBytes), null)
    assert.deepEqual(files.list(dir), [])
    pin.release()
    assert.notEqual(set.output.fileFor(batch, segmentBytes), null)
  })

  it('unpinned after a flush -> handles are free, and the next append opens the same file', async () => {
    const { set, environment, append } = await segmentSet({ maxOpenFiles: 1 })
    append(0)
    await set.output.sync()
    assert.equal(environment.handles.hasRoom, false)
    set.output.unpin()
    assert.equal(environment.handles.hasRoom, true)
    append(1)
    assert.equal(set.active?.sizeBytes, 2 * batchBytes)
  })

  it('rolled while idle -> an empty segment at the end, which holds no handle', async () => {
    const { set, files, environment, append } = await segmentSet({ maxOpenFiles: 1 })
    append(0)
    await set.output.sync()
    set.output.unpin()
    set.output.rollIdle(1)
    assert.deepEqual([set.active?.baseOffset, set.active?.sizeBytes], [1, 0])
    assert.equal(environment.handles.hasRoom, true)
    assert.equal(files.stat(`${dir}/00000000000000000001.log`)?.sizeBytes, 0)
    await set.output.sync()
    await set.whenFinished()
  })

  it('a write that failed left bytes -> cut behind the last good batch, and synced', async () => {
    const { set, files, append } = await segmentSet()
    append(0)
    files.open(log0, 'write').writeSync(Buffer.alloc(50), batchBytes)
    files.trace.length = 0
    await set.output.cutTail()
    assert.deepEqual(files.trace, [`truncate ${log0} ${batchBytes}`, `sync ${log0}`])
    assert.equal(files.stat(log0)?.sizeBytes, batchBytes)
  })

  it('abandoned -> no file stays open', async () => {
    const { set, environment, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    set.abandon()
    assert.equal(environment.handles.openCount, 0)
  })

  it('what the next write may take -> the bytes that are left, and int32 relative offsets', async () => {
    const { set, append } = await segmentSet()
    append(0)
    assert.equal(set.output.roomFor(segmentBytes), batchBytes)
    assert.equal(set.output.limitOffset, 2 ** 31)
  })
})

describe('SegmentSet.finish', () => {
  it('a clean end -> the indexes are complete and the manifest knows the active segment', async () => {
    const { set, files, append } = await segmentSet()
    for (const offset of [0, 1, 2]) append(offset)
    await set.output.sync()
    await set.finishActive()
    assert.deepEqual(manifestOf(files), { sealed: [[0, 2]], active: 3 })
    assert.equal(files.stat(`${dir}/00000000000000000002.timeindex`)?.sizeBytes, 12)
    assert.equal(files.stat(`${dir}/00000000000000000002.index`)?.sizeBytes, 0)
  })

  it('index entries saved before -> only what is new is written', async () => {
    const { set, files, append } = await segmentSet()
    append(0)
    const { indexes } = set.active ?? assert.fail('there is an active segment')
    indexes.offsets.append(0, 0)
    set.saveIndexes()
    indexes.offsets.append(1, batchBytes)
    files.trace.length = 0
    set.saveIndexes()
    set.saveIndexes()
    const path = `${dir}/00000000000000000000.index`
    assert.deepEqual(files.trace, [`write ${path} 8`])
    assert.deepEqual(files.readFile(path), indexes.offsets.bytes())
  })
})

describe('SegmentSet.cutTo', () => {
  it('a boundary in a sealed segment -> manifest lines, later segments and indexes go, then the tail', async () => {
    const { set, files, append } = await segmentSet()
    for (const offset of [0, 1, 2, 3, 4]) append(offset)
    await set.output.sync()
    await set.whenFinished()
    files.trace.length = 0
    await set.cutTo({ offset: 3, baseOffset: 2, position: batchBytes })
    assert.deepEqual(manifestOf(files), { sealed: [[0, 2]], active: null })
    assert.deepEqual(
      files
        .list(dir)
        .map(({ name }) => name)
        .sort(),
      [
        '00000000000000000000.index',
        '00000000000000000000.log',
        '00000000000000000000.timeindex',
        '00000000000000000002.log',
        'segments.manifest',
      ],
    )
    assert.equal(files.stat(log2)?.sizeBytes, batchBytes)
    assert.match(files.trace[0] ?? '', /^create .*segments\.manifest/)
    const tail = [`truncate ${log2} ${batchBytes}`, `sync ${log2}`, `syncDirectory ${dir}`]
    assert.deepEqual(files.trace.slice(-3), tail)
  })
})
