/** A log of several segments in memory, whose files are changed behind its back. */

import type { LogEvent } from '../../lib/events.ts'
import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { segmentFileName } from '../../lib/storage/topic-name.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions, Topic, TopicConfig } from '../../lib/types.ts'

/** Where the log lies, and its only partition. */
export const logDir = '/log'
export const partitionDir = '/log/orders-0'

/** An open log and what it has told. */
export interface VerifiedLog {
  readonly files: Files
  readonly log: Log
  readonly topic: Topic
  readonly clock: ManualClock
  readonly events: LogEvent[]
}

/** Small segments and many index entries. */
export const smallSegments: TopicConfig = { segmentBytes: 2048, indexIntervalBytes: 200 }

/** Opens the log in `files`; the topic is made when it is not there. */
export async function openVerified(
  files: Files = memoryFiles(),
  options: OpenOptions & { readonly config?: TopicConfig } = {},
): Promise<VerifiedLog> {
  const { config = smallSegments, ...open } = options
  const clock = manualClock()
  const events: LogEvent[] = []
  const log = await openLog(logDir, {
    sweepIntervalMs: -1,
    onEvent: event => events.push(event),
    files,
    clock,
    ...open,
  })
  const topic = await log.topic('orders', open.readOnly === true ? {} : config)
  return { files, log, topic, clock, events }
}

/** Appends `count` batches of two records with rising timestamps, one after the other. */
export async function appendBatches(topic: Topic, count: number): Promise<void> {
  const partition = topic.partition(0)
  for (let index = 0; index < count; index++) {
    const first = partition.logEndOffset
    await partition.append(
      [first, first + 1].map(offset => ({
        key: `k${offset % 7}`,
        value: `${offset}|`.padEnd(90, 'v'),
        headers: { h: 'header' },
        timestamp: 1_700_000_000_000 + offset,
      })),
    )
  }
}

/** Path of a segment's file. */
export function fileOf(baseOffset: number, suffix: 'log' | 'index' | 'timeindex'): string {
  return `${partitionDir}/${segmentFileName(baseOffset, suffix)}`
}

/** Base offsets of the segments, ascending. */
export function segmentBases(files: Files): number[] {
  return files
    .list(partitionDir)
    .flatMap(({ name }) => (name.endsWith('.log') ? [Number(name.slice(0, 20))] : []))
    .sort((a, b) => a - b)
}

/** Changes a file in place, as a bad disk would: no name changes, nobody is told. */
export function change(files: Files, path: string, edit: (bytes: Buffer) => Buffer | null): void {
  const before = files.readFile(path)
  if (before === null) throw new Error(`${path} is not there`)
  const after = edit(Buffer.from(before))
  if (after === null) {
    files.rename(path, `/elsewhere-${path.replaceAll('/', '_')}`)
    return
  }
  const file = files.open(path, 'write')
  file.truncate(after.length)
  if (after.length > 0) file.writeSync(after, 0)
  file.close()
}

/** Inverts a byte; a negative position counts from the end. */
export function flipAt(position: number, mask = 0xff): (bytes: Buffer) => Buffer {
  return bytes => {
    const at = position < 0 ? bytes.length + position : position
    bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at)
    return bytes
  }
}

/** All values that a reader gets that passes damage over. */
export async function valuesOf(topic: Topic): Promise<string[]> {
  const values: string[] = []
  for await (const { offset, valueBytes } of topic.records({ onCorruption: 'skip' })) {
    values.push(`${offset}:${valueBytes?.toString().split('|')[0]}`)
  }
  return values
}
