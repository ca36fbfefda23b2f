/**
 * Reads of one partition: from an offset to whole batches. The sparse index gives a position at or
 * before the offset; from there batches are walked. Nothing is believed unchecked: every batch that
 * a lookup lands on is verified, and a mismatch walks the segment from its start.
 */
import { CorruptRecordError, OffsetOutOfRangeError, StorageError } from '../errors.ts'
import type { OpenFile } from '../files/files.ts'
import {
  baseOffsetAt,
  batchHeaderBytes,
  batchSizeAt,
  checkBatch,
  maxTimestampAt,
  nextOffsetAt,
} from '../record/batch-format.ts'
import { BatchView } from '../record/batch-reader.ts'
import { decompressRecords, maxDecompressedBytes } from '../record/codecs.ts'
import { findChain } from './batch-search.ts'
import { readChannel } from './diagnostics.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from './environment.ts'
import type { PinnedFile } from './file-handles.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { OffsetIndex } from './offset-index.ts'
import type { ChunkRequest, LogChunk, ReadHint } from './readable.ts'
import { rebuildIndexes } from './rebuild-indexes.ts'
import { segmentPath } from './segment.ts'
import { TimeIndex, type TimeIndexEntry } from './time-index.ts'

/** A segment as a reader sees it; the active one moves while it is looked at. */
export interface ReadableSegment {
  readonly baseOffset: number
  readonly nextOffset: number
  /** Bytes that hold whole batches; Infinity: up to the size of the file. */
  readonly endPosition: number
  /** Null when they are in files, or nowhere. */
  readonly indexes: SegmentIndexes | null
}

/** Where the segments of a partition are known. */
export interface SegmentSource {
  /** In offset order. */
  segments(): readonly ReadableSegment[]
  /** Looks again after a file was gone or a lookup failed; true when something is different now. */
  refresh(): boolean
  damage(): readonly Damage[]
  /** Damage was found that was not known. */
  noteDamage(damage: Damage): void
}

/** The offsets between which a partition can be read. */
export interface ReadableRange {
  readonly logStartOffset: number
  readonly highWatermark: number
}

/** A batch boundary. */
export interface BatchBoundary {
  readonly offset: number
  readonly baseOffset: number
  readonly position: number
}

/** Two steps of the index: a lookup finds its batch with one read, and no read gains by being smaller. */
const leastReadBytes = 8 << 10

/** What a lookup needs at least: an index step and a batch of common size. */
const lookupBytes = 16 << 10

/** A read of more than this is first compared with what the file has. */
const checkedReadBytes = 8 << 20

