/** How many partitions of a log are flushed at the same time. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { heldFiles } from '../support/held-files.ts'

describe('flushes of several partitions', () => {
  for (const maxParallelFlushes of [1, 3]) {
    it(`maxParallelFlushes: ${maxParallelFlushes} -> no more syncs at once, the oldest waiter next`, async () => {
      const files = heldFiles(memoryFiles())
      const log = await openLog('/log', { files, maxParallelFlushes })
      const topic = await log.topic('orders', { partitions: 8 })
      files.hold('sync')
      const appends = topic.partitions.map(partition => partition.append({ value: 'x' }))
      const synced: string[] = []
      for (const _ of appends) {
        const { path, proceed } = await files.whenHeld('sync')
        for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
        assert.equal(files.held.length, Math.min(maxParallelFlushes, 8 - synced.length))
        synced.push(path)
        proceed()
      }
      await Promise.all(appends)
      const inOrder = topic.partitions.map(({ id }) => `/log/orders-${id}/${'0'.repeat(20)}.log`)
      assert.deepEqual(synced, inOrder)
      files.releaseAll()
      await log.close()
    })
  }
})
