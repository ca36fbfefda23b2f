/**
 * Consumers whose disk fails: damage that is met while reading, commits that cannot be written, and topics
 * of which nobody knows whether they are deleted.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { ConsumerOptions } from '../../lib/consuming.ts'
import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import { type FaultKind, faultyFiles, memoryFiles } from '../../lib/testing/index.ts'
import type { RecordBatch } from '../../lib/types.ts'
import {
  appendNumbers,
  committedOf,
  drain,
  HeldHandler,
  openConsuming,
  settle,
  until,
  valuesOf,
} from '../support/consuming.ts'

import { heldFiles } from '../support/held-files.ts'
import { change, flipAt } from '../support/verified-log.ts'

/** Five records in a batch each, the third of which cannot be read. */
async function openDamaged(options: Partial<ConsumerOptions> = {}) {
  const opened = await openConsuming()
  const { topic, files, log } = opened
  await appendNumbers(topic, 2)
  const path = '/log/orders-0/00000000000000000000.log'
  const position = files.stat(path)?.sizeBytes ?? 0
  await appendNumbers(topic, 3, { from: 2 })
  change(files, path, flipAt(position + 65))
  // One batch a read: what lies before the damage is given out first.
  const consumer = await log.consumer({ topics: 'orders', group: 'g', maxBytes: 1, ...options })
  return { ...opened, consumer }
}

function damageOf(events: readonly LogEvent[]): unknown[] {
  return events.flatMap(event =>
    event.type === 'corruption' ? [[event.topic, event.partition, event.from, event.to]] : [],
  )
}

describe('a consumer that meets damage', () => {
  it('poll -> CorruptRecordError each time, and what lies before it was given out', async () => {
    const { log, consumer } = await openDamaged()
    const given: string[] = []
    for (const _ of [0, 1]) given.push(...valuesOf(await consumer.poll()))
    assert.deepEqual(given, ['0', '1'])
    for (const _ of ['once', 'again']) {
      await assert.rejects(consumer.poll(), { code: 'CORRUPT_RECORD', from: 2, to: 3 })
    }
    assert.deepEqual(consumer.position(), [{ topic: 'orders', partition: 0, offset: 2 }])
    await log.close()
  })

  it('poll, and seeks behind it -> goes on there', async () => {
    const { log, consumer } = await openDamaged({ maxBytes: 1_000_000 })
    const seen: string[] = []
    for (let polls = 0; polls < 5 && !seen.includes('4'); polls++) {
      try {
        seen.push(...valuesOf(await consumer.poll()))
      } catch (error) {
        assert.ok(error instanceof Error && 'to' in error)
        await consumer.seek(Number(error.to))
      }
    }
    assert.deepEqual(seen, ['0', '1', '3', '4'])
    await log.close()
  })

  it('run -> rejects with it, and commits nothing beyond what lies before it', async () => {
    const { log, consumer, events } = await openDamaged()
    const seen: string[] = []
    const running = consumer.run(({ value }) => void seen.push(String(value)))
    await assert.rejects(running, { code: 'CORRUPT_RECORD', from: 2, to: 3 })
    assert.deepEqual(seen, ['0', '1'])
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    assert.deepEqual(damageOf(events), [['orders', 0, 2, 3]])
    await log.close()
  })

  it('iteration -> throws it, and a new one begins there', async () => {
    const { log, consumer } = await openDamaged()
    const seen: RecordBatch[] = []
    const iterate = async (): Promise<void> => {
      for await (const batch of consumer) seen.push(batch)
    }
    await assert.rejects(iterate(), { code: 'CORRUPT_RECORD' })
    await assert.rejects(iterate(), { code: 'CORRUPT_RECORD' })
    assert.deepEqual(valuesOf(seen), ['0', '1'])
    await log.close()
  })

  it("onCorruption 'skip', run -> goes past it, told once, and commits what lies behind it", async () => {
    const { log, consumer, events } = await openDamaged({ onCorruption: 'skip' })
    const seen: string[] = []
    const running = consumer.run(({ value }) => void seen.push(String(value)))
    await until(() => seen.length === 4)
    assert.deepEqual(seen, ['0', '1', '3', '4'])
    assert.deepEqual(damageOf(events), [['orders', 0, 2, 3]])
    await consumer.close()
    await running
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@5'])
    await log.close()
  })

  it("onCorruption 'skip', the damage last of all -> committed past it", async () => {
    const { log, topic, files } = await openConsuming()
    await appendNumbers(topic, 1)
    change(files, '/log/orders-0/00000000000000000000.log', flipAt(65))
    const consumer = await log.consumer({ topics: topic, group: 'g', onCorruption: 'skip' })
    const seen: string[] = []
    const running = consumer.run(({ value }) => void seen.push(String(value)))
    await until(() => consumer.position()[0]?.offset === 1)
    await appendNumbers(topic, 1, { from: 1 })
    await until(() => seen.length === 1)
    await consumer.close()
    await running
    assert.deepEqual([seen, await committedOf(log, 'g')], [['1'], ['orders-0@2']])
    await log.close()
  })

  it("onCorruption 'skip', checksums not looked at -> the record that cannot be taken apart is passed over", async () => {
    for (const way of ['run', 'poll'] as const) {
      const { log, consumer, events } = await openDamaged({
        onCorruption: 'skip',
        checkCrcs: false,
        maxRecords: way === 'poll' ? 1 : 10,
      })
      const seen: string[] = []
      if (way === 'run') {
        void consumer.run(({ value }) => void seen.push(String(value)))
        await until(() => seen.length === 4)
      } else {
        for (let polls = 0; polls < 4; polls++) {
          for (const batch of await consumer.poll()) {
            try {
              seen.push(...valuesOf([batch]))
            } catch {
              seen.push('damaged')
            }
          }
        }
      }
      const expected = ['0', '1', '3', '4']
      if (way === 'poll') expected.splice(2, 2, 'damaged', '3')
      assert.deepEqual(seen, expected, way)
      if (way === 'run') assert.deepEqual(damageOf(events), [['orders', 0, 2, 3]])
      await log.close()
    }
  })

  it("onCorruption 'skip', poll and iteration -> go past it", async () => {
    const { log, consumer } = await openDamaged({ onCorruption: 'skip' })
    const seen = [...valuesOf(await consumer.poll())]
    for await (const batch of consumer) {
      seen.push(...valuesOf([batch]))
      if (seen.at(-1) === '4') break
    }
    assert.deepEqual(seen, ['0', '1', '3', '4'])
    await log.close()
  })
})

