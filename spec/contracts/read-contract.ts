/** The part of the log contract about records coming out. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ClosedError,
  DeserializationError,
  InvalidRecordError,
  OffsetOutOfRangeError,
} from '../../lib/errors.ts'
import { type StandardSchema, serde } from '../../lib/record/serde.ts'
import type { From, Log, Partition } from '../../lib/types.ts'
import { collect, numbered, offsetsOf, rangesOf, valuesOf, withLog } from './contract-helpers.ts'
import type { OpenEmptyLog } from './log-contract.ts'

/** Runs the part. */
export function readContract(open: OpenEmptyLog): void {
  describe('reading', () => {
    startContract(open)
    chunkContract(open)
    liveContract(open)
    endContract(open)
  })
}

/** A partition with the offsets 0 to 8 in batches of three, and timestamps 1000 to 1008. */
async function nineRecords(log: Log): Promise<Partition> {
  const topic = await log.topic('orders')
  for (const base of [0, 3, 6]) {
    await topic.append(
      numbered(3, base).map(({ value }, index) => ({ value, timestamp: 1000 + base + index })),
    )
  }
  return topic.partition(0)
}

function startContract(open: OpenEmptyLog): void {
  const starts: readonly [string, From, readonly number[]][] = [
    ["'earliest'", 'earliest', [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ["'latest'", 'latest', []],
    ['the offset at the beginning of a batch', 6, [6, 7, 8]],
    ['an offset inside a batch', 4, [4, 5, 6, 7, 8]],
    ['the high watermark', 9, []],
    ['{ last: 4 }', { last: 4 }, [5, 6, 7, 8]],
    ['{ last: 0 }', { last: 0 }, []],
    ['{ last } of more than there are', { last: 100 }, [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['{ timestamp } of a record', { timestamp: 1004 }, [4, 5, 6, 7, 8]],
    ['{ timestamp } as a Date', { timestamp: new Date(1007) }, [7, 8]],
    ['{ timestamp } before all records', { timestamp: 0 }, [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['{ timestamp } behind all records', { timestamp: 5000 }, []],
  ]
  for (const [what, from, expected] of starts) {
    it(`starts at ${what}`, async () => {
      await withLog(open, async log => {
        const partition = await nineRecords(log)
        assert.deepEqual(await offsetsOf(partition.records({ from })), expected)
      })
    })
  }

  it('gives the whole batch around the start with batches()', async () => {
    await withLog(open, async log => {
      const partition = await nineRecords(log)
      const batches = await collect(partition.batches({ from: 4 }))
      assert.deepEqual(rangesOf(batches), [
        [3, 6],
        [6, 9],
      ])
    })
  })

  it('refuses an offset above the end with OffsetOutOfRangeError, or jumps when told to', async () => {
    await withLog(open, async log => {
      const partition = await nineRecords(log)
      await assert.rejects(partition.records({ from: 10 }).next(), OffsetOutOfRangeError)
      const jumping = partition.records({ from: 10, onOutOfRange: 'earliest' })
      assert.equal((await offsetsOf(jumping)).length, 9)
    })
  })

  for (const from of [-1, 0.5, Number.NaN]) {
    it(`refuses the offset ${from} with a RangeError at the call`, async () => {
      await withLog(open, async log => {
        const topic = await log.topic('orders')
        assert.throws(() => topic.records({ from }), RangeError)
        assert.throws(() => topic.partition(0).batches({ from }), RangeError)
        await assert.rejects(topic.partition(0).read({ from }), RangeError)
      })
    })
  }

  it('resumes at { offsets: position }', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { partitions: 3 })
      await topic.append(numbered(30).map(({ value }, index) => ({ value, partition: index % 3 })))
      const reader = topic.records()
      const seen: (string | undefined)[] = []
      for (let count = 0; count < 17; count++) {
        seen.push((await reader.next()).value?.valueBytes?.toString())
      }
      await reader.return?.()
      const rest = await valuesOf(topic.records({ from: { offsets: reader.position } }))
      assert.deepEqual(
        [...seen, ...rest].sort(),
        numbered(30)
          .map(record => record.value)
          .sort(),
      )
    })
  })
}

function chunkContract(open: OpenEmptyLog): void {
  it('reads through many chunks of any size', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { segmentBytes: 4096 })
      for (let base = 0; base < 500; base += 10) await topic.append(numbered(10, base))
      for (const maxBytes of [1, 300, 5000, 1_000_000]) {
        const offsets = await offsetsOf(topic.records({ maxBytes }))
        assert.deepEqual(
          offsets,
          Array.from({ length: 500 }, (_, index) => index),
        )
      }
    })
  })

  it('gives records that stay what they were', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append(numbered(100))
      const records = await collect(topic.records({ maxBytes: 100 }))
      await topic.append(numbered(100, 500))
      await collect(topic.records())
      assert.deepEqual(
        records.map(record => record.valueBytes?.toString()),
        numbered(100).map(record => record.value),
      )
    })
  })

  it('read() gives one chunk and where to go on', async () => {
    await withLog(open, async log => {
      const partition = await nineRecords(log)
      const first = await partition.read({ from: 1, maxBytes: 1 })
      assert.deepEqual(rangesOf(first.batches), [[0, 3]])
      assert.deepEqual([first.nextOffset, first.highWatermark, first.logStartOffset], [3, 9, 0])
      const end = await partition.read({ from: 9 })
      assert.deepEqual([end.batches.length, end.nextOffset], [0, 9])
    })
  })

  it('read() with maxWaitMs waits for the next record', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const read = topic.partition(0).read({ from: 0, maxWaitMs: 60_000 })
      await topic.append({ value: 'v' })
      assert.equal((await read).nextOffset, 1)
    })
  })

  it('offsetForTimestamp() finds the first record at or after a time', async () => {
    await withLog(open, async log => {
      const partition = await nineRecords(log)
      assert.equal(await partition.offsetForTimestamp(0), 0)
      assert.equal(await partition.offsetForTimestamp(1005), 5)
      assert.equal(await partition.offsetForTimestamp(new Date(1008)), 8)
      assert.equal(await partition.offsetForTimestamp(1009), null)
    })
  })

  it('a value that a serde refuses → DeserializationError when touched, its bytes are there', async () => {
    await withLog(open, async log => {
      await (await log.topic('orders')).append({ value: '{broken' })
      const topic = await log.topic('orders', { value: serde.json() })
      const [record] = await collect(topic.records())
      assert.throws(() => record?.value, { code: 'DESERIALIZATION_FAILED', offset: 0 })
      assert.equal(record?.valueBytes?.toString(), '{broken')
    })
  })

  it('a value that a schema refuses → DeserializationError with the issues as its cause', async () => {
    await withLog(open, async log => {
      await (await log.topic('orders')).append([{ value: '1' }, { value: '"two"' }])
      const schema: StandardSchema<number> = {
        '~standard': {
          version: 1,
          vendor: 'spec',
          validate: value =>
            typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] },
        },
      }
      const topic = await log.topic('orders', { value: serde.json(schema) })
      const [first, second] = await collect(topic.records())
      assert.equal(first?.value, 1)
      assert.throws(
        () => second?.value,
        (error: unknown) => {
          assert.ok(error instanceof DeserializationError)
          assert.deepEqual([error.offset, error.bytes.toString()], [1, '"two"'])
          assert.ok(error.cause instanceof InvalidRecordError)
          assert.deepEqual(error.cause.issues, [{ message: 'no number' }])
          return true
        },
      )
    })
  })
}

