/**
 * Reads of one partition: from an offset to whole batches. The sparse index gives a position at or
 * before the offset; from there batches are walked. Nothing is believed unchecked: every batch that
 * a lookup lands on is verified, and a mismatch walks the segment from its start.
 */
import { CorruptRecordError, OffsetOutOfRangeError, StorageError } from '../errors.ts'
import { batchHeaderBytes } from '../record/batch-format.ts'
import { findBoundary } from './batch-boundary.ts'
import { findChain } from './batch-search.ts'
import {
  expectedEnd,
  reachedBy,
  type Start,
  startOf,
  type Walked,
  walkChunk,
} from './chunk-walk.ts'
import { readChannel } from './diagnostics.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from './environment.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { IndexLoader } from './index-loader.ts'
import type { ChunkRequest, LogChunk, ReadAhead, ReadHint } from './readable.ts'
import {
  type BatchBoundary,
  type ReadableRange,
  type ReadableSegment,
  type SegmentSource,
  segmentFor,
  segmentIndexFor,
} from './readable-segment.ts'
import { type ReadPlace, SegmentFileReader } from './segment-file-reader.ts'
import { TimestampLookup } from './timestamp-lookup.ts'

/** Two steps of the index: a lookup finds its batch with one read, and no read gains by being smaller. */
const leastReadBytes = 8 << 10

/** Reads one partition. Calls may overlap; no file handle is held between them. */
export class SegmentReader {
  readonly #files: SegmentFileReader
  readonly #indexes: IndexLoader
  readonly #identity: PartitionIdentity
  readonly #source: SegmentSource

  constructor(
    environment: StorageEnvironment,
    of: {
      readonly dir: string
      readonly identity: PartitionIdentity
      readonly source: SegmentSource
    },
  ) {
    this.#files = new SegmentFileReader(environment, of.dir)
    this.#indexes = new IndexLoader(environment, this.#files)
    this.#identity = of.identity
    this.#source = of.source
  }