/** A run of three records whose commits go to a disk that fails from the second one on. */
async function openFailing(kind: FaultKind) {
  const files = faultyFiles({ seed: 1 })
  const opened = await openConsuming({ files })
  const { log, topic } = opened
  await appendNumbers(topic, 3)
  const consumer = await log.consumer({ topics: topic, group: 'g' })
  const held = new HeldHandler()
  const running = consumer.run(held.handle, { autoCommitIntervalMs: 100 })
  running.catch(() => {})
  await until(() => held.begun.length === 1)
  held.of(0).end()
  await until(() => held.begun.length === 2)
  await settle()
  assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
  const path = /__consumer_offsets-0.*\.log$/
  files.failAt({ operation: 1, kind, path, on: 'write', sticky: true })
  held.of(1).end()
  opened.clock.advance(100)
  await settle()
  const failures = (): string[] =>
    opened.events.flatMap(event => (event.type === 'backgroundFailed' ? event.what : []))
  return { ...opened, files, consumer, held, running, failures }
}

describe('an automatic commit that fails', () => {
  it('ENOSPC -> told once, records go on, and it is made when there is room again', async () => {
    const { clock, log, files, consumer, held, running, failures } = await openFailing('ENOSPC')
    assert.deepEqual(failures(), ['committing offsets of group g'])
    assert.deepEqual(held.begun, ['0', '1', '2'])
    for (let tries = 0; tries < 5; tries++) {
      clock.advance(100)
      await settle()
    }
    assert.equal(failures().length, 1)
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    files.clearFaults()
    for (let tries = 0; tries < 20; tries++) {
      clock.advance(100)
      await settle()
    }
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    held.of(2).end()
    await settle()
    await consumer.close()
    await running
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@3'])
    await log.close()
  })

  it('EIO -> told once, records go on, and it is made when the partition is recovered', async () => {
    const { clock, log, files, consumer, held, running, failures } = await openFailing('EIO')
    assert.deepEqual(failures(), ['committing offsets of group g'])
    files.clearFaults()
    clock.advance(100)
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@1'])
    const offsets = await log.topic('__consumer_offsets')
    await offsets.partition(0).recover()
    clock.advance(100)
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    assert.equal(failures().length, 1)
    held.of(2).end()
    await settle()
    await consumer.close()
    await running
    await log.close().catch(() => {})
    const again = await openLog('/log', { files, clock })
    assert.deepEqual(await committedOf(again, 'g'), ['orders-0@3'])
    await again.close()
  })

  it('never works again -> the run rejects as it is closed, and what was not committed comes back', async () => {
    const { clock, log, files, consumer, held, running } = await openFailing('EIO')
    held.of(2).end()
    await settle()
    await assert.rejects(consumer.close(), { code: 'STORAGE_FAILED' })
    await assert.rejects(running, { code: 'STORAGE_FAILED' })
    await log.close().catch(() => {})
    files.clearFaults()
    files.crash()
    const again = await openLog('/log', { files, clock })
    // Of a write that failed a part may have been written, or all of it.
    const [committed = ''] = await committedOf(again, 'g')
    assert.ok(['orders-0@1', 'orders-0@2'].includes(committed), committed)
    const left = await drain(await again.consumer({ topics: 'orders', group: 'g' }))
    assert.deepEqual(left, ['1', '2'].slice(-left.length))
    assert.ok(left.length > 0)
    await again.close()
  })
})

