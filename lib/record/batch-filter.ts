/**
 * Takes records out of a batch (batch-format.ts) as compaction does: what stays keeps its offset and
 * timestamp, and the batch its base offset, last offset, leader epoch, producer and sequence. What
 * stays is copied as it lies, since base offset and base timestamp do not change; only a new
 * delete horizon, which takes the place of the base timestamp, makes every record be encoded anew.
 */
import { ok } from 'node:assert/strict'

import {
  attributesAt,
  batchAttribute,
  batchField,
  batchHeaderBytes,
  batchMagic,
  batchPrefixBytes,
  maxTimestampAt,
  recordCountAt,
  sealBatch,
  stampBatch,
} from './batch-format.ts'
import { readInt64, writeInt64 } from './int64.ts'
import { RecordWalk } from './record-walk.ts'
import { varlongSize, writeVarint, writeVarlong } from './varint.ts'

/** Gives a buffer of at least that size to write a batch into; it may be the same one each time. */
export type Allocate = (sizeBytes: number) => Buffer

/** Judges a record, which the walk has just passed: true keeps it. */
export type KeepRecord = (record: RecordWalk) => boolean

/** How far a filter has come: `malformed` when the records are not what the header declares. */
export type FilterProgress = 'more' | 'done' | 'malformed'

/**
 * One batch on its way through compaction: `judge` until it says `done`, then look at the counts, and
 * `encode` if the batch is to be written anew. Both go on where they stopped, so that a batch of any
 * size can be worked at in slices.
 */
export class BatchFilter {
  readonly #batch: Buffer
  readonly #position: number
  readonly #walk: RecordWalk
  readonly #end: number
  readonly #baseTimestamp: number
  #remaining: number
  /** Places of kept records, runs of neighbors joined: start, end, start, end … */
  readonly #kept: number[] = []
  #maxTimestamp = -1
  keptCount = 0
  droppedCount = 0
  /** Tombstones among the records that are kept. */
  tombstoneCount = 0

  /**
   * A filter for the batch at `position` of `batch`. `records` are its records, not compressed, from
   * `start` on; they may lie in the batch itself.
   */
  constructor(
    batch: Buffer,
    position: number,
    records: { readonly bytes: Buffer; readonly start: number; readonly end: number },
  ) {
    this.#batch = batch
    this.#position = position
    this.#walk = new RecordWalk(records.bytes, records.start)
    this.#end = records.end
    this.#remaining = recordCountAt(batch, position)
    this.#baseTimestamp = readInt64(batch, position + batchField.baseTimestamp)
  }

