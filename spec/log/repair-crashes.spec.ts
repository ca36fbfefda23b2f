/**
 * A repair during which the power goes, a call fails or the disk is full, at each of its calls: every
 * good record is there afterwards, and another repair ends without a finding.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { LogError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files } from '../../lib/files/files.ts'
import { seeds } from '../support/random.ts'
import {
  appendBatches,
  fileOf,
  flipAt,
  logDir,
  openVerified,
  partitionDir,
  segmentBases,
  type VerifiedLog,
  valuesOf,
} from '../support/verified-log.ts'

/** Changes the file for good. */
async function damage(files: Files, path: string, edit: (bytes: Buffer) => Buffer): Promise<void> {
  const before = files.readFile(path)
  assert.ok(before !== null)
  const after = edit(Buffer.from(before))
  const file = files.open(path, 'write')
  file.truncate(after.length)
  file.writeSync(after, 0)
  await file.syncData()
  file.close()
}

/** Four segments; in one a batch is damaged, of another the indexes, and the epoch file. */
async function prepared(seed: number): Promise<VerifiedLog & { readonly files: FaultyFiles }> {
  const files = faultyFiles({ seed })
  const opened = await openVerified(files, {
    config: { segmentBytes: 1100, indexIntervalBytes: 100 },
  })
  await appendBatches(opened.topic, 16)
  await opened.log.close()
  const again = await openVerified(files)
  const [, second = 0, third = 0] = segmentBases(files)
  await damage(files, fileOf(second, 'log'), flipAt(-100))
  await damage(files, fileOf(third, 'index'), flipAt(7, 1))
  await damage(files, fileOf(third, 'timeindex'), () => Buffer.from('wrong'))
  await damage(files, `${partitionDir}/leader-epoch-checkpoint`, () => Buffer.from('0\n1\n3 0\n'))
  await damage(files, `${logDir}/recovery-point-offset-checkpoint`, flipAt(0))
  return { ...again, files }
}

/** What the process that lost power was about to do has failed by then. */
async function whenQuiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
}

function context(files: FaultyFiles, call: number): string {
  return `call ${call}, SEED=${files.seed}\n${files.trace.slice(-30).join('\n')}`
}

/** Opens what is left: every good record is there, and a repair leaves nothing. */
async function assertRepairable(
  files: FaultyFiles,
  expected: readonly string[],
  at: string,
): Promise<void> {
  const again = await openVerified(files)
  assert.deepEqual(await valuesOf(again.topic), expected, at)
  const report = await again.log.repair()
  assert.deepEqual(report.left, [], at)
  assert.deepEqual((await again.log.verify({ deep: true })).findings, [], at)
  assert.deepEqual(await valuesOf(again.topic), expected, at)
  assert.equal(report.gaps.length, 1, at)
  await again.log.close()
}

async function expectedValues(): Promise<readonly string[]> {
  const { topic } = await prepared(1)
  return await valuesOf(topic)
}

describe('log.repair() that is cut short', () => {
  it('by a power cut at each of its calls -> every good record is there, and it can be done again', async () => {
    const expected = await expectedValues()
    assert.equal(expected.length, 30)
    let calls = 0
    for (const seed of seeds(1)) {
      for (let call = 1, isDone = false; !isDone; call++) {
        const { files, log } = await prepared(seed * 1000 + call)
        files.failAt({ operation: call, kind: 'crash' })
        isDone = await log.repair().then(
          () => true,
          () => false,
        )
        await whenQuiet()
        files.clearFaults()
        if (isDone) files.crash()
        await assertRepairable(files, expected, context(files, call))
        calls = call
      }
    }
    assert.ok(calls > 100, `${calls} calls`)
  })

  it('by a power cut right after it -> all of it is done', async () => {
    const expected = await expectedValues()
    for (const seed of seeds(20)) {
      const { files, log } = await prepared(seed)
      assert.equal((await log.repair()).ok, true)
      files.crash()
      const again = await openVerified(files)
      const report = await again.log.verify({ deep: true })
      assert.deepEqual(report.findings, [], context(files, 0))
      assert.equal(report.gaps.length, 1, context(files, 0))
      assert.deepEqual(await valuesOf(again.topic), expected, context(files, 0))
      await again.log.close()
    }
  })

  it('by an error of each of its calls -> it rejects typed, and the next one does it', async () => {
    const expected = await expectedValues()
    for (let call = 1, isDone = false; !isDone; call++) {
      const { files, log, topic } = await prepared(call)
      files.failAt({ operation: call, kind: 'EIO' })
      const failure: unknown = await log.repair().then(
        () => null,
        (error: unknown) => error,
      )
      isDone = !files.trace.some(line => line.includes('-> EIO'))
      files.clearFaults()
      const at = context(files, call)
      if (failure !== null) assert.ok(failure instanceof LogError, at)
      const report = await log.repair()
      assert.deepEqual(report.left, [], at)
      assert.deepEqual(await valuesOf(topic), expected, at)
      files.crash()
      await assertRepairable(files, expected, at)
    }
  })

  it('for want of room at each of its writes -> nothing is lost, and the next one does it', async () => {
    const expected = await expectedValues()
    for (let call = 1, isDone = false; !isDone; call++) {
      const { files, log } = await prepared(call)
      files.failAt({ operation: call, kind: 'ENOSPC', on: 'write' })
      await log.repair().catch((error: unknown) => {
        assert.ok(error instanceof LogError, context(files, call))
      })
      isDone = !files.trace.some(line => line.includes('-> ENOSPC'))
      files.clearFaults()
      files.crash()
      await assertRepairable(files, expected, context(files, call))
    }
  })
})
