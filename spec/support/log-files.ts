/** Partition directories with real batches in them, laid down without the engine that is being tested. */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import { EngineTime } from '../../lib/clock.ts'
import type { Files } from '../../lib/files/files.ts'
import {
  baseOffsetAt,
  batchHeaderBytes,
  batchSizeAt,
  checkBatch,
  nextOffsetAt,
} from '../../lib/record/batch-format.ts'
import { BatchWriter } from '../../lib/record/batch-writer.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import type { StorageEnvironment } from '../../lib/storage/environment.ts'
import { LeaderEpochs } from '../../lib/storage/leader-epochs.ts'
import {
  type RecoveredPartition,
  type RecoverOptions,
  recoverPartition,
} from '../../lib/storage/recover-partition.ts'
import { ActiveSegment, emptySegmentState } from '../../lib/storage/segment.ts'
import { formatManifest, type SegmentFacts } from '../../lib/storage/segments-manifest.ts'
import { segmentFileName } from '../../lib/storage/topic-name.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

/** The partition directory of all these specs. */
export const dir = 'orders-0'

/** Engine time of the specs. */
export const nowMs = 1_700_000_900_000

/** When the batches were appended. */
const appendMs = 1_700_000_000_000

/** Bytes between index entries. */
const indexIntervalBytes = 256

/** What a batch is to be. */
export interface BatchSpec {
  readonly baseOffset: number
  readonly recordCount?: number
  readonly valueBytes?: number
  readonly leaderEpoch?: number
  readonly timestamp?: number
  readonly producer?: {
    readonly producerId: number
    readonly producerEpoch: number
    readonly baseSequence: number
  }
}

/** The bytes of one batch. Values are random-looking and free of anything that reads like a batch. */
export function makeBatch(spec: BatchSpec): Buffer {
  const { baseOffset, recordCount = 1, valueBytes = 40, leaderEpoch = 0 } = spec
  const target = Buffer.alloc(batchHeaderBytes + recordCount * (valueBytes + 40))
  const writer = new BatchWriter()
  writer.begin(target, 0)
  for (let i = 0; i < recordCount; i++) {
    const value = Buffer.alloc(valueBytes, `${baseOffset + i}:`)
    writer.add({ value }, spec.timestamp ?? appendMs + baseOffset + i)
  }
  const sizeBytes = writer.finish({ baseOffset, leaderEpoch, ...spec.producer })
  return target.subarray(0, sizeBytes)
}

/** `count` batches from `baseOffset` on, each of `recordCount` records. */
export function batchesFrom(
  baseOffset: number,
  count: number,
  spec: Omit<BatchSpec, 'baseOffset'> = {},
): Buffer[] {
  const { recordCount = 1 } = spec
  return Array.from({ length: count }, (_, i) =>
    makeBatch({ ...spec, baseOffset: baseOffset + i * recordCount }),
  )
}

/** Which side files are laid down. */
export interface LayoutOptions {
  /** @default true */
  readonly indexes?: boolean
  /** Which segments have a line, the last one as active. @default none */
  readonly manifest?: 'none' | 'sealed' | 'all'
  /** Lines of the epoch file; null for no file. @default epoch 0 from 0 */
  readonly epochs?: readonly (readonly [number, number])[] | null
  /** Sync all of it. @default true */
  readonly sync?: boolean
}

/** Lays a partition down: one array of batches for each segment, whose first batch names it. */
export async function layDown(
  files: Files,
  segments: readonly (readonly Buffer[])[],
  options: LayoutOptions = {},
): Promise<void> {
  const isSynced = options.sync ?? true
  if (files.stat(dir) === null) files.makeDirectory(dir)
  const facts: SegmentFacts[] = []
  for (const batches of segments) {
    const segment = new ActiveSegment(emptySegmentState(firstOffset(batches)), appendMs)
    for (const batch of batches) {
      const at = { sizeBytes: batch.length, nowMs: appendMs, indexIntervalBytes }
      segment.noteBatch(batch, 0, at)
    }
    segment.finishTimeIndex()
    facts.push(segment.facts())
    await put(files, pathOf(segment.baseOffset), Buffer.concat(batches), isSynced)
    if (options.indexes === false) continue
    const { offsets, times } = segment.indexes
    await put(files, pathOf(segment.baseOffset, 'index'), offsets.bytes(), isSynced)
    await put(files, pathOf(segment.baseOffset, 'timeindex'), times.bytes(), isSynced)
  }
  const epochs = new LeaderEpochs()
  for (const [epoch, startOffset] of options.epochs ?? [[0, 0]]) epochs.assign(epoch, startOffset)
  if (options.epochs !== null) {
    await put(files, join(dir, 'leader-epoch-checkpoint'), Buffer.from(epochs.format()), isSynced)
  }
  const manifest = options.manifest ?? 'none'
  if (manifest !== 'none') {
    const active = manifest === 'all' ? (facts.pop() ?? null) : null
    if (manifest === 'sealed') facts.pop()
    const text = formatManifest({ sealed: facts, active })
    await put(files, join(dir, 'segments.manifest'), Buffer.from(text), isSynced)
  }
  if (!isSynced) return
  await files.syncDirectory(dir)
  await files.syncDirectory('.')
}

