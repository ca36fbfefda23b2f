/**
 * The power goes during or after a compaction that nothing else has prepared for: no timer has run, no
 * checkpoint was due. The clock stands still, so whatever is on the disk the compaction has put there.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { openLog } from '../../lib/open.ts'
import { type FaultyFiles, faultyFiles, manualClock } from '../../lib/testing/index.ts'
import type { Log, Topic } from '../../lib/types.ts'

const rounds = 40

async function openTable(files: FaultyFiles): Promise<{ log: Log; topic: Topic }> {
  const shared = { compactionBytesPerSecond: -1, sweepIntervalMs: -1, clock: manualClock() }
  const log = await openLog('/log', { files: files.currentProcess(), ...shared })
  const topic = await log.topic('table', { cleanupPolicy: 'compact', segmentBytes: 2048 })
  return { log, topic }
}

/** A table whose keys have been written over and over. */
async function filled(seed: number): Promise<{ files: FaultyFiles; topic: Topic }> {
  const files = faultyFiles({ seed })
  const { topic } = await openTable(files)
  await fill(topic)
  return { files, topic }
}

async function fill(topic: Topic): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await topic.append(['a', 'b', 'c'].map(key => ({ key, value: `${round}${'x'.repeat(60)}` })))
  }
}

/** Every key has its last value after the power was gone, and nothing is damaged. */
async function assertWhole(files: FaultyFiles, what: string): Promise<void> {
  const { log, topic } = await openTable(files)
  const latest = new Map<string, number>()
  for await (const { keyBytes, valueBytes } of topic.records()) {
    latest.set(`${keyBytes}`, Number.parseInt(`${valueBytes}`, 10))
  }
  assert.deepEqual([...latest.values()], [rounds - 1, rounds - 1, rounds - 1], what)
  const [partition] = (await topic.describe()).partitions
  assert.equal(partition?.logEndOffset, 3 * rounds, what)
  assert.equal(partition?.state, 'ok', what)
  const { findings } = await log.verify()
  // Index files that were not there yet are made anew where somebody reads.
  const damage = findings.filter(({ type }) => type !== 'index' && type !== 'time-index')
  assert.deepEqual(damage, [], what)
  await log.close()
}

describe('a compacted topic after power loss', () => {
  it('the compaction was over -> every key has its last value, and the log ends where it ended', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { files, topic } = await filled(seed)
      await topic.compact()
      files.crash()
      await assertWhole(files, `seed ${seed}`)
    }
  })

  it('at any call of the compaction -> the same', async () => {
    let isOver = false
    for (let operation = 1; !isOver; operation += 3) {
      const { files, topic } = await filled(operation)
      files.failAt({ operation, kind: 'crash' })
      isOver = await topic.compact().then(
        () => true,
        () => false,
      )
      if (isOver) files.crash()
      files.clearFaults()
      await assertWhole(files, `operation ${operation}`)
    }
  })

  it('how far the log is flushed could not be saved -> nothing is compacted, and all is there', async () => {
    const files = faultyFiles({ seed: 1 })
    const { topic } = await openTable(files)
    files.failAt({ operation: 1, kind: 'EIO', sticky: true, path: /recovery-point-offset/ })
    await fill(topic)
    await assert.rejects(topic.compact(), StorageError)
    files.crash()
    files.clearFaults()
    await assertWhole(files, 'without a checkpoint')
  })
})
