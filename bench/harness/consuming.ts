/** Consumers as several workloads use them. */
import type { Consumer } from '../../lib/index.ts'
import type { LogRecord } from '../../lib/types.ts'

/** A handler that looks at a record as the loops of the reading workloads do. */
export type Handler = (record: Pick<LogRecord, 'offset' | 'valueSizeBytes'>) => unknown

/** Reads so many records through the iteration; the sum of what was touched. */
export async function consumeBatches(consumer: Consumer, records: number): Promise<number> {
  let checksum = 0
  let seen = 0
  for await (const batch of consumer) {
    for (const record of batch) checksum += record.offset + record.valueSizeBytes
    seen += batch.recordCount
    if (seen >= records) break
  }
  return checksum
}

/** Runs until so many records were handled, and leaves the group. */
export async function consumeByRun(
  consumer: Consumer,
  of: {
    readonly records: number
    readonly handler: Handler
  },
): Promise<void> {
  const { records, handler } = of
  let seen = 0
  await consumer.run(record => {
    const result = handler(record)
    // The record counts as handled when its result is there: closing waits for that.
    if (++seen === records) void consumer.close()
    return result
  })
}