  /** See `ReadablePartition.readChunk`. */
  async readChunk(request: ChunkRequest, range: ReadableRange): Promise<LogChunk> {
    for (;;) {
      const seen = this.#source.segments()
      try {
        return await this.#readChunk(request, range)
      } catch (error) {
        if (!isGone(error) || !this.#source.refresh(seen)) throw error
      }
    }
  }

  /** See `ReadablePartition.offsetForTimestamp`. */
  async offsetForTimestamp(timestamp: number, range: ReadableRange): Promise<number | null> {
    return await this.#lookUp(timestamp, range, lookup => lookup.offset())
  }

  /** The largest timestamp of the sealed segment with this base offset; -1 when its records have none. */
  async newestTimestamp(baseOffset: number, range: ReadableRange): Promise<number> {
    const found = segmentFor(this.#source.segments(), baseOffset)
    if (found === undefined) return -1
    return await this.#lookUp(0, range, lookup => lookup.newestIn(found))
  }

  async #lookUp<T>(
    timestamp: number,
    range: ReadableRange,
    use: (lookup: TimestampLookup) => Promise<T>,
  ): Promise<T> {
    const source = {
      identity: this.#identity,
      files: this.#files,
      indexes: this.#indexes,
      segments: () => this.#source.segments(),
      boundaryAt: (offset: number) => this.boundaryAt(offset),
      readChunk: (request: ChunkRequest) => this.#readChunk(request, range),
    }
    for (;;) {
      const seen = this.#source.segments()
      try {
        return await use(new TimestampLookup(source, timestamp, range))
      } catch (error) {
        if (!isGone(error) || !this.#source.refresh(seen)) throw error
      }
    }
  }

  /** The boundary of the batch that holds `offset`, or where the log ends. */
  async boundaryAt(offset: number): Promise<BatchBoundary> {
    const segments = this.#source.segments()
    const segment = segmentFor(segments, offset)
    if (segment === undefined) return { offset, baseOffset: offset, position: 0 }
    const lookup = {
      files: this.#files,
      start: (of: ReadableSegment, at: number) => this.#lookup(of, at, undefined),
      startAnew: (of: ReadableSegment, at: number) => this.#lookupAnew(of, at),
    }
    return await findBoundary(lookup, segment, offset)
  }

  async #readChunk(request: ChunkRequest, range: ReadableRange): Promise<LogChunk> {
    const { from, maxBytes } = request
    const { highWatermark } = range
    this.#checkRange(from, range)
    const upTo = Math.min(request.upTo ?? highWatermark, highWatermark)
    if (from >= upTo) return emptyChunk(from)
    const segments = this.#source.segments()
    let index = segmentIndexFor(segments, from)
    let at =
      index < 0
        ? startOf(undefined)
        : await this.#lookup(segments[index] as ReadableSegment, from, request.hint)
    let wantedBytes = Math.max(maxBytes, leastReadBytes)
    let isIndexRebuilt = false
    for (;;) {
      const segment = segments[index]
      if (segment === undefined || at.position >= segment.endPosition) {
        const next = segments[index + 1]
        const reachedOffset = reachedBy(at, segment) ?? from
        const resumesAt = Math.min(next?.baseOffset ?? upTo, upTo)
        if (reachedOffset < resumesAt) {
          // Another process may have rolled meanwhile; else what lies between is lost.
          if (this.#source.refresh(segments))
            return await this.#readChunk({ ...request, hint: undefined }, range)
          throw this.#hole({ from: reachedOffset, to: resumesAt }, segment ?? next, from)
        }
        if (next === undefined || next.baseOffset >= upTo) return emptyChunk(upTo)
        index++
        at = startOf(next)
        continue
      }
      // Written out here and below: spreads were a third of what a small read takes.
      const { position, expected } = at
      const wanted = { position, sizeBytes: wantedBytes, buffers: request.buffers }
      const read = this.#read(segment, wanted, request.hint?.ahead)
      const buffer = Buffer.isBuffer(read) ? read : await read
      const { hint, checkCrcs } = request
      const ahead = hint && this.#readAhead(segment, wanted, { buffer, upTo, maxBytes })
      const isShort = buffer.length < Math.min(wantedBytes, segment.endPosition - position)
      const found = walkChunk(buffer, { position, expected, from, upTo, maxBytes, checkCrcs })
      if (found.kind === 'batches') {
        this.#noteRead(request, found.nextOffset, buffer.length)
        return this.#chunkOf(segment, found, { buffer, filePosition: at.position, ahead })
      }
      if (found.kind === 'more') {
        const isStuck =
          found.position === at.position && buffer.length >= segment.endPosition - at.position
        const isKnown = found.expected === null || 'baseOffset' in found.expected
        if (isShort && isKnown && segment.endPosition === Number.POSITIVE_INFINITY) {
          // Another process writes this segment: it ends here for now.
          at = { position: Number.POSITIVE_INFINITY, expected: found.expected }
          continue
        }
        if (!isShort && !isStuck) {
          at = { position: found.position, expected: found.expected }
          wantedBytes = Math.max(maxBytes, leastReadBytes, found.neededBytes)
          continue
        }
      }
      // A position remembered from an earlier read may be another one's by now: only a lookup is proof.
      if (request.hint !== undefined)
        return await this.#readChunk({ ...request, hint: undefined }, range)
      if (found.expected !== null && 'lastOffset' in found.expected) {
        // The index is wrong, or it led straight to the damage: then only the batch before tells where
        // that begins.
        at = isIndexRebuilt
          ? await this.#startBefore(segment, found.expected.lastOffset)
          : await this.#lookupAnew(segment, from)
        isIndexRebuilt = true
        continue
      }
      // Compaction may have replaced the file meanwhile.
      if (this.#source.refresh(segments)) return await this.#readChunk(request, range)
      const reason = found.kind === 'damage' ? found.reason : 'length'
      at = await this.#passDamage(
        segment,
        { position: found.position, reason, expected: found.expected },
        { from, upTo },
      )
    }
  }

  /** What was read ahead, if it is what is wanted now. */
  #read(
    segment: ReadableSegment,
    wanted: ReadPlace,
    ahead: ReadAhead | undefined,
  ): Buffer | Promise<Buffer> {
    const { position } = wanted
    const sizeBytes = Math.min(wanted.sizeBytes, segment.endPosition - position)
    const isIt = ahead?.position === position && ahead.sizeBytes === sizeBytes
    if (!isIt) return this.#files.readAt(segment, wanted)
    return ahead.bytes.then(bytes =>
      bytes?.length === sizeBytes ? bytes : this.#files.readAt(segment, wanted),
    )
  }

  /**
   * Who reads on where the last chunk ended will go on: the next read is begun in the pool before this
   * chunk's checksums are computed, so that copying and checking go on side by side.
   */
  #readAhead(
    segment: ReadableSegment,
    { position, sizeBytes, buffers }: ReadPlace,
    read: { readonly buffer: Buffer; readonly upTo: number; readonly maxBytes: number },
  ): ReadAhead | undefined {
    const end = expectedEnd(read.buffer, read)
    if (end === null) return undefined
    return this.#files.readAhead(segment, { position: position + end, sizeBytes, buffers })
  }

  #checkRange(offset: number, { logStartOffset, highWatermark }: ReadableRange): void {
    if (offset >= logStartOffset && offset <= highWatermark) return
    const at = { ...this.#identity, offset }
    throw new OffsetOutOfRangeError(at, logStartOffset, highWatermark)
  }

