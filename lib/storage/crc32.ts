/**
 * CRC-32 (IEEE 802.3; `123456789` gives cbf43926), for the side files that are ours alone. Record
 * batches and Kafka's own files carry CRC-32C instead: `record/crc32c.ts`.
 */
import { createRequire } from 'node:module'

interface BufferCrc32 {
  unsigned(bytes: Buffer, previous: number): number
}

// The package's type declarations promise an `export =` that its ES module does not have, so it is
// required and typed here, and its types stay out of ours.
const bufferCrc32 = createRequire(import.meta.url)('buffer-crc32') as BufferCrc32

/**
 * The CRC-32 of `bytes` as an unsigned 32-bit number. With `previous`, the CRC of what came before,
 * it is the CRC of both together.
 */
export function crc32(bytes: Buffer, previous: number = 0): number {
  return bufferCrc32.unsigned(bytes, previous)
}