function liveContract(open: OpenEmptyLog): void {
  it('live sees records in order as they are appended', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append(numbered(3))
      const reader = topic.records({ live: true })
      const appending = (async () => {
        for (let base = 3; base < 60; base += 3) await topic.append(numbered(3, base))
      })()
      const seen: (string | undefined)[] = []
      for await (const record of reader) {
        seen.push(record.valueBytes?.toString())
        if (seen.length === 60) break
      }
      await appending
      assert.deepEqual(
        seen,
        numbered(60).map(record => record.value),
      )
    })
  })

  it("live from 'latest' sees what was appended after the call, and only that", async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append(numbered(3))
      const reader = topic.records({ live: true, from: 'latest' })
      await topic.append({ value: 'new' })
      const step = await reader.next()
      assert.equal(step.value?.valueBytes?.toString(), 'new')
      await reader.return?.()
    })
  })

  it('live never sees a record before it is durable', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { acks: 'queued' })
      const partition = topic.partition(0)
      const reader = topic.records({ live: true })
      void topic.append({ value: 'v' })
      const step = await reader.next()
      assert.equal(step.value?.offset, 0)
      assert.ok(partition.recoveryPoint >= 1)
      await reader.return?.()
    })
  })

  it('live picks up partitions that are added', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const reader = topic.records({ live: true })
      const next = reader.next()
      await topic.addPartitions(2)
      await topic.append({ value: 'v', partition: 1 })
      assert.equal((await next).value?.partition, 1)
      await reader.return?.()
    })
  })
}

function endContract(open: OpenEmptyLog): void {
  it('a read that is not live ends at the high watermark of the call', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append(numbered(2))
      const reader = topic.records()
      await topic.append(numbered(2, 2))
      assert.deepEqual(await valuesOf(reader), ['v0', 'v1'])
    })
  })

  it('an abort rejects the pending next() with its reason', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const abort = new AbortController()
      const next = topic.records({ live: true, signal: abort.signal }).next()
      abort.abort(new Error('enough'))
      await assert.rejects(next, { message: 'enough' })
    })
  })

  it('close() ends live readers normally, waiting or not', async () => {
    const log = await open()
    const topic = await log.topic('orders')
    await topic.append(numbered(3))
    const waiting = topic.partition(0).records({ live: true, from: 'latest' })
    const paused = topic.batches({ live: true })
    const next = waiting.next()
    await paused.next()
    await log.close()
    assert.deepEqual(await next, { value: undefined, done: true })
    assert.deepEqual(await paused.next(), { value: undefined, done: true })
  })

  it('a read begun on a closed log → ClosedError', async () => {
    const log = await open()
    const topic = await log.topic('orders')
    await log.close()
    await assert.rejects(topic.records().next(), ClosedError)
    await assert.rejects(topic.partition(0).read({ from: 0 }), ClosedError)
  })

  it('deleting a topic ends the wait of its live readers with an error', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const next = topic.records({ live: true }).next()
      const refused = assert.rejects(next, { code: 'UNKNOWN_TOPIC_OR_PARTITION' })
      await log.deleteTopic('orders')
      await refused
    })
  })

  it('next() while another is pending → TypeError', async () => {
    await withLog(open, async log => {
      const reader = (await log.topic('orders')).records({ live: true })
      const next = reader.next()
      await assert.rejects(reader.next(), TypeError)
      await reader.return?.()
      assert.deepEqual(await next, { value: undefined, done: true })
    })
  })
}
