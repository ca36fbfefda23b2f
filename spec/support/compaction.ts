/** Partitions to be compacted, and what must hold of one that was. */
import assert from 'node:assert/strict'

import type { Files } from '../../lib/files/files.ts'
import { openChunk } from '../../lib/log/ready-chunk.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  checkBatch,
  nextOffsetAt,
} from '../../lib/record/batch-format.ts'
import type { CompactionRequest, CompactionResult } from '../../lib/storage/partition-compaction.ts'
import { readPartitionFiles } from '../../lib/storage/partition-files.ts'
import type { PartitionLog } from '../../lib/storage/partition-log.ts'
import { parseSegmentFile, segmentFileName } from '../../lib/storage/topic-name.ts'
import type { RecordInput } from '../../lib/types.ts'
import { durable } from './open-partition.ts'

/** A record as a test remembers it; a null value is a tombstone. */
export interface KnownRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
}

/** What `compact` is asked to do, unless a test says otherwise: everything, at once. */
export const wholePartition: CompactionRequest = {
  firstDirtyOffset: 0,
  minCompactionLagMs: 0,
  mapBytes: 1 << 20,
  bytesPerSecond: -1,
  deleteRetentionMs: 1000,
  keepAlive: false,
  onCleaned: async () => {},
  onProgress: () => {},
}

/** Seals what there is and compacts it. */
export async function compact(
  partition: PartitionLog,
  request: Partial<CompactionRequest> = {},
): Promise<CompactionResult> {
  await partition.roll()
  const signal = new AbortController().signal
  return partition.compact({ ...wholePartition, ...request }, signal)
}

/** Every visible record. */
export async function readRecords(
  partition: PartitionLog,
  from: number = partition.logStartOffset,
): Promise<KnownRecord[]> {
  const records: KnownRecord[] = []
  const context = { topic: 'p', partition: 0, key: null, value: null }
  for (let next = from; next < partition.highWatermark; ) {
    const chunk = await partition.readChunk({ from: next, maxBytes: 4096, checkCrcs: true })
    assert.ok(chunk.nextOffset > next, 'a read leads on')
    next = chunk.nextOffset
    const { batches } = await openChunk(chunk, context)
    for (const { offset, keyBytes, valueBytes, timestamp } of batches.flatMap(it => [...it])) {
      if (offset < from) continue
      const key = keyBytes?.toString() ?? null
      records.push({ offset, key, value: valueBytes?.toString() ?? null, timestamp })
    }
  }
  return records
}

/** The last record of every key, by key; a key whose last record is a tombstone has none. */
export function latestByKey(records: readonly KnownRecord[]): Map<string, KnownRecord> {
  const latest = new Map<string, KnownRecord>()
  for (const record of records) {
    if (record.key === null) continue
    if (record.value === null) latest.delete(record.key)
    else latest.set(record.key, record)
  }
  return new Map([...latest].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/**
 * Checks that a log holds no record that was not appended, each as it was, in order, and of every key
 * the last one.
 */
export function assertCompacted(
  found: readonly KnownRecord[],
  appended: readonly KnownRecord[],
  context = '',
): void {
  const byOffset = new Map(appended.map(record => [record.offset, record]))
  let previous = -1
  for (const record of found) {
    assert.ok(record.offset > previous, `offsets rise. ${context}`)
    assert.deepEqual(record, byOffset.get(record.offset), context)
    previous = record.offset
  }
  assert.deepEqual(latestByKey(found), latestByKey(appended), context)
  const keyless = (it: KnownRecord): boolean => it.key === null
  assert.deepEqual(found.filter(keyless), appended.filter(keyless), context)
}

/** Checks by a walk of its own that the log files hold every offset once, in order and without a gap. */
export function assertGapless(files: Files, dir: string, context = ''): void {
  const bases: number[] = []
  for (const { name } of files.list(dir)) {
    const file = parseSegmentFile(name)
    if (file?.suffix === 'log') bases.push(file.baseOffset)
  }
  bases.sort((a, b) => a - b)
  let reached = bases[0] ?? 0
  for (const base of bases) {
    const bytes = files.readFile(`${dir}/${segmentFileName(base, 'log')}`) ?? Buffer.alloc(0)
    assert.equal(base, reached, `a segment begins where the one before ends. ${context}`)
    for (let position = 0; position < bytes.length; position += batchSizeAt(bytes, position)) {
      const check = checkBatch(bytes, position, { end: bytes.length, checkCrc: true })
      assert.equal(check, 'ok', context)
      assert.equal(baseOffsetAt(bytes, position), reached, context)
      reached = nextOffsetAt(bytes, position)
    }
  }
}

/** Where the offsets go on by the names and the batches of the log files alone; -1 when there is none. */
export function endOfLogFiles(files: Files, dir: string): number {
  const bases = files.list(dir).flatMap(({ name }) => {
    const file = parseSegmentFile(name)
    return file?.suffix === 'log' ? [file.baseOffset] : []
  })
  if (bases.length === 0) return -1
  const last = Math.max(...bases)
  const bytes = files.readFile(`${dir}/${segmentFileName(last, 'log')}`) ?? Buffer.alloc(0)
  let end = last
  for (let position = 0; position < bytes.length; position += batchSizeAt(bytes, position)) {
    if (checkBatch(bytes, position, { end: bytes.length, checkCrc: true }) !== 'ok') return end
    end = nextOffsetAt(bytes, position)
  }
  return end
}

/** Names that only a compaction under way leaves. */
export function swapNames(files: Files, dir: string): string[] {
  return files
    .list(dir)
    .map(entry => entry.name)
    .filter(name => /cleaned|compacted|replaced/.test(name))
}

/**
 * Checks that the manifest says nothing of segments that a swap may still take away: a line goes,
 * durably, before its segment is replaced, and comes back only when the mark of the swap is gone.
 */
export function assertUnlisted(files: Files, dir: string, context = ''): void {
  const { sealed } = readPartitionFiles(files, dir).manifest
  for (const name of swapNames(files, dir)) {
    const [, base, next] = /^(\d+)\.(\d+)\.compacted$/.exec(name) ?? []
    if (base === undefined || next === undefined) continue
    const listed = sealed.filter(
      ({ baseOffset }) => baseOffset >= Number(base) && baseOffset < Number(next),
    )
    assert.deepEqual(listed, [], `${name} stands beside lines of the manifest. ${context}`)
  }
}

/** Path of a segment's log in the directory that `openPartition` opens. */
export function logPath(baseOffset: number): string {
  return `p-0/${segmentFileName(baseOffset, 'log')}`
}

/** A record to append; a null value is a tombstone. */
export function put(key: string, value: string | null): RecordInput {
  return { key, value }
}

/** Appends the records as one batch. */
export async function append(
  partition: PartitionLog,
  ...records: readonly RecordInput[]
): Promise<void> {
  await partition.append(records, durable)
}
