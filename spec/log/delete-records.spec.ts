/** `partition.deleteRecords`: what it refuses, what is gone behind it, and that it lasts. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { OffsetOutOfRangeError, PolicyViolationError, ReadOnlyError } from '../../lib/errors.ts'
import { openLog } from '../../lib/open.ts'
import type { Topic } from '../../lib/types.ts'
import { bases, deletions, dir, fill, offsets, open } from '../support/retention-scene.ts'

describe('partition.deleteRecords', () => {
  it('an offset between two segments -> those below go at once, by the rule of the log start', async () => {
    const scene = await open()
    await fill(scene.topic, 4)
    await scene.topic.partition(0).deleteRecords(2)
    assert.deepEqual(await offsets(scene.topic), [2, 3])
    assert.deepEqual(bases(scene), [2, 3])
    assert.deepEqual(deletions(scene), [
      [0, 1, 'log start'],
      [1, 2, 'log start'],
    ])
  })

  it('an offset inside a batch -> records of the batch below it are not read any more, also after a reopen', async () => {
    const scene = await open()
    const partition = scene.topic.partition(0)
    await partition.append(['a', 'b', 'c', 'd'].map(value => ({ value })))
    await partition.deleteRecords(2)
    const check = async (topic: Topic): Promise<void> => {
      const values: string[] = []
      for await (const { offset, value } of topic.records()) values.push(`${offset}${value}`)
      assert.deepEqual(values, ['2c', '3d'])
      await assert.rejects(topic.partition(0).read({ from: 1 }), OffsetOutOfRangeError)
      assert.equal(topic.partition(0).logStartOffset, 2)
    }
    await check(scene.topic)
    await check((await scene.again()).topic)
  })

  it('the high watermark -> the log is empty and goes on there; the sweep rolls the segment and removes it', async () => {
    const scene = await open()
    await fill(scene.topic, 3)
    await scene.topic.partition(0).deleteRecords(3)
    assert.deepEqual([await offsets(scene.topic), bases(scene)], [[], [2]])
    await scene.log.sweep()
    assert.deepEqual(bases(scene), [3])
    const after = await scene.again()
    await fill(after.topic, 1)
    assert.deepEqual(await offsets(after.topic), [3])
  })

  it('above the high watermark -> OffsetOutOfRangeError, and nothing is gone', async () => {
    const scene = await open()
    await fill(scene.topic, 2)
    const partition = scene.topic.partition(0)
    await assert.rejects(partition.deleteRecords(3), (error: unknown) => {
      assert.ok(error instanceof OffsetOutOfRangeError)
      assert.deepEqual([error.offset, error.logStartOffset, error.topic], [3, 0, 'orders'])
      return true
    })
    assert.deepEqual(await offsets(scene.topic), [0, 1])
  })

  it('at or below the log start -> nothing happens', async () => {
    const scene = await open()
    await fill(scene.topic, 3)
    const partition = scene.topic.partition(0)
    await partition.deleteRecords(2)
    const before = scene.files.readFile(`${dir}/orders-0/segments.manifest`)
    await partition.deleteRecords(2)
    await partition.deleteRecords(0)
    assert.equal(partition.logStartOffset, 2)
    assert.deepEqual(scene.files.readFile(`${dir}/orders-0/segments.manifest`), before)
  })

  it('called for several offsets at once -> the highest holds', async () => {
    const scene = await open()
    await fill(scene.topic, 5)
    const partition = scene.topic.partition(0)
    await Promise.all([3, 1, 4, 2].map(offset => partition.deleteRecords(offset)))
    assert.deepEqual(await offsets(scene.topic), [4])
    assert.equal(deletions(scene).length, 4)
  })

  for (const wrong of [-1, 1.5, '1', undefined]) {
    it(`${String(wrong)} (${typeof wrong}) -> refused before anything is looked at`, async () => {
      const { topic } = await open()
      const expected = typeof wrong === 'number' ? RangeError : TypeError
      await assert.rejects(topic.partition(0).deleteRecords(wrong as number), expected)
    })
  }

  it('cleanupPolicy is compact -> PolicyViolationError; with delete beside it -> done', async () => {
    const scene = await open({ cleanupPolicy: 'compact' })
    const partition = scene.topic.partition(0)
    for (const key of ['a', 'b']) await partition.append({ key, value: Buffer.alloc(900) })
    await assert.rejects(partition.deleteRecords(1), PolicyViolationError)
    await scene.topic.configure({ cleanupPolicy: 'compact,delete' })
    await partition.deleteRecords(1)
    assert.deepEqual(await offsets(scene.topic), [1])
  })

  it('the log is read-only -> ReadOnlyError', async () => {
    const { files, topic } = await open()
    await fill(topic, 2)
    const reader = await openLog(dir, { files, readOnly: true })
    const partition = (await reader.topic('orders')).partition(0)
    await assert.rejects(partition.deleteRecords(1), ReadOnlyError)
    await reader.close()
  })
})

describe('the leader epochs below the log start', () => {
  it('epochs that ended there -> they are forgotten, the one that the log start is in begins there', async () => {
    let scene = await open()
    for (let life = 0; life < 3; life++) {
      await fill(scene.topic, 2)
      // Without its clean marker the next opening raises the epoch.
      await scene.log.close()
      await scene.files.remove(`${dir}/.kafka_cleanshutdown`)
      scene = await open({}, {}, { files: scene.files, clock: scene.clock })
    }
    await fill(scene.topic, 1)
    const text = (): string =>
      String(scene.files.readFile(`${dir}/orders-0/leader-epoch-checkpoint`))
    assert.equal(text(), '0\n4\n0 0\n1 2\n2 4\n3 6\n')
    await scene.topic.partition(0).deleteRecords(3)
    assert.equal(text(), '0\n3\n1 3\n2 4\n3 6\n')
  })
})
