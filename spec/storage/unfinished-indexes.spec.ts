/**
 * Index files that end before their segment does: what was saved of them while it was active, and what a
 * crash, or a disk without room, left when it was finished. A segment that ends below the recovery point
 * is not scanned, so nothing may take such a file for the whole: lookups by time would pass over the
 * records behind its end, and retention take the segment for older than it is.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { FaultKind } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock, memoryFiles } from '../../lib/testing/index.ts'
import { flip } from '../support/corrupt.ts'
import { idle } from '../support/filling-disk.ts'
import { batchesFrom, get, layDown, pathOf, put, recover } from '../support/log-files.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'
import { seeds } from '../support/random.ts'

const config = { segmentBytes: 900, indexIntervalBytes: 1 }

/** Of the records by offset. The largest of a segment is not always that of its last record. */
function timestampOf(offset: number): number {
  return 1000 + offset + (offset % 5 === 3 ? 3 : 0)
}

/** A partition to which something is appended, and what its log has on record. */
interface History {
  readonly files: FaultyFiles
  readonly opened: TestPartition
  /** As a checkpoint has it. */
  recoveryPoint: number
}

/** In its active segment index entries are saved for some of the batches. */
async function begun(seed: number): Promise<History> {
  const files = faultyFiles({ seed })
  const opened = await openPartition({ files: files.currentProcess(), config })
  const history = { files, opened, recoveryPoint: 0 }
  await append(history, 5)
  await files.syncDirectory('.')
  return history
}

async function append(history: History, count: number): Promise<void> {
  const { partition } = history.opened
  for (let left = count; left > 0; left--) {
    const timestamp = timestampOf(partition.logEndOffset)
    await partition.append({ value: 'x'.repeat(20), timestamp }, durable)
    const { recoveryPoint } = partition
    if (recoveryPoint % 4 !== 3) continue
    await partition.checkpoint()
    history.recoveryPoint = recoveryPoint
  }
}

/** Rolls twice. */
async function goOn(history: History): Promise<boolean> {
  const isDone = await append(history, 18).then(
    () => true,
    () => false,
  )
  await history.opened.partition.segments.whenFinished()
  return isDone
}

/** Every lookup finds the record that a walk over all of them finds, and segments are as young as they are. */
async function assertLookups({ partition }: TestPartition, context: string): Promise<void> {
  const { logEndOffset } = partition
  const timestamps = Array.from({ length: logEndOffset }, (_, offset) => timestampOf(offset))
  for (const timestamp of timestamps) {
    const found = await partition.offsetForTimestamp(timestamp)
    const expected = timestamps.findIndex(it => it >= timestamp)
    assert.equal(found, expected, `timestamp ${timestamp}, ${context}`)
  }
  for (const { baseOffset, nextOffset } of partition.segments.list.sealed) {
    const newest = await partition.newestTimestamp(baseOffset)
    const expected = Math.max(...timestamps.slice(baseOffset, nextOffset))
    assert.equal(newest, expected, `segment ${baseOffset}, ${context}`)
  }
}

/** Opens what is there, as often as that may change something. */
async function reopenAndCheck(history: History, context: string): Promise<void> {
  const { files, recoveryPoint } = history
  let least = recoveryPoint
  for (const turn of ['first', 'second', 'third']) {
    const again = await openPartition({
      files: files.currentProcess(),
      config,
      recoveryPoint: least,
      logStart: 0,
    })
    const { partition } = again
    assert.ok(partition.logEndOffset >= least, context)
    assert.deepEqual(partition.damage, [], context)
    await assertLookups(again, `${turn} time, ${context}`)
    await partition.segments.whenFinished()
    await assertLookups(again, `${turn} time, finished, ${context}`)
    least = partition.recoveryPoint
    if (turn === 'first') files.crash()
    else await partition.close()
  }
}

const ends = ['crash', 'kill', 'close'] as const

async function finish({ files, opened }: History, end: (typeof ends)[number]): Promise<void> {
  if (end === 'close') await opened.partition.close().catch(() => {})
  if (end === 'kill') files.killProcess()
  else if (files.crashes === 0) files.crash()
}

function contextOf({ files }: History, call: number): string {
  return `call ${call}, seed ${files.seed}\n${files.trace.join('\n')}`
}

async function atEveryCall(kind: FaultKind, end: (typeof ends)[number]): Promise<void> {
  for (const seed of seeds(1)) {
    for (let call = 1, isOver = false; !isOver; call++) {
      const history = await begun(seed * 1000 + call)
      const { files } = history
      files.failAt({ operation: call, kind, ...(kind === 'short' ? { on: 'write' } : {}) })
      const before = files.operations
      await goOn(history)
      isOver = files.operations - before < call
      files.clearFaults()
      await finish(history, end)
      await reopenAndCheck(history, contextOf(history, call))
      assert.ok(!isOver || call > 40, 'the history makes many calls')
    }
  }
}