/** Reads one partition. Calls may overlap; no file handle is held between them. */
export class SegmentReader {
  readonly #environment: StorageEnvironment
  readonly #dir: string
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
    this.#environment = environment
    this.#dir = of.dir
    this.#identity = of.identity
    this.#source = of.source
  }

  /** See `ReadablePartition.readChunk`. */
  async readChunk(request: ChunkRequest, range: ReadableRange): Promise<LogChunk> {
    try {
      return await this.#readChunk(request, range)
    } catch (error) {
      // A segment that retention removed meanwhile: another look says whether the offset is gone with it.
      if (
        !(error instanceof StorageError) ||
        errnoOf(error.cause) !== 'ENOENT' ||
        !this.#source.refresh()
      )
        throw error
      return await this.#readChunk(request, range)
    }
  }

  /** See `ReadablePartition.offsetForTimestamp`. */
  async offsetForTimestamp(timestamp: number, range: ReadableRange): Promise<number | null> {
    const segments = this.#source.segments()
    for (const segment of segments) {
      if (
        segment.nextOffset <= range.logStartOffset &&
        segment.endPosition !== Number.POSITIVE_INFINITY
      )
        continue
      let indexes = await this.#indexesOf(segment)
      const used = [indexes.times.lookup(timestamp - 1), indexes.times.lastEntry]
      if (!(await this.#areTimesSound(segment, used))) {
        this.#environment.indexes.forget(this.#pathOf(segment))
        indexes = await this.#rebuild(segment)
      }
      const startOffset = Math.max(
        indexes.times.lookup(timestamp - 1)?.offset ?? segment.baseOffset,
        segment.baseOffset,
      )
      // The last one may have been sealed since, which only means that it is looked into for nothing.
      const isSealed = segment !== segments.at(-1)
      const newest = indexes.times.lastEntry
      // A sealed segment's last entry holds its largest timestamp.
      if (isSealed && newest !== null && newest.timestamp < timestamp) continue
      const found = await this.#scanForTimestamp(timestamp, { segment, startOffset, range })
      if (found !== null) return found
    }
    return null
  }

  /** Whether the batches that the entries name end there and have those timestamps. */
  async #areTimesSound(
    segment: ReadableSegment,
    entries: readonly (TimeIndexEntry | null)[],
  ): Promise<boolean> {
    for (const entry of entries) {
      if (entry === null) continue
      const { offset, baseOffset, position } = await this.boundaryAt(entry.offset)
      if (baseOffset !== segment.baseOffset || offset > entry.offset) return false
      const header = await this.#readAt(segment, position, batchHeaderBytes)
      if (header.length < batchHeaderBytes) return false
      const isSame =
        nextOffsetAt(header, 0) === entry.offset + 1 &&
        maxTimestampAt(header, 0) === entry.timestamp
      if (!isSame) return false
    }
    return true
  }

  /** The boundary of the batch that holds `offset`, or where the log ends. */
  async boundaryAt(offset: number): Promise<BatchBoundary> {
    const segments = this.#source.segments()
    const segment = segmentFor(segments, offset)
    if (segment === undefined) return { offset, baseOffset: offset, position: 0 }
    let { position } = await this.#checkedLookup(segment, offset)
    for (;;) {
      const buffer = await this.#readAt(segment, position, lookupBytes)
      if (buffer.length < batchHeaderBytes || position >= segment.endPosition) break
      const nextOffset = nextOffsetAt(buffer, 0)
      if (nextOffset > offset) {
        return {
          offset: Math.min(offset, baseOffsetAt(buffer, 0)),
          baseOffset: segment.baseOffset,
          position,
        }
      }
      position += batchSizeAt(buffer, 0)
    }
    return { offset, baseOffset: segment.baseOffset, position }
  }

  async #readChunk(request: ChunkRequest, range: ReadableRange): Promise<LogChunk> {
    const { from, maxBytes } = request
    const { logStartOffset, highWatermark } = range
    if (from < logStartOffset || from > highWatermark) {
      throw new OffsetOutOfRangeError(
        { ...this.#identity, offset: from },
        logStartOffset,
        highWatermark,
      )
    }
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
          if (this.#source.refresh())
            return await this.#readChunk({ ...request, hint: undefined }, range)
          throw this.#hole({ from: reachedOffset, to: resumesAt }, segment ?? next, from)
        }
        if (next === undefined || next.baseOffset >= upTo) return emptyChunk(upTo)
        index++
        at = startOf(next)
        continue
      }
      const buffer = await this.#readAt(segment, at.position, wantedBytes)
      const isShort = buffer.length < Math.min(wantedBytes, segment.endPosition - at.position)
      const found = this.#parse(buffer, {
        ...at,
        from,
        upTo,
        maxBytes,
        checkCrcs: request.checkCrcs,
      })
      if (found.kind === 'batches') {
        this.#noteRead(request, found.nextOffset, buffer.length)
        return this.#chunkOf(segment, found, { buffer, filePosition: at.position })
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
      const reason = found.kind === 'damage' ? found.reason : 'length'
      at = await this.#passDamage(
        segment,
        { position: found.position, reason, expected: found.expected },
        { from, upTo },
      )
    }
  }

  #chunkOf(
    segment: ReadableSegment,
    found: Parsed & { readonly kind: 'batches' },
    read: { readonly buffer: Buffer; readonly filePosition: number },
  ): LogChunk {
    const { buffer, filePosition } = read
    const { positions, nextOffset: offset } = found
    const position = filePosition + found.endPosition
    const hint = { baseOffset: segment.baseOffset, position, offset }
    return {
      buffer,
      positions,
      path: this.#pathOf(segment),
      filePosition,
      nextOffset: offset,
      hint,
    }
  }

  /** Walks the batches of a buffer that was read at `at.position`. */
  #parse(
    buffer: Buffer,
    at: Start & { from: number; upTo: number; maxBytes: number; checkCrcs: boolean },
  ): Parsed {
    const positions: number[] = []
    let position = 0
    let { expected } = at
    while (position < buffer.length) {
      const check = checkBatch(buffer, position, { end: buffer.length, checkCrc: at.checkCrcs })
      if (check === 'incomplete') {
        if (positions.length > 0) break
        const neededBytes =
          position + batchHeaderBytes <= buffer.length
            ? batchSizeAt(buffer, position)
            : batchHeaderBytes
        return { kind: 'more', position: at.position + position, neededBytes, expected }
      }
      if (check !== 'ok' || !isExpected(buffer, position, expected)) {
        // What was good before it is given first; the next read begins with the damage.
        if (positions.length > 0) break
        const reason = check === 'ok' ? 'offset-order' : check
        return { kind: 'damage', position: at.position + position, reason, expected }
      }
      const baseOffset = baseOffsetAt(buffer, position)
      const nextOffset = nextOffsetAt(buffer, position)
      if (baseOffset >= at.upTo) break
      const endPosition = position + batchSizeAt(buffer, position)
      if (endPosition - (positions[0] ?? position) > at.maxBytes && positions.length > 0) break
      expected = { baseOffset: nextOffset }
      if (nextOffset > at.from) positions.push(position)
      position = endPosition
    }
    const last = positions.at(-1)
    if (last === undefined)
      return { kind: 'more', position: at.position + position, neededBytes: 0, expected }
    return {
      kind: 'batches',
      positions,
      nextOffset: nextOffsetAt(buffer, last),
      endPosition: position,
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
    const path = this.#pathOf(beside ?? { baseOffset: hole.from })
    const position =
      beside !== undefined && Number.isFinite(beside.endPosition) ? beside.endPosition : 0
    const damage: Damage = { ...hole, path, position, reason: 'missing' }
    this.#source.noteDamage(damage)
    return corrupt(damage, from)
  }

  /** A batch of the segment at or before the one that holds `offset`. */
  async #lookup(
    segment: ReadableSegment,
    offset: number,
    hint: ReadHint | undefined,
  ): Promise<Start> {
    const isHinted = hint?.baseOffset === segment.baseOffset && hint.offset === offset
    // Behind a truncation the segment may end before it.
    if (isHinted && hint.position < segment.endPosition) {
      return { position: hint.position, expected: { baseOffset: offset } }
    }
    if (offset === segment.baseOffset) return startOf(segment)
    const entry = (await this.#indexesOf(segment)).offsets.floor(offset)
    if (entry === null) return startOf(segment)
    // Behind the end there is no batch to show that the index is wrong.
    if (entry.position + batchHeaderBytes > segment.endPosition)
      return await this.#lookupAnew(segment, offset)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  /** A lookup whose batch has been seen to be there; `#readChunk` sees that for itself. */
  async #checkedLookup(segment: ReadableSegment, offset: number): Promise<Start> {
    const start = await this.#lookup(segment, offset, undefined)
    return start.position === 0 || (await this.#isBatchAt(segment, start))
      ? start
      : await this.#lookupAnew(segment, offset)
  }

  /** The index is not to be believed, or the batch that it names is damaged: the log itself decides. */
  async #lookupAnew(segment: ReadableSegment, offset: number): Promise<Start> {
    this.#environment.indexes.forget(this.#pathOf(segment))
    const entry = (await this.#rebuild(segment)).offsets.floor(offset)
    if (entry === null) return startOf(segment)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  /** The place that the index names before the batch which ends with `lastOffset`. */
  async #startBefore(segment: ReadableSegment, lastOffset: number): Promise<Start> {
    const entry = (await this.#indexesOf(segment)).offsets.floor(lastOffset - 1)
    if (entry === null) return startOf(segment)
    return { position: entry.position, expected: { lastOffset: entry.offset } }
  }

  async #isBatchAt(segment: ReadableSegment, start: Start): Promise<boolean> {
    if (start.position + batchHeaderBytes > segment.endPosition) return false
    const header = await this.#readAt(segment, start.position, batchHeaderBytes)
    if (header.length < batchHeaderBytes) return false
    const check = checkBatch(header, 0, { end: header.length, checkCrc: false })
    return (check === 'ok' || check === 'incomplete') && isExpected(header, 0, start.expected)
  }

  async #indexesOf(segment: ReadableSegment): Promise<SegmentIndexes> {
    if (segment.indexes !== null) return segment.indexes
    const path = this.#pathOf(segment)
    let isSound = true
    const indexes = this.#environment.indexes.get(path, () => {
      const loaded = this.#loadIndexes(segment)
      isSound = loaded !== null
      return (
        loaded ?? {
          offsets: new OffsetIndex(segment.baseOffset),
          times: new TimeIndex(segment.baseOffset),
        }
      )
    })
    if (isSound) return indexes
    this.#environment.indexes.forget(path)
    return await this.#rebuild(segment)
  }

  #loadIndexes(segment: ReadableSegment): SegmentIndexes | null {
    const offsetBytes = this.#readSideFile(segment, 'index')
    const timeBytes = this.#readSideFile(segment, 'timeindex')
    if (offsetBytes === null || timeBytes === null) return null
    const offsets = OffsetIndex.load(segment.baseOffset, offsetBytes)
    const times = TimeIndex.load(segment.baseOffset, timeBytes)
    return offsets === null || times === null ? null : { offsets, times }
  }

  #readSideFile(segment: ReadableSegment, suffix: 'index' | 'timeindex'): Buffer | null {
    const path = segmentPath(this.#dir, segment.baseOffset, suffix)
    try {
      return this.#environment.files.readFile(path)
    } catch (error) {
      throw new StorageError(path, 'read', error, 'not-written')
    }
  }

  async #rebuild(segment: ReadableSegment): Promise<SegmentIndexes> {
    const path = this.#pathOf(segment)
    const indexes = await this.#withFile(path, file => rebuildIndexes(file, segment))
    // Those of a segment that still grows would be kept for the sealed one.
    if (segment.indexes !== null) return indexes
    return this.#environment.indexes.get(path, () => indexes)
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
    const path = this.#pathOf(segment)
    const segments = this.#source.segments()
    const next = segments[segmentIndexFor(segments, segment.baseOffset) + 1]
    const limitOffset = Math.min(next?.baseOffset ?? wanted.upTo, wanted.upTo)
    const startsAt =
      at.expected !== null && 'baseOffset' in at.expected
        ? at.expected.baseOffset
        : segment.baseOffset
    const { offsets } = await this.#indexesOf(segment)
    const chain = await this.#withFile(path, file => {
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
    const isKnown = this.#source
      .damage()
      .some(known => known.path === path && known.position === at.position)
    if (!isKnown) this.#source.noteDamage(damage)
    throw corrupt(damage, wanted.from)
  }

  async #scanForTimestamp(
    timestamp: number,
    at: { segment: ReadableSegment; startOffset: number; range: ReadableRange },
  ): Promise<number | null> {
    const { segment, range } = at
    let from = Math.max(at.startOffset, range.logStartOffset)
    let hint: ReadHint | undefined
    const upTo = Math.min(range.highWatermark, nextBase(this.#source.segments(), segment))
    while (from < upTo) {
      const request = { from, upTo, maxBytes: 64 << 10, checkCrcs: true, hint }
      const chunk = await this.#readChunk(request, range)
      for (const position of chunk.positions) {
        if (maxTimestampAt(chunk.buffer, position) < timestamp) continue
        const { logStartOffset } = range
        const found = await this.#firstAtOrAfter(chunk, position, { timestamp, logStartOffset })
        if (found !== null) return found
      }
      if (chunk.nextOffset <= from) return null
      from = chunk.nextOffset
      hint = chunk.hint
    }
    return null
  }

  async #firstAtOrAfter(
    chunk: LogChunk,
    position: number,
    wanted: { readonly timestamp: number; readonly logStartOffset: number },
  ): Promise<number | null> {
    const context = { ...this.#identity, key: null, value: null, path: chunk.path }
    let batch = new BatchView(context, { buffer: chunk.buffer, position })
    if (batch.compressionType !== 'none') {
      const bytes = chunk.buffer.subarray(position, position + batch.sizeBytes)
      const records = await decompressRecords(bytes, {
        maxBytes: maxDecompressedBytes,
        path: chunk.path,
      })
      batch = new BatchView(context, { buffer: chunk.buffer, position, records })
    }
    for (const { timestamp, offset } of batch) {
      if (timestamp >= wanted.timestamp && offset >= wanted.logStartOffset) return offset
    }
    return null
  }

  /** Reads up to `sizeBytes`, fewer at the segment's end. */
  #readAt(segment: ReadableSegment, position: number, sizeBytes: number): Buffer | Promise<Buffer> {
    const wanted = Math.max(0, Math.min(sizeBytes, segment.endPosition - position))
    return this.#environment.syncReads.isAllowed(wanted)
      ? this.#readSync(this.#pathOf(segment), position, wanted)
      : this.#readLarge(this.#pathOf(segment), position, wanted)
  }

  /** Nothing is awaited: a small read from the page cache is over before a promise would be made. */
  #readSync(path: string, position: number, wanted: number): Buffer {
    const { syncReads, clock, handles } = this.#environment
    const buffer = Buffer.allocUnsafe(wanted)
    let pin: PinnedFile | undefined
    try {
      pin = handles.pin(path, 'read')
      const startMs = clock.monotonicMs()
      const count = pin.file.readSync(buffer, position)
      syncReads.note(clock.monotonicMs() - startMs)
      return this.#counted(buffer, count)
    } catch (error) {
      throw new StorageError(path, 'read', error, 'not-written')
    } finally {
      pin?.release()
    }
  }

  async #readLarge(path: string, position: number, sizeBytes: number): Promise<Buffer> {
    return await this.#withFile(path, async file => {
      // A damaged length may ask for gigabytes that no file has.
      const isPlausible = sizeBytes <= checkedReadBytes
      const wanted = isPlausible ? sizeBytes : Math.min(sizeBytes, file.sizeBytes() - position)
      const buffer = Buffer.allocUnsafeSlow(Math.max(wanted, 0))
      return this.#counted(buffer, await file.read(buffer, position))
    })
  }

  #counted(buffer: Buffer, count: number): Buffer {
    const { counters } = this.#environment
    counters.reads++
    counters.readBytes += count
    return count === buffer.length ? buffer : buffer.subarray(0, count)
  }

  async #withFile<T>(path: string, use: (file: OpenFile) => T | Promise<T>): Promise<T> {
    let pin: PinnedFile | undefined
    try {
      pin = this.#environment.handles.pin(path, 'read')
      return await use(pin.file)
    } catch (error) {
      throw error instanceof CorruptRecordError
        ? error
        : new StorageError(path, 'read', error, 'not-written')
    } finally {
      pin?.release()
    }
  }

  #noteRead(request: ChunkRequest, nextOffset: number, sizeBytes: number): void {
    if (!readChannel.hasSubscribers) return
    readChannel.publish({ ...this.#identity, from: request.from, nextOffset, sizeBytes })
  }

  #pathOf(segment: { readonly baseOffset: number }): string {
    return segmentPath(this.#dir, segment.baseOffset, 'log')
  }
}

