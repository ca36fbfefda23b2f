/** The partitions of a producer's records, as its `partitioner` says. */
import { PartitionChooser } from '../log/partitioner.ts'
import type { PlainRecord } from '../log/serialize.ts'
import type { ProducerPartitioner } from '../producing.ts'

/** Chooses for one topic. A record that names its partition goes there in any case. */
export class ProducerChooser {
  readonly #partitioner: ProducerPartitioner
  readonly #chooser: PartitionChooser
  /** How many records have gone round. */
  #turns = 0

  constructor(
    topic: { readonly name: string; readonly id: string },
    options: { readonly partitioner: ProducerPartitioner; readonly batchBytes: number },
  ) {
    const { partitioner, batchBytes } = options
    const own = typeof partitioner === 'function' ? partitioner : undefined
    this.#partitioner = partitioner
    this.#chooser = new PartitionChooser(topic, own, batchBytes)
  }

  /**
   * The partition of a record.
   *
   * @throws {UnknownTopicOrPartitionError} when the record names a partition that is not there
   * @throws {RangeError} when a function as partitioner gives no partition's number
   */
  choose(record: PlainRecord, partitionCount: number): number {
    const isNamed = record.partition !== undefined
    if (this.#partitioner === 'round-robin' && !isNamed) return this.#turns++ % partitionCount
    const isKeyless = this.#partitioner === 'sticky' && !isNamed
    const seen = isKeyless ? { ...record, key: null } : record
    const partition = this.#chooser.choose(seen, partitionCount)
    this.#chooser.endOfCall()
    return partition
  }
}
