/** `explainRetention()`: every segment, why it is kept, when it goes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ReadOnlyError } from '../../lib/errors.ts'
import { openLog } from '../../lib/open.ts'
import { dir, fill, minute, open, type Scene } from '../support/retention-scene.ts'

async function reasons({ topic }: Scene): Promise<unknown[]> {
  const { partitions } = await topic.explainRetention()
  return (partitions[0]?.segments ?? []).map(it => it.keptBecause ?? `goes by ${it.goesBecause}`)
}

describe('topic.explainRetention', () => {
  it('a topic with retentionMs -> all that is known of each segment', async () => {
    const scene = await open({ retentionMs: 10 * minute })
    const startMs = scene.clock.wallMs()
    await scene.topic.append([{ value: Buffer.alloc(900), timestamp: 5 }])
    scene.clock.advance(minute)
    await scene.topic.append([
      { value: 'b', timestamp: 7 },
      { value: 'c', timestamp: 6 },
    ])
    const report = await scene.topic.explainRetention()
    const [first, second] = report.partitions[0]?.segments ?? []
    const common = { isDamaged: false, keptBecause: 'within time', goesBecause: null }
    const { sizeBytes, ...rest } = first ?? { sizeBytes: 0 }
    assert.ok(sizeBytes > 900)
    assert.deepEqual(rest, {
      ...common,
      baseOffset: 0,
      nextOffset: 1,
      recordCount: 1,
      firstAppendMs: startMs,
      lastAppendMs: startMs,
      maxTimestamp: 5,
      isActive: false,
      deletableAt: startMs + 10 * minute + 1,
    })
    assert.deepEqual(
      [second?.isActive, second?.recordCount, second?.maxTimestamp, second?.deletableAt],
      [true, 2, 7, startMs + 11 * minute + 1],
    )
    assert.equal(report.sizeBytes, (second?.sizeBytes ?? 0) + sizeBytes)
  })

  it('the time that it names -> a sweep deletes at that time and not before', async () => {
    const scene = await open({ retentionMs: 10 * minute })
    await fill(scene.topic, 2)
    const { partitions } = await scene.topic.explainRetention()
    const atMs = partitions[0]?.segments[0]?.deletableAt ?? 0
    scene.clock.advance(atMs - 1 - scene.clock.wallMs())
    assert.equal((await scene.log.sweep()).deletedSegments, 0)
    scene.clock.advance(1)
    assert.deepEqual(await reasons(scene), ['goes by time', 'goes by time', 'empty'])
    assert.equal((await scene.log.sweep()).deletedSegments, 2)
  })

  it('after a reopen -> timestamps and append times are what they were', async () => {
    const scene = await open({ retentionMs: 10 * minute })
    await scene.topic.append([{ value: Buffer.alloc(900), timestamp: 5 }])
    scene.clock.advance(minute)
    await fill(scene.topic, 1)
    const before = await scene.topic.explainRetention()
    const after = await scene.again()
    assert.deepEqual(await after.topic.explainRetention(), before)
  })

  it('the log start lies inside a segment -> only the records above it are counted', async () => {
    const scene = await open()
    await scene.topic.append(['a', 'b', 'c'].map(value => ({ value })))
    await scene.topic.partition(0).deleteRecords(2)
    const { partitions } = await scene.topic.explainRetention()
    assert.equal(partitions[0]?.segments[0]?.recordCount, 1)
  })

  it('held by a group, no limit, by number, by compaction -> each is named', async () => {
    const scene = await open({ retentionRecords: 1, retainUntilConsumed: ['billing'] })
    await fill(scene.topic, 2)
    const held = 'held by group billing'
    assert.deepEqual(await reasons(scene), [held, held])
    await scene.topic.configure({ retainUntilConsumed: null })
    assert.deepEqual(await reasons(scene), ['goes by records', 'within records'])
    await scene.topic.configure({ retentionRecords: null })
    assert.deepEqual(await reasons(scene), ['no retention set', 'no retention set'])
  })

  it('only compacted -> says which segments the next pass looks at', async () => {
    const scene = await open({ cleanupPolicy: 'compact' })
    const value = 'x'.repeat(400)
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await scene.topic.append({ key, value })
    const before = await reasons(scene)
    assert.equal(before.at(-1), 'active')
    assert.deepEqual([...new Set(before.slice(0, -1))], ['compaction pending'])
    await scene.topic.compact()
    const after = await reasons(scene)
    assert.deepEqual([...new Set(after.slice(0, -1))], ['compacted, not deleted'])
  })
})

describe('topic.explainRetention of a topic that is compacted and deleted from', () => {
  const value = 'x'.repeat(400)

  it('no limit is set -> compaction is what there is to say', async () => {
    const scene = await open({ cleanupPolicy: 'compact,delete' })
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await scene.topic.append({ key, value })
    const before = await reasons(scene)
    assert.equal(before.at(-1), 'active')
    assert.deepEqual([...new Set(before.slice(0, -1))], ['compaction pending'])
    await scene.topic.compact()
    const after = await reasons(scene)
    assert.deepEqual([...new Set(after.slice(0, -1))], ['compacted, not deleted'])
  })

  it('a limit of time is set -> that says when each goes', async () => {
    const scene = await open({ cleanupPolicy: 'compact,delete', retentionMs: 10 * minute })
    for (const key of ['a', 'b', 'c', 'd']) await scene.topic.append({ key, value })
    assert.deepEqual([...new Set(await reasons(scene))], ['within time'])
  })

  it('a segment is damaged -> it is named as what no compaction looks at', async () => {
    const scene = await open({ cleanupPolicy: 'compact' })
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await scene.topic.append({ key, value })
    const { partitions } = await scene.topic.explainRetention()
    const second = partitions[0]?.segments[1]?.baseOffset ?? 0
    const path = `${dir}/orders-0/${String(second).padStart(20, '0')}.log`
    const file = scene.files.open(path, 'write')
    await file.write(Buffer.from('?'), 100)
    file.close()
    await scene.log.verify()
    const [first, damaged] = await reasons(scene)
    assert.deepEqual([first, damaged], ['compaction pending', 'damaged'])
  })
})

describe('log.explainRetention', () => {
  it('several topics -> the largest first', async () => {
    const scene = await open()
    const [small, large] = [await scene.log.topic('a-small'), await scene.log.topic('z-large')]
    await small.append({ value: 'x' })
    await fill(large, 5)
    await fill(scene.topic, 2)
    const reports = await scene.log.explainRetention()
    assert.deepEqual(
      reports.map(({ topic }) => topic),
      ['z-large', 'orders', 'a-small'],
    )
  })

  it('a read-only log -> ReadOnlyError, as sweep() is', async () => {
    const { files } = await open()
    const reader = await openLog(dir, { files, readOnly: true })
    const topic = await reader.topic('orders')
    for (const call of [reader.explainRetention(), reader.sweep(), topic.explainRetention()]) {
      await assert.rejects(call, ReadOnlyError)
    }
    await reader.close()
  })
})
