/**
 * A segment that was begun and has nothing in it yet: its name is durable only when the directory has been
 * synced, and whoever made it may have come to no flush. A record in a file whose name goes with the
 * power is lost, however well it was synced.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import type { Log, Topic } from '../../lib/types.ts'
import { idle, valuesOf } from '../support/filling-disk.ts'
import { forEachSeed } from '../support/random.ts'

const dir = '/log'
const newSegment = '/log/orders-0/00000000000000000001.log'

interface Opened {
  readonly log: Log
  readonly topic: Topic
}

async function open(disk: FaultyFiles): Promise<Opened> {
  const log = await openLog(dir, { files: disk.currentProcess(), ballastBytes: 0 })
  // The second batch has no room in the first segment.
  return { log, topic: await log.topic('orders', { segmentBytes: 1024 }) }
}

/** A log that was closed cleanly, with one record. */
async function closedWithOne(disk: FaultyFiles): Promise<void> {
  const { log, topic } = await open(disk)
  await topic.append({ value: 'a'.repeat(900) })
  await log.close()
}

/** The disk has room for the name of a new segment, and for nothing in it. */
async function beginSegment({ topic }: Opened, disk: FaultyFiles): Promise<void> {
  disk.failAt({ operation: 1, kind: 'ENOSPC', on: 'write', path: /0001\.log$/ })
  await assert.rejects(topic.append({ value: 'b'.repeat(900) }), { code: 'DISK_FULL' })
  disk.clearFaults()
  assert.equal(disk.stat(newSegment)?.sizeBytes, 0)
}

async function assertKept(disk: FaultyFiles, letters: string): Promise<void> {
  disk.crash()
  const { log, topic } = await open(disk)
  const values = await valuesOf(topic)
  assert.equal(values.map(value => value[0]).join(''), letters)
  await log.close()
}

describe('a segment that was begun, and its first write found no room', () => {
  it('appended to by the next who opens the log, then a power cut -> the record is there', () =>
    forEachSeed(10, async (_, seed) => {
      const disk = faultyFiles({ seed })
      await closedWithOne(disk)
      const first = await open(disk)
      await beginSegment(first, disk)
      await first.log.close()
      const { topic } = await open(disk)
      await topic.append({ value: 'c'.repeat(900) })
      await assertKept(disk, 'ac')
    }))

  it('appended to by the same who began it, then a power cut -> the record is there', () =>
    forEachSeed(10, async (_, seed) => {
      const disk = faultyFiles({ seed })
      await closedWithOne(disk)
      const opened = await open(disk)
      await beginSegment(opened, disk)
      await idle()
      await opened.topic.append({ value: 'c'.repeat(900) })
      await assertKept(disk, 'ac')
    }))
})
