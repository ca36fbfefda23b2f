/** `maxTotalBytes`: which segments of which topics go, and what happens when none may. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { DiskFullError, StorageError } from '../../lib/errors.ts'
import { openLog } from '../../lib/open.ts'
import { type FaultyFiles, faultyFiles, manualClock } from '../../lib/testing/index.ts'
import type { Log, Topic } from '../../lib/types.ts'
import { turn } from '../support/open-partition.ts'
import { deletions, fill, minute, offsets, open, type Scene } from '../support/retention-scene.ts'

/** Size of a segment with one record of `fill`. */
const segmentBytes = 970

async function sizeOf({ log }: Scene): Promise<number> {
  return (await log.describe()).sizeBytes
}

describe('maxTotalBytes', () => {
  it('several topics exceed it -> what was appended longest ago goes, wherever it is', async () => {
    const scene = await open({}, { maxTotalBytes: 9 * segmentBytes })
    const other = await scene.log.topic('other', { segmentBytes: 1024 })
    for (const topic of [scene.topic, other, scene.topic, other]) {
      await fill(topic, 3)
      scene.clock.advance(minute)
    }
    const report = await scene.log.sweep()
    assert.equal(report.deletedSegments, 3)
    assert.deepEqual(await offsets(scene.topic), [3, 4, 5])
    assert.deepEqual(await offsets(other), [0, 1, 2, 3, 4, 5])
    assert.ok(deletions(scene).every(it => (it as string[])[2] === 'total size'))
    assert.equal(report.sizeBytes, 9 * segmentBytes)
  })

  it('exactly as much as allowed -> nothing goes', async () => {
    const scene = await open({}, { maxTotalBytes: 4 * segmentBytes })
    await fill(scene.topic, 4)
    assert.equal((await scene.log.sweep()).deletedSegments, 0)
  })

  it('internal and compacted topics -> they are left alone, whatever their age', async () => {
    const scene = await open({}, { maxTotalBytes: 6 * segmentBytes })
    const table = await scene.log.topic('table', { segmentBytes: 1024, cleanupPolicy: 'compact' })
    for (const key of ['a', 'b', 'c']) await table.append({ key, value: Buffer.alloc(899) })
    scene.clock.advance(minute)
    await fill(scene.topic, 5)
    await scene.log.sweep()
    assert.deepEqual(await offsets(table), [0, 1, 2])
    assert.deepEqual(await offsets(scene.topic), [2, 3, 4])
  })

  it('far more is appended than allowed, without a sweep -> it is exceeded by about a segment at any time', async () => {
    const maxTotalBytes = 8 << 20
    const scene = await open({ segmentBytes: 1 << 27 }, { maxTotalBytes, sweepIntervalMs: -1 })
    const value = Buffer.alloc(100_000, 'v')
    let largest = 0
    for (let count = 0; count < 200; count++) {
      await scene.topic.append({ value })
      // On a disk an append takes as long as a sync; here it takes no time, and deleting takes turns.
      for (let count = 0; count < 5; count++) await turn()
      largest = Math.max(largest, await sizeOf(scene))
    }
    for (let count = 0; count < 50; count++) await turn()
    assert.ok(largest < maxTotalBytes * 1.2, `${largest} bytes at most`)
    assert.ok((await sizeOf(scene)) <= maxTotalBytes * 1.1)
    assert.ok((await offsets(scene.topic)).length > 60)
  })

  it('opened with more than allowed -> it goes without waiting for a sweep', async () => {
    const scene = await open()
    await fill(scene.topic, 8)
    const after = await scene.again({ maxTotalBytes: 4 * segmentBytes, sweepIntervalMs: -1 })
    for (let count = 0; count < 100 && (await sizeOf(after)) > 4 * segmentBytes; count++) {
      await turn()
    }
    assert.deepEqual(await offsets(after.topic), [4, 5, 6, 7])
  })

  it('nothing may be deleted -> read-only, appends are refused with the reason, reads go on', async () => {
    const scene = await open(
      { retainUntilConsumed: ['billing'] },
      { maxTotalBytes: 4 * segmentBytes },
    )
    await fill(scene.topic, 6)
    await scene.log.sweep()
    assert.equal(scene.log.state, 'read-only')
    await assert.rejects(scene.topic.append({ value: 'x' }), (error: unknown) => {
      assert.ok(error instanceof DiskFullError)
      assert.equal(error.reason, 'max-total-bytes')
      return true
    })
    assert.deepEqual(await offsets(scene.topic), [0, 1, 2, 3, 4, 5])
  })

  it('read-only for that reason, and then something may be deleted -> the next append goes through', async () => {
    const scene = await open(
      { retainUntilConsumed: ['billing'] },
      { maxTotalBytes: 4 * segmentBytes },
    )
    await fill(scene.topic, 6)
    await scene.log.sweep()
    await scene.topic.configure({ retainUntilConsumed: null })
    await fill(scene.topic, 1)
    assert.equal(scene.log.state, 'ok')
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [3, 4, 5, 6])
  })
})

