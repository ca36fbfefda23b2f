/**
 * What does a record cost between the caller's object and the bytes of a batch, both ways?
 *
 * Expectation: a record of 100 bytes is one copy of 100 bytes and about eight varints, so encoding
 * should take around 100 ns, 10 million records a second; decoding lazily, without the copy, less;
 * a Buffer for each value adds its own 50 ns or so. CRC-32C runs at memory speed natively from some
 * hundred bytes on, and at about 1 GB/s in the tables.
 *
 * Run: node --expose-gc --import tsx bench/micro/record.bench.ts (BENCH_SMOKE=1: each once, untimed)
 */
import { bench, do_not_optimize, group, run } from 'mitata'

import { batchHeaderBytes } from '../../lib/record/batch-format.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import { BatchWriter, recordSizeBound } from '../../lib/record/batch-writer.ts'
import { crc32c, crc32cByTables } from '../../lib/record/crc32c.ts'
import type { RecordInput } from '../../lib/types.ts'

const recordCount = 1000
const timestamp = 1700000000000
const target = Buffer.alloc(1 << 20)
const context = { topic: 'bench', partition: 0, key: null, value: null }

const inputs: Readonly<Record<string, readonly RecordInput[]>> = {
  'values of 100 B': makeRecords(index => ({ value: Buffer.alloc(100, index) })),
  'strings of 100 B': makeRecords(index => ({ value: `${index % 10}`.repeat(100) })),
  'keys, values of 100 B': makeRecords(index => ({
    key: `user-${index}`,
    value: Buffer.alloc(100, index),
  })),
  'keys, values of 100 B, 2 headers': makeRecords(index => ({
    key: `user-${index}`,
    value: Buffer.alloc(100, index),
    headers: { type: 'created', trace: '0123456789abcdef' },
  })),
}

function makeRecords(make: (index: number) => RecordInput): readonly RecordInput[] {
  return Array.from({ length: recordCount }, (_, index) => make(index))
}

const writer = new BatchWriter()

function encode(records: readonly RecordInput[]): number {
  let bound = batchHeaderBytes
  for (const record of records) bound += recordSizeBound(record)
  if (bound > target.length) throw new RangeError('the target is too small')
  writer.begin(target, 0)
  writer.addAll(records, timestamp)
  return writer.finish({ baseOffset: 0, leaderEpoch: 0 })
}

const encoded = Buffer.from(
  target.subarray(0, encode(inputs['keys, values of 100 B'] as readonly RecordInput[])),
)

function decodeLazily(): number {
  let sum = 0
  for (const record of new BatchView(context, { buffer: encoded, position: 0 })) {
    sum += record.offset + record.valueSizeBytes
  }
  return sum
}

function decodeBuffers(): number {
  let sum = 0
  for (const record of new BatchView(context, { buffer: encoded, position: 0 })) {
    sum += record.offset + (record.valueBytes?.length ?? 0)
  }
  return sum
}

function decodeTimestamps(): number {
  let sum = 0
  for (const record of new BatchView(context, { buffer: encoded, position: 0 })) {
    sum += record.timestamp
  }
  return sum
}

const benches: (readonly [string, string, () => unknown])[] = [
  ...Object.entries(inputs).map(
    ([name, records]) => ['encode 1000 records', name, () => encode(records)] as const,
  ),
  ['decode 1000 records of 100 B', 'offset and value size', decodeLazily],
  ['decode 1000 records of 100 B', 'offset and value as a Buffer', decodeBuffers],
  ['decode 1000 records of 100 B', 'timestamp', decodeTimestamps],
  ...[50, 100, 200, 300, 1000, 100_000].flatMap(sizeBytes => [
    [`crc32c of ${sizeBytes} B`, 'as used', () => crc32c(target, 3, 3 + sizeBytes)] as const,
    [`crc32c of ${sizeBytes} B`, 'tables', () => crc32cByTables(target, 3, 3 + sizeBytes)] as const,
  ]),
]

if (process.env['BENCH_SMOKE'] === '1') {
  for (const [, name, body] of benches) console.log(`${name}: ${body()}`)
} else {
  for (const title of new Set(benches.map(([title]) => title))) {
    group(title, () => {
      for (const [own, name, body] of benches) {
        if (own === title) bench(name, () => do_not_optimize(body()))
      }
    })
  }
  await run()
}
