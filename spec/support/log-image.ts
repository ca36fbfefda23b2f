/** Directories of a log as images in memory, to be damaged and opened again and again. */
import assert from 'node:assert/strict'

import { CorruptRecordError } from '../../lib/errors.ts'
import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions, Partition } from '../../lib/types.ts'
import { put } from './log-files.ts'

/** Where the logs lie. */
export const imageDir = '/log'

/** Path to content; a directory ends in `/` and is empty. */
export type Image = ReadonlyMap<string, Buffer>

/** A batch that was appended. */
export interface AppendedBatch {
  readonly baseOffset: number
  readonly values: readonly string[]
  readonly endPosition: number
}

/** All files below the log's directory. */
export function imageOf(files: Files): Map<string, Buffer> {
  const image = new Map<string, Buffer>()
  const add = (dir: string): void => {
    for (const { name, isDirectory } of files.list(dir)) {
      const path = `${dir}/${name}`
      if (isDirectory) {
        image.set(`${path}/`, Buffer.alloc(0))
        add(path)
      } else image.set(path, files.readFile(path) ?? Buffer.alloc(0))
    }
  }
  add(imageDir)
  return image
}

/** A file system that holds the image, with some files changed; null is a file that is not there. */
export function filesOf(
  image: Image,
  changes: Readonly<Record<string, Buffer | null>> = {},
): Files {
  const files = memoryFiles()
  files.makeDirectory(imageDir)
  for (const [path, before] of image) {
    if (path.endsWith('/')) {
      files.makeDirectory(path.slice(0, -1))
      continue
    }
    const content = path in changes ? changes[path] : before
    if (content === null || content === undefined) continue
    const file = files.open(path, 'create')
    file.writeSync(content, 0)
    file.close()
  }
  return files
}

/** Lays the image into files that are empty, durably. */
export async function layImage(files: Files, image: Image): Promise<void> {
  const dirs = ['/', imageDir]
  files.makeDirectory(imageDir)
  for (const [path, content] of image) {
    if (path.endsWith('/')) {
      files.makeDirectory(path.slice(0, -1))
      dirs.push(path.slice(0, -1))
      continue
    }
    await put(files, path, content)
  }
  for (const dir of dirs) await files.syncDirectory(dir)
}

/** Opens the log in the files, on a clock that stands still. */
export function openImage(files: Files, options: OpenOptions = {}): Promise<Log> {
  return openLog(imageDir, { sweepIntervalMs: -1, ...options, files, clock: manualClock() })
}

/** What a partition gives to a reader that passes damage over. */
export interface ReadThrough {
  /** By offset. */
  readonly values: Map<number, string>
  /** Ranges that were reported as damaged. */
  readonly gaps: readonly (readonly [number, number])[]
}

/** Reads all of a partition, by chunks, and notes what is reported as damaged. */
export async function readThrough(partition: Partition): Promise<ReadThrough> {
  const values = new Map<number, string>()
  const gaps: (readonly [number, number])[] = []
  let from = partition.logStartOffset
  while (from < partition.highWatermark) {
    try {
      const { batches, nextOffset } = await partition.read({ from })
      for (const batch of batches) {
        for (const { offset, valueBytes } of batch) {
          if (offset >= from) values.set(offset, valueBytes?.toString('latin1') ?? '')
        }
      }
      assert.ok(nextOffset > from, `a read at ${from} led nowhere`)
      from = nextOffset
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      assert.ok(error.to > from, `damage at ${from} ends at ${error.to}`)
      gaps.push([from, error.to])
      from = error.to
    }
  }
  return { values, gaps }
}

/** An un-flushed log of one segment, and where its batches end. */
export interface CutImage {
  readonly image: Image
  readonly ends: readonly { readonly endPosition: number; readonly nextOffset: number }[]
}

/** Writes batches of many sizes, more than `sizeBytes`, and never flushes one of them. */
export async function makeCutImage(sizeBytes: number): Promise<CutImage> {
  const files = memoryFiles()
  const log = await openImage(files)
  const topic = await log.createTopic('orders', { flushRecords: -1, flushMs: -1 })
  const path = `${imageDir}/orders-0/00000000000000000000.log`
  const ends: { endPosition: number; nextOffset: number }[] = []
  let next = 0
  while ((ends.at(-1)?.endPosition ?? 0) <= sizeBytes) {
    const recordCount = 1 + (ends.length % 4)
    const records = Array.from({ length: recordCount }, () => ({
      value: `${next}|`.padEnd(20 + ((next++ * 37) % 300), 'v'),
    }))
    const { nextOffset } = await topic.partition(0).append(records, { acks: 'written' })
    ends.push({ endPosition: files.stat(path)?.sizeBytes ?? 0, nextOffset })
  }
  // The log is left as it is: closing it would flush.
  return { image: imageOf(files), ends }
}

/** A small log of several topics, partitions and segments. */
export interface SmallImage {
  /** `unmarked`: complete, but for the marker and the manifest that a clean close leaves last. */
  readonly kind: 'clean' | 'crashed' | 'unmarked'
  readonly image: Image
  /** By topic and partition, the values in order. */
  readonly values: ReadonlyMap<string, readonly (readonly string[])[]>
}

/** Makes it; all of it is flushed and checkpointed. */
export async function makeSmallImage(kind: SmallImage['kind']): Promise<SmallImage> {
  const files = memoryFiles()
  const log = await openImage(files)
  const values = new Map<string, string[][]>()
  for (const [name, partitions] of [
    ['orders', 2],
    ['audit', 1],
  ] as const) {
    const config = { partitions, segmentBytes: 1024, indexIntervalBytes: 200 }
    const topic = await log.createTopic(name, config)
    const all: string[][] = []
    for (const partition of topic.partitions) {
      const own: string[] = []
      for (let batch = 0; batch < 12; batch++) {
        const records = [0, 1].map(index => ({ value: `${name}${partition.id}-${batch}-${index}` }))
        await partition.append(records)
        own.push(...records.map(record => record.value))
      }
      all.push(own)
    }
    values.set(name, all)
  }
  const clean = async (): Promise<Image> => {
    await log.close()
    return imageOf(files)
  }
  if (kind === 'clean') return { kind, image: await clean(), values }
  if (kind === 'unmarked') {
    const all = [...(await clean())]
    const kept = all.filter(([path]) => !/cleanshutdown$|segments\.manifest$/.test(path))
    return { kind, image: new Map(kept), values }
  }
  const crashed = imageOf(files)
  // What a checkpoint in time would have written.
  const closed = await clean()
  for (const [path, content] of closed) {
    if (path.endsWith('-checkpoint') && !path.includes('leader')) crashed.set(path, content)
  }
  return { kind, image: crashed, values }
}
