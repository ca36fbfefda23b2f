/** The state of a log whose disk fills up and empties, told by a file system that says what a test wants. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { DiskFullError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import { DiskWatch } from '../../lib/log/disk-watch.ts'
import { openLog } from '../../lib/open.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import { manualClock, memoryFiles } from '../../lib/testing/index.ts'
import {
  assertOpensFull,
  diskWithFree,
  type Filling,
  idle,
  mib,
  openFilling,
  statesOf,
  valuesOf,
} from '../support/filling-disk.ts'

describe('log.state', () => {
  it('less and less is free → low, read-only, and back with a margin, each told once', async () => {
    const { clock, log, events, free } = await openFilling()
    const seen: string[] = []
    for (const mebibytes of [200, 199, 100, 99, 100, 124, 125, 249, 250]) {
      free(mebibytes * mib)
      clock.advance(60_000)
      await idle()
      seen.push(`${mebibytes} ${log.state}`)
    }
    assert.deepEqual(seen, [
      '200 ok',
      '199 low',
      '100 low',
      '99 read-only',
      '100 read-only',
      '124 read-only',
      '125 low',
      '249 low',
      '250 ok',
    ])
    const told = ['low disk-space', 'read-only disk-space', 'low disk-space', 'ok']
    assert.deepEqual(statesOf(events), told)
    await log.close()
    assert.equal(log.state, 'closed')
  })

  it('full when the log is opened → read-only at once, told through onEvent', async () => {
    await (await assertOpensFull(diskWithFree(0))).close()
  })

  it('a log in memory → ok, and no ballast', async () => {
    const files = memoryFiles()
    const log = await openLog('/log', { files })
    assert.equal(log.state, 'ok')
    assert.equal(files.stat('/log/.ballast'), null)
    await log.close()
  })

  it('written to → looked at before the reserve can be used up, without a timer', async () => {
    const { log, topic, free } = await openFilling({ diskLowBytes: 0, diskReserveBytes: 999 * mib })
    free(998 * mib)
    const value = Buffer.alloc(mib)
    // A quarter of the way to the threshold, or at least a quarter of the reserve: 249.75 MiB.
    const small = { maxBatchBytes: 2 * mib }
    await topic.configure(small)
    let appended = 0
    while (log.state === 'ok' && appended < 300) {
      await topic.append({ value })
      appended++
    }
    assert.equal(log.state, 'read-only')
    assert(appended <= 251, `${appended} MiB`)
    await log.close()
  })

  it('nothing happens → one look a minute', async () => {
    const { clock, log, looks } = await openFilling()
    const before = looks()
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(60_000)
      await idle()
    }
    assert.equal(looks() - before, 10)
    await log.close()
  })

  it('the disk cannot be looked at → told once, and everything goes on', async () => {
    const { clock, log, topic, events, free } = await openFilling()
    free(Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'statfs' }))
    for (let minute = 0; minute < 3; minute++) {
      clock.advance(60_000)
      await idle()
    }
    await topic.append({ value: 'a' })
    const told = events.filter(({ type }) => type === 'backgroundFailed')
    assert.deepEqual(
      told.map(event => event.type === 'backgroundFailed' && event.what),
      ['looking at the free space'],
    )
    assert.equal(log.state, 'ok')
    free(99 * mib)
    clock.advance(60_000)
    await idle()
    assert.equal(log.state, 'read-only')
    await log.close()
  })

  it('closed → no look afterwards', async () => {
    const { clock, log, looks } = await openFilling()
    await log.close()
    const before = looks()
    clock.advance(600_000)
    await idle()
    assert.equal(looks(), before)
  })
})

describe('a log that is read-only for want of space', () => {
  async function openFull(): Promise<Filling> {
    const filling = await openFilling()
    await filling.topic.append({ value: 'before' })
    filling.free(99 * mib)
    filling.clock.advance(60_000)
    await idle()
    assert.equal(filling.log.state, 'read-only')
    return filling
  }

  it('appends → DiskFullError, not-written, whole batches or nothing', async () => {
    const { log, topic } = await openFull()
    const expected = { code: 'DISK_FULL', reason: 'reserve', outcome: 'not-written' }
    await assert.rejects(topic.append({ value: 'x' }), expected)
    await assert.rejects(topic.partition(0).append([{ value: 'x' }, { value: 'y' }]), expected)
    await assert.rejects(topic.append({ value: 'x' }, { acks: 'written' }), expected)
    assert.equal(topic.partition(0).logEndOffset, 1)
    assert.deepEqual(await valuesOf(topic), ['before'])
    await log.close()
  })

  it('space is back → the next append is the one that finds out, and is accepted', async () => {
    const { log, topic, events, free } = await openFull()
    free(1000 * mib)
    await topic.append({ value: 'after' })
    assert.deepEqual(await valuesOf(topic), ['before', 'after'])
    assert.equal(log.state, 'ok')
    assert.deepEqual(statesOf(events), ['read-only disk-space', 'ok'])
    await log.close()
  })

  it('space is back and nobody appends → ok after a few seconds', async () => {
    const { clock, log, free } = await openFull()
    free(1000 * mib)
    clock.advance(5000)
    await idle()
    assert.equal(log.state, 'ok')
    await log.close()
  })

  it('reads, checkpoints, configuration and deletion → go on', async () => {
    const { clock, files, log, topic } = await openFull()
    assert.deepEqual(await valuesOf(topic), ['before'])
    clock.advance(1000)
    await idle()
    const checkpoint = files.readFile('/log/recovery-point-offset-checkpoint')
    assert.match(String(checkpoint), /orders 0 1/)
    await topic.configure({ segmentMs: 1000 })
    await log.deleteTopic('orders')
    assert.deepEqual(await log.topics(), [])
    await log.close()
  })

  it('topics of users cannot be created → DiskFullError, nothing left; offsets can be committed', async () => {
    const { files, log } = await openFull()
    await assert.rejects(log.createTopic('more'), { code: 'DISK_FULL', reason: 'reserve' })
    assert.equal(files.stat('/log/more-0'), null)
    await log.group('billing').resetOffsets({ to: 'latest', topics: ['orders'] })
    const { offsets } = await log.group('billing').describe()
    assert.deepEqual(
      offsets.map(({ offset }) => offset),
      [1],
    )
    await log.close()
  })

  it('closed and opened with space → nothing lost, the close was clean', async () => {
    const { files, log } = await openFull()
    await log.close()
    const again = await openLog('/log', { files: diskWithFree(1000 * mib, files) })
    assert.equal(again.recovery.clean, true)
    assert.deepEqual(await valuesOf(await again.topic('orders')), ['before'])
    await again.close()
  })

  it('appends that wait for room in the queue when it becomes so → refused; what was accepted is written', async () => {
    const { files, clock, log, topic, free } = await openFilling({ maxUnflushedBytes: 900 })
    files.hold('sync')
    const value = Buffer.alloc(900)
    const accepted = topic.append({ value })
    await idle()
    const waiting = [0, 1, 2].map(() => topic.append({ value }, { maxBlockMs: -1 }))
    const outcomes = Promise.allSettled(waiting)
    await idle()
    free(99 * mib)
    clock.advance(60_000)
    await idle()
    const refused = (await outcomes).filter(it => it.status === 'rejected')
    assert.equal(refused.length, 3)
    for (const { reason } of refused) assert(reason instanceof DiskFullError)
    files.releaseAll()
    assert.equal((await accepted).baseOffset, 0)
    assert.equal(topic.partition(0).highWatermark, 1)
    await log.close()
  })
})

describe('DiskWatch.setOverLimit', () => {
  interface Watched {
    readonly watch: DiskWatch
    readonly room: DiskRoom
    readonly events: LogEvent[]
    readonly shut: DiskFullError[]
  }

  async function watched(freeBytes = 1000 * mib): Promise<Watched> {
    const files = diskWithFree(freeBytes)
    files.makeDirectory('/log')
    const room = new DiskRoom(files)
    const events: LogEvent[] = []
    const limits = { diskLowBytes: 0, diskReserveBytes: 100 * mib, ballastBytes: 0 }
    const emit = (event: LogEvent): void => void events.push(event)
    const watch = new DiskWatch({ files, dir: '/log', clock: manualClock(), room, limits, emit })
    const shut: DiskFullError[] = []
    watch.onShut(error => shut.push(error))
    room.keepWith(watch)
    await watch.start()
    return { watch, room, events, shut }
  }

  it('over → read-only with that reason in the event and the error; under again → ok', async () => {
    const { watch, room, events, shut } = await watched()
    watch.setOverLimit(true)
    assert.deepEqual([watch.state, room.isShut], ['read-only', true])
    const refusal = await room.ask({ dir: '/log/orders-0', isInternal: false })
    assert.deepEqual(
      [refusal?.reason, refusal?.path, shut[0]?.reason],
      ['max-total-bytes', '/log/orders-0', 'max-total-bytes'],
    )
    assert.equal(await room.ask({ dir: '/log/__x-0', isInternal: true }), null)
    watch.setOverLimit(false)
    assert.deepEqual([watch.state, room.isShut], ['ok', false])
    assert.deepEqual(statesOf(events), ['read-only max-total-bytes', 'ok'])
    await watch.close()
  })

  it('an append is about to be refused → the question is asked first, and its answer holds', async () => {
    const { watch, room } = await watched()
    watch.setOverLimit(true)
    let questions = 0
    watch.onLimitQuestion(() => {
      questions++
      if (questions === 2) watch.setOverLimit(false)
    })
    const request = { dir: '/log/orders-0', isInternal: false }
    assert.equal((await room.ask(request))?.reason, 'max-total-bytes')
    assert.equal(await room.ask(request), null)
    assert.equal(watch.state, 'ok')
    await watch.close()
  })

  it('the disk is full as well → read-only until both are over', async () => {
    const { watch, events } = await watched(99 * mib)
    watch.setOverLimit(true)
    watch.setOverLimit(false)
    assert.equal(watch.state, 'read-only')
    assert.deepEqual(statesOf(events), ['read-only disk-space'])
    await watch.close()
  })
})
