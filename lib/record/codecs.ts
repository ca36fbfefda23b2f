/**
 * Compression of whole batches: the header stays as it is, all records together become one blob.
 * gzip is built in, the others come from optional packages, looked for when first needed. A codec
 * proves nothing about the bytes (most accept flipped bits without a word), so the checksum of a
 * batch is checked before it is decompressed.
 */
import { ok } from 'node:assert/strict'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'

import { CodecMissingError, CorruptRecordError } from '../errors.ts'
import type { CompressionType } from '../types.ts'
import {
  batchField,
  batchHeaderBytes,
  batchPrefixBytes,
  batchSizeAt,
  codecsById,
  decodeBatchHeader,
  sealBatch,
} from './batch-format.ts'
import type { Codec } from './codec.ts'
import { lz4Codec } from './codec-lz4.ts'
import { snappyCodec } from './codec-snappy.ts'
import { zstdCodec } from './codec-zstd.ts'

/** Options of `decompressRecords`. */
export interface DecompressOptions {
  /**
   * Largest size of the decompressed records; `maxDecompressedBytes` unless there is a reason. A
   * codec that does not declare sizes is judged by what its blocks can hold at most.
   */
  readonly maxBytes: number
  /** Names the file in errors. */
  readonly path?: string | undefined
  /** Position of the batch in the file, for errors. @default 0 */
  readonly position?: number | undefined
}

/** What records may decompress to: a limit on what a hostile or damaged batch can allocate. */
export const maxDecompressedBytes: number = 128 * 1024 * 1024

const gzipAsync = promisify(gzip)
const gunzipAsync = promisify(gunzip)

const gzipCodec: Codec = {
  compress: records => gzipAsync(records),
  decompress: (blob, maxBytes) => gunzipAsync(blob, { maxOutputLength: maxBytes }),
}

const codecs: Readonly<Record<Exclude<CompressionType, 'none'>, Codec>> = {
  gzip: gzipCodec,
  snappy: snappyCodec,
  lz4: lz4Codec,
  zstd: zstdCodec,
}

/**
 * Compresses a finished, uncompressed batch that fills its buffer. Resolves with a new finished
 * batch, codec bits and checksum included, or with the same one when compression does not make it
 * smaller. The buffer must not change until then.
 *
 * @throws {CodecMissingError} when the codec's package is not installed.
 */
export async function compressBatch(batch: Buffer, type: CompressionType): Promise<Buffer> {
  ok(batch.length === batchSizeAt(batch, 0))
  ok(decodeBatchHeader(batch, 0).compressionType === 'none')
  if (type === 'none') return batch
  const blob = await codecs[type].compress(batch.subarray(batchHeaderBytes))
  const sizeBytes = batchHeaderBytes + blob.length
  if (sizeBytes >= batch.length) return batch

  const compressed = Buffer.allocUnsafeSlow(sizeBytes)
  batch.copy(compressed, 0, 0, batchHeaderBytes)
  blob.copy(compressed, batchHeaderBytes)
  compressed.writeInt32BE(sizeBytes - batchPrefixBytes, batchField.length)
  const attributes = batch.readInt16BE(batchField.attributes) | codecsById.indexOf(type)
  compressed.writeInt16BE(attributes, batchField.attributes)
  sealBatch(compressed, 0, sizeBytes)
  return compressed
}

/**
 * The records section of a batch that starts its buffer and has passed `checkBatch`: a view of the
 * same bytes where it is not compressed, else a new Buffer.
 *
 * @throws {CodecMissingError} when the codec's package is not installed.
 * @throws {CorruptRecordError} with reason `record` when the blob does not decompress, or takes more
 * than `maxBytes`; the cause says which.
 */
export async function decompressRecords(
  batch: Buffer,
  options: DecompressOptions,
): Promise<Buffer> {
  const header = decodeBatchHeader(batch, 0)
  const blob = batch.subarray(batchHeaderBytes, header.sizeBytes)
  if (header.compressionType === 'none' || blob.length === 0) return blob
  try {
    return await codecs[header.compressionType].decompress(blob, options.maxBytes)
  } catch (error) {
    if (error instanceof CodecMissingError) throw error
    throw new CorruptRecordError(
      {
        path: options.path ?? 'a record batch',
        position: options.position ?? 0,
        from: header.baseOffset,
        to: header.nextOffset,
      },
      'record',
      error,
    )
  }
}
