/**
 * Lookups by time beside a writer, who finishes the index files of a segment behind its appends: until
 * then they end where they did when the segment was active, and for good where the disk has no room.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/index.ts'
import type { Log, Partition, Topic } from '../../lib/types.ts'
import { idle } from '../support/filling-disk.ts'

interface Scene {
  readonly files: FaultyFiles
  readonly clock: ManualClock
  readonly topic: Topic
  readonly reader: Log
  readonly seen: Partition
}

/** Four records, not enough to roll, and their index entries in the files. */
async function beside(t: TestContext): Promise<Scene> {
  const files = faultyFiles({ seed: 1 })
  const clock = manualClock(5000)
  const writer = await openLog('/log', { files, clock, ballastBytes: 0 })
  const topic = await writer.createTopic('orders', { segmentBytes: 1024, indexIntervalBytes: 1 })
  await append(topic, 1, 4)
  clock.advance(1000)
  await idle()
  const reader = await openLog('/log', { files, clock, readOnly: true })
  t.after(() => Promise.all([writer.close(), reader.close()]))
  return { files, clock, topic, reader, seen: (await reader.topic('orders')).partition(0) }
}

/** The record with timestamp 1 has offset 0. */
async function append(topic: Topic, first: number, last: number): Promise<void> {
  for (let timestamp = first; timestamp <= last; timestamp++) {
    await topic.append({ value: 'x'.repeat(100), timestamp })
  }
}

async function assertFound({ reader, seen }: Scene, last: number): Promise<void> {
  await reader.topics()
  for (let timestamp = 1; timestamp <= last; timestamp++) {
    const found = await seen.offsetForTimestamp(timestamp)
    assert.equal(found, timestamp - 1, `${timestamp} of ${last}`)
  }
}

describe('offsetForTimestamp of a read-only log', () => {
  it('the writer rolls after a lookup -> the next ones find what was appended since', async t => {
    const scene = await beside(t)
    await assertFound(scene, 4)
    for (let last = 5; last <= 20; last++) {
      await append(scene.topic, last, last)
      await assertFound(scene, last)
    }
  })

  it('the writer cannot finish an index -> they find what lies behind its end', async t => {
    const scene = await beside(t)
    const path = /0{20}\.timeindex$/
    scene.files.failAt({ operation: 1, kind: 'ENOSPC', on: 'truncate', path, sticky: true })
    await append(scene.topic, 5, 20)
    await assertFound(scene, 20)
  })

  it('the writer has finished the indexes -> segments without such a time are passed over', async t => {
    const { clock, topic, reader, seen } = await beside(t)
    await topic.configure({ segmentBytes: 65_536 })
    for (let timestamp = 100; timestamp > 20; timestamp--) {
      await topic.append({ value: 'x'.repeat(10_000), timestamp })
    }
    await idle()
    clock.advance(1000)
    await reader.topics()
    assert.equal(await seen.offsetForTimestamp(101), null)
    const { segmentCount = 0, sizeBytes = 0 } = (await topic.describe()).partitions[0] ?? {}
    assert.ok(segmentCount > 10)
    assert.ok(reader.metrics().readBytes < sizeBytes)
  })
})
