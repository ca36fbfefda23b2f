/** The second half of a pass: segments written anew as one, without what the mapped keys supersede. */
import {
  type Allocate,
  BatchFilter,
  emptiedBatch,
  hasDeleteHorizon,
} from '../record/batch-filter.ts'
import {
  attributesAt,
  baseOffsetAt,
  batchAttribute,
  batchField,
  compressionTypeOf,
  nextOffsetAt,
  recordCountAt,
} from '../record/batch-format.ts'
import { compressBatch } from '../record/codecs.ts'
import { readInt64 } from '../record/int64.ts'
import type { RecordWalk } from '../record/record-walk.ts'
import { CompactedSegment } from './compacted-segment.ts'
import { stepRecords } from './compaction-pace.ts'
import {
  type CompactionWork,
  type DamageMet,
  type RecordsSection,
  recordsOf,
  visitBatches,
} from './compaction-work.ts'
import type { MappedKeys } from './key-mapping.ts'
import type { SealedSegment } from './segment.ts'
import { cleanedPath } from './segment-swap.ts'
import type { SegmentFacts } from './segments-manifest.ts'

/** What decides about records, the same for all segments of a pass. */
export interface RewriteRules {
  readonly keys: MappedKeys
  readonly nowMs: number
  /** How long tombstones stay once a pass has seen them. */
  readonly deleteRetentionMs: number
  /** Last offset of the last batch of every producer that is known. */
  readonly lastProducerOffsets: ReadonlyMap<number, number>
  readonly indexIntervalBytes: number
}

/** Segments made one. */
export interface RewrittenSegment {
  /** Synced, and not in its place yet. */
  readonly segment: SealedSegment
  readonly keptRecords: number
  readonly droppedRecords: number
  /** Nothing differs from the one segment that it was made of. */
  readonly isSame: boolean
}

/**
 * Writes neighboring segments anew as one. Nothing is left of a rewrite that does not come to its
 * end, or changes nothing, if the file system lets it be removed; the next open does that otherwise.
 *
 * @throws {StorageError} when the file system fails
 */
export async function rewriteSegments(
  work: CompactionWork,
  sources: readonly SealedSegment[],
  rules: RewriteRules,
): Promise<RewrittenSegment | DamageMet> {
  const { environment, dir } = work
  const first = sources[0] as SealedSegment
  const { baseOffset } = first
  const { indexIntervalBytes } = rules
  const into = await CompactedSegment.create(environment.files, dir, {
    baseOffset,
    indexIntervalBytes,
  })
  const rewrite = new Rewrite(work, rules, into)
  let isOfUse = false
  try {
    for (const source of sources) {
      const met = await visitBatches(work, source, (buffer, position) =>
        rewrite.visit(buffer, position),
      )
      if (met !== null) return met
    }
    const written = await into.finish((sources.at(-1) as SealedSegment).nextOffset)
    const isSame = sources.length === 1 && rewrite.isSame && written.sizeBytes === first.sizeBytes
    const { keptRecords, droppedRecords } = rewrite
    const segment = { ...written, facts: factsOf(written, sources) }
    isOfUse = !isSame
    return { segment, keptRecords, droppedRecords, isSame }
  } finally {
    into.close()
    if (!isOfUse) await environment.files.remove(cleanedPath(dir, baseOffset)).catch(() => {})
  }
}

/** What the manifest is to say: appended when the sources were, unknown when that of one of them is. */
function factsOf(written: SealedSegment, sources: readonly SealedSegment[]): SegmentFacts | null {
  let firstAppendMs = Number.POSITIVE_INFINITY
  let lastAppendMs = -1
  for (const { facts } of sources) {
    if (facts === null) return null
    if (facts.firstAppendMs >= 0) firstAppendMs = Math.min(firstAppendMs, facts.firstAppendMs)
    lastAppendMs = Math.max(lastAppendMs, facts.lastAppendMs)
  }
  if (written.facts === null) return null
  const hasTimes = Number.isFinite(firstAppendMs)
  return { ...written.facts, firstAppendMs: hasTimes ? firstAppendMs : -1, lastAppendMs }
}

type Verdict = 'damaged' | null

class Rewrite {
  readonly #work: CompactionWork
  readonly #rules: RewriteRules
  readonly #into: CompactedSegment
  readonly #keeps: (record: RecordWalk) => boolean
  readonly #allocate: Allocate
  /** One for all batches: a new one for each makes the collector stop everything for 50 ms now and then. */
  #scratch = Buffer.alloc(0)
  /** Of the batch that is being judged. */
  #baseOffset = 0
  #dropsTombstones = false
  keptRecords = 0
  droppedRecords = 0
  isSame = true

  constructor(work: CompactionWork, rules: RewriteRules, into: CompactedSegment) {
    this.#work = work
    this.#rules = rules
    this.#into = into
    this.#keeps = record => this.#isKept(record)
    this.#allocate = sizeBytes => {
      if (this.#scratch.length < sizeBytes) this.#scratch = Buffer.allocUnsafeSlow(2 * sizeBytes)
      return this.#scratch
    }
  }

