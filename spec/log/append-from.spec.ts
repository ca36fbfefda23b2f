/** Bulk appends over scripted partitions: how batches are cut, how much is under way, and how a run fails. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, it } from 'node:test'

import { TopicHandle } from '../../lib/log/topic.ts'
import type { AppendProgress, RecordInput } from '../../lib/types.ts'
import { ScriptedTopic } from '../support/scripted-topic.ts'

function recordsOf(count: number, valueBytes = 10): RecordInput[] {
  return Array.from({ length: count }, () => ({ value: Buffer.alloc(valueBytes) }))
}

function batchSizes(topic: ScriptedTopic, partition = 0): number[] {
  return topic.at(partition).appends.map(({ records }) => (records as readonly unknown[]).length)
}

function turns(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(() => setImmediate(resolve))))
}

/** A source that notes how it was treated and never ends by itself. */
class EndlessSource implements Iterable<RecordInput>, Iterator<RecordInput> {
  taken = 0
  returns = 0
  next(): IteratorResult<RecordInput> {
    this.taken++
    return { value: { value: Buffer.alloc(1000) }, done: false }
  }
  return(): IteratorResult<RecordInput> {
    this.returns++
    return { value: undefined, done: true }
  }
  [Symbol.iterator](): this {
    return this
  }
}

describe('appendFrom', () => {
  it('cuts after 2,000 records', async () => {
    const topic = new ScriptedTopic()
    await new TopicHandle(topic).appendFrom(recordsOf(4500))
    assert.deepEqual(batchSizes(topic), [2000, 2000, 500])
  })

  it('cuts at about 256 KiB', async () => {
    const topic = new ScriptedTopic()
    await new TopicHandle(topic).appendFrom(recordsOf(7, 100_000))
    assert.deepEqual(batchSizes(topic), [3, 3, 1])
  })

  it('never makes a batch larger than maxBatchBytes of records that fit alone', async () => {
    const topic = new ScriptedTopic()
    topic.config = { ...topic.config, maxBatchBytes: 1000 }
    await new TopicHandle(topic).appendFrom(recordsOf(5, 400))
    assert.deepEqual(batchSizes(topic), [2, 2, 1])
  })

  it('gives one result per partition, in partition order, from first to last offset', async () => {
    const topic = new ScriptedTopic(3)
    const records = Array.from({ length: 7000 }, (_, index) => ({
      value: 'v',
      partition: index % 2,
    }))
    const results = await new TopicHandle(topic).appendFrom(records.reverse())
    assert.deepEqual(
      results.map(({ partition, baseOffset, nextOffset }) => [partition, baseOffset, nextOffset]),
      [
        [0, 0, 3500],
        [1, 0, 3500],
      ],
    )
  })

  it('of nothing → no result', async () => {
    assert.deepEqual(await new TopicHandle(new ScriptedTopic()).appendFrom([]), [])
  })

  it('spreads records without a key over the partitions, batch by batch', async () => {
    const topic = new ScriptedTopic(2)
    await new TopicHandle(topic).appendFrom(recordsOf(8000))
    assert.deepEqual(
      [batchSizes(topic, 0), batchSizes(topic, 1)],
      [
        [2000, 2000],
        [2000, 2000],
      ],
    )
  })

  it('takes no more from the source than may be under way, and goes on when that is acknowledged', async () => {
    const topic = new ScriptedTopic()
    topic.at(0).holdsAppends = true
    const source = new EndlessSource()
    const abort = new AbortController()
    const run = new TopicHandle(topic).appendFrom(source, { signal: abort.signal })
    await turns()
    const taken = source.taken
    assert.ok(taken > 7000 && taken < 9000, `${taken} records of 1,000 bytes taken`)
    topic.at(0).held.shift()?.()
    await turns()
    assert.ok(source.taken > taken)
    abort.abort()
    for (const settle of topic.at(0).held) settle()
    await assert.rejects(run, { name: 'AbortError' })
  })

  it('reports progress as it is acknowledged', async () => {
    const reports: AppendProgress[] = []
    const topic = new ScriptedTopic()
    const records = Array.from({ length: 3000 }, () => ({ key: 'é', value: 'abc' }))
    await new TopicHandle(topic).appendFrom(records, { onProgress: sent => reports.push(sent) })
    assert.deepEqual(reports, [
      { records: 2000, bytes: 10_000 },
      { records: 3000, bytes: 15_000 },
    ])
  })

  it('is the end of a stream pipeline', async () => {
    const topic = new ScriptedTopic()
    const handle = new TopicHandle(topic)
    const source = Readable.from(recordsOf(100))
    const results = await pipeline(source, rows =>
      handle.appendFrom(rows as AsyncIterable<RecordInput>),
    )
    assert.equal(topic.at(0).logEndOffset, 100)
    assert.equal((results as unknown as readonly unknown[]).length, 1)
  })

  it('sends what a slow source has given so far', async () => {
    const topic = new ScriptedTopic()
    let goOn = (): void => {}
    async function* slow(): AsyncGenerator<RecordInput> {
      yield { value: 'a' }
      yield { value: 'b' }
      await new Promise<void>(resolve => {
        goOn = resolve
      })
      yield { value: 'c' }
    }
    const run = new TopicHandle(topic).appendFrom(slow())
    await turns()
    assert.deepEqual(batchSizes(topic), [2])
    goOn()
    await run
    assert.deepEqual(batchSizes(topic), [2, 1])
  })

  it('applies the serdes of the handle', async () => {
    const topic = new ScriptedTopic()
    const value = { serialize: (n: number) => `n${n}`, deserialize: () => 0 }
    await new TopicHandle<Buffer, number>(topic, { value }).appendFrom([{ value: 7 }])
    const records = topic.at(0).appends.map(append => append.records)
    assert.deepEqual(
      records.map(batch => (batch as readonly RecordInput[])[0]?.value),
      ['n7'],
    )
  })

  for (const source of [null, undefined, 5, 'abc', {}, { value: 'v' }]) {
    it(`from ${JSON.stringify(source)} → TypeError`, async () => {
      await assert.rejects(
        new TopicHandle(new ScriptedTopic()).appendFrom(source as never),
        TypeError,
      )
    })
  }
})

