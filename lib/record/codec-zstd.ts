/**
 * Zstandard (RFC 8878): Node's own from 22.15 on, else an optional WebAssembly build. The latter
 * allocates what a frame declares and decompresses one frame at a call, so the frames' outlines are
 * read first:
 *
 *     28 B5 2F FD │ descriptor │ window (1, unless single segment) │ dictionary id (0, 1, 2, 4) │
 *     content size (0, 1, 2, 4, 8) │ blocks: 3 bytes LE (last, type, size), data │ checksum (0, 4)
 */
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'

import { CodecMissingError } from '../errors.ts'
import { asBuffer, type Codec, checkDecompressedSize, loadFunctions } from './codec.ts'

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const wasmPackage = '@bokuweb/zstd-wasm'

/** No block decompresses to more. */
const blockMaxBytes = 128 * 1024

/** Where a frame lies in the blob, and what it takes at most. */
interface ZstdFrame {
  readonly start: number
  readonly end: number
  readonly decompressedBound: number
}

type ZlibCall = (bytes: Buffer, options: { maxOutputLength?: number }) => Promise<Buffer>

/** Zstandard by way of what there is. */
export const zstdCodec: Codec = makeBuiltInCodec() ?? {
  async compress(records) {
    const wasm = await loadWasm()
    return asBuffer(wasm.compress(records))
  },

  async decompress(blob, maxBytes) {
    const wasm = await loadWasm()
    const frames = outlineFrames(blob)
    checkDecompressedSize(
      frames.reduce((sum, frame) => sum + frame.decompressedBound, 0),
      maxBytes,
    )
    const parts = frames.map(({ start, end, decompressedBound }) =>
      asBuffer(wasm.decompress(blob.subarray(start, end), { defaultHeapSize: decompressedBound })),
    )
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  },
}

function makeBuiltInCodec(): Codec | null {
  // By name: the types of Node 20 do not have them, and neither has Node 20.
  const compress: unknown = Reflect.get(zlib, 'zstdCompress')
  const decompress: unknown = Reflect.get(zlib, 'zstdDecompress')
  if (typeof compress !== 'function' || typeof decompress !== 'function') return null
  const compressAsync = promisify(compress) as ZlibCall
  const decompressAsync = promisify(decompress) as ZlibCall
  return {
    compress: records => compressAsync(records, {}),
    decompress: (blob, maxBytes) => decompressAsync(blob, { maxOutputLength: maxBytes }),
  }
}

/** The frames that hold data; skippable ones are passed over. */
function outlineFrames(blob: Buffer): readonly ZstdFrame[] {
  const frames: ZstdFrame[] = []
  let position = 0
  while (position < blob.length) {
    const magic = blob.readUInt32LE(position)
    if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
      position += 8 + blob.readUInt32LE(position + 4)
      continue
    }
    if (magic !== frameMagic) throw new RangeError('this is no Zstandard frame')
    const frame = outlineFrame(blob, position)
    if (frame.end > blob.length) throw new RangeError('a Zstandard frame goes past the end')
    frames.push(frame)
    position = frame.end
  }
  return frames
}

function outlineFrame(blob: Buffer, start: number): ZstdFrame {
  const descriptor = blob.readUInt8(start + 4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryIdBytes = (1 << (descriptor & 3)) >> 1
  const sizePosition = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes
  const sizeFlag = descriptor >>> 6
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 1 << sizeFlag
  let position = sizePosition + sizeBytes
  let bound = 0
  for (let isLast = false; !isLast; ) {
    const header = blob.readUIntLE(position, 3)
    const size = header >>> 3
    const type = (header >>> 1) & 3
    if (type === 3) throw new RangeError('a Zstandard block has the reserved type')
    bound += type === 2 ? blockMaxBytes : size
    position += 3 + (type === 1 ? 1 : size)
    isLast = (header & 1) !== 0
  }
  // The declared size is allocated as it stands: one that the blocks cannot fill is a lie.
  const declared = contentSize(blob, sizePosition, sizeBytes)
  if (declared !== null && declared > bound) {
    throw new RangeError(`a Zstandard frame declares ${declared} bytes and holds at most ${bound}`)
  }
  const hasChecksum = (descriptor & 0x04) !== 0
  return { start, end: position + (hasChecksum ? 4 : 0), decompressedBound: declared ?? bound }
}

function contentSize(blob: Buffer, position: number, sizeBytes: number): number | null {
  if (sizeBytes === 0) return null
  if (sizeBytes === 8)
    return blob.readUInt32LE(position) + blob.readUInt32LE(position + 4) * 2 ** 32
  return blob.readUIntLE(position, sizeBytes) + (sizeBytes === 2 ? 256 : 0)
}

type Wasm = ReturnType<typeof findWasm>

let loading: Promise<Wasm> | undefined

/** Once for all calls: a second `init` would put a new memory under the calls that use the first. */
function loadWasm(): Promise<Wasm> {
  loading ??= startWasm()
  return loading
}

async function startWasm(): Promise<Wasm> {
  const wasm = findWasm()
  await wasm.init()
  return wasm
}

function findWasm() {
  const wasm = loadFunctions(wasmPackage, ['init', 'compress', 'decompress'])
  if (wasm === null) throw new CodecMissingError('zstd', wasmPackage)
  return wasm
}
