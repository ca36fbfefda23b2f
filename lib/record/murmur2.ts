/**
 * MurmurHash2 (Austin Appleby), 32 bits, with the seed of Kafka's Java client, so that the same key
 * lands on the same partition there and here. kcat uses another hash unless it is told
 * `partitioner=murmur2_random`.
 */

const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/** The hash as Java has it: a signed int32. `foobar` → −790332482. */
export function murmur2(bytes: Uint8Array): number {
  const sizeBytes = bytes.length
  let hash = seed ^ sizeBytes
  let position = 0
  for (const stop = sizeBytes - 3; position < stop; position += 4) {
    let word = Math.imul(littleEndianWord(bytes, position), multiplier)
    word = Math.imul(word ^ (word >>> 24), multiplier)
    hash = Math.imul(hash, multiplier) ^ word
  }
  const rest = sizeBytes - position
  if (rest > 2) hash ^= (bytes[position + 2] as number) << 16
  if (rest > 1) hash ^= (bytes[position + 1] as number) << 8
  if (rest > 0) hash = Math.imul(hash ^ (bytes[position] as number), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition Kafka's Java client chooses for a key; an empty key counts as a key. */
export function partitionForKey(bytes: Uint8Array, partitionCount: number): number {
  return (murmur2(bytes) & 0x7fffffff) % partitionCount
}

function littleEndianWord(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position] as number) |
    ((bytes[position + 1] as number) << 8) |
    ((bytes[position + 2] as number) << 16) |
    ((bytes[position + 3] as number) << 24)
  )
}