describe('a partition in which segments are rolled', () => {
  it('a power cut at each of its calls -> lookups by time miss nothing', async () => {
    await atEveryCall('crash', 'crash')
  })

  for (const kind of ['EIO', 'ENOSPC', 'short'] as const) {
    for (const end of ends) {
      it(`${kind} at each of its calls, and then a ${end} -> lookups by time miss nothing`, async () => {
        await atEveryCall(kind, end)
      })
    }
  }

  for (const kind of ['EIO', 'ENOSPC', 'crash'] as const) {
    it(`no time index was finished, and ${kind} at each call of the next opening -> they miss nothing`, async () => {
      for (let call = 1, isOver = false; !isOver; call++) {
        const history = await begun(call)
        const { files } = history
        files.failAt({
          operation: 1,
          kind: 'ENOSPC',
          on: 'truncate',
          path: /timeindex$/,
          sticky: true,
        })
        await goOn(history)
        assert.match(history.opened.told.join(), /finishing segment 0/)
        files.clearFaults()
        files.killProcess()
        const { recoveryPoint } = history
        files.failAt({ operation: call, kind })
        const before = files.operations
        const at = { files: files.currentProcess(), config, recoveryPoint, logStart: 0 }
        const opened = await openPartition(at).catch(() => null)
        await opened?.partition.segments.whenFinished()
        isOver = files.operations - before < call
        files.clearFaults()
        files.crash()
        await reopenAndCheck(history, contextOf(history, call))
      }
    })
  }
})

describe('a sealed segment below the recovery point, without a line', () => {
  /** What the next open makes of the indexes of the first of three segments. */
  async function indexed(change: (files: Files, times: Buffer) => Promise<void>): Promise<boolean> {
    const files = memoryFiles()
    await layDown(files, [batchesFrom(0, 20), batchesFrom(20, 20), batchesFrom(40, 5)])
    await change(files, get(files, pathOf(0, 'timeindex')))
    const { sealed, damage } = await recover(files, { checkpointedRecoveryPoint: 43 })
    assert.deepEqual([sealed.length, damage], [2, []])
    assert.equal(sealed[1]?.pendingIndexes, null)
    const times = sealed[0]?.pendingIndexes?.times
    if (times !== undefined) assert.equal(times.lastEntry?.offset, 19)
    return times !== undefined
  }

  async function entryCount(): Promise<number> {
    let count = 0
    await indexed(async (_, times) => {
      count = times.length / 12
    })
    return count
  }

  const putTimes = (files: Files, bytes: Buffer): Promise<void> =>
    put(files, pathOf(0, 'timeindex'), bytes)

  it('its index files are whole -> they stay', async () => {
    assert.equal(await indexed(async () => {}), false)
  })

  it('its time index ends before it, at whatever entry -> both are made anew', async () => {
    const count = await entryCount()
    assert.ok(count > 3)
    for (let kept = 0; kept < count; kept++) {
      const isMade = await indexed((files, times) => putTimes(files, times.subarray(0, kept * 12)))
      assert.ok(isMade, `${kept} entries`)
    }
  })

  it('its offset index ends before it -> both are made anew', async () => {
    const shorten = (files: Files): Promise<void> => {
      const path = pathOf(0, 'index')
      return put(files, path, get(files, path).subarray(0, 16))
    }
    assert.equal(await indexed(shorten), true)
  })

  it('an index file is malformed -> both are made anew', async () => {
    assert.equal(await indexed((files, times) => putTimes(files, times.subarray(1))), true)
  })

  it('one of its index files is missing -> both are made anew', async () => {
    for (const suffix of ['index', 'timeindex'] as const) {
      assert.equal(await indexed(files => files.remove(pathOf(0, suffix))), true)
    }
  })

  it('both are missing -> reads make them anew, and opening reads nothing', async () => {
    const isMade = indexed(async files => {
      await files.remove(pathOf(0, 'index'))
      await files.remove(pathOf(0, 'timeindex'))
    })
    assert.equal(await isMade, false)
  })

  it('it is damaged at its end -> the files say what they said', async () => {
    const isMade = indexed(async (files, times) => {
      await flip(files, pathOf(0), { position: (files.stat(pathOf(0))?.sizeBytes ?? 0) - 10 })
      await putTimes(files, times.subarray(0, 24))
    })
    assert.equal(await isMade, false)
  })
})

describe('a log that is closed with a time index that the disk had no room to finish', () => {
  it('every record is found by its time after the next open, and the index is whole', async () => {
    const files = faultyFiles({ seed: 1 })
    const clock = manualClock(5000)
    const options = { files, clock, ballastBytes: 0 }
    const log = await openLog('/log', options)
    const settings = { segmentBytes: 1024, indexIntervalBytes: 1 }
    const topic = await log.createTopic('orders', settings)
    for (let timestamp = 1; timestamp <= 4; timestamp++) {
      await topic.append({ value: 'x'.repeat(100), timestamp })
    }
    clock.advance(1000)
    await idle()
    const path = '/log/orders-0/00000000000000000000.timeindex'
    const saved = get(files, path)
    assert.ok(saved.length > 0)
    files.failAt({
      operation: 1,
      kind: 'ENOSPC',
      on: 'truncate',
      path: /0000.timeindex/,
      sticky: true,
    })
    for (let timestamp = 5; timestamp <= 12; timestamp++) {
      await topic.append({ value: 'x'.repeat(100), timestamp })
    }
    await log.close()
    files.clearFaults()
    const again = await openLog('/log', options)
    const partition = (await again.topic('orders')).partition(0)
    for (let timestamp = 1; timestamp <= 12; timestamp++) {
      assert.equal(await partition.offsetForTimestamp(timestamp), timestamp - 1)
    }
    await idle()
    assert.ok(get(files, path).length > saved.length)
    assert.deepEqual((await again.verify()).findings, [])
    await again.close()
  })
})
