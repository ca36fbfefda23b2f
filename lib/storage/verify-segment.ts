/**
 * One segment, checked batch by batch: checksum, order of offsets, what the indexes and the epoch file
 * say of each and, when asked for, every record. Behind damage the walk goes on where a chain of
 * batches is proved to belong to the log, as a reader does.
 */
import { CorruptRecordError } from '../errors.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  leaderEpochAt,
  maxTimestampAt,
  nextOffsetAt,
  recordCountAt,
} from '../record/batch-format.ts'
import { decompressRecords, maxDecompressedBytes } from '../record/codecs.ts'
import { RecordsCheck } from '../record/records-check.ts'
import { type ScanResult, scanBatches } from './batch-scan.ts'
import { type Chain, findChain } from './batch-search.ts'
import type { Damage } from './environment.ts'
import type { ReadableFile } from './file-io.ts'
import type { IndexesCheck } from './indexes-check.ts'
import type { LeaderEpochEntry, LeaderEpochs } from './leader-epochs.ts'
import { headersCrc } from './segments-manifest.ts'
import type { WorkPace } from './work-pace.ts'

/** Bytes read, and looked at in one turn of the event loop. */
const chunkBytes = 64 << 10

/** Records decoded before the time is looked at. */
const recordsAtOnce = 2048

/** Lower than any leader epoch, so that a scan accepts all of them. */
const anyEpoch = -(2 ** 31)

/** What is to be walked. */
export interface SegmentWalkRequest {
  readonly file: ReadableFile
  readonly baseOffset: number
  /** Bytes that are there to be walked. */
  readonly endPosition: number
  /** Where the log goes on behind the segment, or the recovery point: batches must lead there. */
  readonly endOffset: number
  /** What comes behind `endOffset` in this file is not looked at. */
  readonly isLast: boolean
  readonly logStartOffset: number
  readonly indexes: IndexesCheck
  /** Null when the epoch file is no use. */
  readonly epochs: LeaderEpochs | null
  readonly deep: boolean
  readonly pace: WorkPace
  readonly onChecked: (bytes: number) => void
}

/** A range of a segment that cannot be read. */
export interface DamagedRange extends Damage {
  /** Where the next good batch begins, or the end of the file. */
  readonly endPosition: number
  readonly what: string
}

/** What the walk met. */
export interface SegmentWalk {
  readonly bytes: number
  readonly batches: number
  readonly records: number
  readonly damage: readonly DamagedRange[]
  /** Behind the last good batch. */
  readonly nextOffset: number
  /** Over the headers of all batches; null when not all of them could be read. */
  readonly headersCrc: number | null
  /** Each leader epoch that follows another one in the batches, and where; as they are, in any order. */
  readonly epochRuns: readonly LeaderEpochEntry[]
  /** The first batch whose epoch is not the one on record. */
  readonly epochMismatch: Mismatch | null
  /** The first record whose timestamp is above that of its batch. */
  readonly timestampMismatch: Mismatch | null
}

/** A batch that is readable and not as something else says. */
export interface Mismatch {
  readonly from: number
  readonly to: number
  readonly position: number
  readonly what: string
}

/**
 * Walks the segment.
 *
 * @throws {CodecMissingError} when records are to be decoded and the package of their codec is not there
 * @throws {StorageError} when a read fails
 */
export function walkSegment(request: SegmentWalkRequest): Promise<SegmentWalk> {
  return new SegmentWalker(request).run()
}

class SegmentWalker {
  readonly #request: SegmentWalkRequest
  readonly #damage: DamagedRange[] = []
  #bytes = 0
  #batches = 0
  #records = 0
  #nextOffset: number
  /** Null once a part of the segment was left out. */
  #headersCrc: number | null = 0
  readonly #epochRuns: LeaderEpochEntry[] = []
  #epochMismatch: Mismatch | null = null
  #timestampMismatch: Mismatch | null = null

  constructor(request: SegmentWalkRequest) {
    this.#request = request
    this.#nextOffset = request.baseOffset
  }