describe('maxTotalBytes where the file system fails', () => {
  /** Two topics with four segments each, as much as is allowed. */
  async function openFaulty(): Promise<{ files: FaultyFiles; log: Log; topics: Topic[] }> {
    const files = faultyFiles()
    const options = { maxTotalBytes: 8 * segmentBytes, sweepIntervalMs: -1 }
    const log = await openLog('/log', { files, clock: manualClock(), ...options })
    const topics: Topic[] = []
    for (const name of ['orders', 'payments']) {
      const topic = await log.topic(name, { segmentBytes: 1024 })
      topics.push(topic)
      await fill(topic, 4)
    }
    return { files, log, topics }
  }

  it('a new log start cannot be saved -> each partition is tried once, told, and keeps everything', async () => {
    const { files, log, topics } = await openFaulty()
    for (const topic of topics) await fill(topic, 1)
    files.failAt({ operation: 1, kind: 'EIO', sticky: true, path: /offset-checkpoint/ })
    const { failures, deletedSegments } = await log.sweep()
    files.clearFaults()
    assert.deepEqual(failures.map(({ topic }) => topic).sort(), ['orders', 'payments'])
    assert.equal(deletedSegments, 0)
    for (const topic of topics) assert.deepEqual(await offsets(topic), [0, 1, 2, 3, 4])
    await log.sweep()
    assert.ok((await log.describe()).sizeBytes <= 8 * segmentBytes)
    await log.close()
  })

  it('a partition has failed -> it keeps everything, and the others make room', async () => {
    const { files, log, topics } = await openFaulty()
    const [failed, other] = topics as [Topic, Topic]
    files.failAt({ operation: 1, kind: 'EIO', on: 'sync', path: /orders-0.*\.log/ })
    await assert.rejects(fill(failed, 1))
    assert.equal((await failed.describe()).partitions[0]?.state, 'failed')
    await fill(other, 2)
    await log.sweep()
    assert.deepEqual((await offsets(failed)).slice(0, 4), [0, 1, 2, 3])
    // What was written and could not be flushed takes room as well.
    assert.deepEqual(await offsets(other), [3, 4, 5])
    await assert.rejects(log.close(), StorageError)
  })
})

describe('retainUntilConsumed', () => {
  /** Has the group read and commit everything below `offset`. */
  async function consume(scene: Scene, group: string, offset: number): Promise<void> {
    const consumer = await scene.log.consumer({ group, topics: 'orders' })
    await consumer.commit([{ topic: 'orders', partition: 0, offset }])
    await consumer.close()
  }

  async function left(topic: Topic): Promise<number | undefined> {
    return (await offsets(topic))[0]
  }

  it('a group that does not exist -> everything is kept, whatever its age', async () => {
    const scene = await open({ retainUntilConsumed: ['billing'], retentionMs: minute })
    await fill(scene.topic, 4)
    scene.clock.advance(10 * minute)
    await scene.log.sweep()
    assert.equal(await left(scene.topic), 0)
  })

  it('two groups -> what the slower one has committed past goes, after a reopen as well', async () => {
    const scene = await open({ retainUntilConsumed: ['billing', 'mail'] })
    await fill(scene.topic, 6)
    await consume(scene, 'billing', 5)
    await scene.log.sweep()
    assert.equal(await left(scene.topic), 0)
    await consume(scene, 'mail', 2)
    await scene.log.sweep()
    assert.equal(await left(scene.topic), 2)
    const after = await scene.again()
    await consume(after, 'mail', 4)
    await after.log.sweep()
    assert.equal(await left(after.topic), 4)
  })

  it('another group reads along -> it has no say', async () => {
    const scene = await open({ retainUntilConsumed: ['billing'] })
    await fill(scene.topic, 6)
    await consume(scene, 'other', 1)
    await consume(scene, 'billing', 6)
    await scene.log.sweep()
    assert.equal(await left(scene.topic), undefined)
  })
})