  /** Judges up to `count` records. */
  judge(count: number, keeps: KeepRecord): FilterProgress {
    const walk = this.#walk
    const stopAt = Math.max(0, this.#remaining - count)
    for (; this.#remaining > stopAt; this.#remaining--) {
      if (!walk.next(this.#end)) return 'malformed'
      if (keeps(walk)) this.#keep()
      else this.droppedCount++
    }
    if (this.#remaining > 0) return 'more'
    return walk.endPosition === this.#end ? 'done' : 'malformed'
  }

  #keep(): void {
    const walk = this.#walk
    const kept = this.#kept
    if (kept.length > 0 && kept[kept.length - 1] === walk.startPosition) {
      kept[kept.length - 1] = walk.endPosition
    } else {
      kept.push(walk.startPosition, walk.endPosition)
    }
    const timestamp = this.#baseTimestamp + walk.timestampDelta
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    if (walk.valueSizeBytes < 0 && walk.keySizeBytes >= 0) this.tombstoneCount++
    this.keptCount++
  }

  /** The batch with what was kept, at least one record, and not compressed, at the start of a buffer. */
  encode(allocate: Allocate): Buffer {
    const sizeBytes = batchHeaderBytes + this.#keptBytes()
    const target = this.#begin(allocate(sizeBytes))
    let position = batchHeaderBytes
    for (let at = 0; at < this.#kept.length; at += 2) {
      position += this.#walk.bytes.copy(target, position, this.#kept[at], this.#kept[at + 1])
    }
    return this.#finish(target, sizeBytes)
  }

  /** As `encode`, with a delete horizon. Generates once per `count` records, to let others have their turn. */
  *encodeWithHorizon(
    horizonMs: number,
    how: { readonly count: number; readonly allocate: Allocate },
  ): Generator<void, Buffer, void> {
    // At worst every delta takes ten bytes, and the length of its record five.
    const boundBytes = batchHeaderBytes + this.#keptBytes() + 14 * this.keptCount
    const target = this.#begin(how.allocate(boundBytes))
    const walk = new RecordWalk(this.#walk.bytes, 0)
    let position = batchHeaderBytes
    let sinceBreak = 0
    for (let at = 0; at < this.#kept.length; at += 2) {
      const run = new RecordWalk(walk.bytes, this.#kept[at] as number)
      const end = this.#kept[at + 1] as number
      while (run.endPosition < end) {
        ok(run.next(end))
        const timestampDelta = this.#baseTimestamp + run.timestampDelta - horizonMs
        position = copyRecord(run, { target, position, timestampDelta })
        if (++sinceBreak < how.count) continue
        sinceBreak = 0
        yield
      }
    }
    const attributes = attributesAt(target, 0) | batchAttribute.deleteHorizon
    target.writeInt16BE(attributes, batchField.attributes)
    writeInt64(target, batchField.baseTimestamp, horizonMs)
    return this.#finish(target, position)
  }

  #keptBytes(): number {
    let sizeBytes = 0
    for (let at = 0; at < this.#kept.length; at += 2) {
      sizeBytes += (this.#kept[at + 1] as number) - (this.#kept[at] as number)
    }
    return sizeBytes
  }

  #begin(target: Buffer): Buffer {
    ok(this.#remaining === 0 && this.keptCount > 0)
    this.#batch.copy(target, 0, this.#position, this.#position + batchHeaderBytes)
    const attributes = attributesAt(target, 0) & ~batchAttribute.codecMask
    target.writeInt16BE(attributes, batchField.attributes)
    return target
  }

  #finish(target: Buffer, sizeBytes: number): Buffer {
    target.writeInt32BE(sizeBytes - batchPrefixBytes, batchField.length)
    target.writeInt32BE(this.keptCount, batchField.recordCount)
    const isAppendTime = (attributesAt(target, 0) & batchAttribute.appendTimestamps) !== 0
    if (!isAppendTime) writeInt64(target, batchField.maxTimestamp, this.#maxTimestamp)
    sealBatch(target, 0, sizeBytes)
    return target.subarray(0, sizeBytes)
  }
}

/** Copies a record under another timestamp delta; returns the position behind it. */
function copyRecord(
  { bytes, offsetDeltaPosition, endPosition }: RecordWalk,
  to: { readonly target: Buffer; readonly position: number; readonly timestampDelta: number },
): number {
  const { target, timestampDelta } = to
  const restBytes = endPosition - offsetDeltaPosition
  const bodyBytes = 1 + varlongSize(timestampDelta) + restBytes
  let position = writeVarint(target, to.position, bodyBytes)
  target[position] = 0
  position = writeVarlong(target, position + 1, timestampDelta)
  bytes.copy(target, position, offsetDeltaPosition, endPosition)
  return position + restBytes
}

/**
 * A batch without records that stands for the offsets `[baseOffset, nextOffset)`, whose records
 * compaction has removed. It belongs to no producer.
 */
export function gapBatch(gap: {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly leaderEpoch: number
}): Buffer {
  const lastOffsetDelta = gap.nextOffset - gap.baseOffset - 1
  ok(lastOffsetDelta >= 0 && lastOffsetDelta < 2 ** 31, 'a gap is no wider than a segment')
  const batch = Buffer.alloc(batchHeaderBytes)
  stampBatch(batch, 0, gap)
  batch[batchField.magic] = batchMagic
  batch.writeInt32BE(lastOffsetDelta, batchField.lastOffsetDelta)
  writeInt64(batch, batchField.producerId, -1)
  batch.writeInt16BE(-1, batchField.producerEpoch)
  batch.writeInt32BE(-1, batchField.baseSequence)
  return sealEmpty(batch, -1)
}

/**
 * The batch at `position` without its records: what is left of a producer's last batch, so that its
 * sequence is not forgotten with the records.
 */
export function emptiedBatch(bytes: Buffer, position: number): Buffer {
  const batch = Buffer.from(bytes.subarray(position, position + batchHeaderBytes))
  const { codecMask, deleteHorizon } = batchAttribute
  batch.writeInt16BE(attributesAt(batch, 0) & ~(codecMask | deleteHorizon), batchField.attributes)
  return sealEmpty(batch, maxTimestampAt(batch, 0))
}

function sealEmpty(batch: Buffer, maxTimestamp: number): Buffer {
  batch.writeInt32BE(batchHeaderBytes - batchPrefixBytes, batchField.length)
  writeInt64(batch, batchField.baseTimestamp, -1)
  writeInt64(batch, batchField.maxTimestamp, maxTimestamp)
  batch.writeInt32BE(0, batchField.recordCount)
  sealBatch(batch, 0, batchHeaderBytes)
  return batch
}

/** Whether the batch at `position` has a delete horizon; it is then in its base timestamp. */
export function hasDeleteHorizon(bytes: Buffer, position: number): boolean {
  return (attributesAt(bytes, position) & batchAttribute.deleteHorizon) !== 0
}
