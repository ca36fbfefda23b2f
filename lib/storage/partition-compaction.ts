/**
 * Key compaction of one partition, as Kafka's log cleaner does it: a pass maps the keys of the dirty
 * part to their latest offsets, as many as the memory holds, then writes every segment below the end
 * of that part anew without the records that have a later one of the same key. What one pass does
 * not reach is for the next.
 *
 * Where it is more careful than Kafka: records without a key are kept, since nothing supersedes them;
 * so are records and markers of transactions, except that a later record outside any transaction
 * supersedes a record within; and no segment is replaced that has not been read whole and sound.
 *
 * A tombstone stays for `deleteRetentionMs` from the pass that first mapped it (its delete horizon,
 * KIP-534), so that only a reader who is slower than that may miss it. When it goes, every older
 * record of its key is gone durably: segments are replaced in offset order.
 */
import type { CompactionSkip, PartitionCompaction } from '../compaction.ts'
import { CompactionPace } from './compaction-pace.ts'
import {
  type CompactionBounds,
  type CompactionRange,
  compactionRange,
  groupSegments,
} from './compaction-plan.ts'
import type { CompactionWork, DamageMet } from './compaction-work.ts'
import type { StorageEnvironment } from './environment.ts'
import { type MappedKeys, mapKeys } from './key-mapping.ts'
import type { ProducerState } from './producer-state.ts'
import type { SealedSegment } from './segment.ts'
import { rewriteSegments } from './segment-rewrite.ts'
import type { SegmentSet } from './segment-set.ts'

/** What a compaction is asked to do. */
export interface CompactionRequest extends CompactionLimits {
  /** Memory for the keys of one pass. */
  readonly mapBytes: number
  /** Read and written together; -1: no limit. */
  readonly bytesPerSecond: number
  readonly deleteRetentionMs: number
  /** Somebody waits for the end, for which the process must live. */
  readonly keepAlive: boolean
  /** Is told, and awaited, when everything below the offset is clean, durably. */
  readonly onCleaned: (firstDirtyOffset: number) => Promise<void>
  readonly onProgress: (progress: CompactionProgress) => void
}

/** Which part of the partition may be compacted. */
export interface CompactionLimits {
  readonly firstDirtyOffset: number
  readonly minCompactionLagMs: number
}

/** How far a pass has come; said once for each segment that is written. */
export interface CompactionProgress {
  /** From 1 up. */
  readonly pass: number
  readonly doneBytes: number
  readonly totalBytes: number
}

/**
 * What a compaction did. `skipped`: why it did less than it was asked to; what it did before that
 * stays. `damage` is found before anything that holds it is replaced.
 */
export type CompactionResult = Omit<PartitionCompaction, 'partition'>

/** The partition that is compacted. */
export interface CompactedPartition {
  readonly dir: string
  readonly segments: SegmentSet
  readonly producers: ProducerState
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
  /** When the partition was opened: the latest that an append of unknown time can have been. */
  readonly openedMs: number
  /** Makes damage known: of a batch that is not sound only a read in the usual way shows the extent. */
  metDamage(met: DamageMet): Promise<void>
}

/** What may be compacted now. */
export function compactablePart(
  environment: StorageEnvironment,
  partition: CompactedPartition,
  limits: CompactionLimits,
): CompactionRange {
  const bounds: CompactionBounds = {
    logStartOffset: partition.logStartOffset,
    highWatermark: partition.highWatermark,
    firstOpenOffset: partition.producers.firstOpenOffset(),
    firstDirtyOffset: limits.firstDirtyOffset,
    minCompactionLagMs: limits.minCompactionLagMs,
    nowMs: environment.time.nowMs(),
    unknownAppendMs: partition.openedMs,
  }
  return compactionRange(partition.segments.list.finished, bounds)
}

/**
 * Compacts what may be compacted at the call. Rejects with the signal's reason when it is ended, with
 * `StorageError` when the file system fails: what was not replaced until then is as it was.
 */
export function compactPartition(
  environment: StorageEnvironment,
  partition: CompactedPartition,
  request: CompactionRequest & { readonly signal: AbortSignal },
): Promise<CompactionResult> {
  return new Compaction(environment, partition, request).run()
}

