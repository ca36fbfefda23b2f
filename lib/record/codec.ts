/** What every codec offers, and how one is looked for. */
import { loadNative } from '../files/natives.ts'

/**
 * Compresses and decompresses blobs. `decompress` rejects a blob that it cannot read or that takes
 * more than `maxBytes`, and judges that before it allocates as much.
 */
export interface Codec {
  compress(records: Buffer): Promise<Buffer>
  decompress(blob: Buffer, maxBytes: number): Promise<Buffer>
}

type Callable = (...parameters: readonly unknown[]) => unknown

/** The named functions of an optional package; null when it, or one of them, is not to be had. */
export function loadFunctions<Name extends string>(
  packageName: string,
  names: readonly Name[],
): Readonly<Record<Name, Callable>> | null {
  const loaded = loadNative(packageName)
  if (typeof loaded !== 'object' || loaded === null) return null
  const isComplete = names.every(name => typeof Reflect.get(loaded, name) === 'function')
  return isComplete ? (loaded as Readonly<Record<Name, Callable>>) : null
}

/** Refuses a blob that takes, or may take, more than it is allowed. */
export function checkDecompressedSize(sizeBytes: number, maxBytes: number): void {
  if (sizeBytes > maxBytes) {
    throw new RangeError(`the records take up to ${sizeBytes} bytes, more than ${maxBytes}`)
  }
}

/** The bytes that a package returned, as a Buffer and without copying. */
export function asBuffer(bytes: unknown): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  if (!(bytes instanceof Uint8Array)) throw new TypeError('the codec returned no bytes')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
