/**
 * What the machine can do without varve: the same bytes, through the fewest calls that could do the
 * job. Every workload runs one of these in turn with varve.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

import { allocatedBytes, diskUsage } from './disk-usage.ts'
import { measure } from './measure.ts'
import { seededBytes } from './payload.ts'
import { createFile, fdatasyncOf, readAt, writeAt } from './raw-files.ts'
import { LatencyRecorder } from './statistics.ts'
import { measureInStints } from './stints.ts'
import type { Context, Outcome } from './workload.ts'

const mebibyte = 1 << 20

/** Neither a page nor a part of one that anything is aligned to. */
const unalignedBytes = 1001

/** Of a file that is written over and over. */
const overwrittenBytes = mebibyte

/** How much the raw writer leaves to one fdatasync. */
const syncEveryBytes = 16 * mebibyte

/**
 * The raw ceiling: writes of 1 MiB one after another, an fdatasync alongside every 16 MiB. About
 * `warmUpBytes`, whole MiBs, are written the same way before the clock runs. With `isUnaligned` no write
 * begins at a multiple of 1 MiB, nor of a page, as a log's do: file systems with large folios then take
 * smaller pieces of memory.
 */
export async function rawWrite(
  context: Context,
  of: {
    readonly bytes: number
    readonly records: number
    readonly warmUpBytes: number
    /** @default false */
    readonly isUnaligned?: boolean
  },
): Promise<Outcome> {
  const { dir } = context
  const { bytes, records, isUnaligned = false } = of
  const buffer = seededBytes(mebibyte, 3)
  const fd = createFile(dir)
  const writeAll = async (totalBytes: number): Promise<void> => {
    let syncing: Promise<void> = Promise.resolve()
    let unsynced = 0
    for (let left = totalBytes; left > 0; left -= buffer.length) {
      const sizeBytes = Math.min(left, buffer.length)
      await writeAt(fd, sizeBytes === buffer.length ? buffer : buffer.subarray(0, sizeBytes))
      unsynced += sizeBytes
      if (unsynced >= syncEveryBytes) {
        await syncing
        syncing = fdatasyncOf(fd)
        unsynced = 0
      }
    }
    await syncing
    await fdatasyncOf(fd)
  }
  if (isUnaligned) await writeAt(fd, buffer.subarray(0, unalignedBytes))
  await writeAll(Math.round(of.warmUpBytes / mebibyte) * mebibyte)
  const usedBytes = diskUsage(dir)
  let left = bytes
  const units = { units: Math.ceil(bytes / mebibyte), unitBytes: mebibyte }
  const phase = await measureInStints(context, units, async writes => {
    const own = Math.min(left, writes * mebibyte)
    await writeAll(own)
    left -= own
  })
  closeSync(fd)
  return { ...phase, bytes, records, bytesOnDisk: diskUsage(dir) - usedBytes }
}

/** One record of the bare loop at a time: one `writeSync`, one awaited fdatasync; `close` at the end. */
export function bareAppends(
  dir: string,
  recordBytes: number,
): { append(): Promise<void>; close(): void } {
  const buffer = seededBytes(recordBytes, 3)
  const fd = createFile(dir)
  return {
    append() {
      writeSync(fd, buffer)
      return fdatasyncOf(fd)
    },
    close: () => closeSync(fd),
  }
}

/**
 * The same over blocks that the file has already, which a store has that writes into a file of pages: no
 * block is allocated and no size changes, so the sync need not wait for the journal. The sync blocks the
 * thread, as in a synchronous interface. At the end of the file it begins again.
 */
export function bareOverwrites(
  dir: string,
  recordBytes: number,
): { append(): Promise<void>; close(): void } {
  const buffer = seededBytes(recordBytes, 3)
  const fd = openSync(join(dir, 'overwritten'), 'wx+')
  writeSync(fd, Buffer.alloc(overwrittenBytes))
  fsyncSync(fd)
  let position = 0
  return {
    async append() {
      if (position + recordBytes > overwrittenBytes) position = 0
      writeSync(fd, buffer, 0, recordBytes, position)
      position += recordBytes
      fdatasyncSync(fd)
    },
    close: () => closeSync(fd),
  }
}

/** The bare loop of one record: one append, and again. */
export async function bareLoop(
  dir: string,
  of: {
    readonly recordBytes: number
    readonly records: number
    /** @default bareAppends */
    readonly open?: typeof bareAppends
  },
): Promise<Outcome> {
  const bare = (of.open ?? bareAppends)(dir, of.recordBytes)
  const latencies = new LatencyRecorder(of.records)
  const { phase } = await measure(async () => {
    for (let record = 0; record < of.records; record++) {
      const start = performance.now()
      await bare.append()
      latencies.add(performance.now() - start)
    }
  })
  bare.close()
  return {
    ...phase,
    records: of.records,
    bytes: of.records * of.recordBytes,
    bytesOnDisk: diskUsage(dir),
    latency: latencies.summary(),
  }
}

/**
 * Raw read: 1 MiB at a time, one read after another, into one buffer, or into `fresh` memory each
 * time as a reader must do whose buffers stay valid. As with the readers of varve, the second pass counts.
 */
export async function rawRead(
  paths: readonly string[],
  of: { readonly records: number; readonly memory: 'reused' | 'fresh' },
): Promise<Outcome> {
  const buffer = Buffer.allocUnsafeSlow(mebibyte)
  const pass = async (): Promise<number> => {
    let total = 0
    for (const path of paths) {
      const fd = openSync(path, 'r')
      const sizeBytes = statSync(path).size
      let position = 0
      while (position < sizeBytes) {
        const target = of.memory === 'reused' ? buffer : Buffer.allocUnsafeSlow(mebibyte)
        position += await readAt(fd, target, position)
      }
      total += position
      closeSync(fd)
    }
    return total
  }
  await pass()
  const { phase, value: bytes } = await measure(pass)
  return { ...phase, records: of.records, bytes, bytesOnDisk: allocatedBytes(paths) }
}

/** Batches of `sizeBytes` each, chosen by number across all the files, each by one `readSync`. */
export async function bareRandomReads(
  paths: readonly string[],
  of: { readonly batches: readonly number[]; readonly sizeBytes: number },
): Promise<Outcome> {
  const { batches, sizeBytes } = of
  const files = paths.map(path => ({
    fd: openSync(path, 'r'),
    count: statSync(path).size / sizeBytes,
  }))
  const placeOf = (batch: number): { fd: number; position: number } => {
    let index = batch
    for (const { fd, count } of files) {
      if (index < count) return { fd, position: index * sizeBytes }
      index -= count
    }
    throw new Error(`there is no batch ${batch}`)
  }
  const places = batches.map(placeOf)
  const latencies = new LatencyRecorder(batches.length)
  const { phase, value: bytes } = await measure(async () => {
    let total = 0
    for (const { fd, position } of places) {
      const start = performance.now()
      total += readSync(fd, Buffer.allocUnsafe(sizeBytes), 0, sizeBytes, position)
      latencies.add(performance.now() - start)
    }
    return total
  })
  for (const { fd } of files) closeSync(fd)
  if (bytes !== batches.length * sizeBytes)
    throw new Error('batches are not where they were thought')
  const bytesOnDisk = allocatedBytes(paths)
  return { ...phase, records: batches.length, bytes, bytesOnDisk, latency: latencies.summary() }
}