class Compaction {
  readonly #environment: StorageEnvironment
  readonly #partition: CompactedPartition
  readonly #request: CompactionRequest & { readonly signal: AbortSignal }
  readonly #work: CompactionWork
  #passes = 0
  #keptRecords = 0
  #droppedRecords = 0
  #firstDirtyOffset = 0
  #skipped: CompactionSkip | null = null

  constructor(
    environment: StorageEnvironment,
    partition: CompactedPartition,
    request: CompactionRequest & { readonly signal: AbortSignal },
  ) {
    this.#environment = environment
    this.#partition = partition
    this.#request = request
    const pace = new CompactionPace(environment.clock, request)
    this.#work = { environment, dir: partition.dir, pace }
  }

  async run(): Promise<CompactionResult> {
    const { clock } = this.#environment
    const startMs = clock.monotonicMs()
    const { segments } = this.#partition
    const { list } = segments
    const before = { count: list.count, sizeBytes: list.sizeBytes }
    const range = compactablePart(this.#environment, this.#partition, this.#request)
    this.#firstDirtyOffset = range.firstDirtyOffset
    if (this.#isDamaged(range.endOffset)) this.#skipped = 'damage'
    if (segments.isUnsettled) this.#skipped = 'failed swap'
    // At least one pass, also when nothing is dirty: tombstones may have come of age.
    do {
      if (this.#skipped === null) await this.#pass(range.endOffset)
    } while (this.#skipped === null && this.#firstDirtyOffset < range.endOffset)
    return {
      segmentsBefore: before.count,
      segmentsAfter: list.count,
      bytesBefore: before.sizeBytes,
      bytesAfter: list.sizeBytes,
      keptRecords: this.#keptRecords,
      droppedRecords: this.#droppedRecords,
      passes: this.#passes,
      durationMs: clock.monotonicMs() - startMs,
      firstDirtyOffset: this.#firstDirtyOffset,
      skipped: this.#skipped,
    }
  }

  #isDamaged(endOffset: number): boolean {
    const { segments, logStartOffset } = this.#partition
    return segments.record.damage.some(({ from, to }) => from < endOffset && to > logStartOffset)
  }

  async #pass(endOffset: number): Promise<void> {
    this.#passes++
    this.#keptRecords = 0
    const startOffset = this.#firstDirtyOffset
    const { segments } = this.#partition
    const part = { startOffset, endOffset, maxBytes: this.#request.mapBytes }
    const keys = await mapKeys(this.#work, segments.list.finished, part)
    if ('damagedAt' in keys) return await this.#metDamage(keys)
    await this.#rewrite(keys)
    if (this.#skipped !== null) return
    this.#firstDirtyOffset = keys.endOffset
    await this.#request.onCleaned(keys.endOffset)
  }

  async #rewrite(keys: MappedKeys): Promise<void> {
    const { segments, segmentBytes, indexIntervalBytes } = this.#partition
    const { endOffset } = keys
    const groups = groupSegments(segments.list.finished, { endOffset, segmentBytes })
    const totalBytes = sizeOf(groups.flat())
    let doneBytes = 0
    const rules = {
      keys,
      indexIntervalBytes,
      nowMs: this.#environment.time.nowMs(),
      deleteRetentionMs: this.#request.deleteRetentionMs,
      lastProducerOffsets: this.#partition.producers.lastOffsets(),
    }
    for (const sources of groups) {
      this.#request.signal.throwIfAborted()
      const rewritten = await rewriteSegments(this.#work, sources, rules)
      if ('damagedAt' in rewritten) return await this.#metDamage(rewritten)
      if (!rewritten.isSame) await this.#replace(sources, rewritten.segment)
      if (this.#skipped !== null) return
      this.#keptRecords += rewritten.keptRecords
      this.#droppedRecords += rewritten.droppedRecords
      doneBytes += sizeOf(sources)
      this.#request.onProgress({ pass: this.#passes, doneBytes, totalBytes })
    }
  }

  async #replace(sources: readonly SealedSegment[], by: SealedSegment): Promise<void> {
    const outcome = await this.#partition.segments.replace(sources, by)
    if (outcome.kind === 'outdated') this.#skipped = 'changed meanwhile'
    if (outcome.kind === 'unsettled') this.#skipped = 'failed swap'
    if ('error' in outcome) throw outcome.error
  }

  async #metDamage(met: DamageMet): Promise<void> {
    this.#skipped = 'damage'
    await this.#partition.metDamage(met)
  }
}

function sizeOf(segments: readonly SealedSegment[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
