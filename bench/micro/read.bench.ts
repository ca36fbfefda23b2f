/**
 * How many records a second does one loop read, through the public iterators, once they are in the
 * page cache?
 *
 * Expectation: a chunk of 1 MiB holds nine batches of 1,000 records of 100 bytes; copying it and
 * checking its CRCs takes 0.3 ms, 30 ns a record. `batches()` adds the record objects, some 60 ns
 * each: 10 million records a second. `records()` adds a promise and a turn of the microtask queue,
 * some 150 ns: 3 to 4 million.
 *
 * Run: node --expose-gc --import tsx bench/micro/read.bench.ts (BENCH_SMOKE=1: each once, untimed)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { bench, do_not_optimize, group, run } from 'mitata'

import { openLog } from '../../lib/open.ts'
import type { Log, Partition } from '../../lib/types.ts'

const isSmoke = process.env['BENCH_SMOKE'] === '1'
const batchCount = isSmoke ? 3 : 300
const recordsPerBatch = 1000

/** A partition of 100-byte values in batches of 1,000. */
async function fill(log: Log): Promise<Partition> {
  const topic = await log.topic('bench')
  const records = Array.from({ length: recordsPerBatch }, (_, index) => ({
    value: Buffer.alloc(100, index),
  }))
  const appends: Promise<unknown>[] = []
  for (let batch = 0; batch < batchCount; batch++) {
    appends.push(topic.append(records))
    if (appends.length === 50) await Promise.all(appends.splice(0))
  }
  await Promise.all(appends)
  return topic.partition(0)
}

async function readBatches(partition: Partition): Promise<number> {
  let sum = 0
  for await (const batch of partition.batches()) {
    for (const record of batch) sum += record.offset + record.valueSizeBytes
  }
  return sum
}

async function readRecords(partition: Partition): Promise<number> {
  let sum = 0
  for await (const record of partition.records()) sum += record.offset + record.valueSizeBytes
  return sum
}

async function readValues(partition: Partition): Promise<number> {
  let sum = 0
  for await (const record of partition.records()) sum += record.value?.length ?? 0
  return sum
}

const ways = { readBatches, readRecords, readValues }

const dir = mkdtempSync(join(tmpdir(), 'varve-bench-'))
const logs: Readonly<Record<string, Log>> = {
  memory: await openLog(':memory:'),
  disk: await openLog(join(dir, 'log')),
}
try {
  for (const [place, log] of Object.entries(logs)) {
    const partition = await fill(log)
    group(`${batchCount * recordsPerBatch} records of 100 B, ${place}`, () => {
      for (const [name, read] of Object.entries(ways)) {
        bench(name, async () => do_not_optimize(await read(partition)))
      }
    })
    if (isSmoke) for (const read of Object.values(ways)) await read(partition)
  }
  if (!isSmoke) await run()
} finally {
  for (const log of Object.values(logs)) await log.close()
  rmSync(dir, { recursive: true, force: true })
}