  visit(buffer: Buffer, position: number): Verdict | Promise<Verdict> {
    const recordCount = recordCountAt(buffer, position)
    const isControl = (attributesAt(buffer, position) & batchAttribute.control) !== 0
    if (isControl) return this.#keepWhole(buffer, position, recordCount)
    if (recordCount === 0) {
      if (this.#isLastOfProducer(buffer, position)) return this.#keepWhole(buffer, position, 0)
      this.#into.drop(buffer, position)
      return null
    }
    // Behind the mapped keys nothing is known of any record.
    if (baseOffsetAt(buffer, position) >= this.#rules.keys.endOffset) {
      return this.#keepWhole(buffer, position, recordCount)
    }
    const section = recordsOf(buffer, position)
    if (section instanceof Promise || recordCount > stepRecords) {
      return this.#visitInSlices(section, { buffer, position })
    }
    this.#work.pace.worked(recordCount, 0)
    const filter = this.#filter(buffer, position, section)
    return filter.judge(recordCount, this.#keeps) === 'done'
      ? this.#put(filter, { buffer, position })
      : 'damaged'
  }

  async #visitInSlices(
    pending: RecordsSection | Promise<RecordsSection | null>,
    { buffer, position }: { readonly buffer: Buffer; readonly position: number },
  ): Promise<Verdict> {
    const section = await pending
    if (section === null) return 'damaged'
    const { pace } = this.#work
    const filter = this.#filter(buffer, position, section)
    for (;;) {
      const progress = filter.judge(stepRecords, this.#keeps)
      if (progress === 'malformed') return 'damaged'
      if (pace.worked(stepRecords, 0)) await pace.breathe()
      if (progress === 'done') return await this.#put(filter, { buffer, position })
    }
  }

  #filter(buffer: Buffer, position: number, section: RecordsSection): BatchFilter {
    const isTransactional = (attributesAt(buffer, position) & batchAttribute.transactional) !== 0
    this.#baseOffset = baseOffsetAt(buffer, position)
    this.#dropsTombstones =
      !isTransactional &&
      hasDeleteHorizon(buffer, position) &&
      this.#rules.nowMs >= readInt64(buffer, position + batchField.baseTimestamp)
    return new BatchFilter(buffer, position, section)
  }

  #isKept(record: RecordWalk): boolean {
    if (record.keySizeBytes < 0) return true
    const offset = this.#baseOffset + record.offsetDelta
    const { map, endOffset } = this.#rules.keys
    if (offset >= endOffset) return true
    if (this.#dropsTombstones && record.valueSizeBytes < 0) return false
    return map.latest(record) <= offset
  }

  #put(
    filter: BatchFilter,
    { buffer, position }: { readonly buffer: Buffer; readonly position: number },
  ): Verdict | Promise<Verdict> {
    this.keptRecords += filter.keptCount
    this.droppedRecords += filter.droppedCount
    if (filter.keptCount === 0) {
      this.isSame = false
      if (this.#isLastOfProducer(buffer, position)) return this.#add(emptiedBatch(buffer, position))
      this.#into.drop(buffer, position)
      return null
    }
    const needsHorizon = filter.tombstoneCount > 0 && this.#isNewlySeen(buffer, position)
    if (filter.droppedCount === 0 && !needsHorizon) return this.#add(buffer, position)
    this.isSame = false
    const type = compressionTypeOf(attributesAt(buffer, position))
    if (type === 'none' && !needsHorizon) return this.#add(filter.encode(this.#allocate))
    return this.#encode(filter, { needsHorizon, type })
  }

  async #encode(
    filter: BatchFilter,
    how: { readonly needsHorizon: boolean; readonly type: ReturnType<typeof compressionTypeOf> },
  ): Promise<Verdict> {
    let batch: Buffer
    if (how.needsHorizon) {
      const { nowMs, deleteRetentionMs } = this.#rules
      const horizonMs = nowMs + deleteRetentionMs
      const how = { count: stepRecords, allocate: this.#allocate }
      const encoding = filter.encodeWithHorizon(horizonMs, how)
      let step = encoding.next()
      for (; step.done !== true; step = encoding.next()) {
        if (this.#work.pace.worked(stepRecords, 0)) await this.#work.pace.breathe()
      }
      batch = step.value
    } else {
      batch = filter.encode(this.#allocate)
    }
    if (how.type !== 'none') batch = await compressBatch(batch, how.type)
    return await this.#add(batch)
  }

  /**
   * Whether this pass is the first to have all of the batch in its map: from here on its tombstones
   * have nothing older below them. Those of transactions stay, as nobody knows what became of them.
   */
  #isNewlySeen(buffer: Buffer, position: number): boolean {
    const { startOffset, endOffset } = this.#rules.keys
    const nextOffset = nextOffsetAt(buffer, position)
    return (
      nextOffset > startOffset &&
      nextOffset <= endOffset &&
      (attributesAt(buffer, position) & batchAttribute.transactional) === 0 &&
      !hasDeleteHorizon(buffer, position)
    )
  }

  #isLastOfProducer(buffer: Buffer, position: number): boolean {
    if (buffer.readInt8(position + batchField.producerId) < 0) return false
    const producerId = readInt64(buffer, position + batchField.producerId)
    const lastOffset = this.#rules.lastProducerOffsets.get(producerId)
    return lastOffset === nextOffsetAt(buffer, position) - 1
  }

  #keepWhole(buffer: Buffer, position: number, recordCount: number): Verdict | Promise<Verdict> {
    this.keptRecords += recordCount
    return this.#add(buffer, position)
  }

  #add(bytes: Buffer, position = 0): Verdict | Promise<Verdict> {
    const adding = this.#into.add(bytes, position)
    return adding === null ? null : adding.then(() => null)
  }
}
