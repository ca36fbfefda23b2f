/** A consumer that runs a handler which the test ends. */
import type { Consumer, RunOptions } from '../../lib/consuming.ts'
import type { Topic } from '../../lib/types.ts'
import { type ConsumingLog, HeldHandler, openConsuming, settle } from './consuming.ts'

/** Appends a record for each letter, with that key. */
export async function appendKeys(topic: Topic, keys: string): Promise<void> {
  await topic.append([...keys].map((key, index) => ({ key, value: `${key}${index}` })))
}

/** A log with a consumer that runs. */
export interface StartedRun extends ConsumingLog {
  readonly consumer: Consumer
  readonly held: HeldHandler
  /** What `run()` has returned. */
  readonly running: Promise<void>
}

/** A run over a topic of one or more partitions. */
export async function openRun(
  options: { readonly partitions?: number; readonly keys?: string; readonly run?: RunOptions } = {},
): Promise<StartedRun> {
  const opened = await openConsuming({ partitions: options.partitions ?? 1 })
  if (options.keys !== undefined) await appendKeys(opened.topic, options.keys)
  const consumer = await opened.log.consumer({ topics: 'orders', group: 'g' })
  const held = new HeldHandler()
  const running = consumer.run(held.handle, options.run)
  // What becomes of it is asserted where it matters.
  running.catch(() => {})
  await settle()
  return { ...opened, consumer, held, running }
}

/** Closes the consumer; resolves when its run is over. */
export async function stopped(consumer: Consumer, running: Promise<void>): Promise<void> {
  await consumer.close()
  await running
}
