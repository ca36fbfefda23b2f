/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches: polynomial 0x1EDC6F41, reflected in
 * and out, initial value and final xor 0xFFFFFFFF; `123456789` → e3069283. The tables below take
 * eight bytes a step ("slicing by 8", Kounavis and Berry 2005) and are always there; a native
 * implementation serves longer inputs when its optional package can be loaded.
 */
import { loadNative } from '../files/natives.ts'

const reflectedPolynomial = 0x82f63b78

const tables = makeTables()

type NativeCrc32c = (bytes: Uint8Array) => number

/** undefined: not looked for yet; null: not to be had. */
let native: NativeCrc32c | null | undefined

/**
 * From this many bytes the native call is worth the view that it needs: 100 bytes take 90 ns in the
 * tables and 220 ns natively, 1,000 bytes 850 and 350 (bench/micro/record.bench.ts, 2026-11-22).
 */
const nativeFromBytes = 256

/** CRC-32C of `bytes[start, end)` as an unsigned 32-bit number. */
export function crc32c(bytes: Buffer, start: number, end: number): number {
  if (end - start >= nativeFromBytes) {
    if (native === undefined) native = findNative()
    if (native !== null) return native(bytes.subarray(start, end))
  }
  return crc32cByTables(bytes, start, end)
}

/** Which implementation serves long inputs. */
export function crc32cKind(): 'native' | 'js' {
  if (native === undefined) native = findNative()
  return native === null ? 'js' : 'native'
}

/** CRC-32C without the native package, whatever the length. @internal */
export function crc32cByTables(bytes: Buffer, start: number, end: number): number {
  let crc = -1
  let position = start
  // Single bytes, not readInt32LE: that runs at 0.45 GB/s here, this at 1.2 (Node 20).
  for (const stop = end - 7; position < stop; position += 8) {
    crc ^=
      byteAt(bytes, position) |
      (byteAt(bytes, position + 1) << 8) |
      (byteAt(bytes, position + 2) << 16) |
      (byteAt(bytes, position + 3) << 24)
    crc =
      entry(0x700 | (crc & 0xff)) ^
      entry(0x600 | ((crc >>> 8) & 0xff)) ^
      entry(0x500 | ((crc >>> 16) & 0xff)) ^
      entry(0x400 | (crc >>> 24)) ^
      entry(0x300 | byteAt(bytes, position + 4)) ^
      entry(0x200 | byteAt(bytes, position + 5)) ^
      entry(0x100 | byteAt(bytes, position + 6)) ^
      entry(byteAt(bytes, position + 7))
  }
  for (; position < end; position++) {
    crc = (crc >>> 8) ^ entry((crc ^ byteAt(bytes, position)) & 0xff)
  }
  return ~crc >>> 0
}

function byteAt(bytes: Buffer, position: number): number {
  return bytes[position] as number
}

function entry(index: number): number {
  return tables[index] as number
}

/** Table 0 advances by one byte; table n by one byte and n zero bytes behind it. */
function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ reflectedPolynomial : crc >>> 1
    made[byte] = crc
  }
  for (let index = 256; index < made.length; index++) {
    const shorter = made[index - 256] as number
    made[index] = (shorter >>> 8) ^ (made[shorter & 0xff] as number)
  }
  return made
}

function findNative(): NativeCrc32c | null {
  const loaded = loadNative('@node-rs/crc32')
  if (typeof loaded !== 'object' || loaded === null || !('crc32c' in loaded)) return null
  return typeof loaded.crc32c === 'function' ? (loaded.crc32c as NativeCrc32c) : null
}