describe('a failing appendFrom', () => {
  it('stops at the first failed append, closes the source and rejects with it', async () => {
    const topic = new ScriptedTopic()
    topic.at(0).appendFailure = new Error('no disk')
    const source = new EndlessSource()
    await assert.rejects(new TopicHandle(topic).appendFrom(source), { message: 'no disk' })
    assert.equal(source.returns, 1)
  })

  it('rejects only when what is under way has settled', async () => {
    const topic = new ScriptedTopic()
    topic.at(0).holdsAppends = true
    let isOver = false
    function* failing(): Generator<RecordInput> {
      yield* recordsOf(2000)
      throw new Error('bad row')
    }
    const run = new TopicHandle(topic).appendFrom(failing())
    const over = run.finally(() => {
      isOver = true
    })
    over.catch(() => {})
    await turns()
    assert.equal(isOver, false)
    topic.at(0).held[0]?.()
    await assert.rejects(over, { message: 'bad row' })
  })

  it('closes the source at a record that is none', async () => {
    const topic = new ScriptedTopic()
    let isClosed = false
    async function* rows(): AsyncGenerator<RecordInput> {
      try {
        yield { value: 'v' }
        yield { value: 5 as never }
        yield { value: 'w' }
      } finally {
        isClosed = true
      }
    }
    await assert.rejects(new TopicHandle(topic).appendFrom(rows()), {
      name: 'TypeError',
      message: /serde\.json/,
    })
    assert.ok(isClosed)
  })

  it('does not wait for a source that is stuck', async () => {
    const abort = new AbortController()
    async function* stuck(): AsyncGenerator<RecordInput> {
      await new Promise(() => {})
      yield { value: 'never' }
    }
    const handle = new TopicHandle(new ScriptedTopic())
    const run = handle.appendFrom(stuck(), { signal: abort.signal })
    await turns()
    abort.abort(new Error('enough'))
    await assert.rejects(run, { message: 'enough' })
  })

  it('rejects with what onProgress throws', async () => {
    const run = new TopicHandle(new ScriptedTopic()).appendFrom(recordsOf(10), {
      onProgress: () => {
        throw new Error('mine')
      },
    })
    await assert.rejects(run, { message: 'mine' })
  })

  it('with a signal that has aborted before appends nothing', async () => {
    const topic = new ScriptedTopic()
    const signal = AbortSignal.abort(new Error('too late'))
    const run = new TopicHandle(topic).appendFrom(recordsOf(10), { signal })
    await assert.rejects(run, { message: 'too late' })
    assert.equal(topic.at(0).logEndOffset, 0)
  })
})
