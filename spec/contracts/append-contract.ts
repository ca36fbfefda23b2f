/** The part of the log contract about records going in. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  ClosedError,
  OffsetMismatchError,
  RecordBatchTooLargeError,
  RecordTooLargeError,
} from '../../lib/errors.ts'
import { serde } from '../../lib/record/serde.ts'
import type { Acks, AppendOptions, RecordInput } from '../../lib/types.ts'
import { collect, numbered, rangesOf, valuesOf, withLog } from './contract-helpers.ts'
import type { OpenEmptyLog } from './log-contract.ts'

/** Runs the part. */
export function appendContract(open: OpenEmptyLog): void {
  describe('appending', () => {
    resultsContract(open)
    acksContract(open)
    contentContract(open)
    refusalContract(open)
    bulkContract(open)
  })
}

function resultsContract(open: OpenEmptyLog): void {
  it('gives one record the next offset', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const first = await topic.append({ value: 'a', timestamp: 5 })
      const second = await topic.append({ value: 'b' })
      assert.deepEqual(
        [first.topic, first.partition, first.baseOffset, first.nextOffset, first.timestamp],
        ['orders', 0, 0, 1, 5],
      )
      assert.deepEqual([second.baseOffset, second.nextOffset], [1, 2])
    })
  })

  it('gives an array one batch and its own range of offsets', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append({ value: 'first' })
      const result = await topic.partition(0).append(numbered(5))
      assert.deepEqual([result.baseOffset, result.nextOffset], [1, 6])
      const batches = await collect(topic.batches())
      assert.deepEqual(rangesOf(batches), [
        [0, 1],
        [1, 6],
      ])
    })
  })

  it('keeps the order of calls that are not awaited, and settles them in that order', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const settled: number[] = []
      const calls = numbered(200).map(async (record, index) => {
        const result = await topic.append(record)
        settled.push(result.baseOffset)
        assert.equal(result.baseOffset, index)
      })
      await Promise.all(calls)
      assert.deepEqual(
        settled,
        settled.toSorted((a, b) => a - b),
      )
      assert.deepEqual(
        await valuesOf(topic.records()),
        numbered(200).map(record => record.value),
      )
    })
  })

  it('appends on condition of expectedOffset, and nothing when it is not met', async () => {
    await withLog(open, async log => {
      const partition = (await log.topic('orders')).partition(0)
      await partition.append({ value: 'a' }, { expectedOffset: 0 })
      await partition.append({ value: 'b' }, { expectedOffset: 1 })
      const late = partition.append({ value: 'c' }, { expectedOffset: 1 })
      await assert.rejects(late, (error: unknown) => {
        assert.ok(error instanceof OffsetMismatchError)
        assert.deepEqual([error.expectedOffset, error.logEndOffset], [1, 2])
        return true
      })
      assert.deepEqual(await valuesOf(partition.records()), ['a', 'b'])
    })
  })

  it('lets one of two appends with the same expectedOffset win', async () => {
    await withLog(open, async log => {
      const partition = (await log.topic('orders')).partition(0)
      const outcomes = await Promise.allSettled(
        ['a', 'b'].map(value => partition.append({ value }, { expectedOffset: 0 })),
      )
      assert.deepEqual(
        outcomes.map(outcome => outcome.status),
        ['fulfilled', 'rejected'],
      )
      assert.deepEqual(await valuesOf(partition.records()), ['a'])
    })
  })
}

function acksContract(open: OpenEmptyLog): void {
  it("'durable' → the record is visible and below the recovery point once resolved", async () => {
    await withLog(open, async log => {
      const partition = (await log.topic('orders')).partition(0)
      const { nextOffset } = await partition.append({ value: 'v' }, { acks: 'durable' })
      assert.equal(partition.highWatermark, nextOffset)
      assert.equal(partition.recoveryPoint, nextOffset)
    })
  })

  for (const acks of ['written', 'queued'] satisfies Acks[]) {
    it(`'${acks}' → the offset is assigned, and flush() makes the record visible`, async () => {
      await withLog(open, async log => {
        const topic = await log.topic('orders', { acks })
        const { baseOffset } = await topic.append({ value: 'v' })
        assert.equal(baseOffset, 0)
        assert.ok(topic.partition(0).logEndOffset >= 1)
        await topic.flush()
        assert.deepEqual(await valuesOf(topic.records()), ['v'])
      })
    })
  }
}

