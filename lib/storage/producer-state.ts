/**
 * What a partition knows of idempotent producers (Kafka's `ProducerStateManager`, KIP-98), and its
 * snapshot file `<offset, 20 digits>.snapshot`, which holds the state below that offset:
 *
 *     0  int16   version, 1
 *     2  uint32  CRC-32C of everything from byte 6 on
 *     6  int32   number of entries
 *    10          entries of 46 bytes
 *
 *     0  int64   producerId
 *     8  int16   producerEpoch
 *    10  int32   lastSequence            -1 when no batch is known
 *    14  int64   lastOffset              -1 when no batch is known
 *    22  int32   offsetDelta             last minus first offset of the last batch
 *    26  int64   timestamp               of the last batch or marker
 *    34  int32   coordinatorEpoch        -1 when no marker was seen
 *    38  int64   currentTxnFirstOffset   -1 when no transaction is open
 *
 * Worked example: producer 1001, epoch 4, whose last batch held sequences 7 to 9 at offsets 40 to
 * 42 with timestamp 1,700,000,000,005, is the entry `00000000000003e9 0004 00000009
 * 000000000000002a 00000002 0000018bcfe56805 ffffffff ffffffffffffffff`.
 */
import assert from 'node:assert/strict'

import { InvalidProducerEpochError, OutOfOrderSequenceError } from '../errors.ts'
import { crc32c } from '../record/crc32c.ts'
import { readInt64, writeInt64 } from '../record/int64.ts'

const version = 1
const checkedFrom = 6
const headerBytes = 10
const entryBytes = 46
const retainedBatches = 5
const largestSequence = 2 ** 31 - 1
const none = -1

/** What a producer says of a batch that it wants to append. */
export interface ProducerAppend {
  readonly producerId: number
  readonly producerEpoch: number
  /** Sequence number of the first record; -1 for a batch that has none. */
  readonly baseSequence: number
  readonly recordCount: number
}

/** A batch of a producer that has been given its offsets `[baseOffset, nextOffset)`. */
export interface ProducerBatch {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly baseOffset: number
  readonly nextOffset: number
  /** What a duplicate is answered with. */
  readonly timestamp: number
  /** When it was appended, in ms of engine time; the timestamp where nobody knows. */
  readonly heardMs?: number | undefined
}

/** What `replay` needs of a batch header; a decoded header of any batch will do. */
export interface ReplayedBatch {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly maxTimestamp: number
  readonly isTransactional: boolean
  readonly isControl: boolean
}

/** Whether an append is new, or repeats a batch that is known to have these offsets. */
export type ProducerCheck =
  | { readonly kind: 'new' }
  | {
      readonly kind: 'duplicate'
      readonly baseOffset: number
      readonly nextOffset: number
      readonly timestamp: number
    }

interface Batch {
  readonly lastSequence: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
}

/** Never changed once made, so that falling back is putting the former one in place again. */
interface Producer {
  readonly epoch: number
  /** The last ones of this epoch, oldest first. */
  readonly batches: readonly Batch[]
  readonly timestamp: number
  /** When it was last heard of: its age counts from here. Not in the snapshot, which has the timestamp. */
  readonly heardMs: number
  readonly coordinatorEpoch: number
  readonly currentTxnFirstOffset: number
}

/** A batch that was accepted and is not durable, with what was known of its producer before. */
interface PendingBatch {
  readonly producerId: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly before: Producer | undefined
}

/**
 * The producers of one partition. The *accepted* state is checked and moved on in append order; the
 * *durable* state trails it: `commit` moves it up, `rollback` makes the accepted one fall back, at
 * most to it. Holds no memory for producers before the first one.
 */
export class ProducerState {
  /** The accepted state by producer id. */
  #producers: Map<number, Producer> | null = null
  /** In offset order. Undone from the end, it leads from the accepted to the durable state. */
  readonly #pending: PendingBatch[] = []
  /** Everything below is durable. */
  #committedOffset = 0

