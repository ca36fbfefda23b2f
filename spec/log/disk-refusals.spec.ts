/** Disks that refuse writes although they say that space is free: used-up quotas and inodes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { DiskFullError } from '../../lib/errors.ts'
import type { FaultKind, FaultyOperation } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import type { OpenOptions } from '../../lib/types.ts'
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

describe('a file system that refuses although it says that space is free', () => {
  interface Refusing extends Filling {
    readonly disk: FaultyFiles
    /** From now on no byte is written and no file is made, for the log of topics of users and the probe. */
    refuse(kind: FaultKind): void
  }

  /** Time enough to write the probe and the ballast, piece by piece. */
  async function tried(): Promise<void> {
    for (let count = 0; count < 40; count++) await idle()
  }

  async function openRefusing(options: OpenOptions = {}): Promise<Refusing> {
    const disk = faultyFiles({ seed: 1 })
    const filling = await openFilling(options, disk.currentProcess())
    await filling.topic.append({ value: 'before' })
    const on: readonly FaultyOperation[] = ['write', 'open']
    const refuse = (kind: FaultKind): void =>
      disk.failAt({ operation: 1, kind, on, sticky: true, path: /orders-0.*log$|probe|ballast/ })
    return { ...filling, disk, refuse }
  }

  for (const kind of ['EDQUOT', 'ENOSPC'] as const) {
    it(`${kind} -> read-only with the reason and the cause, and ok by the next append when there is room`, async () => {
      const { log, topic, events, disk, refuse } = await openRefusing()
      refuse(kind)
      await assert.rejects(topic.append({ value: 'x' }), { code: 'DISK_FULL' })
      await tried()
      assert.equal(log.state, 'read-only')
      const other = await log.topic('orders')
      await assert.rejects(other.append({ value: 'x' }), (error: DiskFullError) => {
        assert.deepEqual([error.reason, error.outcome], ['no-space', 'not-written'])
        assert.equal((error.cause as { code?: string }).code, kind)
        return true
      })
      await assert.rejects(log.createTopic('more'), { code: 'DISK_FULL' })
      assert.deepEqual(await valuesOf(topic), ['before'])
      disk.clearFaults()
      await topic.append({ value: 'after' })
      assert.equal(log.state, 'ok')
      assert.deepEqual(statesOf(events), ['read-only disk-space', 'ok'])
      assert.deepEqual(await valuesOf(topic), ['before', 'after'])
      assert.equal(disk.stat('/log/.ballast.probe'), null)
      await log.close()
    })
  }

  it('there is room again and nobody appends -> ok after a few seconds', async () => {
    const { log, topic, clock, disk, refuse } = await openRefusing()
    refuse('EDQUOT')
    await assert.rejects(topic.append({ value: 'x' }))
    await tried()
    clock.advance(5000)
    await tried()
    assert.equal(log.state, 'read-only')
    disk.clearFaults()
    clock.advance(5000)
    await tried()
    assert.equal(log.state, 'ok')
    await log.close()
  })

  it('the want is over when it is tried -> the log never was read-only', async () => {
    const { log, topic, events, disk } = await openRefusing()
    disk.failAt({ operation: 1, kind: 'EDQUOT', on: 'write', path: /orders-0.*log$/ })
    await assert.rejects(topic.append({ value: 'x' }), { code: 'DISK_FULL' })
    await tried()
    assert.deepEqual(statesOf(events), [])
    await topic.append({ value: 'after' })
    await log.close()
  })

  it('a limit on the size of one file -> the other topics are no worse for it', async () => {
    const { log, topic, disk } = await openRefusing()
    const other = await log.createTopic('other')
    disk.failAt({ operation: 1, kind: 'EFBIG', on: 'write', path: /orders-0|probe/, sticky: true })
    await assert.rejects(topic.append({ value: 'x' }), { code: 'DISK_FULL' })
    await tried()
    assert.equal(log.state, 'ok')
    await other.append({ value: 'y' })
    disk.clearFaults()
    await log.close()
  })

  it('a checkpoint or a new topic finds no room -> read-only as well', async () => {
    for (const path of [/checkpoint|probe|ballast/, /more-0|probe|ballast/]) {
      const { log, clock, disk } = await openRefusing()
      const on: readonly FaultyOperation[] = ['write', 'open', 'makeDirectory']
      disk.failAt({ operation: 1, kind: 'ENOSPC', on, sticky: true, path })
      await log.createTopic('more').catch(() => {})
      clock.advance(1000)
      await tried()
      clock.advance(5000)
      await tried()
      assert.equal(log.state, 'read-only', String(path))
      disk.clearFaults()
      clock.advance(5000)
      await tried()
      assert.equal(log.state, 'ok', String(path))
      await log.close()
    }
  })

  it('when the log is opened -> read-only at once', async () => {
    const disk = faultyFiles({ seed: 1 })
    disk.failAt({ operation: 1, kind: 'EDQUOT', on: 'write', sticky: true, path: /ballast/ })
    const log = await assertOpensFull(diskWithFree(1000 * mib, disk.currentProcess()))
    disk.clearFaults()
    await log.close()
  })

  it('the power goes while it is tried -> the next opening leaves nothing of that', async () => {
    const { topic, disk } = await openRefusing()
    disk.failAt({ operation: 1, kind: 'EDQUOT', on: 'write', path: /orders-0.*log$/ })
    disk.failAt({ operation: 1, kind: 'crash', on: 'remove', path: /probe/ })
    await assert.rejects(topic.append({ value: 'x' }))
    await tried()
    assert.equal(disk.crashes, 1)
    disk.clearFaults()
    const again = await openLog('/log', { files: disk.currentProcess() })
    assert.equal(disk.stat('/log/.ballast.probe'), null)
    assert.deepEqual(again.recovery.adoptedTopics, [])
    await again.close()
  })
})
