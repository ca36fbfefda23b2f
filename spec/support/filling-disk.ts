/** A log on a disk that fills up and empties, told by a file system that says what a test wants. */
import assert from 'node:assert/strict'

import type { LogEvent } from '../../lib/events.ts'
import type { Files } from '../../lib/files/files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import type { Log, OpenOptions, Topic } from '../../lib/types.ts'
import { type HeldFiles, heldFiles } from './held-files.ts'
import { turn } from './open-partition.ts'

/** In bytes. */
export const mib: number = 1024 * 1024

/** A log, and the disk that it lies on. */
export interface Filling {
  readonly files: HeldFiles
  readonly clock: ManualClock
  readonly log: Log
  readonly topic: Topic
  readonly events: LogEvent[]
  /** How often the disk was looked at. */
  readonly looks: () => number
  /** Changes how many bytes are free; an error instead: the disk cannot be looked at. */
  free(bytes: number | Error): void
}

/** Opens a log that is low below 200 MiB and reads only below 100; at first there is plenty. */
export async function openFilling(
  options: OpenOptions = {},
  inner: Files = memoryFiles(),
): Promise<Filling> {
  const files = heldFiles(inner)
  const clock = manualClock()
  const events: LogEvent[] = []
  let freeBytes: number | Error = 1000 * mib
  let looks = 0
  files.freeSpace = async () => {
    looks++
    if (freeBytes instanceof Error) throw freeBytes
    return { freeBytes, totalBytes: 2000 * mib }
  }
  const log = await openLog('/log', {
    files,
    clock,
    diskLowBytes: 200 * mib,
    diskReserveBytes: 100 * mib,
    onEvent: event => events.push(event),
    ...options,
  })
  const topic = await log.topic('orders')
  const free = (bytes: number | Error): void => {
    freeBytes = bytes
  }
  return { files, clock, log, topic, events, looks: () => looks, free }
}

/** Files on a disk of 2000 MiB that never says anything but this. */
export function diskWithFree(freeBytes: number, inner: Files = memoryFiles()): HeldFiles {
  const files = heldFiles(inner)
  files.freeSpace = async () => ({ freeBytes, totalBytes: 2000 * mib })
  return files
}

/** Opens a log that must be read-only for want of space from the first moment, which is told through `onEvent`. */
export async function assertOpensFull(files: Files): Promise<Log> {
  const events: LogEvent[] = []
  const log = await openLog('/log', { files, onEvent: event => events.push(event) })
  assert.equal(log.state, 'read-only')
  assert.deepEqual(statesOf(events), ['read-only disk-space'])
  return log
}

/** Time enough for what the state of a disk sets off. */
export async function idle(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn()
}

/** What the events say of the log's state. */
export function statesOf(events: readonly LogEvent[]): readonly string[] {
  return events.flatMap(event =>
    event.type === 'stateChanged' ? [[event.state, event.reason].join(' ').trim()] : [],
  )
}

/** Everything in the topic. */
export async function valuesOf(topic: Topic): Promise<string[]> {
  const values: string[] = []
  for await (const { value } of topic.records()) values.push(String(value))
  return values
}
