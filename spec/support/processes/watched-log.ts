/**
 * What an example of a server takes for the package: a log that says in lines which readers took what
 * and when they ended, whose options the spec can add to, and whose first flush waits, where the spec
 * wants that, until an append was refused.
 */
import { diskFiles } from '../../../lib/files/disk-files.ts'
import { openLog as open } from '../../../lib/open.ts'
import type {
  AppendResult,
  From,
  Log,
  OpenOptions,
  Partition,
  Reader,
  ReadOptions,
  RecordBatch,
  RecordInput,
  TopicOptions,
} from '../../../lib/types.ts'
import { heldFiles } from '../held-files.ts'
import { say } from './say.ts'

/** As much of a log as the example uses. */
export interface WatchedLog {
  topic(
    name: string,
    options?: TopicOptions,
  ): Promise<{ partition(id: number): Pick<Partition, 'append' | 'batches'> }>
  close: Log['close']
}

const files = heldFiles(diskFiles)
let readers = 0

/** `openLog`, with the options in the environment's LOG_OPTIONS added; HOLD_FLUSH makes flushes wait. */
export async function openLog(dir: string, options: OpenOptions): Promise<WatchedLog> {
  const added = JSON.parse(process.env['LOG_OPTIONS'] ?? '{}') as OpenOptions
  const log = await open(dir, { ...options, ...added, files })
  return {
    topic: async (name, topicOptions) => {
      const topic = await log.topic(name, topicOptions)
      return { partition: id => watched(topic.partition(id)) }
    },
    close: closing => log.close(closing),
  }
}

function watched(partition: Partition): Pick<Partition, 'append' | 'batches'> {
  return {
    append: records => append(partition, records as readonly RecordInput[]),
    batches: options => watchedReader(partition, options),
    // The example compares offsets with these.
    ...{ logStartOffset: partition.logStartOffset, highWatermark: partition.highWatermark },
  }
}

async function append(
  partition: Partition,
  records: readonly RecordInput[],
): Promise<AppendResult> {
  if (process.env['HOLD_FLUSH'] !== undefined) {
    files.hold('sync')
    void files.whenHeld('sync').then(() => say('held'))
  }
  try {
    return await partition.append(records)
  } catch (error) {
    delete process.env['HOLD_FLUSH']
    files.releaseAll()
    throw error
  }
}

function watchedReader(partition: Partition, options?: ReadOptions<From>): Reader<RecordBatch> {
  const reader = partition.batches(options)
  const id = readers++
  const tell = (step: IteratorResult<RecordBatch>): IteratorResult<RecordBatch> => {
    say(step.done === true ? 'ended' : 'took', id)
    return step
  }
  const fail = (error: unknown): never => {
    say('ended', id)
    throw error
  }
  say('reads', id)
  return {
    get position() {
      return reader.position
    },
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
    next: () => reader.next().then(tell, fail),
    return: async () => tell({ value: await reader.return?.(), done: true }),
  }
}
