/**
 * Zig-zag varints, as records use them for every length and delta: n ≥ 0 becomes 2n, n < 0 becomes
 * −2n − 1, and seven bits go into each byte, least significant first, with the high bit set on all
 * bytes but the last. 300 → 600 → `d8 04`. A varint holds an int32 in at most 5 bytes, a varlong an
 * int64 in at most 10. (Kafka's flexible protocol messages use unsigned varints; these are not.)
 */

const highUnit = 2 ** 32

/** Bytes that `writeVarint` takes for an int32. */
export function varintSize(value: number): number {
  const bits = ((value << 1) ^ (value >> 31)) >>> 0
  if (bits < 0x80) return 1
  if (bits < 0x4000) return 2
  if (bits < 0x200000) return 3
  return bits < 0x10000000 ? 4 : 5
}

/** Bytes that `writeVarlong` takes for a whole number within ±(2^53 − 1). */
export function varlongSize(value: number): number {
  return (value | 0) === value ? varintSize(value) : longVarlongSize(value)
}

/** Writes an int32 and returns the position behind it. */
export function writeVarint(buffer: Buffer, position: number, value: number): number {
  const bits = ((value << 1) ^ (value >> 31)) >>> 0
  if (bits < 0x80) {
    buffer[position] = bits
    return position + 1
  }
  if (bits < 0x4000) {
    buffer[position] = (bits & 0x7f) | 0x80
    buffer[position + 1] = bits >>> 7
    return position + 2
  }
  return writeLongVarint(buffer, position, bits)
}

/** Writes a whole number within ±(2^53 − 1) and returns the position behind it. */
export function writeVarlong(buffer: Buffer, position: number, value: number): number {
  return (value | 0) === value
    ? writeVarint(buffer, position, value)
    : writeLongVarlong(buffer, position, value)
}

// What few numbers need stands apart: the short ways above are inlined where records are encoded,
// which makes that a third faster.

function longVarlongSize(value: number): number {
  // Zig-zag doubles the magnitude; what is compared here is the half, which stays exact.
  const half = value < 0 ? -(value + 1) : value
  let size = 5
  for (let limit = 2 ** 34; half >= limit; limit *= 128) size++
  return size
}

function writeLongVarint(buffer: Buffer, position: number, zigzagged: number): number {
  let bits = zigzagged
  let end = position
  while (bits > 0x7f) {
    buffer[end++] = (bits & 0x7f) | 0x80
    bits >>>= 7
  }
  buffer[end++] = bits
  return end
}

function writeLongVarlong(buffer: Buffer, position: number, value: number): number {
  const signedHigh = Math.floor(value / highUnit)
  const sign = signedHigh >> 31
  const signedLow = value >>> 0
  let low = ((signedLow << 1) ^ sign) >>> 0
  let high = (((signedHigh << 1) | (signedLow >>> 31)) ^ sign) >>> 0
  let end = position
  while (high > 0 || low > 0x7f) {
    buffer[end++] = (low & 0x7f) | 0x80
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  buffer[end++] = low
  return end
}

/**
 * Reads varints one after another. Reading past the end of the bytes, or a varint that is longer
 * than its type allows, does not throw: it leaves `position` beyond every valid end, which the one
 * check at the end of a record finds. That keeps the loop over millions of records free of branches
 * for damage that a checksum has already ruled out.
 */
export class VarintCursor {
  readonly bytes: Buffer
  /** Of the next byte to be read. */
  position: number

  constructor(bytes: Buffer, position: number) {
    this.bytes = bytes
    this.position = position
  }

  /** Reads an int32. */
  readVarint(): number {
    const first = this.bytes[this.position] as number
    if (first < 0x80) {
      this.position++
      return (first >>> 1) ^ -(first & 1)
    }
    // Two bytes hold the length of nearly every record; behind the end there is no second one.
    const second = this.bytes[this.position + 1] as number
    if (second < 0x80) {
      this.position += 2
      const bits = (first & 0x7f) | (second << 7)
      return (bits >>> 1) ^ -(bits & 1)
    }
    return this.#readLongVarint()
  }

  /** Reads an int64; beyond ±(2^53 − 1) the result is rounded to the nearest double. */
  readVarlong(): number {
    const first = this.bytes[this.position] as number
    if (first < 0x80) {
      this.position++
      return (first >>> 1) ^ -(first & 1)
    }
    return this.#readLongVarlong()
  }

  #readLongVarint(): number {
    let bits = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#readByte()
      bits |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) break
        return (bits >>> 1) ^ -(bits & 1)
      }
    }
    return this.#refuse()
  }

  #readLongVarlong(): number {
    let low = 0
    let middle = 0
    let top = 0
    for (let index = 0; index < 10; index++) {
      const byte = this.#readByte()
      const bits = byte & 0x7f
      if (index < 4) low |= bits << (7 * index)
      else if (index < 8) middle |= bits << (7 * (index - 4))
      else top |= bits << (7 * (index - 8))
      if (byte < 0x80) {
        if (index === 9 && byte > 1) break
        return this.#unzigzag(low | (middle << 28), (middle >>> 4) | (top << 24))
      }
    }
    return this.#refuse()
  }

  #unzigzag(low: number, high: number): number {
    const sign = -(low & 1)
    const signedLow = (((low >>> 1) | (high << 31)) ^ sign) >>> 0
    return ((high >>> 1) ^ sign) * highUnit + signedLow
  }

  #readByte(): number {
    const byte = this.bytes[this.position++]
    return byte === undefined ? 0x80 : byte
  }

  #refuse(): number {
    this.position = Number.MAX_SAFE_INTEGER
    return 0
  }
}
