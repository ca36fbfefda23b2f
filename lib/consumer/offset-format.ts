/**
 * Keys and values of `__consumer_offsets`, byte for byte Kafka's (kafka.coordinator.group: OffsetKey,
 * OffsetCommitValue, GroupMetadataKey). Integers are big-endian; a string is an int16 length and UTF-8.
 *
 * ```
 * offset key    int16 version (1; 0 reads the same) · string group · string topic · int32 partition
 * group key     int16 version (2) · string group
 * offset value  int16 version (3) · int64 offset · int32 leaderEpoch · string metadata · int64 commitTimestamp
 *               0: offset, metadata, commitTimestamp   1: as 0, then int64 expireTimestamp
 *               2: as 0                                4: as 3, compact string, then tagged fields
 * ```
 *
 * A commit of 42 by `g` for `t-0` without metadata, at 5 ms: key `0001 0001 67 0001 74 00000000`, value
 * `0003 000000000000002a ffffffff 0000 0000000000000005`. A null value takes the commit back.
 */
import { readInt64, writeInt64 } from '../record/int64.ts'

const offsetKeyVersion = 1
const groupKeyVersion = 2
const offsetValueVersion = 3

/** Whose commit it is, and of which partition. */
export interface OffsetKey {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

/** What was committed. */
export interface OffsetValue {
  /** The next offset to be read. */
  readonly offset: number
  /** Of the record before that offset; -1 when it is not known. */
  readonly leaderEpoch: number
  readonly metadata: string
  /** In ms since the epoch. */
  readonly commitTimestamp: number
}

/** What a key of the topic speaks of. */
export type ParsedKey =
  | ({ readonly type: 'offset' } & OffsetKey)
  | { readonly type: 'group'; readonly group: string }

/** The key of a commit. */
export function formatOffsetKey({ group, topic, partition }: OffsetKey): Buffer {
  const groupBytes = Buffer.from(group)
  const topicBytes = Buffer.from(topic)
  const bytes = Buffer.allocUnsafe(2 + 2 + groupBytes.length + 2 + topicBytes.length + 4)
  let position = bytes.writeInt16BE(offsetKeyVersion, 0)
  position = putString(bytes, groupBytes, position)
  position = putString(bytes, topicBytes, position)
  bytes.writeInt32BE(partition, position)
  return bytes
}

/** The key of what a broker says of a group itself. */
export function formatGroupKey(group: string): Buffer {
  const groupBytes = Buffer.from(group)
  const bytes = Buffer.allocUnsafe(2 + 2 + groupBytes.length)
  putString(bytes, groupBytes, bytes.writeInt16BE(groupKeyVersion, 0))
  return bytes
}

/** The value of a commit. */
export function formatOffsetValue(value: OffsetValue): Buffer {
  const metadata = Buffer.from(value.metadata)
  const bytes = Buffer.allocUnsafe(2 + 8 + 4 + 2 + metadata.length + 8)
  bytes.writeInt16BE(offsetValueVersion, 0)
  writeInt64(bytes, 2, value.offset)
  bytes.writeInt32BE(value.leaderEpoch, 10)
  writeInt64(bytes, putString(bytes, metadata, 14), value.commitTimestamp)
  return bytes
}

/** What a key says; null when it is of a version that nobody here knows, or is cut short. */
export function parseOffsetsKey(bytes: Buffer): ParsedKey | null {
  const reader = new FieldReader(bytes)
  const version = reader.int16()
  if (version === groupKeyVersion) {
    const group = reader.string()
    return reader.isSound ? { type: 'group', group } : null
  }
  if (version !== 0 && version !== offsetKeyVersion) return null
  const key = { group: reader.string(), topic: reader.string(), partition: reader.int32() }
  return reader.isSound ? { type: 'offset', ...key } : null
}

/** What was committed; null when it is of a version that nobody here knows, or is cut short. */
export function parseOffsetValue(bytes: Buffer): OffsetValue | null {
  const reader = new FieldReader(bytes)
  const version = reader.int16()
  if (version < 0 || version > 4) return null
  const offset = reader.int64()
  const leaderEpoch = version >= 3 ? reader.int32() : -1
  const metadata = version === 4 ? reader.compactString() : reader.string()
  const commitTimestamp = reader.int64()
  return reader.isSound ? { offset, leaderEpoch, metadata, commitTimestamp } : null
}

/**
 * The partition of `__consumer_offsets` that a group's commits go to: Java's hash of the name, made
 * positive, modulo the number of partitions, as Kafka's `partitionFor` has it.
 */
export function offsetsPartitionOf(group: string, partitionCount: number): number {
  let hash = 0
  for (let index = 0; index < group.length; index++) {
    hash = (Math.imul(hash, 31) + group.charCodeAt(index)) | 0
  }
  // Java's smallest int has no positive counterpart; Kafka takes zero.
  return hash === -(2 ** 31) ? 0 : Math.abs(hash) % partitionCount
}

function putString(bytes: Buffer, text: Buffer, position: number): number {
  const start = bytes.writeInt16BE(text.length, position)
  text.copy(bytes, start)
  return start + text.length
}

/** Reads fields one after another; what lies behind the end reads as zero and is remembered. */
class FieldReader {
  isSound = true
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    const position = this.#take(2)
    return this.isSound ? this.#bytes.readInt16BE(position) : 0
  }

  int32(): number {
    const position = this.#take(4)
    return this.isSound ? this.#bytes.readInt32BE(position) : 0
  }

  int64(): number {
    const position = this.#take(8)
    return this.isSound ? readInt64(this.#bytes, position) : 0
  }

  string(): string {
    return this.#text(this.int16())
  }

  /** Its length, plus one, as an unsigned varint. */
  compactString(): string {
    let length = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const position = this.#take(1)
      const byte = this.isSound ? this.#bytes.readUInt8(position) : 0
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return this.#text(length - 1)
  }

  #text(sizeBytes: number): string {
    const position = this.#take(sizeBytes)
    return this.isSound ? this.#bytes.toString('utf8', position, position + sizeBytes) : ''
  }

  #take(sizeBytes: number): number {
    const position = this.#position
    if (sizeBytes < 0 || position + sizeBytes > this.#bytes.length) this.isSound = false
    this.#position += Math.max(sizeBytes, 0)
    return position
  }
}
