/**
 * A compaction that is cut short by a power cut, or fails, at each of its I/O calls. What was not
 * synced may survive or not. Whichever segments are found afterwards, the old or the new: the last
 * record of every key is there, nothing is there that was not appended, and offsets are as they were.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FaultKind } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import {
  assertCompacted,
  assertGapless,
  compact,
  type KnownRecord,
  readRecords,
  swapNames,
  wholePartition,
} from '../support/compaction.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'
import { SeededRandom, seeds } from '../support/random.ts'

const config = { segmentBytes: 700, indexIntervalBytes: 100 }

interface Prepared {
  readonly files: FaultyFiles
  readonly opened: TestPartition
  readonly appended: readonly KnownRecord[]
}

/** Five small segments and an empty one, with tombstones of which some have come of age. */
async function prepare(seed: number): Promise<Prepared> {
  const files = faultyFiles({ seed })
  const random = new SeededRandom(seed)
  const opened = await openPartition({ files: files.currentProcess(), config })
  const appended: KnownRecord[] = []
  const { partition, clock } = opened
  const append = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      const key = random.chance(0.1) ? null : `k${random.below(6)}`
      const value = key !== null && random.chance(0.2) ? null : `v${left}${'.'.repeat(40)}`
      const result = await partition.append({ key, value }, durable)
      appended.push({ offset: result.baseOffset, key, value, timestamp: result.timestamp })
    }
  }
  await append(12)
  await compact(partition)
  await append(14)
  await partition.roll()
  clock.advance(5000)
  await files.syncDirectory('.')
  return { files, opened, appended }
}

/** Compacts without rolling first: every call that is counted is the compaction's. */
async function run({ opened }: Prepared): Promise<Error | null> {
  const signal = new AbortController().signal
  return opened.partition.compact(wholePartition, signal).then(
    () => null,
    (error: Error) => error,
  )
}

async function reopenAndCheck(prepared: Prepared, context: string): Promise<void> {
  const { files, appended } = prepared
  const reopened = await openPartition({
    files: files.currentProcess(),
    config,
    recoveryPoint: appended.length,
    logStart: 0,
  })
  const { partition } = reopened
  assert.equal(partition.state, 'ok', context)
  assert.equal(partition.logEndOffset, appended.length, context)
  assertCompacted(await readRecords(partition), appended, context)
  assert.deepEqual(swapNames(files, reopened.dir), [], context)
  assertGapless(files, reopened.dir, context)
  const { skipped } = await compact(partition)
  assert.equal(skipped, null, context)
  assertCompacted(await readRecords(partition), appended, context)
  await partition.close()
}

function contextOf({ files }: Prepared, call: number): string {
  return `call ${call}, seed ${files.seed}\n${files.trace.join('\n')}`
}

async function atEveryCall(
  kind: FaultKind,
  seed: number,
  check: (prepared: Prepared, context: string) => Promise<void>,
): Promise<number> {
  for (let call = 1; ; call++) {
    const prepared = await prepare(seed * 1000 + call)
    prepared.files.failAt({ operation: call, kind, ...(kind === 'short' ? { on: 'write' } : {}) })
    const before = prepared.files.operations
    const failure = await run(prepared)
    const isOver = prepared.files.operations - before < call
    prepared.files.clearFaults()
    await check(prepared, contextOf(prepared, call))
    if (isOver && failure === null) return call
  }
}

describe('A compaction', () => {
  it('a power cut at each of its calls -> the old segments or the new ones', async () => {
    for (const seed of seeds(2)) {
      const calls = await atEveryCall('crash', seed, async (prepared, context) => {
        if (prepared.files.crashes === 0) prepared.files.crash()
        await reopenAndCheck(prepared, context)
      })
      assert.ok(calls > 50, 'a compaction makes many calls')
    }
  })

  it('a power cut at one of its calls and another while that is recovered -> the old segments or the new ones', async () => {
    for (const seed of seeds(60)) {
      const random = new SeededRandom(seed)
      const prepared = await prepare(seed)
      const { files, appended } = prepared
      files.failAt({ operation: 1 + random.below(160), kind: 'crash' })
      await run(prepared)
      files.clearFaults()
      if (files.crashes === 0) files.crash()
      files.failAt({ operation: 1 + random.below(60), kind: 'crash' })
      const at = { files: files.currentProcess(), config, recoveryPoint: appended.length }
      await openPartition(at).catch(() => {})
      files.clearFaults()
      files.crash()
      await reopenAndCheck(prepared, contextOf(prepared, 0))
    }
  })

  for (const kind of ['EIO', 'ENOSPC', 'EMFILE', 'short'] as const) {
    it(`${kind} at each of its calls -> the log goes on with all that it must hold, and so does the next open`, async () => {
      await atEveryCall(kind, 1, async (prepared, context) => {
        const { opened, appended, files } = prepared
        assertCompacted(await readRecords(opened.partition), appended, context)
        assert.equal(opened.partition.state, 'ok', context)
        const more = { key: 'more', value: 'more' }
        const { baseOffset, timestamp } = await opened.partition.append(more, durable)
        const all = [...appended, { ...more, offset: baseOffset, timestamp }]
        files.crash()
        await reopenAndCheck({ ...prepared, appended: all }, context)
      })
    })
  }
})
