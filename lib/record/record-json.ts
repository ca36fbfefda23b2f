/** How records show themselves in JSON and in `console.log`. */
import { isUtf8 } from 'node:buffer'

/** The key of Node's inspection method, by its registered name: `node:util` is not needed for it. */
export const inspectSymbol: unique symbol = Symbol.for('nodejs.util.inspect.custom')

/** The function that Node hands to an inspection method. */
export type Inspect = (value: unknown, options: object) => string

/** How many bytes of a key, a value or a header are printed. */
export const printedBytesMax = 256

/**
 * Bytes as text where they are valid UTF-8, else as `{ base64 }`; of more than `maxBytes` only the
 * first, at most, with the whole size named behind them.
 */
export function printable(
  bytes: Buffer | null,
  maxBytes: number,
): string | { readonly base64: string } | null {
  if (bytes === null) return null
  const isText = isUtf8(bytes)
  const shown = bytes.subarray(0, isText ? characterBoundary(bytes, maxBytes) : maxBytes)
  const rest = shown.length < bytes.length ? `… (${bytes.length} bytes)` : ''
  if (isText) return shown.toString('utf8') + rest
  return { base64: shown.toString('base64') + rest }
}

/** The last position up to `maxBytes` at which a character of valid UTF-8 begins or the bytes end. */
function characterBoundary(bytes: Buffer, maxBytes: number): number {
  if (bytes.length <= maxBytes) return bytes.length
  let position = maxBytes
  while (position > 0 && (bytes.readUInt8(position) & 0xc0) === 0x80) position--
  return position
}