  /** The state in a snapshot; null when that is damaged, or of another version. */
  static load(bytes: Buffer): ProducerState | null {
    if (bytes.length < headerBytes || bytes.readInt16BE(0) !== version) return null
    if (bytes.readUInt32BE(2) !== crc32c(bytes, checkedFrom, bytes.length)) return null
    const entryCount = bytes.readInt32BE(checkedFrom)
    if (bytes.length !== headerBytes + entryCount * entryBytes) return null
    const state = new ProducerState()
    state.#producers = new Map()
    for (let at = headerBytes; at < bytes.length; at += entryBytes) {
      const producerId = readInt64(bytes, at)
      const producer = readProducer(bytes, at)
      if (producer === null || !Number.isSafeInteger(producerId)) return null
      if (state.#producers.has(producerId)) return null
      state.#put(producerId, producer)
    }
    return state
  }

  /**
   * Whether there never was a producer. From the first one on snapshots are written, also of a state that
   * has become empty: the last one would bring the forgotten producers back, and a clean open wants the
   * snapshot of the end.
   */
  get isUntouched(): boolean {
    return this.#pending.length === 0 && this.#producers === null
  }

  /** The largest id of a producer that is known; -1 when there is none. */
  get largestProducerId(): number {
    let largest = none
    for (const producerId of this.#producers?.keys() ?? []) largest = Math.max(largest, producerId)
    return largest
  }

  /**
   * Says whether an append is new, by the accepted state. Only an exact repetition of one of the
   * last five batches of the same epoch is a duplicate; it may not be durable yet. A producer of
   * which nothing is known may begin with any sequence.
   *
   * @throws {InvalidProducerEpochError} when a newer epoch of the producer has been seen.
   * @throws {OutOfOrderSequenceError} when the sequence does not follow the last one.
   */
  check(append: ProducerAppend): ProducerCheck {
    const { producerId, producerEpoch, baseSequence, recordCount } = append
    assert.ok(recordCount > 0, 'a batch to append has records')
    const producer = this.#producers?.get(producerId)
    if (producer === undefined) return { kind: 'new' }
    const duplicate = findDuplicate(producer, append)
    if (duplicate !== undefined) {
      const { baseOffset, nextOffset, timestamp } = duplicate
      return { kind: 'duplicate', baseOffset, nextOffset, timestamp }
    }
    if (producerEpoch < producer.epoch) {
      throw new InvalidProducerEpochError(producerId, producer.epoch, producerEpoch)
    }
    const lastSequence = producer.batches.at(-1)?.lastSequence ?? none
    const expected = producerEpoch > producer.epoch ? 0 : sequenceAfter(lastSequence, 1)
    if (baseSequence !== none && baseSequence !== expected) {
      throw new OutOfOrderSequenceError(producerId, expected, baseSequence)
    }
    return { kind: 'new' }
  }

  /** Notes a batch that `check` found new and that was given its offsets; batches come in offset order. */
  accept(batch: ProducerBatch): void {
    const { producerId, baseOffset, nextOffset } = batch
    const lastEnd = this.#pending.at(-1)?.nextOffset ?? this.#committedOffset
    assert.ok(baseOffset >= lastEnd, 'batches are accepted in offset order')
    assert.ok(nextOffset > baseOffset, 'a batch has offsets')
    assert.ok(Number.isSafeInteger(producerId), 'a producer id is a safe integer')
    const before = this.#producers?.get(producerId)
    this.#pending.push({ producerId, baseOffset, nextOffset, before })
    this.#put(producerId, withBatch(before, batch))
  }

  /** Notes that everything below `upTo` is durable. */
  commit(upTo: number): void {
    if (upTo <= this.#committedOffset) return
    this.#committedOffset = upTo
    const firstAbove = this.#pending.findIndex(batch => batch.nextOffset > upTo)
    this.#pending.splice(0, firstAbove === -1 ? this.#pending.length : firstAbove)
  }

  /**
   * Forgets the accepted batches at or above `toOffset`: each producer is as it was before them.
   * What is durable cannot be forgotten here; a log that is truncated below it loads and replays.
   */
  rollback(toOffset: number): void {
    assert.ok(toOffset >= this.#committedOffset, 'only what is not durable can be rolled back')
    for (let last = this.#pending.at(-1); last !== undefined; last = this.#pending.at(-1)) {
      assert.ok(
        last.baseOffset >= toOffset || last.nextOffset <= toOffset,
        'a log ends with a batch',
      )
      if (last.baseOffset < toOffset) return
      this.#pending.pop()
      if (last.before === undefined) this.#producers?.delete(last.producerId)
      else this.#put(last.producerId, last.before)
    }
  }

  /**
   * Follows a batch that lies in the log, without checking it; batches of no producer are passed
   * over. A marker ends the producer's transaction, a transactional batch opens one. Limit: the
   * coordinator epoch is in the marker's record, not in its header, and stays as it was.
   */
  replay(batch: ReplayedBatch): void {
    assert.equal(this.#pending.length, 0, 'nothing is replayed behind batches that are not durable')
    this.#committedOffset = Math.max(this.#committedOffset, batch.nextOffset)
    const { producerId, producerEpoch, baseSequence, baseOffset, nextOffset } = batch
    const timestamp = batch.maxTimestamp
    if (producerId < 0) return
    const before = this.#producers?.get(producerId)
    if (batch.isControl) {
      const batches = before?.epoch === producerEpoch ? before.batches : []
      this.#put(producerId, {
        epoch: producerEpoch,
        batches,
        timestamp,
        heardMs: timestamp,
        coordinatorEpoch: before?.coordinatorEpoch ?? none,
        currentTxnFirstOffset: none,
      })
      return
    }
    const followed = { producerId, producerEpoch, baseSequence, baseOffset, nextOffset, timestamp }
    const after = withBatch(before, followed)
    const opensTxn = batch.isTransactional && after.currentTxnFirstOffset === none
    this.#put(producerId, opensTxn ? { ...after, currentTxnFirstOffset: baseOffset } : after)
  }

  /**
   * Forgets the producers last heard of `maxAgeMs` ago or longer, and returns how many. That is counted
   * from their last append here; of those that were read from the disk, from the timestamp of their last
   * batch, as Kafka does, or from now where that lies ahead. Those with an open transaction, or with a
   * batch that is not durable, stay.
   */
  expire(nowMs: number, maxAgeMs: number): number {
    if (this.#producers === null) return 0
    const busy = new Set(this.#pending.map(batch => batch.producerId))
    let expired = 0
    for (const [producerId, producer] of this.#producers) {
      if (producer.heardMs > nowMs) this.#put(producerId, { ...producer, heardMs: nowMs })
      const isOld = nowMs - producer.heardMs >= maxAgeMs
      if (!isOld || producer.currentTxnFirstOffset !== none || busy.has(producerId)) continue
      this.#producers.delete(producerId)
      expired += 1
    }
    return expired
  }

  /**
   * Counts the age of every producer from now on: the partition was out of service, and those that have
   * waited for it must find themselves known.
   */
  refresh(nowMs: number): void {
    for (const [producerId, producer] of this.#producers ?? []) {
      this.#put(producerId, { ...producer, heardMs: nowMs })
    }
  }

  /**
   * The durable state as a snapshot file, by producer id. Of each producer it holds the last batch
   * only, so after loading it the other four are no longer known as duplicates.
   */
  snapshot(): Buffer {
    const producers = this.#durableProducers()
    const bytes = Buffer.alloc(headerBytes + producers.length * entryBytes)
    bytes.writeInt16BE(version, 0)
    bytes.writeInt32BE(producers.length, checkedFrom)
    let position = headerBytes
    for (const [producerId, producer] of producers) {
      writeInt64(bytes, position, producerId)
      writeProducer(bytes, position, producer)
      position += entryBytes
    }
    bytes.writeUInt32BE(crc32c(bytes, checkedFrom, bytes.length), 2)
    return bytes
  }

  /** Last offset of the last durable batch of every producer, by producer id. */
  lastOffsets(): ReadonlyMap<number, number> {
    const offsets = new Map<number, number>()
    for (const [producerId, { batches }] of this.#durableProducers()) {
      const last = batches.at(-1)
      if (last !== undefined) offsets.set(producerId, last.nextOffset - 1)
    }
    return offsets
  }

  /** First offset of the oldest transaction that is open; Infinity when none is. */
  firstOpenOffset(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { currentTxnFirstOffset } of this.#producers?.values() ?? []) {
      if (currentTxnFirstOffset !== none) first = Math.min(first, currentTxnFirstOffset)
    }
    return first
  }

  #durableProducers(): readonly (readonly [number, Producer])[] {
    const before = new Map<number, Producer | undefined>()
    for (const batch of this.#pending) {
      if (!before.has(batch.producerId)) before.set(batch.producerId, batch.before)
    }
    const durable: (readonly [number, Producer])[] = []
    for (const [producerId, accepted] of this.#producers ?? []) {
      const producer = before.has(producerId) ? before.get(producerId) : accepted
      if (producer !== undefined) durable.push([producerId, producer])
    }
    return durable.sort(([a], [b]) => a - b)
  }

  #put(producerId: number, producer: Producer): void {
    this.#producers ??= new Map()
    this.#producers.set(producerId, producer)
  }
}

function findDuplicate(producer: Producer, append: ProducerAppend): Batch | undefined {
  if (append.producerEpoch !== producer.epoch || append.baseSequence === none) return undefined
  const lastSequence = sequenceAfter(append.baseSequence, append.recordCount - 1)
  // Equal last sequences and equal lengths make equal first sequences.
  return producer.batches.find(
    batch =>
      batch.lastSequence === lastSequence &&
      batch.nextOffset - batch.baseOffset === append.recordCount,
  )
}

function withBatch(before: Producer | undefined, batch: ProducerBatch): Producer {
  const { producerEpoch, baseSequence, baseOffset, nextOffset, timestamp } = batch
  const { heardMs = timestamp } = batch
  const lastSequence =
    baseSequence === none ? none : sequenceAfter(baseSequence, nextOffset - baseOffset - 1)
  const known = before?.epoch === producerEpoch ? before.batches : []
  return {
    epoch: producerEpoch,
    batches: [
      ...known.slice(1 - retainedBatches),
      { lastSequence, baseOffset, nextOffset, timestamp },
    ],
    timestamp,
    heardMs,
    coordinatorEpoch: before?.coordinatorEpoch ?? none,
    currentTxnFirstOffset: before?.currentTxnFirstOffset ?? none,
  }
}

/** The sequence number `count` records on; after 2^31 - 1 comes 0. */
function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % (largestSequence + 1)
}

function readProducer(bytes: Buffer, at: number): Producer | null {
  const lastSequence = bytes.readInt32BE(at + 10)
  const lastOffset = readInt64(bytes, at + 14)
  const offsetDelta = bytes.readInt32BE(at + 22)
  const timestamp = readInt64(bytes, at + 26)
  const currentTxnFirstOffset = readInt64(bytes, at + 38)
  const wide = [lastOffset, timestamp, currentTxnFirstOffset]
  if (!wide.every(Number.isSafeInteger) || offsetDelta < 0) return null
  const baseOffset = lastOffset - offsetDelta
  const last: Batch = { lastSequence, baseOffset, nextOffset: lastOffset + 1, timestamp }
  return {
    epoch: bytes.readInt16BE(at + 8),
    batches: lastOffset < 0 ? [] : [last],
    timestamp,
    heardMs: timestamp,
    coordinatorEpoch: bytes.readInt32BE(at + 34),
    currentTxnFirstOffset,
  }
}

function writeProducer(bytes: Buffer, at: number, producer: Producer): void {
  const last = producer.batches.at(-1)
  bytes.writeInt16BE(producer.epoch, at + 8)
  bytes.writeInt32BE(last?.lastSequence ?? none, at + 10)
  writeInt64(bytes, at + 14, last === undefined ? none : last.nextOffset - 1)
  bytes.writeInt32BE(last === undefined ? 0 : last.nextOffset - last.baseOffset - 1, at + 22)
  writeInt64(bytes, at + 26, producer.timestamp)
  bytes.writeInt32BE(producer.coordinatorEpoch, at + 34)
  writeInt64(bytes, at + 38, producer.currentTxnFirstOffset)
}