function contentContract(open: OpenEmptyLog): void {
  it('keeps key, value, headers and timestamp', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const headers = [
        ['a', '1'],
        ['a', Buffer.from([0, 255])],
        ['none', null],
      ] as const
      await topic.append({ key: 'ключ', value: Buffer.from([1, 2]), headers, timestamp: 1234 })
      const [record] = await collect(topic.records())
      assert.equal(record?.keyBytes?.toString(), 'ключ')
      assert.deepEqual(record?.valueBytes, Buffer.from([1, 2]))
      assert.deepEqual(record?.headers, [
        ['a', Buffer.from('1')],
        ['a', Buffer.from([0, 255])],
        ['none', null],
      ])
      assert.deepEqual(record?.header('a'), Buffer.from([0, 255]))
      assert.equal(record?.header('other'), undefined)
      assert.equal(record?.timestamp, 1234)
    })
  })

  it('keeps an empty value, a tombstone and an absent key apart', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      await topic.append([{ key: '', value: '' }, { key: null, value: null }, { value: 'v' }])
      const records = await collect(topic.records())
      assert.deepEqual(
        records.map(record => [record.keyBytes?.length, record.valueBytes?.length]),
        [
          [0, 0],
          [undefined, undefined],
          [undefined, 1],
        ],
      )
    })
  })

  it('copies what it is given before the call returns', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const value = Buffer.from('before')
      const append = topic.append({ value })
      value.fill('x')
      await append
      assert.deepEqual(await valuesOf(topic.records()), ['before'])
    })
  })

  it("stamps records with the time of the append under timestampType 'append'", async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { timestampType: 'append' })
      await topic.append({ value: 'v', timestamp: 5 })
      const [record] = await collect(topic.records())
      assert.ok(record !== undefined && record.timestamp > Date.UTC(2020, 0))
    })
  })

  it('compresses batches when the topic says so, and gives the same records back', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { compressionType: 'gzip' })
      const records = numbered(100).map(({ value }) => ({ value: value.repeat(20) }))
      await topic.append(records)
      const [batch] = await collect(topic.batches())
      assert.equal(batch?.compressionType, 'gzip')
      assert.deepEqual(
        await valuesOf(topic.records()),
        records.map(record => record.value),
      )
    })
  })

  it('goes through the serdes of a handle, both ways', async () => {
    await withLog(open, async log => {
      const options = { key: serde.string, value: serde.json<{ readonly n: number }>() }
      const topic = await log.topic('orders', options)
      await topic.append({ key: 'k', value: { n: 1 } })
      await topic.append({ key: 'k', value: null })
      const records = await collect(topic.records())
      assert.deepEqual(
        records.map(record => [record.key, record.value]),
        [
          ['k', { n: 1 }],
          ['k', null],
        ],
      )
    })
  })
}

function refusalContract(open: OpenEmptyLog): void {
  const bad: readonly [string, unknown][] = [
    ['no value', {}],
    ['an undefined value', { value: undefined }],
    ['a number as value', { value: 5 }],
    ['an object as value', { value: { a: 1 } }],
    ['a boolean as value', { value: true }],
    ['a number as key', { key: 5, value: 'v' }],
    ['a header that is no bytes', { value: 'v', headers: { a: 5 } }],
    ['a header without value', { value: 'v', headers: { a: undefined } }],
    ['a timestamp that is text', { value: 'v', timestamp: 'now' }],
    ['null for a record', null],
    ['text for a record', 'v'],
    ['nothing', undefined],
  ]
  for (const [what, record] of bad) {
    it(`refuses ${what} with a TypeError and appends nothing`, async () => {
      await withLog(open, async log => {
        const topic = await log.topic('orders')
        const input = record as RecordInput
        await assert.rejects(topic.append(input), TypeError)
        await assert.rejects(topic.append([{ value: 'good' }, input]), TypeError)
        await assert.rejects(topic.partition(0).append(input), TypeError)
        await topic.append({ value: 'after' })
        assert.deepEqual(await valuesOf(topic.records()), ['after'])
      })
    })
  }

  it('refuses unknown options by name, and wrong ones', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const append = (options: object): Promise<unknown> =>
        topic.append({ value: 'v' }, options as AppendOptions)
      await assert.rejects(append({ ack: 'durable' }), { name: 'TypeError', message: /`ack`/ })
      await assert.rejects(append({ acks: 'all' }), RangeError)
      await assert.rejects(append({ maxBlockMs: Number.NaN }), RangeError)
      assert.equal(topic.partition(0).logEndOffset, 0)
    })
  })

  it('refuses an array larger than maxBatchBytes whole, and goes on', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { maxBatchBytes: 1000 })
      const records = Array.from({ length: 5 }, () => ({ value: 'x'.repeat(300) }))
      await assert.rejects(topic.append(records), RecordBatchTooLargeError)
      await assert.rejects(topic.append({ value: 'x'.repeat(2000) }), RecordTooLargeError)
      await topic.append({ value: 'small' })
      assert.deepEqual(await valuesOf(topic.records()), ['small'])
    })
  })

  it('rejects with the reason of a signal that has aborted', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const signal = AbortSignal.abort(new Error('too late'))
      await assert.rejects(topic.append({ value: 'v' }, { signal }), { message: 'too late' })
      assert.equal(topic.partition(0).logEndOffset, 0)
    })
  })

  it('rejects with ClosedError once the log is closed', async () => {
    const log = await open()
    const topic = await log.topic('orders')
    await log.close()
    await assert.rejects(topic.append({ value: 'v' }), ClosedError)
    await assert.rejects(topic.append([{ value: 'v' }]), ClosedError)
    await assert.rejects(topic.appendFrom([{ value: 'v' }]), ClosedError)
  })
}

function bulkContract(open: OpenEmptyLog): void {
  it('takes any number of records from an iterable, in order', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      const [result] = await topic.appendFrom(numbered(10_000))
      assert.deepEqual([result?.baseOffset, result?.nextOffset], [0, 10_000])
      assert.deepEqual(
        await valuesOf(topic.records()),
        numbered(10_000).map(record => record.value),
      )
    })
  })

  it('takes more from an async iterable than may be queued at once', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders', { partitions: 2 })
      const value = Buffer.alloc(100_000)
      async function* rows(): AsyncGenerator<RecordInput> {
        for (let row = 0; row < 300; row++) yield { value, partition: row % 2 }
      }
      const results = await topic.appendFrom(rows())
      assert.deepEqual(
        results.map(result => result.nextOffset),
        [150, 150],
      )
    })
  })

  it('keeps what was appended before a bad record, closes the source and rejects', async () => {
    await withLog(open, async log => {
      const topic = await log.topic('orders')
      let isClosed = false
      function* rows(): Generator<RecordInput> {
        try {
          yield* numbered(2500)
          yield { value: 5 as never }
        } finally {
          isClosed = true
        }
      }
      await assert.rejects(topic.appendFrom(rows()), TypeError)
      assert.ok(isClosed)
      assert.equal(topic.partition(0).logEndOffset, 2000)
    })
  })
}
