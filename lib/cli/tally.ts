/** What went into each partition, or came out of it: counted, and folded into one number in order. */
import { crc32c } from '../record/crc32c.ts'

/** One partition's account. */
export interface PartitionTally {
  readonly records: number
  /** Bytes of the values. */
  readonly bytes: number
  /** Differs, but for one case in four thousand million, where a record, its key or the order does. */
  readonly checksum: number
}

/** Accounts for all partitions of a topic. */
export class Tally {
  readonly #partitions: { records: number; bytes: number; checksum: number }[]
  #records = 0
  #bytes = 0

  constructor(partitionCount: number) {
    this.#partitions = Array.from({ length: partitionCount }, () => ({
      records: 0,
      bytes: 0,
      checksum: 0,
    }))
  }

  /** Records so far. */
  get records(): number {
    return this.#records
  }

  /** Bytes of their values. */
  get bytes(): number {
    return this.#bytes
  }

  /** One account per partition, in order. */
  get partitions(): readonly PartitionTally[] {
    return this.#partitions
  }

  /** Takes down the next record of a partition. */
  add(partition: number, key: Buffer, value: Buffer): void {
    const account = this.#partitions[partition]
    if (account === undefined) throw new RangeError(`there is no partition ${partition}`)
    account.records++
    account.bytes += value.length
    account.checksum = fold(fold(account.checksum, key), value)
    this.#records++
    this.#bytes += value.length
  }
}

/** An odd factor loses nothing of what came before, and makes the result depend on the order. */
function fold(checksum: number, bytes: Buffer): number {
  const mixed = Math.imul(checksum ^ crc32c(bytes, 0, bytes.length), 0x01000193)
  return (mixed + bytes.length) >>> 0
}