  async run(): Promise<SegmentWalk> {
    const { endOffset, endPosition, isLast } = this.#request
    let startPosition = 0
    while (startPosition < endPosition) {
      const result = await this.#scan(startPosition)
      startPosition = endPosition
      if (result.end.kind === 'end' || this.#nextOffset >= endOffset) break
      const behind = await this.#findResume(result)
      this.#noteDamage(result, behind)
      if (behind === null) break
      this.#request.indexes.skip({ offset: behind.baseOffset, position: behind.position })
      this.#nextOffset = behind.baseOffset
      startPosition = behind.position
    }
    if (this.#nextOffset < endOffset) this.#noteMissing()
    this.#request.indexes.finish(!isLast && this.#headersCrc !== null)
    return {
      bytes: this.#bytes,
      batches: this.#batches,
      records: this.#records,
      damage: this.#damage,
      nextOffset: this.#nextOffset,
      headersCrc: this.#headersCrc,
      epochRuns: this.#epochRuns,
      epochMismatch: this.#epochMismatch,
      timestampMismatch: this.#timestampMismatch,
    }
  }

  #scan(startPosition: number): Promise<ScanResult> {
    const { file, endPosition, endOffset, deep, pace, onChecked } = this.#request
    return scanBatches(file, {
      startPosition,
      endPosition,
      chunkBytes,
      expectedOffset: this.#nextOffset,
      // Epochs are compared with those on record: a wrong one must not make good batches look bad.
      minLeaderEpoch: anyEpoch,
      maxLeaderEpoch: anyEpoch,
      limitOffset: this.#request.isLast ? undefined : endOffset,
      onBatch: (buffer, position, filePosition) => this.#note(buffer, position, filePosition),
      onVerified: async (bytes, filePosition) => {
        if (deep) await this.#decode(bytes, filePosition)
        this.#bytes += bytes.length
        onChecked(bytes.length)
        await pace.spent(bytes.length)
      },
    })
  }

  #note(buffer: Buffer, position: number, filePosition: number): void {
    const { indexes, isLast, endOffset } = this.#request
    const nextOffset = nextOffsetAt(buffer, position)
    this.#nextOffset = nextOffset
    // Above the recovery point nothing is promised yet.
    if (isLast && nextOffset > endOffset) return
    this.#batches++
    this.#records += recordCountAt(buffer, position)
    if (this.#headersCrc !== null) this.#headersCrc = headersCrc(this.#headersCrc, buffer, position)
    const maxTimestamp = maxTimestampAt(buffer, position)
    indexes.note({ lastOffset: nextOffset - 1, position: filePosition, maxTimestamp })
    this.#compareEpoch(buffer, position, filePosition)
  }

  #compareEpoch(buffer: Buffer, position: number, filePosition: number): void {
    const { epochs, logStartOffset } = this.#request
    if (this.#nextOffset <= logStartOffset) return
    const from = Math.max(baseOffsetAt(buffer, position), logStartOffset)
    const epoch = leaderEpochAt(buffer, position)
    if (this.#epochRuns.at(-1)?.epoch !== epoch) this.#epochRuns.push({ epoch, startOffset: from })
    if (epochs === null || this.#epochMismatch !== null) return
    const known = epochs.entries.findLast(entry => entry.startOffset <= from)?.epoch ?? -1
    if (epoch === known) return
    const what = `the batch has leader epoch ${epoch}, on record is ${known}`
    this.#epochMismatch = { from, to: this.#nextOffset, position: filePosition, what }
  }

  /** Decodes the records of batches that were seen to be whole. */
  async #decode(bytes: Buffer, filePosition: number): Promise<void> {
    for (let position = 0; position < bytes.length; ) {
      const sizeBytes = batchSizeAt(bytes, position)
      const batch = bytes.subarray(position, position + sizeBytes)
      const at = { position: filePosition + position, batch }
      if (this.#request.isLast && nextOffsetAt(batch, 0) > this.#request.endOffset) return
      await this.#decodeBatch(at)
      position += sizeBytes
    }
  }

  async #decodeBatch(at: { readonly batch: Buffer; readonly position: number }): Promise<void> {
    const { batch, position } = at
    const { file, pace } = this.#request
    let records: Buffer
    try {
      const limits = { maxBytes: maxDecompressedBytes, path: file.path, position }
      records = await decompressRecords(batch, limits)
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      this.#noteBadRecords(at, 'the records of the batch do not decompress')
      return
    }
    const check = new RecordsCheck(batch, records)
    for (;;) {
      const step = check.step(recordsAtOnce)
      if (step.kind === 'ok') return
      if (step.kind === 'damage') {
        this.#noteBadRecords(at, step.what)
        return
      }
      if (step.kind === 'timestamp') {
        const range = { from: baseOffsetAt(batch, 0), to: nextOffsetAt(batch, 0) }
        this.#timestampMismatch ??= { ...range, position, what: step.what }
        return
      }
      await pace.spent(0)
    }
  }

  #noteBadRecords(at: { readonly batch: Buffer; readonly position: number }, what: string): void {
    const { batch, position } = at
    this.#addDamage({
      from: baseOffsetAt(batch, 0),
      to: nextOffsetAt(batch, 0),
      path: this.#request.file.path,
      position,
      reason: 'record',
      endPosition: position + batch.length,
      what,
    })
  }

  /** The first batch behind the bad bytes that is proved to belong to the log. */
  async #findResume({ position, end }: ScanResult): Promise<Chain | null> {
    const { file, endPosition, endOffset, indexes, pace } = this.#request
    // A batch that is only out of its turn may be where the log goes on behind something lost.
    const isOutOfTurn = end.kind === 'corrupt' && end.reason === 'offset-order'
    let startPosition = isOutOfTurn ? position : position + 1
    for (;;) {
      const request = {
        startPosition,
        endPosition,
        minOffset: this.#nextOffset,
        limitOffset: this.#request.isLast ? Number.MAX_SAFE_INTEGER : endOffset,
        minLeaderEpoch: anyEpoch,
      }
      const chain = await findChain(file, request, boundary => {
        if (boundary.nextOffset === endOffset || boundary.baseOffset === endOffset) return true
        const entry = indexes.offsets?.entryBehind(boundary.position - 1) ?? null
        return entry?.position === boundary.position && entry.offset === boundary.nextOffset - 1
      })
      if (chain === null || chain.isAnchored) return chain
      await pace.spent(chain.endPosition - startPosition)
      startPosition = chain.endPosition
    }
  }

  #noteDamage({ end, position }: ScanResult, behind: Chain | null): void {
    const { file, endPosition, endOffset } = this.#request
    const reason = end.kind === 'corrupt' ? end.reason : 'length'
    this.#headersCrc = null
    this.#addDamage({
      from: this.#nextOffset,
      to: Math.min(behind?.baseOffset ?? endOffset, endOffset),
      path: file.path,
      position,
      reason,
      endPosition: behind?.position ?? endPosition,
      what: reasons[reason],
    })
    this.#nextOffset = behind?.baseOffset ?? endOffset
  }

  #noteMissing(): void {
    this.#headersCrc = null
    const { file, endOffset, endPosition } = this.#request
    this.#addDamage({
      from: this.#nextOffset,
      to: endOffset,
      path: file.path,
      position: endPosition,
      reason: 'missing',
      endPosition,
      what: reasons.missing,
    })
  }

  /** Damage below the log start concerns nobody. */
  #addDamage(range: DamagedRange): void {
    const from = Math.max(range.from, this.#request.logStartOffset)
    if (from < range.to) this.#damage.push({ ...range, from })
  }
}

const reasons = {
  crc: 'the checksum of the batch is wrong',
  length: 'no whole batch is there',
  magic: 'the bytes are no record batch of this format',
  'offset-order': 'the batch does not have the offset that is due',
  record: 'the header of the batch contradicts itself',
  missing: 'records that the log should have are not there',
} as const
