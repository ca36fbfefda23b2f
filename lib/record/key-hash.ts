/**
 * A keyed 128-bit hash of record keys: HalfSipHash-2-4 with its 64-bit result (Aumasson and
 * Bernstein's SipHash in 32-bit words, as in the Linux kernel), run twice under two secret keys.
 * Who chooses the record keys does not know the secret, and so cannot make two of them collide;
 * without intent, two of a billion keys do with a chance of about one in 10^20.
 *
 * In this form it is faster than a call into node:crypto for keys of up to about 400 bytes: 16 bytes
 * take 0.2 µs here, 2.7 µs by `createHash('md5')` and 1.8 µs by `crypto.hash` (Node 20.20,
 * a million keys each).
 */
import { randomFillSync } from 'node:crypto'

/** Hashes byte ranges under one secret. The result of a call lies in `words` until the next one. */
export class KeyHash {
  /** The four 32-bit words of the last hash. */
  readonly words: Int32Array = new Int32Array(4)
  readonly #k0: number
  readonly #k1: number
  readonly #k2: number
  readonly #k3: number

  /** `secret` is 16 bytes; by default random ones, which is what everything but a test wants. */
  constructor(secret: Uint8Array = randomFillSync(new Uint8Array(16))) {
    const view = new DataView(secret.buffer, secret.byteOffset, 16)
    this.#k0 = view.getInt32(0, true)
    this.#k1 = view.getInt32(4, true)
    this.#k2 = view.getInt32(8, true)
    this.#k3 = view.getInt32(12, true)
  }

  /** Hashes `bytes[start, end)`. */
  hash(bytes: Uint8Array, start: number, end: number): void {
    this.#run(bytes, { start, end, k0: this.#k0, k1: this.#k1 }, 0)
    this.#run(bytes, { start, end, k0: this.#k2, k1: this.#k3 }, 2)
  }

  #run(
    bytes: Uint8Array,
    of: { readonly start: number; readonly end: number; readonly k0: number; readonly k1: number },
    target: number,
  ): void {
    const { start, end, k0, k1 } = of
    let v0 = k0
    let v1 = k1 ^ 0xee
    let v2 = 0x6c796765 ^ k0
    let v3 = 0x74656462 ^ k1
    const sizeBytes = end - start
    const wordsEnd = end - (sizeBytes & 3)
    // One word more than there are whole ones: the rest, and the length in its highest byte. Then an
    // empty round for each half of the result.
    for (let position = start; position <= wordsEnd + 8; position += 4) {
      let word = 0
      let rounds = 2
      if (position < wordsEnd) {
        word = wordAt(bytes, position)
      } else if (position === wordsEnd) {
        word = lastWord(bytes, position, end) | (sizeBytes << 24)
      } else {
        rounds = 4
        if (position === wordsEnd + 4) v2 ^= 0xee
        else v1 ^= 0xdd
      }
      v3 ^= word
      for (; rounds > 0; rounds--) {
        v0 = (v0 + v1) | 0
        v1 = (v1 << 5) | (v1 >>> 27)
        v1 ^= v0
        v0 = (v0 << 16) | (v0 >>> 16)
        v2 = (v2 + v3) | 0
        v3 = (v3 << 8) | (v3 >>> 24)
        v3 ^= v2
        v0 = (v0 + v3) | 0
        v3 = (v3 << 7) | (v3 >>> 25)
        v3 ^= v0
        v2 = (v2 + v1) | 0
        v1 = (v1 << 13) | (v1 >>> 19)
        v1 ^= v2
        v2 = (v2 << 16) | (v2 >>> 16)
      }
      v0 ^= word
      if (position === wordsEnd + 4) this.words[target] = v1 ^ v3
    }
    this.words[target + 1] = v1 ^ v3
  }
}

function wordAt(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position] as number) |
    ((bytes[position + 1] as number) << 8) |
    ((bytes[position + 2] as number) << 16) |
    ((bytes[position + 3] as number) << 24)
  )
}

function lastWord(bytes: Uint8Array, position: number, end: number): number {
  let word = 0
  for (let at = position; at < end; at++) word |= (bytes[at] as number) << (8 * (at - position))
  return word
}
