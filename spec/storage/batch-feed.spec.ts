/** How the batches of a sealed segment are read for a compaction. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { baseOffsetAt } from '../../lib/record/batch-format.ts'
import { BatchFeed } from '../../lib/storage/batch-feed.ts'
import { FileHandles } from '../../lib/storage/file-handles.ts'
import { faultyFiles, memoryFiles } from '../../lib/testing/index.ts'
import { encodeBatch } from '../support/batches.ts'

const path = '/0.log'

const kibibyte = 1024

/** Values, of which no two fit into the 512 KiB that are read at once; one is larger than that. */
const sizes = [300, 300, 300, 300, 700, 300, 1, 300, 300, 300].map(size => size * kibibyte)

/** One batch for each value, one behind the other. */
function batches(): Buffer {
  return Buffer.concat(
    sizes.map((size, baseOffset) => encodeBatch([{ value: Buffer.alloc(size) }], { baseOffset })),
  )
}

async function feedOf(
  files: Files,
  content: Buffer,
): Promise<{ feed: BatchFeed; handles: FileHandles }> {
  const file = files.open(path, 'create')
  await file.write(content, 0)
  file.close()
  const handles = new FileHandles(files, 1)
  const { length } = content
  const nextOffset = sizes.length
  const feed = new BatchFeed(handles, { path, baseOffset: 0, nextOffset, sizeBytes: length })
  return { feed, handles }
}

/** Base offsets of all that is fed, chunk by chunk, and how it ends. */
async function feedAll(feed: BatchFeed): Promise<unknown[]> {
  const seen: unknown[] = []
  for (;;) {
    const chunk = await feed.next()
    if (typeof chunk === 'string') return [...seen, chunk]
    seen.push(chunk.positions.map(at => baseOffsetAt(chunk.buffer, at)))
  }
}

describe('BatchFeed', () => {
  it('several chunks, a batch larger than one among them -> every batch once and in order', async () => {
    const { feed } = await feedOf(memoryFiles(), batches())
    const seen = await feedAll(feed)
    assert.equal(seen.pop(), 'end')
    assert.ok(seen.length > 2, 'these are several chunks')
    assert.deepEqual(
      seen.flat(),
      sizes.map((_, offset) => offset),
    )
  })

  it('a chunk is worked on -> the next one is read meanwhile, and the chunk stays as it was', async () => {
    const files = faultyFiles({ seed: 1 })
    const { feed } = await feedOf(files, batches())
    const chunk = await feed.next()
    assert.ok(typeof chunk === 'object')
    const before = Buffer.from(chunk.buffer)
    const reads = files.trace.filter(call => call.includes('read ')).length
    await feed.stop()
    assert.ok(reads > 1, files.trace.join('\n'))
    assert.ok(chunk.buffer.equals(before))
  })

  it('what is read ahead fails -> the chunk before it is given, and the error with the next call', async () => {
    const files = faultyFiles({ seed: 1 })
    const { feed } = await feedOf(files, batches())
    files.failAt({ operation: 2, kind: 'EIO', on: 'read' })
    const chunk = await feed.next()
    assert.ok(typeof chunk === 'object')
    assert.deepEqual(
      chunk.positions.map(at => baseOffsetAt(chunk.buffer, at)),
      [0],
    )
    await assert.rejects(feed.next(), { code: 'STORAGE_FAILED' })
  })

  it('what is read ahead fails, and nobody asks for it -> nobody hears of it', async () => {
    const files = faultyFiles({ seed: 1 })
    const { feed } = await feedOf(files, batches())
    files.failAt({ operation: 2, kind: 'EIO', on: 'read' })
    await feed.next()
    await new Promise(resolve => setImmediate(resolve))
    await feed.stop()
  })

  it('stopped in the middle -> no file is held', async () => {
    const { feed, handles } = await feedOf(memoryFiles(), batches())
    await feed.next()
    assert.ok(!handles.hasRoom, 'it is being read')
    await feed.stop()
    assert.ok(handles.hasRoom)
  })

  it('a batch that fails its checksum -> damaged, behind all that is sound', async () => {
    const content = batches()
    content[content.length - 1] = 1
    const { feed } = await feedOf(memoryFiles(), content)
    const seen = await feedAll(feed)
    assert.equal(seen.at(-1), 'damaged')
    assert.equal(feed.reachedOffset, sizes.length - 1)
  })
})
