/**
 * Retention as users see it: a sweep by hand or by the timer, on files in memory and a clock that is moved
 * by hand. What the rules are is in spec/storage/retention-rules.spec.ts.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  bases,
  copyOf,
  deletions,
  dir,
  fill,
  minute,
  offsets,
  open,
} from '../support/retention-scene.ts'

describe('a sweep', () => {
  it('no retention is set -> nothing is deleted, however old', async () => {
    const scene = await open()
    await fill(scene.topic, 3)
    scene.clock.advance(1000 * 24 * 60 * minute)
    const report = await scene.log.sweep()
    assert.equal(report.deletedSegments, 0)
    assert.deepEqual(await offsets(scene.topic), [0, 1, 2])
  })

  it('segments older than retentionMs -> they go, with events, and the log begins behind them', async () => {
    const scene = await open({ retentionMs: 10 * minute })
    await fill(scene.topic, 2)
    scene.clock.advance(8 * minute)
    await fill(scene.topic, 1)
    scene.clock.advance(3 * minute)
    const report = await scene.log.sweep()
    assert.deepEqual(deletions(scene), [
      [0, 1, 'time'],
      [1, 2, 'time'],
    ])
    assert.deepEqual([report.deletedSegments, report.failures], [2, []])
    assert.equal(scene.topic.partition(0).logStartOffset, 2)
    assert.deepEqual(await offsets(scene.topic), [2])
    assert.deepEqual(bases(scene), [2])
  })

  it('everything is older -> the partition is empty, and its offsets go on, also after a reopen', async () => {
    const scene = await open({ retentionMs: minute })
    await fill(scene.topic, 2)
    scene.clock.advance(2 * minute)
    await scene.log.sweep()
    assert.deepEqual([await offsets(scene.topic), bases(scene)], [[], [2]])
    const after = await scene.again()
    assert.equal(after.log.recovery.clean, true)
    await fill(after.topic, 1)
    assert.deepEqual(await offsets(after.topic), [2])
    assert.equal(after.topic.partition(0).state, 'ok')
  })

  it('the timer comes -> an idle topic is swept without an append', async () => {
    const scene = await open({ retentionMs: minute }, { sweepIntervalMs: 1000 })
    await fill(scene.topic, 2)
    scene.clock.advance(2 * minute)
    await scene.log.flush()
    await scene.log.sweep()
    assert.deepEqual(bases(scene), [2])
    assert.equal(deletions(scene).length, 2)
  })

  it('retentionBytes -> as much as that is kept, and no segment more', async () => {
    const scene = await open({ retentionBytes: 2000 })
    await fill(scene.topic, 5)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [2, 3, 4])
  })

  it('retentionRecords -> as many as that are kept', async () => {
    const scene = await open({ retentionRecords: 3 })
    await fill(scene.topic, 5)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [2, 3, 4])
  })

  it("retentionBy 'record' -> the records' own timestamps decide, also after a reopen", async () => {
    const scene = await open({ retentionMs: 10 * minute, retentionBy: 'record' })
    const nowMs = scene.clock.wallMs()
    for (const timestamp of [nowMs - 20 * minute, nowMs - 11 * minute, nowMs]) {
      await scene.topic.append({ value: Buffer.alloc(900), timestamp })
    }
    const after = await scene.again()
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [2])
  })

  it('record timestamps of 1970 and of the year 5000 under retentionMs -> they change nothing', async () => {
    const scene = await open({ retentionMs: 10 * minute })
    for (const timestamp of [0, 95_617_584_000_000]) {
      await scene.topic.append({ value: Buffer.alloc(900), timestamp })
    }
    await fill(scene.topic, 1)
    scene.clock.advance(5 * minute)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [0, 1, 2])
    scene.clock.advance(6 * minute)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [])
  })

  it('a topic is configured -> the next sweep goes by that', async () => {
    const scene = await open()
    await fill(scene.topic, 3)
    await scene.topic.configure({ retentionRecords: 1 })
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [2])
    await scene.topic.configure({ retentionRecords: null })
    await fill(scene.topic, 3)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [2, 3, 4, 5])
  })

  it('segmentBytes and segmentMs are configured -> the next roll goes by them', async () => {
    const { topic, clock, log } = await open({ segmentBytes: 1 << 20 })
    const count = async (): Promise<number> =>
      (await topic.explainRetention()).partitions[0]?.segments.length ?? 0
    await fill(topic, 3)
    assert.equal(await count(), 1)
    await topic.configure({ segmentBytes: 1024 })
    await fill(topic, 2)
    assert.equal(await count(), 3)
    await topic.configure({ segmentMs: minute })
    clock.advance(minute + 1)
    await log.sweep()
    assert.equal(await count(), 4)
  })

  it('cleanupPolicy compact -> nothing is deleted by age or size', async () => {
    const scene = await open({ cleanupPolicy: 'compact', retentionMs: 1, retentionBytes: 0 })
    for (const key of ['a', 'b', 'c']) await scene.topic.append({ key, value: Buffer.alloc(900) })
    scene.clock.advance(minute)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [0, 1, 2])
  })

  it('a trickle into a topic with retentionMs -> its segment is rolled at that age, not at segmentMs', async () => {
    const scene = await open({ retentionMs: 10 * minute, segmentBytes: 1 << 20 })
    for (let index = 0; index < 25; index++) {
      await scene.topic.append({ value: `${index}` })
      scene.clock.advance(minute)
      await scene.log.sweep()
    }
    const left = await offsets(scene.topic)
    assert.equal(left.at(-1), 24)
    assert.ok(left.length <= 22, `${left.length} records are left`)
  })

  it('called twice at once -> both resolve, and nothing is deleted twice', async () => {
    const scene = await open({ retentionRecords: 1 })
    await fill(scene.topic, 4)
    await Promise.all([scene.log.sweep(), scene.log.sweep(), scene.log.sweep()])
    assert.equal(deletions(scene).length, 3)
  })

  it('the log is closed during it -> close() waits, and the log opens clean', async () => {
    const scene = await open({ retentionRecords: 1 })
    await fill(scene.topic, 4)
    const swept = scene.log.sweep()
    const after = await scene.again()
    await swept
    assert.equal(after.log.recovery.clean, true)
    assert.deepEqual((await offsets(after.topic)).at(-1), 3)
  })
})

describe('time and retention', () => {
  it('the wall clock is set forward while the log runs -> nothing goes early', async () => {
    const scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 2)
    scene.clock.setWall(scene.clock.wallMs() + 1000 * 24 * 60 * minute)
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [0, 1])
  })

  it('the wall clock is set back, and the log opened again -> nothing goes before its time', async () => {
    const scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 2)
    scene.clock.setWall(scene.clock.wallMs() - 1000 * 24 * 60 * minute)
    const after = await scene.again()
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [0, 1])
  })

  it('opened again after a clean close -> the age of every segment goes on, the active one’s as well', async () => {
    const scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 2)
    scene.clock.advance(50 * minute)
    const after = await scene.again()
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [0, 1])
    after.clock.advance(11 * minute)
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [])
  })

  it('the manifest is lost -> age counts from the opening: late, not early', async () => {
    const scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 3)
    scene.clock.advance(50 * minute)
    await scene.log.close()
    await scene.files.remove(`${dir}/orders-0/segments.manifest`)
    const after = await open({}, {}, scene)
    after.clock.advance(50 * minute)
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [0, 1, 2])
    after.clock.advance(11 * minute)
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [])
  })

  it('opened again and again without a manifest -> the time since the first opening counts', async () => {
    let scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 3)
    await scene.log.close()
    await scene.files.remove(`${dir}/orders-0/segments.manifest`)
    scene = await open({}, {}, scene)
    for (let day = 0; day < 4; day++) {
      await fill(scene.topic, 1)
      scene.clock.advance(20 * minute)
      scene = await scene.again()
    }
    await scene.log.sweep()
    assert.deepEqual((await offsets(scene.topic))[0], 4)
  })

  it('opened again and again without a manifest, and left as it is -> the time since the first opening counts', async () => {
    for (const ending of ['close', 'kill'] as const) {
      let scene = await open({ retentionMs: 60 * minute })
      await fill(scene.topic, 3)
      scene.clock.advance(61 * minute)
      await scene.log.close()
      await scene.files.remove(`${dir}/orders-0/segments.manifest`)
      scene = await open({}, {}, scene)
      for (let day = 0; day < 4; day++) {
        await scene.log.sweep()
        scene.clock.advance(20 * minute)
        if (ending === 'close') scene = await scene.again()
        else scene = await open({}, {}, { files: copyOf(scene.files), clock: scene.clock })
      }
      await scene.log.sweep()
      assert.deepEqual(await offsets(scene.topic), [], ending)
    }
  })

  it('killed over and over -> what was appended to before a sweep goes on getting older', async () => {
    let scene = await open({ retentionMs: 60 * minute })
    await fill(scene.topic, 2)
    for (let life = 0; life < 4; life++) {
      await scene.log.sweep()
      scene.clock.advance(20 * minute)
      scene = await open({}, {}, { files: copyOf(scene.files), clock: scene.clock })
      assert.equal(scene.log.recovery.clean, false)
    }
    await scene.log.sweep()
    assert.deepEqual(await offsets(scene.topic), [])
  })

  it('killed after an append that no sweep has seen -> its age counts from the opening', async () => {
    const scene = await open({ retentionMs: 60 * minute, segmentBytes: 1 << 20 })
    await fill(scene.topic, 1)
    await scene.log.sweep()
    scene.clock.advance(50 * minute)
    await fill(scene.topic, 1)
    scene.clock.advance(50 * minute)
    const after = await open({}, {}, { files: copyOf(scene.files), clock: scene.clock })
    after.clock.advance(50 * minute)
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [0, 1])
    after.clock.advance(11 * minute)
    await after.log.sweep()
    assert.deepEqual(await offsets(after.topic), [])
  })
})
