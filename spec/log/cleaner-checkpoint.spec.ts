/** The checkpoint of compaction: what it says after it was written, lost, damaged, or made for another topic. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { faultyFiles } from '../../lib/files/faulty-files.ts'
import { CleanerCheckpoint } from '../../lib/log/cleaner-checkpoint.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import { type Files, memoryFiles } from '../../lib/testing/index.ts'
import { get, put } from '../support/log-files.ts'

const path = 'log/cleaner-offset-checkpoint'
const orders = { topic: 'orders', partition: 1 }

function open(files: Files): CleanerCheckpoint {
  if (files.stat('log') === null) files.makeDirectory('log')
  return new CleanerCheckpoint({ files, room: new DiskRoom(files), dir: 'log' })
}

describe('CleanerCheckpoint', () => {
  it('set -> in the file, in the form that Kafka writes, and known when it is opened again', async () => {
    const files = memoryFiles()
    await open(files).set(orders, 42)
    assert.equal(get(files, path).toString(), '0\n1\norders 1 42\n')
    assert.equal(open(files).firstDirtyOffset(orders), 42)
    assert.equal(open(files).firstDirtyOffset({ topic: 'orders', partition: 0 }), 0)
  })

  it('two at the same time -> both are in the file', async () => {
    const files = memoryFiles()
    const checkpoint = open(files)
    await Promise.all([checkpoint.set(orders, 1), checkpoint.set({ topic: 'b', partition: 0 }, 2)])
    assert.equal(get(files, path).toString(), '0\n2\norders 1 1\nb 0 2\n')
  })

  it('a file that makes no sense -> nothing is known', async () => {
    const files = memoryFiles()
    files.makeDirectory('log')
    await put(files, path, Buffer.from('0\n1\norders 1'))
    assert.equal(open(files).firstDirtyOffset(orders), 0)
  })

  it('lowered -> down durably when it resolves; what lies below already stays', async () => {
    const disk = faultyFiles({ seed: 1 })
    const checkpoint = open(disk.currentProcess())
    await disk.syncDirectory('.')
    await checkpoint.set(orders, 42)
    disk.failAt({ operation: 1, kind: 'EIO', on: 'rename' })
    await assert.rejects(checkpoint.lower(orders, 7))
    await checkpoint.lower(orders, 7)
    await checkpoint.lower(orders, 9)
    assert.equal(checkpoint.firstDirtyOffset(orders), 7)
    disk.crash()
    assert.equal(open(disk.currentProcess()).firstDirtyOffset(orders), 7)
  })

  it('a topic is forgotten -> its lines are gone, and those of the others stay', async () => {
    const files = memoryFiles()
    const checkpoint = open(files)
    await checkpoint.set(orders, 7)
    await checkpoint.set({ topic: 'orders-1', partition: 1 }, 8)
    await checkpoint.forget('orders')
    assert.equal(checkpoint.firstDirtyOffset(orders), 0)
    assert.equal(get(files, path).toString(), '0\n1\norders-1 1 8\n')
    await checkpoint.keepOnly(new Set(['orders-1']))
    assert.equal(checkpoint.firstDirtyOffset({ topic: 'orders-1', partition: 1 }), 8)
    await checkpoint.keepOnly(new Set())
    assert.equal(get(files, path).toString(), '0\n0\n')
  })

  it('a power cut at each call of a write -> the old offset or the new one', async () => {
    for (let call = 1, isOver = false; !isOver; call++) {
      const disk = faultyFiles({ seed: call })
      await open(disk).set(orders, 5)
      await disk.syncDirectory('.')
      const checkpoint = open(disk.currentProcess())
      disk.failAt({ operation: call, kind: 'crash' })
      isOver = await checkpoint.set(orders, 9).then(
        () => true,
        () => false,
      )
      disk.clearFaults()
      disk.crash()
      const found = open(disk).firstDirtyOffset(orders)
      assert.ok(found === 9 || (!isOver && found === 5), `call ${call}: ${found}`)
    }
  })
})
