/** What opening says about a log whose process was killed, and about what a torn write left behind. */
import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import { startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const segment = '00000000000000000000.log'

/** A log of 16 records of which 6 were flushed, left behind by a process that was killed. */
async function killedLog(test: TestContext): Promise<{ dir: string; log: Buffer; batch: Buffer }> {
  const dir = tempDir(test)
  const program = startProgram(test, ['unflushed', dir])
  assert.equal(await program.hear('written'), '6 16')
  await program.kill()
  const log = readFileSync(join(dir, 'orders-0', segment))
  return { dir, log, batch: log.subarray(log.length - log.length / 8) }
}

/** Opens and closes it, and gives what was heard meanwhile. */
async function reopen(dir: string) {
  const events: LogEvent[] = []
  const log = await openLog(dir, { onEvent: event => events.push(event) })
  const { logEndOffset } = (await log.topic('orders')).partition(0)
  await log.close()
  const { durationMs, ...report } = log.recovery
  assert(durationMs >= 0)
  assert.deepEqual(
    events.filter(({ type }) => type === 'recovered'),
    [{ type: 'recovered', report: log.recovery }],
  )
  return { report, logEndOffset, cuts: events.filter(({ type }) => type === 'tailCut') }
}

const nothingElse = { adoptedTopics: [], strayDirectories: [] }
const partition = { topic: 'orders', partition: 0 }

describe('opening after the process was killed', () => {
  it('records written and not flushed -> kept, and the report names their offsets', async t => {
    const { dir, log } = await killedLog(t)
    const { report, logEndOffset, cuts } = await reopen(dir)
    // From the last index entry on, which here is the beginning.
    const kept = { keptFrom: 6, keptTo: 16, scannedBytes: log.length }
    const cut = { cutBytes: 0, quarantinedBytes: 0, cutBatches: 0 }
    const partitions = [{ ...partition, ...kept, ...cut, damage: [] }]
    assert.deepEqual(report, { clean: false, partitions, ...nothingElse })
    assert.deepEqual([logEndOffset, cuts], [16, []])
    const again = await reopen(dir)
    assert.deepEqual(again.report, { clean: true, partitions: [], ...nothingElse })
  })

  it('half a batch at the end -> cut, kept aside byte for byte, and told', async t => {
    const { dir, batch } = await killedLog(t)
    const torn = batch.subarray(0, 50)
    appendFileSync(join(dir, 'orders-0', segment), torn)
    const { report, logEndOffset, cuts } = await reopen(dir)
    const [recovered] = report.partitions
    const facts = { cutBytes: 50, quarantinedBytes: 50, cutBatches: 0 }
    assert.deepEqual([{ ...recovered, ...facts }, logEndOffset], [recovered, 16])
    assert.deepEqual(cuts, [{ type: 'tailCut', ...partition, ...facts, from: 16, to: 16 }])
    const aside = readdirSync(join(dir, 'orders-0')).filter(name => name.endsWith('.quarantined'))
    assert.equal(aside.length, 1)
    assert.deepEqual(readFileSync(join(dir, 'orders-0', aside[0] ?? '')), torn)
  })

  it('whole batches behind a torn one -> cut with it, counted, and their end told', async t => {
    const { dir, batch } = await killedLog(t)
    const torn = Buffer.from(batch).fill(0xff, batch.length - 4)
    torn.writeBigInt64BE(16n, 0)
    const later = Buffer.from(batch)
    later.writeBigInt64BE(18n, 0)
    appendFileSync(join(dir, 'orders-0', segment), Buffer.concat([torn, later]))
    const { report, logEndOffset, cuts } = await reopen(dir)
    const [recovered] = report.partitions
    const cutBytes = 2 * batch.length
    const facts = { cutBytes, quarantinedBytes: cutBytes, cutBatches: 1 }
    assert.deepEqual([{ ...recovered, ...facts }, logEndOffset], [recovered, 16])
    assert.deepEqual(cuts, [{ type: 'tailCut', ...partition, ...facts, from: 16, to: 20 }])
  })
})
