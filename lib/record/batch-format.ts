/**
 * Kafka's record batch, magic 2: the same bytes on disk, on the wire and in replication.
 *
 *     position  size  field                 type    notes
 *            0     8  base offset           int64   offset of the first record
 *            8     4  length                int32   bytes behind this field; at least 49
 *           12     4  leader epoch          int32
 *           16     1  magic                 int8    2
 *           17     4  crc                   uint32  CRC-32C of [21, end of the batch)
 *           21     2  attributes            int16   bits 0–2 codec (none, gzip, snappy, lz4, zstd),
 *                                                   3 timestamps are the append's, 4 transactional,
 *                                                   5 control batch, 6 delete horizon is set
 *           23     4  last offset delta     int32   last offset = base offset + this
 *           27     8  base timestamp        int64   with bit 6: the delete horizon, to which the
 *                                                   records' timestamp deltas then relate
 *           35     8  max timestamp         int64   with bit 3: the timestamp of every record
 *           43     8  producer id           int64   -1: none
 *           51     2  producer epoch        int16   -1: none
 *           53     4  base sequence         int32   -1: none
 *           57     4  record count          int32   records present; fewer after compaction
 *           61     …  records                       one behind the other, or one compressed blob
 *
 * A record; every number but the attributes is a zig-zag varint (varint.ts), -1 for a null length:
 *
 *     length │ attributes (int8, 0) │ timestamp delta │ offset delta │ key length, key │
 *     value length, value │ header count │ per header: name length, name, value length, value
 *
 * Example: base timestamp 1700000000000, one record with key `k1`, value `v1`, header `h` = `x`, is
 * `1c 00 00 00 04 6b31 04 7631 02 02 68 02 78`: 14 bytes follow, both deltas are 0, two bytes of
 * key, two of value, one header whose name and value have one byte each.
 *
 * Compaction takes records out of batches and leaves base offset, last offset and sequence as they
 * were. A batch without any records (61 bytes, base timestamp -1) stands for offsets whose records are
 * gone: where the next batch is no neighbor, something was lost.
 *
 * The crc leaves out what a leader may stamp later: the base offset and its epoch. A changed base
 * offset therefore shows only in the order of offsets, not in the checksum.
 */
import type { CompressionType } from '../types.ts'
import { crc32c } from './crc32c.ts'
import { readInt64, writeInt64 } from './int64.ts'

/** Bytes of a batch's header; the records begin behind it. */
export const batchHeaderBytes = 61

/** Bytes up to and with the length field: what the length does not count. */
export const batchPrefixBytes = 12

/** The only format that is read and written. */
export const batchMagic = 2

/** Positions of the header's fields from the start of the batch. */
export const batchField = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

/** Bits of the attributes field. */
export const batchAttribute = {
  codecMask: 0x07,
  appendTimestamps: 0x08,
  transactional: 0x10,
  control: 0x20,
  /** The base timestamp is the time from which compaction may drop the batch's tombstones (KIP-534). */
  deleteHorizon: 0x40,
} as const

/** Codecs by the number that the attributes hold. */
export const codecsById: readonly CompressionType[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Smallest value of the length field: a header without records. */
const minLength = batchHeaderBytes - batchPrefixBytes

/** A batch's header, decoded. */
export interface BatchHeader {
  readonly baseOffset: number
  /** Of the whole batch, prefix and header included. */
  readonly sizeBytes: number
  readonly leaderEpoch: number
  readonly crc: number
  readonly attributes: number
  readonly compressionType: CompressionType
  readonly timestampType: 'create' | 'append'
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** Inclusive; compaction may have removed the record itself. */
  readonly lastOffset: number
  readonly nextOffset: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  /** Records present: fewer than `nextOffset - baseOffset` after compaction, possibly none. */
  readonly recordCount: number
}

/**
 * What `checkBatch` found. `incomplete`: the bytes end before the batch does, which is the end of
 * the log or damage, as the caller must judge. `length`: no batch has such a length (zeros have
 * not). `magic`: another format, or no batch. `crc`: bytes differ from those written. `record`: the
 * header contradicts itself.
 */
export type BatchCheck = 'ok' | 'incomplete' | 'length' | 'magic' | 'crc' | 'record'

/** Decodes the header at `position`; all 61 bytes must be there. */
export function decodeBatchHeader(buffer: Buffer, position: number): BatchHeader {
  const baseOffset = baseOffsetAt(buffer, position)
  const nextOffset = nextOffsetAt(buffer, position)
  const attributes = attributesAt(buffer, position)
  return {
    baseOffset,
    sizeBytes: batchSizeAt(buffer, position),
    leaderEpoch: leaderEpochAt(buffer, position),
    crc: buffer.readUInt32BE(position + batchField.crc),
    attributes,
    compressionType: compressionTypeOf(attributes),
    timestampType: (attributes & batchAttribute.appendTimestamps) === 0 ? 'create' : 'append',
    isTransactional: (attributes & batchAttribute.transactional) !== 0,
    isControl: (attributes & batchAttribute.control) !== 0,
    lastOffset: nextOffset - 1,
    nextOffset,
    baseTimestamp: readInt64(buffer, position + batchField.baseTimestamp),
    maxTimestamp: maxTimestampAt(buffer, position),
    producerId: readInt64(buffer, position + batchField.producerId),
    producerEpoch: buffer.readInt16BE(position + batchField.producerEpoch),
    baseSequence: buffer.readInt32BE(position + batchField.baseSequence),
    recordCount: recordCountAt(buffer, position),
  }
}

/** Size of the whole batch at `position`, from its first 12 bytes. */
export function batchSizeAt(buffer: Buffer, position: number): number {
  return batchPrefixBytes + buffer.readInt32BE(position + batchField.length)
}

/** Offset of the first record. */
export function baseOffsetAt(buffer: Buffer, position: number): number {
  return readInt64(buffer, position + batchField.baseOffset)
}

/** The offset behind the batch's last one. */
export function nextOffsetAt(buffer: Buffer, position: number): number {
  return (
    baseOffsetAt(buffer, position) + buffer.readInt32BE(position + batchField.lastOffsetDelta) + 1
  )
}

/** Largest timestamp of the batch's records. */
export function maxTimestampAt(buffer: Buffer, position: number): number {
  return readInt64(buffer, position + batchField.maxTimestamp)
}

/** Epoch of the leader that appended the batch. */
export function leaderEpochAt(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position + batchField.leaderEpoch)
}

