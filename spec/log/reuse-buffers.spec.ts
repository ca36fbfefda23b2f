/** Readers that read into the same memory again: how much of it, and that nobody loses what he looks at. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/index.ts'
import { ReadBuffers } from '../../lib/storage/read-buffers.ts'
import type { Log, LogRecord, RecordBatch, Topic } from '../../lib/types.ts'

const batchCount = 60
const maxBytes = 128 << 10

/** Batches of 20 KB in each partition, every value full of the number of its batch. */
async function filledTopic(log: Log, partitions: number): Promise<Topic> {
  const topic = await log.topic('t', { partitions, segmentBytes: 1 << 20 })
  for (const partition of topic.partitions) {
    for (let batch = 0; batch < batchCount; batch++) {
      await partition.append([{ value: Buffer.alloc(20_000, batch) }])
    }
  }
  return topic
}

/** The number that the batch's one value is full of, and the memory in which it lies. */
function look(batch: RecordBatch): { readonly fill: number; readonly memory: ArrayBufferLike } {
  const [record] = [...batch]
  const value = record?.valueBytes
  assert.ok(value !== null && value !== undefined)
  assert.ok(value.every(byte => byte === value[0]))
  return { fill: value[0] as number, memory: value.buffer }
}

async function withLog(use: (log: Log) => Promise<void>): Promise<void> {
  const log = await openLog(':memory:')
  try {
    await use(log)
  } finally {
    await log.close()
  }
}

describe('reuseBuffers', () => {
  for (const partitions of [1, 3]) {
    it(`${partitions} partition(s) → every batch, and no more memory than four chunks of each`, async () => {
      await withLog(async log => {
        const topic = await filledTopic(log, partitions)
        const memories = new Set<ArrayBufferLike>()
        const fills = new Map<number, number[]>()
        for await (const batch of topic.batches({ maxBytes, reuseBuffers: true })) {
          // What was fetched ahead in the meantime must not lie where this is.
          await new Promise(resolve => setImmediate(resolve))
          const { fill, memory } = look(batch)
          memories.add(memory)
          fills.set(batch.partition, [...(fills.get(batch.partition) ?? []), fill])
        }
        const expected = Array.from({ length: batchCount }, (_, index) => index)
        for (let partition = 0; partition < partitions; partition++) {
          assert.deepEqual(fills.get(partition), expected)
        }
        assert.ok(memories.size <= 4 * partitions, `${memories.size} chunks`)
      })
    })
  }

  it('records() → every record, also when it is looked at a turn later', async () => {
    await withLog(async log => {
      const topic = await filledTopic(log, 1)
      let next = 0
      for await (const record of topic.records({ maxBytes, reuseBuffers: true })) {
        await new Promise(resolve => setImmediate(resolve))
        assert.ok(record.valueBytes?.every(byte => byte === next))
        next++
      }
      assert.equal(next, batchCount)
    })
  })

  it('a record that was detached → stays as it was', async () => {
    await withLog(async log => {
      const topic = await filledTopic(log, 1)
      const kept: LogRecord[] = []
      for await (const record of topic.records({ maxBytes, reuseBuffers: true })) {
        kept.push(record.detach())
      }
      assert.ok(kept.every(({ valueBytes }, index) => valueBytes?.every(byte => byte === index)))
    })
  })

  it('not asked for → every chunk is memory of its own', async () => {
    await withLog(async log => {
      const topic = await filledTopic(log, 1)
      const batches: RecordBatch[] = []
      for await (const batch of topic.batches({ maxBytes })) batches.push(batch)
      assert.deepEqual(
        batches.map(batch => look(batch).fill),
        batches.map((_, index) => index),
      )
      assert.ok(new Set(batches.map(batch => look(batch).memory)).size >= 10)
    })
  })
})

describe('ReadBuffers', () => {
  it('what was given back → is lent again, cut to what is wanted', () => {
    const buffers = new ReadBuffers()
    const first = buffers.take(1000)
    buffers.give(first)
    const second = buffers.take(400)
    assert.equal(second.buffer, first.buffer)
    assert.equal(second.length, 400)
    assert.notEqual(buffers.take(400).buffer, first.buffer)
  })

  it('too small for what is wanted → is not lent', () => {
    const buffers = new ReadBuffers()
    buffers.give(buffers.take(400))
    assert.equal(buffers.take(401).length, 401)
  })

  it("somebody else's buffer, or one given twice → is never lent", () => {
    const buffers = new ReadBuffers()
    const pooled = Buffer.from('part of a pool')
    buffers.give(pooled)
    assert.notEqual(buffers.take(4).buffer, pooled.buffer)
    const own = buffers.take(100)
    buffers.give(own)
    buffers.give(own)
    assert.equal(buffers.take(100).buffer, own.buffer)
    assert.notEqual(buffers.take(100).buffer, own.buffer)
  })
})
