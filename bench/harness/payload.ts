/** Data of every workload: the same bytes in every run, and none that compress by accident. */

/** One more set of records than fits the processor's first caches, so that copying costs what it does. */
const setCount = 16

/** Pseudo-random bytes (xorshift32) of a fixed seed. */
export function seededBytes(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  let state = seed | 1
  for (let position = 0; position < sizeBytes; position++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[position] = state
  }
  return bytes
}

/** `count` values of `sizeBytes` each. */
export function makeValues(count: number, sizeBytes: number, seed = 42): readonly Buffer[] {
  const all = seededBytes(count * sizeBytes, seed)
  return Array.from({ length: count }, (_, index) =>
    all.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  )
}

/** Calls' worth of values, to be used in turn. */
export function makeValueSets(
  recordsPerCall: number,
  recordBytes: number,
): readonly (readonly Buffer[])[] {
  return Array.from({ length: setCount }, (_, seed) =>
    makeValues(recordsPerCall, recordBytes, seed + 1),
  )
}

/** Values as services log them: JSON, some 230 bytes each, a quarter of that compressed. */
export function makeJsonValues(count: number): readonly Buffer[] {
  const random = seededBytes(count * 8, 7)
  return Array.from({ length: count }, (_, index) => {
    const id = random.readUInt32LE(index * 8)
    return Buffer.from(
      JSON.stringify({
        id: id.toString(16).padStart(8, '0'),
        time: 1_700_000_000_000 + index,
        type: ['order-created', 'order-paid', 'order-shipped', 'order-cancelled'][id % 4],
        customer: `customer-${id % 10_000}`,
        amount: (random.readUInt16LE(index * 8 + 4) / 100).toFixed(2),
        currency: 'EUR',
        address: { street: `${id % 300} Main Street`, city: 'Springfield', country: 'NL' },
        tags: ['web', 'retail', id % 2 === 0 ? 'new' : 'returning'],
      }),
    )
  })
}
