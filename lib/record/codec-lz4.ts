/**
 * LZ4 frames. Java's reader wants independent blocks of 64 KiB to 4 MiB, which the package writes.
 * What a frame can decompress to is judged from its outline before any of it is decompressed:
 *
 *     04 22 4D 18 │ FLG │ BD │ content size (8, if FLG bit 3) │ dictionary id (4, if FLG bit 0) │ HC
 *     blocks: uint32 LE size (bit 31: stored), data, checksum (4, if FLG bit 4) │ size 0: the end,
 *     checksum (4, if FLG bit 2)
 */
import { CodecMissingError } from '../errors.ts'
import { asBuffer, type Codec, checkDecompressedSize, loadFunctions } from './codec.ts'

const frameMagic = 0x184d2204
const storedFlag = 0x80000000

/** A byte of LZ4 stands for at most this many. */
const maxRatio = 255

/** LZ4 frames by way of an optional package. */
export const lz4Codec: Codec = {
  async compress(records) {
    return asBuffer(await loadLz4().compressFrame(records))
  },

  async decompress(blob, maxBytes) {
    const { decompressFrame } = loadLz4()
    checkDecompressedSize(decompressedBound(blob), maxBytes)
    return asBuffer(await decompressFrame(blob))
  },
}

/** An upper bound; too high only by what blocks leave unfilled. */
function decompressedBound(blob: Buffer): number {
  if (blob.readUInt32LE(0) !== frameMagic) throw new RangeError('this is no LZ4 frame')
  const flags = blob.readUInt8(4)
  const blockMaxBytes = 2 ** (8 + 2 * ((blob.readUInt8(5) >>> 4) & 7))
  const hasContentChecksum = (flags & 0x04) !== 0
  const hasBlockChecksums = (flags & 0x10) !== 0
  let position = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4)
  let bound = 0
  for (;;) {
    const field = blob.readUInt32LE(position)
    if (field === 0) break
    const isStored = field >= storedFlag
    const sizeBytes = isStored ? field - storedFlag : field
    bound += isStored ? sizeBytes : Math.min(blockMaxBytes, sizeBytes * maxRatio)
    position += 4 + sizeBytes + (hasBlockChecksums ? 4 : 0)
  }
  // The package would go on with a second frame, which nothing here has judged.
  if (position + 4 + (hasContentChecksum ? 4 : 0) !== blob.length) {
    throw new RangeError('the LZ4 frame does not end where the records end')
  }
  return bound
}

function loadLz4(): { readonly compressFrame: Run; readonly decompressFrame: Run } {
  const found = loadFunctions('lz4-napi', ['compressFrame', 'decompressFrame'])
  if (found === null) throw new CodecMissingError('lz4', 'lz4-napi')
  return found
}

type Run = (bytes: Buffer) => unknown