  #chunkOf(
    segment: ReadableSegment,
    found: Walked & { readonly kind: 'batches' },
    read: {
      readonly buffer: Buffer
      readonly filePosition: number
      readonly ahead: ReadAhead | undefined
    },
  ): LogChunk {
    const { buffer, filePosition } = read
    const { positions, nextOffset: offset } = found
    const position = filePosition + found.endPosition
    const ahead = read.ahead?.position === position ? read.ahead : undefined
    const hint = { baseOffset: segment.baseOffset, position, offset, ahead }
    return {
      buffer,
      positions,
      path: this.#files.pathOf(segment),
      filePosition,
      nextOffset: offset,
      hint,
    }
  }

  /** The error for offsets that no segment holds, although the log should. */
  #hole(
    hole: { readonly from: number; readonly to: number },
    beside: { readonly baseOffset: number; readonly endPosition: number } | undefined,
    from: number,
  ): CorruptRecordError {
    const known = this.#source.damage().find(damage => damage.from <= from && from < damage.to)
    if (known !== undefined) return corrupt(known, from)
    const path = this.#files.pathOf(beside ?? { baseOffset: hole.from })
    const position =
      beside !== undefined && Number.isFinite(beside.endPosition) ? beside.endPosition : 0
    const damage: Damage = { ...hole, path, position, reason: 'missing' }
    this.#source.noteDamage(damage)
    return corrupt(damage, from)
  }

  /** A batch of the segment at or before the one that holds `offset`; nothing is awaited that is at hand. */
  #lookup(
    segment: ReadableSegment,
    offset: number,
    hint: ReadHint | undefined,
  ): Start | Promise<Start> {
    const isHinted = hint?.baseOffset === segment.baseOffset && hint.offset === offset
    // Behind a truncation the segment may end before it.
    if (isHinted && hint.position < segment.endPosition) {
      return { position: hint.position, expected: { baseOffset: offset } }
    }
    if (offset === segment.baseOffset) return startOf(segment)
    const indexes = this.#indexes.of(segment)
    return 'offsets' in indexes
      ? this.#indexed(segment, offset, indexes)
      : indexes.then(loaded => this.#indexed(segment, offset, loaded))
  }

  #indexed(
    segment: ReadableSegment,
    offset: number,
    { offsets }: SegmentIndexes,
  ): Start | Promise<Start> {
    const entry = offsets.floor(offset)
    if (entry === null) return startOf(segment)
    // Behind the end there is no batch to show that the index is wrong.
    if (entry.position + batchHeaderBytes > segment.endPosition)
      return this.#lookupAnew(segment, offset)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  /** The index is not to be believed, or the batch that it names is damaged: the log itself decides. */
  async #lookupAnew(segment: ReadableSegment, offset: number): Promise<Start> {
    const entry = (await this.#indexes.rebuild(segment)).offsets.floor(offset)
    if (entry === null) return startOf(segment)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  /** The place that the index names before the batch which ends with `lastOffset`. */
  async #startBefore(segment: ReadableSegment, lastOffset: number): Promise<Start> {
    const entry = (await this.#indexes.of(segment)).offsets.floor(lastOffset - 1)
    if (entry === null) return startOf(segment)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  /**
   * Where reading goes on behind damage, when that is at or below `from`: the damage was met on the way.
   *
   * @throws {CorruptRecordError} when the damage covers `from`.
   */
  async #passDamage(
    segment: ReadableSegment,
    at: Start & { readonly reason: Damage['reason'] },
    wanted: { readonly from: number; readonly upTo: number },
  ): Promise<Start> {
    const path = this.#files.pathOf(segment)
    const segments = this.#source.segments()
    const next = segments[segmentIndexFor(segments, segment.baseOffset) + 1]
    const limitOffset = Math.min(next?.baseOffset ?? wanted.upTo, wanted.upTo)
    const startsAt =
      at.expected !== null && 'baseOffset' in at.expected
        ? at.expected.baseOffset
        : segment.baseOffset
    const { offsets } = await this.#indexes.of(segment)
    const chain = await this.#files.withFile(path, file => {
      const endPosition = Math.min(segment.endPosition, file.sizeBytes())
      const request = {
        startPosition: at.position + 1,
        endPosition,
        minOffset: startsAt,
        limitOffset,
        minLeaderEpoch: 0,
      }
      return findChain(file, request, boundary => {
        if (boundary.nextOffset === limitOffset) return true
        const entry = offsets.floor(boundary.nextOffset - 1)
        return (
          entry !== null &&
          entry.position === boundary.position &&
          entry.offset === boundary.nextOffset - 1
        )
      })
    })
    const resumesAt = chain?.isAnchored === true ? chain.baseOffset : limitOffset
    if (chain?.isAnchored === true && resumesAt <= wanted.from) {
      return { position: chain.position, expected: { baseOffset: chain.baseOffset } }
    }
    const damage: Damage = {
      from: startsAt,
      to: resumesAt,
      path,
      position: at.position,
      reason: at.reason,
    }
    this.#source.noteDamage(damage)
    throw corrupt(damage, wanted.from)
  }

  #noteRead(request: ChunkRequest, nextOffset: number, sizeBytes: number): void {
    if (!readChannel.hasSubscribers) return
    readChannel.publish({ ...this.#identity, from: request.from, nextOffset, sizeBytes })
  }
}

const nothing = Buffer.alloc(0)

function emptyChunk(nextOffset: number): LogChunk {
  return { buffer: nothing, positions: [], path: '', filePosition: 0, nextOffset, hint: undefined }
}

function corrupt(damage: Damage, from: number): CorruptRecordError {
  const { path, position, to, reason } = damage
  return new CorruptRecordError({ path, position, from: Math.max(from, damage.from), to }, reason)
}

/**
 * A file was not there any more: compaction or retention took it meanwhile, and another look says
 * what has become of the offset.
 */
function isGone(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
