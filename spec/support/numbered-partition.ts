/**
 * A partition in memory that knows idempotent producers as a real one does, and of which a spec says
 * how each append ends.
 */
import { DiskFullError, RecordTooLargeError, StorageError } from '../../lib/errors.ts'
import type { AppendRequest, ProducerIdentity } from '../../lib/storage/append-request.ts'
import { ProducerState } from '../../lib/storage/producer-state.ts'
import type { ChunkRequest, LogChunk } from '../../lib/storage/readable.ts'
import type { AppendResult, PartitionState, RecordInput } from '../../lib/types.ts'
import { encodeBatch } from './batches.ts'

/**
 * How an append ends. `ok`: in the log. `kept`: in the log, and nobody can tell. `lost`: not in the log,
 * and nobody can tell. `full`: refused for want of room. `large`: refused for good.
 */
export type AppendEnd = 'ok' | 'kept' | 'lost' | 'full' | 'large'

interface Stored {
  readonly baseOffset: number
  readonly bytes: Buffer
  readonly values: readonly string[]
  readonly producer: ProducerIdentity
}

const diskFailure = new Error('EIO: i/o error, write')

/** Appends are answered a turn of the microtasks later, in order. */
export class NumberedPartition {
  readonly identity: { readonly topic: string; readonly partition: number } = {
    topic: 'orders',
    partition: 0,
  }
  state: PartitionState = 'ok'
  readonly logStartOffset: number = 0
  logEndOffset = 0
  /** Of the appends to come; `ok` when there is none. */
  script: AppendEnd[] = []
  /** `epoch:sequence+count end` of every append. */
  readonly tries: string[] = []
  /** Answers wait until `answer` is called. */
  isHeld = false
  /** Thrown by the next read. */
  readFailure: Error | null = null
  #held: (() => void)[] = []
  #producers = new ProducerState()
  #stored: Stored[] = []

  get highWatermark(): number {
    return this.logEndOffset
  }

  /** All values, in offset order. */
  get values(): readonly string[] {
    return this.#stored.flatMap(({ values }) => values)
  }

  append(records: readonly RecordInput[], request: AppendRequest): Promise<AppendResult> {
    const end = this.state === 'failed' ? 'full' : (this.script.shift() ?? 'ok')
    const producer = request.producer as ProducerIdentity
    const { producerEpoch, baseSequence } = producer
    let note = `${producerEpoch}:${baseSequence}+${records.length} ${end}`
    let outcome: () => AppendResult
    try {
      const result = this.#end(end, records, producer)
      outcome = () => result
    } catch (error) {
      if (error instanceof Error && error.name === 'OutOfOrderSequenceError') note += ' order'
      outcome = () => {
        throw error
      }
    }
    this.tries.push(note)
    if (!this.isHeld) return Promise.resolve().then(outcome)
    return new Promise<void>(resolve => this.#held.push(resolve)).then(outcome)
  }

  /** Answers what is held, and holds nothing any more. */
  answer(): void {
    this.isHeld = false
    for (const resolve of this.#held.splice(0)) resolve()
  }

  /** What a partition knows when it was read anew behind a snapshot: the last batch of a producer. */
  forgetAllButLast(): void {
    this.#producers = ProducerState.load(this.#producers.snapshot()) as ProducerState
  }

  async readChunk({ from }: ChunkRequest): Promise<LogChunk> {
    const failure = this.readFailure
    this.readFailure = null
    if (failure !== null) throw failure
    const batch = this.#stored.findLast(({ baseOffset }) => baseOffset <= from) as Stored
    const nextOffset = batch.baseOffset + batch.values.length
    const at = { path: 'orders-0/0.log', filePosition: 0, hint: undefined }
    return { buffer: batch.bytes, positions: [0], nextOffset, ...at }
  }

  #end(end: AppendEnd, records: readonly RecordInput[], producer: ProducerIdentity): AppendResult {
    if (end === 'large') throw new RecordTooLargeError(2, 1)
    const check = this.#producers.check({ ...producer, recordCount: records.length })
    if (end === 'full') throw new DiskFullError('orders-0')
    if (end === 'lost') throw new StorageError('orders-0', 'write', diskFailure, 'unknown')
    const baseOffset = check.kind === 'duplicate' ? check.baseOffset : this.logEndOffset
    const nextOffset = baseOffset + records.length
    if (check.kind === 'new') this.#store(records, producer)
    if (end === 'kept') throw new StorageError('orders-0', 'fdatasync', diskFailure, 'unknown')
    return { ...this.identity, baseOffset, nextOffset, timestamp: 0, leaderEpoch: 0 }
  }

  #store(records: readonly RecordInput[], producer: ProducerIdentity): void {
    const baseOffset = this.logEndOffset
    this.logEndOffset += records.length
    const bytes = encodeBatch(records, { baseOffset, ...producer })
    const values = records.map(({ value }) => String(value))
    this.#stored.push({ baseOffset, bytes, values, producer })
    const nextOffset = this.logEndOffset
    this.#producers.accept({ ...producer, baseOffset, nextOffset, timestamp: 0 })
    this.#producers.commit(nextOffset)
  }
}
