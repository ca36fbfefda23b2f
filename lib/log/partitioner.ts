/**
 * Which partition a record goes to. A record that names its partition goes there; one with a key goes
 * where murmur2 of the key says, as in Kafka's Java client; the others stick to one partition for a
 * while (KIP-480), because few large batches cost less than many small ones.
 */

import { shown } from '../checks.ts'
import { UnknownTopicOrPartitionError } from '../errors.ts'
import { murmur2, partitionForKey } from '../record/murmur2.ts'
import type { Partitioner } from '../types.ts'
import type { PlainRecord } from './serialize.ts'

/** About how many bytes without a key go to one partition before the next has its turn; Kafka's batch.size. */
export const stickyBytes: number = 16 * 1024

/**
 * Chooses partitions for the records of one handle. The partition that key-less records stick to
 * first follows from the topic id, so that several topics do not all begin with partition 0 and a run
 * can be repeated; from there it goes round.
 */
export class PartitionChooser {
  readonly #topic: string
  readonly #partitioner: Partitioner | undefined
  readonly #bytesPerTurn: number
  /** Where key-less records go; taken modulo the number of partitions. */
  #sticky: number
  /** How much has gone there. */
  #bytesToSticky = 0

  constructor(
    topic: { readonly name: string; readonly id: string },
    partitioner?: Partitioner,
    bytesPerTurn: number = stickyBytes,
  ) {
    this.#topic = topic.name
    this.#partitioner = partitioner
    this.#bytesPerTurn = bytesPerTurn
    this.#sticky = murmur2(Buffer.from(topic.id)) & 0x7fffffff
  }

  /**
   * The partition of a record. Records without a key stay together until `endOfCall`.
   *
   * @throws {UnknownTopicOrPartitionError} when the record names a partition that is not there
   * @throws {RangeError} when the handle's own partitioner gives no partition's number
   */
  choose(record: PlainRecord, partitionCount: number): number {
    const { key, partition } = record
    if (partition !== undefined) {
      checkPartition(this.#topic, partition, partitionCount)
      return partition
    }
    if (this.#partitioner !== undefined) return this.#ask(record, partitionCount)
    if (key === null || key === undefined) {
      this.#bytesToSticky += lengthOf(record.value)
      return this.#sticky % partitionCount
    }
    return partitionForKey(hashableOf(key as Uint8Array | string), partitionCount)
  }

  /** A call is over: key-less records may go on to the next partition. */
  endOfCall(): void {
    if (this.#bytesToSticky >= this.#bytesPerTurn) this.advance()
  }

  /** Key-less records go on to the next partition now. */
  advance(): void {
    this.#sticky = (this.#sticky + 1) & 0x7fffffff
    this.#bytesToSticky = 0
  }

  #ask(record: PlainRecord, partitionCount: number): number {
    const { key } = record
    const bytes = key === null || key === undefined ? null : bytesOf(key as Uint8Array | string)
    const partition: unknown = this.#partitioner?.({ key: bytes }, partitionCount)
    if (isPartition(partition, partitionCount)) return partition
    throw new RangeError(
      `expected the partitioner to give an integer from 0 to ${partitionCount - 1}, got ${shown(partition)}`,
    )
  }
}

/**
 * Checks a partition number that came from outside.
 *
 * @throws {TypeError} when it is not a number
 * @throws {UnknownTopicOrPartitionError} when the topic has no such partition
 */
export function checkPartition(topic: string, partition: unknown, partitionCount: number): void {
  if (isPartition(partition, partitionCount)) return
  if (typeof partition !== 'number') {
    throw new TypeError(`expected \`partition\` to be a number, got ${shown(partition)}`)
  }
  throw new UnknownTopicOrPartitionError(topic, partition)
}

function isPartition(partition: unknown, partitionCount: number): partition is number {
  return Number.isInteger(partition) && Number(partition) >= 0 && Number(partition) < partitionCount
}

/** UTF-8 takes three bytes a UTF-16 unit at most. */
const scratchUnits = 85

/** Short keys are encoded here to be hashed, and views of it kept by size: no Buffer is made per record. */
const scratch = Buffer.alloc(3 * scratchUnits)
const scratchViews: Uint8Array[] = []

/** The bytes of a key until the next call. */
function hashableOf(key: Uint8Array | string): Uint8Array {
  if (typeof key !== 'string') return key
  if (key.length > scratchUnits) return Buffer.from(key)
  const sizeBytes = scratch.write(key)
  const view = scratchViews[sizeBytes] ?? scratch.subarray(0, sizeBytes)
  scratchViews[sizeBytes] = view
  return view
}

function bytesOf(key: Uint8Array | string): Buffer {
  if (typeof key === 'string') return Buffer.from(key)
  return Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength)
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 0
}
