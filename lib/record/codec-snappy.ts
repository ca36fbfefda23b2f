/**
 * Snappy, as Kafka's clients frame it. Java writes xerial's framing, and so do we:
 *
 *     82 53 4E 41 50 50 59 00 │ int32 version 1 │ int32 compatible 1 │ blocks …
 *     block: int32 compressed size │ raw snappy of at most 32 KiB
 *
 * librdkafka and others write one raw block without any header. Both are read.
 */
import { CodecMissingError } from '../errors.ts'
import { asBuffer, type Codec, checkDecompressedSize, loadFunctions } from './codec.ts'

const xerialHeader = Buffer.from('82534e41505059000000000100000001', 'hex')
const xerialMagicBytes = 8
const blockSizeBytes = 4

/** Input bytes of a block, as Java has them. */
const xerialBlockBytes = 32 * 1024

/** Snappy with its framing. */
export const snappyCodec: Codec = {
  async compress(records) {
    const { compress } = loadSnappy()
    const parts: Buffer[] = [xerialHeader]
    for (let position = 0; position < records.length; position += xerialBlockBytes) {
      const input = records.subarray(position, position + xerialBlockBytes)
      const block = asBuffer(await compress(input))
      const size = Buffer.alloc(blockSizeBytes)
      size.writeInt32BE(block.length)
      parts.push(size, block)
    }
    return Buffer.concat(parts)
  },

  async decompress(blob, maxBytes) {
    const { uncompress } = loadSnappy()
    const blocks = isXerial(blob) ? xerialBlocks(blob) : [blob]
    checkDecompressedSize(
      blocks.reduce((sum, block) => sum + rawSize(block), 0),
      maxBytes,
    )
    const parts: Buffer[] = []
    for (const block of blocks) parts.push(asBuffer(await uncompress(block)))
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  },
}

function isXerial(blob: Buffer): boolean {
  return (
    blob.length >= xerialHeader.length &&
    blob.compare(xerialHeader, 0, xerialMagicBytes, 0, xerialMagicBytes) === 0
  )
}

function xerialBlocks(blob: Buffer): readonly Buffer[] {
  const blocks: Buffer[] = []
  let position = xerialHeader.length
  while (position < blob.length) {
    // Both reads throw past the end, a negative size makes the second do so.
    const start = position + blockSizeBytes
    const end = start + blob.readUInt32BE(position)
    if (end > blob.length) throw new RangeError('a snappy block goes past the end of the records')
    blocks.push(blob.subarray(start, end))
    position = end
  }
  return blocks
}

/** The size a raw block declares: an unsigned varint at its beginning. */
function rawSize(block: Buffer): number {
  let size = 0
  for (let index = 0; index < 5; index++) {
    const byte = block.readUInt8(index)
    size += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return size
  }
  throw new RangeError('a snappy block declares no size')
}

function loadSnappy(): ReturnType<typeof loadPackage> & object {
  const found = loadPackage()
  if (found === null) throw new CodecMissingError('snappy', 'snappy')
  return found
}

function loadPackage() {
  const names = ['compress', 'uncompress'] as const
  return loadFunctions('snappy', names) ?? loadFunctions('snappyjs', names)
}
