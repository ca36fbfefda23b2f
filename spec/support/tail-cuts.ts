/** Logs whose files are cut at every byte, and what must be left of them. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

import type { AppendResult, OpenOptions, Partition } from '../../lib/types.ts'
import {
  filesOf,
  type Image,
  imageDir,
  makeCutImage,
  makeSmallImage,
  openImage,
  readThrough,
  type SmallImage,
} from './log-image.ts'

const segmentPath = `${imageDir}/orders-0/00000000000000000000.log`

/** Cuts the only segment of an un-flushed log; gives the number of cuts. */
export async function cutTails(of: {
  readonly denseBytes: number
  readonly step: number
}): Promise<number> {
  const { image, ends } = await makeCutImage(64 << 10)
  const whole = image.get(segmentPath)
  assert.ok(whole !== undefined && whole.length > 64 << 10)
  let cuts = 0
  let known = 0
  for (let size = 0; size <= 64 << 10; size += size < of.denseBytes ? 1 : of.step) {
    while ((ends[known]?.endPosition ?? Number.POSITIVE_INFINITY) <= size) known++
    const expectedEnd = ends[known - 1]?.nextOffset ?? 0
    try {
      await checkCut(image, whole.subarray(0, size), { expectedEnd, goesOn: size % 16 === 0 })
    } catch (error) {
      throw new Error(`cut at ${size}\n${inspect(error)}`, { cause: error })
    }
    cuts++
  }
  return cuts
}

async function checkCut(
  image: Image,
  segment: Buffer,
  at: { readonly expectedEnd: number; readonly goesOn: boolean },
): Promise<void> {
  const { expectedEnd, goesOn } = at
  const files = filesOf(image, { [segmentPath]: segment })
  const log = await openImage(files)
  const partition = (await log.topic('orders')).partition(0)
  assert.equal(partition.logEndOffset, expectedEnd)
  assert.equal(log.recovery.partitions[0]?.damage.length ?? 0, 0)
  // That opening found the right end is said for every cut, what comes of it for some.
  if (!goesOn) return
  const { baseOffset } = await appendOne(partition)
  assert.equal(baseOffset, expectedEnd)
  const from = segment.length % 512 === 0 ? 0 : Math.max(0, expectedEnd - 2)
  for await (const { offset, valueBytes } of partition.records({ from })) {
    const value = valueBytes?.toString() ?? ''
    assert.ok(value.startsWith(offset === expectedEnd ? 'behind the cut' : `${offset}|`))
  }
  await log.close()
}

/** Appends to a log that flushes only when it is told to. */
async function appendOne(partition: Partition): Promise<AppendResult> {
  const appended = partition.append({ value: 'behind the cut' })
  await partition.flush()
  return await appended
}

/** Cuts an un-flushed log of which the checkpoint says that all of it was flushed. */
export async function cutBelowRecoveryPoint(step: number): Promise<number> {
  const { image, ends } = await makeCutImage(16 << 10)
  const whole = image.get(segmentPath) ?? Buffer.alloc(0)
  const end = ends.at(-1)?.nextOffset ?? 0
  const checkpoint = Buffer.from(`0\n1\norders 0 ${end}\n`)
  let cuts = 0
  for (let size = 0; size < whole.length; size += step) {
    const kept = ends.findLast(it => it.endPosition <= size)?.nextOffset ?? 0
    const log = await openImage(
      filesOf(image, {
        [segmentPath]: whole.subarray(0, size),
        [`${imageDir}/recovery-point-offset-checkpoint`]: checkpoint,
      }),
    )
    const partition = (await log.topic('orders')).partition(0)
    assert.equal(partition.state, 'damaged', `cut at ${size}`)
    assert.equal(partition.logEndOffset, end, `cut at ${size}`)
    const { values, gaps } = await readThrough(partition)
    assert.equal(values.size, kept, `cut at ${size}`)
    assert.deepEqual(gaps, [[kept, end]], `cut at ${size}`)
    assert.equal((await appendOne(partition)).baseOffset, end, `cut at ${size}`)
    await log.close()
    cuts++
  }
  return cuts
}

/** Cuts every file but the segments, at every byte that says something; gives the number of cuts. */
export async function cutEverySideFile(kind: SmallImage['kind']): Promise<number> {
  const small = await makeSmallImage(kind)
  let cuts = 0
  for (const [path, content] of small.image) {
    if (path.endsWith('.log') || path.endsWith('/')) continue
    for (let size = -1; size < content.length; size++) {
      // Between the header of the slots and the first of them are zeros.
      if (path.endsWith('visible.slots') && size > 130 && size < 4090 && size % 97 !== 0) continue
      const change = size < 0 ? null : content.subarray(0, size)
      await checkSmall(small, { [path]: change }, `${path} cut at ${size}`)
      cuts++
    }
  }
  return cuts
}

/** A read from inside a segment goes by its index; one from the beginning never looks at it. */
async function checkLookups(partition: Partition, values: readonly string[]): Promise<void> {
  for (const [offset, value] of values.entries()) {
    const { batches } = await partition.read({ from: offset, maxBytes: 1 })
    const record = [...(batches[0] ?? [])].find(it => it.offset === offset)
    assert.equal(record?.valueBytes?.toString(), value, `a read from ${offset}`)
  }
}

/** Opens the small log with changed side files: every record must be there, and the log go on. */
export async function checkSmall(
  small: SmallImage,
  changes: Readonly<Record<string, Buffer | null>>,
  what: string,
  options: OpenOptions = {},
): Promise<void> {
  const files = filesOf(small.image, changes)
  try {
    for (const opening of [1, 2]) {
      const log = await openImage(files, options)
      assert.deepEqual(log.recovery.strayDirectories, [])
      for (const [name, partitions] of small.values) {
        const topic = await log.topic(name, { create: false })
        assert.equal(topic.partitions.length, partitions.length)
        for (const [id, values] of partitions.entries()) {
          const partition = topic.partition(id)
          const found = await readThrough(partition)
          const extra = id === 0 ? opening - 1 : 0
          // Kafka's form has no checksum: a number that is too high costs offsets, never records.
          const mayLead = Object.keys(changes).some(path => path.includes('recovery-point'))
          for (const [from] of found.gaps) assert.ok(mayLead && from >= values.length)
          assert.deepEqual([...found.values.values()].slice(0, values.length), values)
          assert.equal(found.values.size, values.length + extra)
          for (const [offset] of values.entries()) assert.ok(found.values.has(offset))
          await checkLookups(partition, values)
        }
        await topic.partition(0).append({ value: 'more' })
      }
      await log.close()
    }
  } catch (error) {
    throw new Error(`${what}, ${small.kind}\n${inspect(error)}`, { cause: error })
  }
}