/** From the next change of the catalog on, nobody knows which side of it a crash would show. */
function makeCatalogUncertain(files: ReturnType<typeof faultyFiles>): void {
  const on = 'syncDirectory'
  files.failAt({ operation: 2, kind: 'EIO', on, path: /^\/log$/, sticky: true })
}

describe('a topic whose deletion failed halfway', () => {
  it('-> lost at once by whoever reads it; the deletion repeated, the name is free', async () => {
    const files = faultyFiles({ seed: 1 })
    const { log, topic, events } = await openConsuming({ files })
    await appendNumbers(topic, 1)
    const seen: string[] = []
    const consumer = await log.consumer({ topics: /./, group: 'g' })
    const running = consumer.run(({ value }) => void seen.push(String(value)))
    const poller = await log.consumer({ topics: 'orders' })
    await until(() => seen.length === 1)
    await settle()
    makeCatalogUncertain(files)
    await assert.rejects(log.deleteTopic('orders'), { code: 'STORAGE_FAILED' })
    files.clearFaults()
    assert.deepEqual([consumer.assignment, poller.assignment], [[], []])
    const lost = events.filter(({ type }) => type === 'partitionsLost')
    assert.equal(lost.length, 2)
    assert.deepEqual(await poller.poll({ maxWaitMs: 0 }), [])
    await log.deleteTopic('orders')
    await appendNumbers(await log.topic('orders'), 1, { from: 7 })
    await until(() => seen.length === 2)
    assert.deepEqual(seen, ['0', '7'])
    await consumer.close()
    await running
    await log.close()
  })

  it('-> the log opened again has it, whole with its commits, or has it not at all', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const files = faultyFiles({ seed })
      const { clock, log, topic } = await openConsuming({ files: files.currentProcess() })
      await appendNumbers(topic, 2)
      const consumer = await log.consumer({ topics: 'orders', group: 'g' })
      await consumer.commit([{ topic: 'orders', partition: 0, offset: 1 }])
      makeCatalogUncertain(files)
      await assert.rejects(log.deleteTopic('orders'))
      files.clearFaults()
      files.crash()
      log.close().catch(() => {})
      const again = await openLog('/log', { files, clock })
      const isThere = (await again.topics()).includes('orders')
      assert.deepEqual(await committedOf(again, 'g'), isThere ? ['orders-0@1'] : [], `${seed}`)
      if (isThere) assert.equal((await again.topic('orders')).partition(0).highWatermark, 2)
      await again.close()
    }
  })
})

describe('a topic whose creation failed halfway', () => {
  it('-> made again, it is read by whoever waits for it', async () => {
    const files = faultyFiles({ seed: 1 })
    const { log } = await openConsuming({ files })
    const consumer = await log.consumer({ topics: /clicks/ })
    makeCatalogUncertain(files)
    await assert.rejects(log.createTopic('clicks'), { code: 'STORAGE_FAILED' })
    files.clearFaults()
    await appendNumbers(await log.topic('clicks'), 1)
    assert.deepEqual(valuesOf(await consumer.poll()), ['0'])
    await log.close()
  })
})

describe('a topic that is being deleted', () => {
  it('while its files are busy -> a poll gives nothing, and leaves the others their turn', async () => {
    const files = heldFiles(memoryFiles())
    const { log, topic } = await openConsuming({ files })
    await appendNumbers(topic, 2)
    const consumer = await log.consumer({ topics: 'orders', maxRecords: 1, maxBytes: 1 })
    assert.deepEqual(valuesOf(await consumer.poll()), ['0'])
    files.hold('sync')
    topic.append({ value: 'late' }).catch(() => {})
    await files.whenHeld('sync')
    const deleting = log.deleteTopic('orders')
    await settle()
    assert.deepEqual(await consumer.poll({ maxWaitMs: 0 }), [])
    files.releaseAll()
    await deleting
    assert.deepEqual(consumer.assignment, [])
    await log.close()
  })
})