/** A place to start walking, and what the batch there must be: nothing is known when null. */
interface Start {
  readonly position: number
  readonly expected: { readonly baseOffset: number } | { readonly lastOffset: number } | null
}

type Parsed =
  | {
      readonly kind: 'batches'
      readonly positions: readonly number[]
      readonly nextOffset: number
      readonly endPosition: number
    }
  | ({ readonly kind: 'more'; readonly neededBytes: number } & Start)
  | ({ readonly kind: 'damage'; readonly reason: Damage['reason'] } & Start)

/** Behind the last batch that was walked, or where the segment begins; undefined without a segment. */
function reachedBy(at: Start, segment: ReadableSegment | undefined): number | undefined {
  if (at.expected === null) return segment?.baseOffset
  return 'baseOffset' in at.expected ? at.expected.baseOffset : at.expected.lastOffset + 1
}

function startOf(segment: ReadableSegment | undefined): Start {
  return {
    position: 0,
    expected: segment === undefined ? null : { baseOffset: segment.baseOffset },
  }
}

/**
 * Whether a batch has the offsets that it must have there. The base offset lies outside the CRC, so
 * that this is what tells a record that was renumbered by a flipped bit.
 */
function isExpected(buffer: Buffer, position: number, expected: Start['expected']): boolean {
  if (expected === null) return true
  if ('baseOffset' in expected) return baseOffsetAt(buffer, position) === expected.baseOffset
  return nextOffsetAt(buffer, position) - 1 === expected.lastOffset
}

const nothing = Buffer.alloc(0)

function emptyChunk(nextOffset: number): LogChunk {
  return { buffer: nothing, positions: [], path: '', filePosition: 0, nextOffset, hint: undefined }
}

/** Place of the last segment that begins at or below `offset`; -1 when there is none. */
function segmentIndexFor(segments: readonly ReadableSegment[], offset: number): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segments[middle] as ReadableSegment).baseOffset <= offset) low = middle + 1
    else high = middle
  }
  return low - 1
}

function segmentFor(
  segments: readonly ReadableSegment[],
  offset: number,
): ReadableSegment | undefined {
  return segments[segmentIndexFor(segments, offset)]
}

function nextBase(segments: readonly ReadableSegment[], segment: ReadableSegment): number {
  return (
    segments[segmentIndexFor(segments, segment.baseOffset) + 1]?.baseOffset ??
    Number.POSITIVE_INFINITY
  )
}

function corrupt(damage: Damage, from: number): CorruptRecordError {
  const { path, position, to, reason } = damage
  return new CorruptRecordError({ path, position, from: Math.max(from, damage.from), to }, reason)
}

function errnoOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}