/** Records present in the batch. */
export function recordCountAt(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position + batchField.recordCount)
}

/** The attributes field; its bits are in `batchAttribute`. */
export function attributesAt(buffer: Buffer, position: number): number {
  return buffer.readInt16BE(position + batchField.attributes)
}

/**
 * The codec that attributes name. Ids 5 to 7 are nobody's; `checkBatch` refuses them, so that they
 * never come here.
 */
export function compressionTypeOf(attributes: number): CompressionType {
  return codecsById[attributes & batchAttribute.codecMask] ?? 'none'
}

/** Gives a finished batch its place: writes only what lies outside the checksum. */
export function stampBatch(
  buffer: Buffer,
  position: number,
  at: { readonly baseOffset: number; readonly leaderEpoch: number },
): void {
  writeInt64(buffer, position + batchField.baseOffset, at.baseOffset)
  buffer.writeInt32BE(at.leaderEpoch, position + batchField.leaderEpoch)
}

/** Writes the checksum of a batch whose other bytes are all in place. */
export function sealBatch(buffer: Buffer, position: number, sizeBytes: number): void {
  const crc = crc32c(buffer, position + batchField.attributes, position + sizeBytes)
  buffer.writeUInt32BE(crc, position + batchField.crc)
}

/**
 * Judges the bytes from `position` up to `end` (exclusive) as a batch and looks no further than its
 * header and checksum; whether the records inside make sense shows when they are read. With
 * `checkCrc: false` only the shape is looked at. `end` must lie within the buffer.
 */
export function checkBatch(
  buffer: Buffer,
  position: number,
  options: { readonly end: number; readonly checkCrc: boolean },
): BatchCheck {
  const presentBytes = options.end - position
  if (presentBytes < batchPrefixBytes) return 'incomplete'
  const length = buffer.readInt32BE(position + batchField.length)
  if (length < minLength) return 'length'
  // Before completeness: a wild length over foreign bytes is damage, not the end of the log.
  if (presentBytes > batchField.magic && buffer[position + batchField.magic] !== batchMagic) {
    return 'magic'
  }
  const sizeBytes = batchPrefixBytes + length
  if (presentBytes < sizeBytes) return 'incomplete'
  if (options.checkCrc) {
    const crc = crc32c(buffer, position + batchField.attributes, position + sizeBytes)
    if (crc !== buffer.readUInt32BE(position + batchField.crc)) return 'crc'
  }
  return isHeaderConsistent(buffer, position) ? 'ok' : 'record'
}

function isHeaderConsistent(buffer: Buffer, position: number): boolean {
  const lastOffsetDelta = buffer.readInt32BE(position + batchField.lastOffsetDelta)
  const recordCount = recordCountAt(buffer, position)
  const codec = attributesAt(buffer, position) & batchAttribute.codecMask
  return (
    buffer.readInt32BE(position + batchField.baseOffset) >= 0 &&
    Number.isSafeInteger(nextOffsetAt(buffer, position)) &&
    lastOffsetDelta >= 0 &&
    recordCount >= 0 &&
    recordCount <= lastOffsetDelta + 1 &&
    codec < codecsById.length
  )
}
