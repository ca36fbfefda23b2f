/**
 * Segment files as another implementation sees them: kafkajs decodes whole `.log` files, with its own
 * checksum, and a walk of a few lines, which shares nothing with the engine, says what must be in
 * `.index` and `.timeindex` by Kafka's rules.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import type { RecordInput, TopicConfig } from '../../lib/types.ts'
import { forEachSeed, type SeededRandom } from '../support/random.ts'
import { tempDir } from '../support/temp-dir.ts'

const require = createRequire(import.meta.url)

interface KafkajsBatch {
  readonly firstOffset: string
  readonly lastOffsetDelta: number
  readonly maxTimestamp: string
  readonly partitionLeaderEpoch: number
  readonly records: readonly {
    readonly offset: string
    readonly timestamp: string
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Readonly<Record<string, Buffer | null | (Buffer | null)[]>>
  }[]
}
interface KafkajsDecoder {
  canReadBytes(count: number): boolean
}
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => KafkajsDecoder
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: KafkajsDecoder,
) => Promise<KafkajsBatch>
const crc32c = require('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number

const indexIntervalBytes = 300
const config = { segmentBytes: 8192, indexIntervalBytes } as const

/** A record with everything that the format knows, given by chance. */
function randomRecord(random: SeededRandom, nowMs: number): RecordInput {
  const bytes = (limit: number) => 'ß'.repeat(random.below(limit))
  const headers: [string, string | null][] = []
  for (let left = random.below(4); left > 0; left--) {
    headers.push([random.pick(['a', 'a', 'trace-ü']), random.chance(0.2) ? null : bytes(9)])
  }
  return {
    key: random.chance(0.3) ? null : bytes(12),
    value: random.chance(0.1) ? null : bytes(120),
    headers,
    // Not in order: clients send what they like.
    timestamp: nowMs + random.below(2000) - 1000,
  }
}

/** Records by offset, and the offset at which the second session began. */
interface Filled {
  readonly appended: readonly RecordInput[]
  readonly reopenedAt: number
}

/** Appends some hundred batches in two sessions. */
async function fill(dir: string, random: SeededRandom, topicConfig: TopicConfig): Promise<Filled> {
  const appended: RecordInput[] = []
  let reopenedAt = 0
  for (const session of [0, 1]) {
    reopenedAt = appended.length
    const log = await openLog(dir)
    const topic = await log.topic('orders', topicConfig)
    for (let batch = 0; batch < 150; batch++) {
      const nowMs = 1_700_000_000_000 + session * 100_000 + batch * 500
      const count = 1 + random.below(5)
      const records = Array.from({ length: count }, () => randomRecord(random, nowMs))
      await topic.partition(0).append(records, { acks: 'written' })
      appended.push(...records)
    }
    await log.close()
  }
  return { appended, reopenedAt }
}

/** The files of the partition with this suffix, by base offset. */
function segmentFiles(dir: string, suffix: string): Map<number, Buffer> {
  const partition = join(dir, 'orders-0')
  const names = readdirSync(partition).filter(name => name.endsWith(`.${suffix}`))
  for (const name of names) assert.match(name, /^\d{20}\./)
  return new Map(
    names.sort().map(name => [Number(name.slice(0, 20)), readFileSync(join(partition, name))]),
  )
}

function plain(bytes: RecordInput['value'] | undefined): string | null {
  return bytes === null || bytes === undefined ? null : String(bytes)
}

/** Headers as kafkajs groups them: by name, one value or a list. */
function grouped(record: RecordInput): Record<string, unknown> {
  const headers: Record<string, unknown> = {}
  const all = new Map<string, (string | null)[]>()
  for (const [name, value] of record.headers as [string, string | null][]) {
    all.set(name, [...(all.get(name) ?? []), value])
  }
  for (const [name, values] of all) headers[name] = values.length === 1 ? values[0] : values
  return headers
}

async function decodeFile(bytes: Buffer): Promise<KafkajsBatch[]> {
  const decoder = new Decoder(bytes)
  const batches: KafkajsBatch[] = []
  while (decoder.canReadBytes(1)) batches.push(await decodeBatch(decoder))
  return batches
}

/** Compares what kafkajs finds in the files with what was appended. */
async function checkDecoded(
  dir: string,
  appended: readonly RecordInput[],
  timestampType: 'create' | 'append',
): Promise<void> {
  let offset = 0
  const files = segmentFiles(dir, 'log')
  assert(files.size > 3, `${files.size} segments`)
  for (const [baseOffset, bytes] of files) {
    assert.equal(offset, baseOffset)
    for (const batch of await decodeFile(bytes)) {
      assert.equal(batch.firstOffset, `${offset}`)
      assert.equal(batch.lastOffsetDelta, batch.records.length - 1)
      assert.equal(batch.partitionLeaderEpoch, 0)
      for (const record of batch.records) {
        const expected = appended[offset]
        assert(expected !== undefined)
        const headers = JSON.parse(
          JSON.stringify(record.headers, (_name, value) =>
            value?.type === 'Buffer' ? Buffer.from(value.data).toString() : value,
          ),
        )
        assert.deepEqual(
          { offset: record.offset, key: plain(record.key), value: plain(record.value), headers },
          {
            offset: `${offset}`,
            key: plain(expected.key),
            value: plain(expected.value),
            headers: grouped(expected),
          },
        )
        const { timestamp } = timestampType === 'create' ? expected : { timestamp: null }
        assert.equal(record.timestamp, timestamp === null ? batch.maxTimestamp : `${timestamp}`)
        offset++
      }
    }
  }
  assert.equal(offset, appended.length)
}

