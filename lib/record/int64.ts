/**
 * Big-endian int64 as a JavaScript number, from two 32-bit halves: a bigint costs an allocation for
 * each field, and every offset, timestamp and producer id the engine makes is within 2^53.
 */

const highUnit = 2 ** 32

/**
 * Reads eight bytes as a signed number. Exact within ±(2^53 − 1); beyond, rounded to the nearest
 * double, so a caller that needs the exact value checks `Number.isSafeInteger`.
 */
export function readInt64(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * highUnit + buffer.readUInt32BE(position + 4)
}

/** Writes a whole number within ±(2^53 − 1) as eight bytes. */
export function writeInt64(buffer: Buffer, position: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / highUnit), position)
  buffer.writeUInt32BE(value >>> 0, position + 4)
}
