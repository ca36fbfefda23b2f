/** Readers of a topic: whose turn it is, what wakes them, and partitions that are added under way. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { TopicHandle } from '../../lib/log/topic.ts'
import type { LogRecord, Reader } from '../../lib/types.ts'
import { ScriptedTopic } from '../support/scripted-topic.ts'

/** A topic whose partitions hold batches of two records, as many as are given for each. */
function topicWith(...batchCounts: readonly number[]): ScriptedTopic {
  const topic = new ScriptedTopic(batchCounts.length)
  for (const [partition, count] of batchCounts.entries()) {
    for (let batch = 0; batch < count; batch++) topic.at(partition).store(2)
  }
  return topic
}

function placeOf(record: LogRecord): string {
  return `${record.partition}@${record.offset}`
}

async function placesOf(reader: AsyncIterable<LogRecord>): Promise<string[]> {
  const places: string[] = []
  for await (const record of reader) places.push(placeOf(record))
  return places
}

async function nextPlaceOf(reader: Reader<LogRecord>): Promise<string | undefined> {
  const step = await reader.next()
  return step.done === true ? undefined : placeOf(step.value)
}

function turns(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(resolve)))
}

describe('a reader of several partitions', () => {
  it('lets them take turns by chunk', async () => {
    const handle = new TopicHandle(topicWith(2, 1, 2))
    assert.deepEqual(await placesOf(handle.records({ maxBytes: 1 })), [
      ...['0@0', '0@1', '1@0', '1@1', '2@0', '2@1'],
      ...['0@2', '0@3', '2@2', '2@3'],
    ])
  })

  it('starts each where { offsets } says, and those that it does not name at the beginning', async () => {
    const handle = new TopicHandle(topicWith(2, 2))
    const reader = handle.records({ from: { offsets: { 1: 3 } } })
    assert.deepEqual(await placesOf(reader), ['0@0', '0@1', '0@2', '0@3', '1@3'])
  })

  it('has a position that resumes it: nothing twice, nothing missed', async () => {
    const handle = new TopicHandle(topicWith(2, 1, 2))
    const all = await placesOf(handle.records({ maxBytes: 1 }))
    for (let taken = 0; taken <= all.length; taken++) {
      const first = handle.records({ maxBytes: 1 })
      const seen: (string | undefined)[] = []
      while (seen.length < taken) seen.push(await nextPlaceOf(first))
      const rest = await placesOf(handle.records({ from: { offsets: first.position } }))
      assert.deepEqual([...seen, ...rest].sort(), [...all].sort(), `after ${taken} records`)
    }
  })

  it('that is live is woken by whichever has more', async () => {
    const topic = topicWith(0, 0, 0)
    const reader = new TopicHandle(topic).records({ live: true })
    for (const partition of [2, 0, 1]) {
      const next = nextPlaceOf(reader)
      await turns()
      topic.at(partition).store(1)
      assert.equal(await next, `${partition}@0`)
    }
    await reader.return?.()
  })

  it('that is live leaves nobody waiting after it was woken', async () => {
    const topic = topicWith(0, 0, 0)
    const reader = new TopicHandle(topic).records({ live: true })
    const next = reader.next()
    await turns()
    topic.at(1).store(1)
    await next
    assert.deepEqual(
      topic.partitions.map(partition => partition.waiterCount),
      [0, 0, 0],
    )
    await reader.return?.()
  })

  it('that is live waits on a dozen partitions without a warning', async t => {
    const warnings: Error[] = []
    const listen = (warning: Error): number => warnings.push(warning)
    process.on('warning', listen)
    t.after(() => process.off('warning', listen))
    const topic = topicWith(...new Array<number>(12).fill(0))
    const reader = new TopicHandle(topic).records({ live: true })
    const next = reader.next()
    await turns()
    topic.at(11).store(1)
    await next
    await turns()
    assert.deepEqual(warnings, [])
    await reader.return?.()
  })
})

describe('partitions added while a topic is read', () => {
  it('are picked up by a waiting live reader', async () => {
    const topic = topicWith(0)
    const reader = new TopicHandle(topic).records({ live: true, from: 'latest' })
    const next = nextPlaceOf(reader)
    await turns()
    topic.grow(2)
    topic.at(1).store(1)
    assert.equal(await next, '1@0')
    await reader.return?.()
    assert.equal(topic.followerCount, 0)
  })

  it('are picked up from their beginning, also when they were added before the first next()', async () => {
    const topic = topicWith(0)
    const reader = new TopicHandle(topic).records({ live: true, from: 'latest' })
    topic.grow(2)
    topic.at(1).store(1)
    assert.equal(await nextPlaceOf(reader), '1@0')
    await reader.return?.()
  })

  it('are not seen by a read that is not live', async () => {
    const topic = topicWith(1)
    const reader = new TopicHandle(topic).records()
    topic.grow(2)
    topic.at(1).store(1)
    assert.deepEqual(await placesOf(reader), ['0@0', '0@1'])
  })

  it('are not seen by a reader of one partition', async () => {
    const topic = topicWith(1)
    const reader = new TopicHandle(topic).partition(0).records({ live: true })
    await reader.next()
    assert.equal(topic.followerCount, 0)
    await reader.return?.()
  })
})

describe('a partition that is replaced under a live reader', () => {
  it('is read on where the reader was', async () => {
    const topic = topicWith(1)
    const reader = new TopicHandle(topic).records({ live: true })
    await reader.next()
    await reader.next()
    const next = nextPlaceOf(reader)
    await turns()
    const recovered = new ScriptedTopic(1).at(0)
    recovered.store(2)
    const before = topic.at(0)
    topic.partitions[0] = recovered
    before.wakeAll()
    await turns()
    recovered.store(1)
    assert.equal(await next, '0@2')
    await reader.return?.()
  })
})
