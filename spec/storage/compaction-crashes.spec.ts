/**
 * A compaction that is cut short by a power cut, or fails, at each of its I/O calls. What was not
 * synced may survive or not. Whichever segments are found afterwards, the old or the new: the last
 * record of every key is there, nothing is there that was not appended, and offsets are as they were.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FaultKind } from '../../lib/files/fault-plan.ts'
import { assertCompacted, readRecords } from '../support/compaction.ts'
import {
  contextOf,
  type Prepared,
  prepare,
  reopenAndCheck,
  run,
  smallSegments,
} from '../support/compaction-crashes.ts'
import { durable, openPartition } from '../support/open-partition.ts'
import { SeededRandom, seeds } from '../support/random.ts'

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
      const at = {
        files: files.currentProcess(),
        config: smallSegments,
        recoveryPoint: appended.length,
      }
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