function firstOffset(batches: readonly Buffer[]): number {
  const first = batches[0]
  assert.ok(first !== undefined, 'a segment is laid down with its first batch')
  return baseOffsetAt(first, 0)
}

/** Path of a file of the segment. */
export function pathOf(
  baseOffset: number,
  suffix: 'log' | 'index' | 'timeindex' | 'snapshot' = 'log',
): string {
  return join(dir, segmentFileName(baseOffset, suffix))
}

/** Writes a file anew; with `sync` its content is durable. */
export async function put(files: Files, path: string, bytes: Buffer, sync = true): Promise<void> {
  if (files.stat(path) !== null) await files.remove(path)
  const file = files.open(path, 'create')
  let written = 0
  while (written < bytes.length) {
    written += await file.write(bytes.subarray(written), written)
  }
  if (sync) await file.syncData()
  file.close()
}

/** The whole file. */
export function get(files: Files, path: string): Buffer {
  const bytes = files.readFile(path)
  assert.ok(bytes !== null, `${path} is there`)
  return bytes
}

/** What the log's owner would pass on; with nothing known. */
export function recoverOptions(
  files: Files,
  options: Partial<RecoverOptions> & { readonly quarantineBytes?: number } = {},
): RecoverOptions {
  const time = new EngineTime(manualClock(nowMs))
  const quarantineBytes = options.quarantineBytes ?? 1 << 26
  // Recovery touches nothing else of what the partitions of a log share.
  const room = new DiskRoom(files)
  const environment = { files, time, room, quarantineBytes } as unknown as StorageEnvironment
  return {
    environment,
    dir,
    identity: { topic: 'orders', partition: 0 },
    checkpointedRecoveryPoint: null,
    checkpointedLogStart: null,
    wasClean: false,
    indexIntervalBytes,
    ...options,
  }
}

/** Recovers the partition with what is given as known. */
export function recover(
  files: Files,
  options: Partial<RecoverOptions> & { readonly quarantineBytes?: number } = {},
): Promise<RecoveredPartition> {
  return recoverPartition(recoverOptions(files, options))
}

/** The batches that are exposed, found in the files by a walk of its own that looks at every byte. */
export function exposed(files: Files, recovered: RecoveredPartition): Buffer[] {
  const batches: Buffer[] = []
  const { active } = recovered
  let reached = -1
  for (const segment of [...recovered.sealed, ...(active === null ? [] : [active])]) {
    const bytes = get(files, pathOf(segment.baseOffset)).subarray(0, segment.sizeBytes)
    for (let position = 0; position < bytes.length; ) {
      const isGood = checkBatch(bytes, position, { end: bytes.length, checkCrc: true }) === 'ok'
      const isNext = isGood && baseOffsetAt(bytes, position) >= reached
      if (isNext && nextOffsetAt(bytes, position) <= segment.nextOffset) {
        const end = position + batchSizeAt(bytes, position)
        batches.push(Buffer.from(bytes.subarray(position, end)))
        reached = nextOffsetAt(bytes, position)
        position = end
      } else {
        position++
      }
    }
  }
  return batches
}

/** Base offsets of the exposed batches. */
export function exposedOffsets(files: Files, recovered: RecoveredPartition): number[] {
  return exposed(files, recovered).map(batch => baseOffsetAt(batch, 0))
}

/** Damage without what is only for people. */
export function damageOf(recovered: RecoveredPartition): [number, number, string][] {
  return recovered.damage.map(({ from, to, reason }) => [from, to, reason])
}

/** Names in the partition's directory, sorted. */
export function names(files: Files): string[] {
  return files
    .list(dir)
    .map(entry => entry.name)
    .sort()
}
