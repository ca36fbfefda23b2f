/**
 * What opening many partitions must ask of the file system, and nothing else: the same calls on the same
 * files, with nothing made of what they say.
 */
import {
  closeSync,
  fstatSync,
  fsync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { diskUsage } from './disk-usage.ts'
import { measure } from './measure.ts'
import { fdatasyncOf } from './raw-files.ts'
import type { Context, Outcome } from './workload.ts'

/** Read whole for every partition, beside the indexes of its last segment. */
const smallFiles = ['partition.metadata', 'segments.manifest', 'leader-epoch-checkpoint']

const batchHeaderBytes = 61

/** Of the last segment, what is scanned and written again after a kill: a writer's last batch, and a bit. */
const tailBytes = 16 << 10

/** Partitions whose disk work is under way at the same time. */
const maxParallel = 8

const scratch = Buffer.allocUnsafeSlow(tailBytes)
const fsyncOf = promisify(fsync)

/**
 * The calls of an opening in the log directory: each partition is listed, its small files are read,
 * every segment's size is asked for, and the last one's end is read. With `isKilled` the tails are written
 * again in place and synced, as are the names in the directory.
 */
export async function bareOpen(
  context: Context,
  of: { readonly isKilled: boolean },
): Promise<Outcome> {
  const dir = join(context.preparedDir, 'log')
  const isPartition = (name: string): boolean => /-\d+$/.test(name)
  const { phase, value: partitions } = await measure(async () => {
    const found = readdirSync(dir).filter(isPartition)
    let next = 0
    const work = async (): Promise<void> => {
      for (let name = found[next++]; name !== undefined; name = found[next++]) {
        const partitionDir = `${dir}/${name}`
        const last = lookAt(partitionDir)
        if (of.isKilled) await writeTailAgain(partitionDir, last)
      }
    }
    await Promise.all(Array.from({ length: maxParallel }, work))
    return found.length
  })
  return {
    ...phase,
    records: partitions,
    bytes: of.isKilled ? partitions * tailBytes : 0,
    bytesOnDisk: diskUsage(dir),
    figures: { 'open, ms': phase.seconds * 1000 },
  }
}

/** Returns the path of the last segment. */
function lookAt(dir: string): string {
  const names = readdirSync(dir, { withFileTypes: true }).map(({ name }) => name)
  const segments = names.filter(name => name.endsWith('.log')).sort()
  for (const name of segments) statSync(`${dir}/${name}`)
  const last = `${dir}/${segments.at(-1)}`
  const indexes = names.filter(name => `${dir}/${name}`.startsWith(last.slice(0, -3)))
  for (const name of new Set([...smallFiles, ...indexes])) {
    if (name.endsWith('.log') || !names.includes(name)) continue
    const fd = openSync(`${dir}/${name}`, 'r')
    const count = readSync(fd, scratch)
    // The end of a file is known when nothing more comes.
    readSync(fd, scratch, 0, scratch.length - count, count)
    closeSync(fd)
  }
  const fd = openSync(last, 'r')
  readSync(fd, scratch, 0, batchHeaderBytes, 0)
  closeSync(fd)
  return last
}

async function writeTailAgain(dir: string, path: string): Promise<void> {
  const fd = openSync(path, 'r+')
  const position = Math.max(0, fstatSync(fd).size - tailBytes)
  const count = readSync(fd, scratch, 0, tailBytes, position)
  writeSync(fd, scratch, 0, count, position)
  await fdatasyncOf(fd)
  closeSync(fd)
  const directory = openSync(dir, 'r')
  await fsyncOf(directory)
  closeSync(directory)
}
