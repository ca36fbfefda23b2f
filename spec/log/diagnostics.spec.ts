/** What the diagnostics channels publish, beside what a log answers itself. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, it, type TestContext } from 'node:test'

import type { AppendDiagnostic, FlushDiagnostic, ReadDiagnostic } from '../../lib/index.ts'
import { openLog } from '../../lib/open.ts'

/** The messages of a channel while the test lasts. */
function messagesOf<T>(test: TestContext, channel: string): T[] {
  const messages: T[] = []
  const listen = (message: unknown) => messages.push(message as T)
  subscribe(channel, listen)
  test.after(() => unsubscribe(channel, listen))
  return messages
}

const of = { topic: 'orders', partition: 1 }

describe('the diagnostics channels', () => {
  it('appends -> each batch that is written, with its offsets and size', async t => {
    const appends = messagesOf<AppendDiagnostic>(t, 'varve:append')
    const log = await openLog(':memory:')
    const partition = (await log.topic('orders', { partitions: 2 })).partition(1)
    await partition.append([{ value: 'abcd' }, { value: 'efgh' }])
    await partition.append({ value: 'ijkl' })
    // A batch is 61 bytes of header and 11 for each of these records.
    assert.deepEqual(appends, [
      { ...of, baseOffset: 0, nextOffset: 2, sizeBytes: 83 },
      { ...of, baseOffset: 2, nextOffset: 3, sizeBytes: 72 },
    ])
    await log.close()
  })

  it('flushes -> how far each came, and how long it took', async t => {
    const flushes = messagesOf<FlushDiagnostic>(t, 'varve:flush')
    const log = await openLog(':memory:')
    const partition = (await log.topic('orders', { partitions: 2 })).partition(1)
    for (const value of ['a', 'b']) await partition.append({ value })
    assert.deepEqual(
      flushes.map(({ durationMs: _, ...facts }) => facts),
      [1, 2].map(recoveryPoint => ({ ...of, recoveryPoint })),
    )
    for (const { durationMs } of flushes) assert(durationMs >= 0)
    await log.close()
  })

  it('a read -> the chunk, from where and how far', async t => {
    const log = await openLog(':memory:')
    const partition = (await log.topic('orders', { partitions: 2 })).partition(1)
    for (const value of ['a', 'b']) await partition.append({ value })
    const reads = messagesOf<ReadDiagnostic>(t, 'varve:read')
    await partition.read({ from: 1 })
    // The file is read from the last index entry on: both batches of 69 bytes.
    assert.deepEqual(reads, [{ ...of, from: 1, nextOffset: 2, sizeBytes: 138 }])
    await log.close()
  })
})
