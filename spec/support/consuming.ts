/** Logs with consumers, on a clock that stands still. */
import assert from 'node:assert/strict'

import type { Consumer } from '../../lib/consuming.ts'
import type { LogEvent } from '../../lib/events.ts'
import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions, RecordBatch, Topic } from '../../lib/types.ts'

/** An open log and what it has told. */
export interface ConsumingLog {
  readonly files: Files
  readonly clock: ManualClock
  readonly log: Log
  readonly topic: Topic
  readonly events: LogEvent[]
}

/** Opens a log with a topic `orders`. */
export async function openConsuming(
  options: OpenOptions & { readonly partitions?: number } = {},
): Promise<ConsumingLog> {
  const { partitions, ...open } = options
  const files = open.files ?? memoryFiles()
  const clock = manualClock()
  const events: LogEvent[] = []
  const onEvent = (event: LogEvent): void => void events.push(event)
  const log = await openLog('/log', { sweepIntervalMs: -1, onEvent, clock, ...open, files })
  const topic = await log.topic('orders', partitions === undefined ? {} : { partitions })
  return { files, clock, log, topic, events }
}

/** Appends records with values `from`, `from + 1` and so on, one batch for each. */
export async function appendNumbers(
  topic: Topic,
  count: number,
  options: { readonly from?: number; readonly partition?: number } = {},
): Promise<void> {
  const { from = 0, partition = 0 } = options
  for (let index = from; index < from + count; index++) {
    await topic.append({ key: `k${index % 3}`, value: String(index), partition })
  }
}

/** Lets everything that can go on go on, until the condition holds. */
export async function until(isDone: () => boolean, what: string = 'the condition'): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (isDone()) return
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.fail(`nothing goes on any more, and ${what} does not hold`)
}

/** Lets everything that can go on go on for a while. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Values of all records of some batches. */
export function valuesOf(batches: readonly RecordBatch[]): string[] {
  return batches.flatMap(batch => [...batch].map(({ value }) => String(value)))
}

/** What the group committed, as `topic-partition@offset`. */
export async function committedOf(log: Log, group: string): Promise<string[]> {
  if (!(await log.groups()).includes(group)) return []
  const { offsets } = await log.group(group).describe()
  return offsets.map(({ topic, partition, offset }) => `${topic}-${partition}@${offset}`)
}

/** Polls until there is nothing more, without waiting. */
export async function drain(consumer: Consumer): Promise<string[]> {
  const values: string[] = []
  for (;;) {
    await settle()
    const batches = await consumer.poll({ maxWaitMs: 0 })
    if (batches.length === 0) return values
    values.push(...valuesOf(batches))
  }
}

/** One call of a handler that has not ended. */
export interface HeldCall {
  readonly signal: AbortSignal
  end(): void
  fail(error: Error): void
}

/** A handler whose calls end when the test says so. */
export class HeldHandler {
  /** Values of the records in the order in which their calls began. */
  readonly begun: string[] = []
  readonly #calls = new Map<string, HeldCall>()

  readonly handle = (
    record: { readonly value: unknown },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> => {
    const value = String(record.value)
    this.begun.push(value)
    return new Promise((resolve, reject) => {
      this.#calls.set(value, { end: resolve, fail: reject, signal })
    })
  }

  /** The last call with that value. */
  of(value: number | string): HeldCall {
    const found = this.#calls.get(String(value))
    assert.ok(found !== undefined, `${value} has not begun`)
    return found
  }
}
