/** Logs whose retention is looked at: files in memory, a clock moved by hand, a record to a segment. */
import type { LogEvent } from '../../lib/events.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions, Topic, TopicOptions } from '../../lib/types.ts'

/** Where the log lies. */
export const dir = '/log'
/** In ms. */
export const minute = 60_000

/** An open log and what it works on. */
export interface Scene {
  readonly log: Log
  readonly topic: Topic
  readonly clock: ManualClock
  readonly files: ReturnType<typeof memoryFiles>
  readonly events: LogEvent[]
  /** Closes the log and opens it again on the same files and the same clock. */
  again(options?: OpenOptions): Promise<Scene>
}

/** A log whose topic has one segment for every record but the smallest. */
export async function open(
  topicOptions: TopicOptions = {},
  options: OpenOptions = {},
  from: Partial<Scene> = {},
): Promise<Scene> {
  const files = from.files ?? memoryFiles()
  const clock = from.clock ?? manualClock(1_700_000_000_000)
  const events: LogEvent[] = []
  const onEvent = (event: LogEvent): void => void events.push(event)
  const log = await openLog(dir, { files, clock, onEvent, ...options })
  const topic = await log.topic('orders', { segmentBytes: 1024, ...topicOptions })
  const again = async (more: OpenOptions = options): Promise<Scene> => {
    await log.close()
    return await open({}, more, { files, clock })
  }
  return { log, topic, clock, files, events, again }
}

/** Appends records that take a segment each. */
export async function fill(topic: Topic, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    await topic.partition(0).append({ value: Buffer.alloc(900, 'v') })
  }
}

/** What lies on the disk now, as the next process finds it when this one is killed. */
export function copyOf(files: Scene['files']): Scene['files'] {
  const copy = memoryFiles()
  const copyDirectory = (path: string): void => {
    copy.makeDirectory(path)
    for (const { name, isDirectory } of files.list(path)) {
      const inside = `${path}/${name}`
      if (isDirectory) {
        copyDirectory(inside)
        continue
      }
      const file = copy.open(inside, 'create')
      file.writeSync(files.readFile(inside) ?? Buffer.alloc(0), 0)
      file.close()
    }
  }
  copyDirectory(dir)
  return copy
}

/** Base offsets of the segments on the disk. */
export function bases({ files }: Scene, topic = 'orders'): number[] {
  return files
    .list(`${dir}/${topic}-0`)
    .filter(({ name }) => name.endsWith('.log'))
    .map(({ name }) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

/** Offsets of the records that can be read. */
export async function offsets(topic: Topic): Promise<number[]> {
  const found: number[] = []
  for await (const { offset } of topic.records()) found.push(offset)
  return found
}

/** What was told of deleted segments. */
export const deletions = ({ events }: Scene): unknown[] =>
  events.flatMap(event =>
    event.type === 'segmentDeleted' ? [[event.baseOffset, event.nextOffset, event.reason]] : [],
  )
