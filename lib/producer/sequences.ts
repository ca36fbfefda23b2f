/** Sequence numbers of an idempotent producer (KIP-98): 0 to 2^31 - 1, and 0 again. */

const sequenceCount = 2 ** 31

/** The sequence number `count` behind another. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % sequenceCount
}

/** Whether `sequence` was given out before `other`, of two that are not half the range apart. */
export function isBefore(sequence: number, other: number): boolean {
  const distance = (other - sequence + sequenceCount) % sequenceCount
  return distance > 0 && distance < sequenceCount / 2
}
