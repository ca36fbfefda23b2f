/// <reference types="node" preserve="true" />
/** Records as they are given and as they are read, and what they are made of. */

/** Logical number of a record in its partition; never a byte position. Exact up to 2^53. */
export type Offset = number

/** What may be given where bytes are meant; strings are written as UTF-8. */
export type Bytes = Buffer | Uint8Array | string

/** What may be given where `T` is read. */
export type Input<T> = T extends Buffer ? Bytes : T

/** Compression of a record batch. `gzip` is built in, the others need an optional package. */
export type CompressionType = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Turns keys or values into bytes and back. */
export interface Serde<T> {
  serialize(value: T): Bytes
  /** May throw: the reader sees a `DeserializationError` with the bytes. */
  deserialize(bytes: Buffer): T
}

/** Headers as they are given: an object, or ordered pairs when a name repeats. */
export type HeadersInput =
  | Readonly<Record<string, Bytes | null>>
  | readonly (readonly [string, Bytes | null])[]

/** A record to be appended. Key, value and headers are copied before the call returns. */
export interface RecordInput<K = Buffer, V = Buffer> {
  /** Absent or null: no key. */
  readonly key?: Input<K> | null | undefined
  /** Required; null is a tombstone. `undefined` is a TypeError. */
  readonly value: Input<V> | null
  readonly headers?: HeadersInput | undefined
  /** @default the time of the call */
  readonly timestamp?: number | Date | undefined
  /** `topic.append` only: goes past the partitioner. */
  readonly partition?: number | undefined
}

/**
 * A record read from the log: an object of its own, decoded when touched. Its Buffers are views
 * that stay valid for ever, must not be modified, and keep the chunk they were read with (up to
 * `maxBytes`) in memory; `detach()` gives a record with copies of its own.
 */
export interface LogRecord<K = Buffer, V = Buffer> {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly timestamp: number
  /** Decoded when touched. @throws {DeserializationError} when the serde refuses the bytes. */
  readonly key: K | null
  /** Decoded when touched. @throws {DeserializationError} when the serde refuses the bytes. */
  readonly value: V | null
  readonly keyBytes: Buffer | null
  readonly valueBytes: Buffer | null
  /** Size of the value in bytes without making a Buffer of it; -1 for a null value. */
  readonly valueSizeBytes: number
  readonly headers: readonly (readonly [string, Buffer | null])[]
  /** The last header of that name. */
  header(name: string): Buffer | null | undefined
  detach(): LogRecord<K, V>
  toJSON(): unknown
}

/** A record batch read from the log; iterating it decodes its records one after another. */
export interface RecordBatch<K = Buffer, V = Buffer> extends Iterable<LogRecord<K, V>> {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  readonly maxTimestamp: number
  readonly leaderEpoch: number
  /** Size of the batch as it lies in the log. */
  readonly sizeBytes: number
  readonly compressionType: CompressionType
  toJSON(): unknown
}