interface WalkedBatch {
  readonly baseOffset: number
  readonly position: number
  readonly lastOffset: number
  readonly maxTimestamp: number
  readonly sizeBytes: number
}

/** Walks the batches by their headers. */
function walk(bytes: Buffer): WalkedBatch[] {
  const batches: WalkedBatch[] = []
  for (let position = 0; position < bytes.length; ) {
    const sizeBytes = 12 + bytes.readInt32BE(position + 8)
    const baseOffset = Number(bytes.readBigInt64BE(position))
    const lastOffset = baseOffset + bytes.readInt32BE(position + 23)
    const maxTimestamp = Number(bytes.readBigInt64BE(position + 35))
    const sum = crc32c(bytes.subarray(position + 21, position + sizeBytes)) >>> 0
    assert.equal(sum, bytes.readUInt32BE(position + 17), `checksum of the batch at ${position}`)
    batches.push({ position, baseOffset, lastOffset, maxTimestamp, sizeBytes })
    position += sizeBytes
  }
  return batches
}

/**
 * The entries that Kafka would have written: one when more than the interval was appended since the
 * last, for the batch that comes then; with it the largest timestamp so far, if it has grown, and
 * once more at the end. Whoever opens a segment again counts its bytes from there on.
 */
function expectedEntries(batches: readonly WalkedBatch[], baseOffset: number, reopenedAt: number) {
  const offsets: [number, number][] = []
  const times: [number, number][] = []
  let sinceBytes = 0
  let largest: WalkedBatch | undefined
  const noteTime = (): void => {
    if (largest === undefined || largest.maxTimestamp <= (times.at(-1)?.[0] ?? -1)) return
    times.push([largest.maxTimestamp, largest.lastOffset - baseOffset])
  }
  for (const batch of batches) {
    if (batch.baseOffset === reopenedAt) {
      noteTime()
      sinceBytes = 0
    }
    if (largest === undefined || batch.maxTimestamp > largest.maxTimestamp) largest = batch
    if (sinceBytes > indexIntervalBytes) {
      offsets.push([batch.lastOffset - baseOffset, batch.position])
      noteTime()
      sinceBytes = 0
    }
    sinceBytes += batch.sizeBytes
  }
  noteTime()
  return { offsets, times }
}

function offsetEntries(bytes: Buffer): [number, number][] {
  assert.equal(bytes.length % 8, 0)
  return Array.from({ length: bytes.length / 8 }, (_, entry) => [
    bytes.readInt32BE(entry * 8),
    bytes.readInt32BE(entry * 8 + 4),
  ])
}

function timeEntries(bytes: Buffer): [number, number][] {
  assert.equal(bytes.length % 12, 0)
  return Array.from({ length: bytes.length / 12 }, (_, entry) => [
    Number(bytes.readBigInt64BE(entry * 12)),
    bytes.readInt32BE(entry * 12 + 8),
  ])
}

async function checkIndexes(dir: string, reopenedAt: number): Promise<void> {
  const indexes = segmentFiles(dir, 'index')
  const timeIndexes = segmentFiles(dir, 'timeindex')
  for (const [baseOffset, bytes] of segmentFiles(dir, 'log')) {
    const batches = walk(bytes)
    const expected = expectedEntries(batches, baseOffset, reopenedAt)
    const offsets = offsetEntries(indexes.get(baseOffset) ?? Buffer.alloc(0))
    const times = timeEntries(timeIndexes.get(baseOffset) ?? Buffer.alloc(0))
    assert.deepEqual(offsets, expected.offsets, `.index of ${baseOffset}`)
    assert.deepEqual(times, expected.times, `.timeindex of ${baseOffset}`)
    assert(batches.length < 20 || offsets.length > 5)
    assert.equal(times.at(-1)?.[0], Math.max(...batches.map(({ maxTimestamp }) => maxTimestamp)))
  }
}

async function checkAll(test: TestContext, topicConfig: TopicConfig): Promise<void> {
  await forEachSeed(3, async random => {
    const dir = tempDir(test)
    const { appended, reopenedAt } = await fill(dir, random, { ...config, ...topicConfig })
    await checkDecoded(dir, appended, topicConfig.timestampType ?? 'create')
    await checkIndexes(dir, reopenedAt)
  })
}

describe('segment files for other implementations', () => {
  it('plain batches -> kafkajs decodes every record, and the index entries are Kafka’s', async t => {
    await checkAll(t, {})
  })

  it('gzip batches -> kafkajs decodes every record, and the index entries are Kafka’s', async t => {
    await checkAll(t, { compressionType: 'gzip', segmentBytes: 4096 })
  })

  it('timestamps of the append -> kafkajs sees that of the batch on every record', async t => {
    await checkAll(t, { timestampType: 'append' })
  })
})
