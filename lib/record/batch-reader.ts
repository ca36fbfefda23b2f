/**
 * The bytes of a batch (batch-format.ts) → records. The iterator walks a record's lengths once, to
 * find the next record and to prove that this one is consumed exactly; everything else is decoded
 * when it is touched.
 */
import { ok } from 'node:assert/strict'

import { CorruptRecordError } from '../errors.ts'
import type { CompressionType, LogRecord, RecordBatch } from '../types.ts'
import {
  attributesAt,
  baseOffsetAt,
  batchAttribute,
  batchField,
  batchHeaderBytes,
  batchSizeAt,
  compressionTypeOf,
  leaderEpochAt,
  maxTimestampAt,
  nextOffsetAt,
  recordCountAt,
} from './batch-format.ts'
import { readInt64 } from './int64.ts'
import { type Inspect, inspectSymbol } from './record-json.ts'
import { RecordParser } from './record-parser.ts'
import { type RecordContext, type RecordSource, RecordView } from './record-view.ts'

export type { RecordContext } from './record-view.ts'

/** Where a batch lies. */
export interface BatchLocation {
  readonly buffer: Buffer
  /** Of the batch's first byte. */
  readonly position: number
  /** The decompressed records of a compressed batch, as `decompressRecords` gives them. */
  readonly records?: Buffer | undefined
}

/**
 * A batch that `checkBatch` has passed, as a view of the buffer that it lies in: the buffer must not
 * change as long as the view or a record of it is in use. A control batch has no records to show;
 * its offsets count all the same. Iterating throws `CorruptRecordError` with reason `record` at the
 * first record that does not hold what it declares.
 */
export class BatchView<K = Buffer, V = Buffer> implements RecordBatch<K, V> {
  readonly #context: RecordContext
  readonly #buffer: Buffer
  readonly #position: number
  readonly #records: Buffer | undefined

  constructor(context: RecordContext, location: BatchLocation) {
    this.#context = context
    this.#buffer = location.buffer
    this.#position = location.position
    this.#records = location.records
  }

  get topic(): string {
    return this.#context.topic
  }

  get partition(): number {
    return this.#context.partition
  }

  get baseOffset(): number {
    return baseOffsetAt(this.#buffer, this.#position)
  }

  get nextOffset(): number {
    return nextOffsetAt(this.#buffer, this.#position)
  }

  /** Records present, the marker of a control batch included; iterating yields none of those. */
  get recordCount(): number {
    return recordCountAt(this.#buffer, this.#position)
  }

  get maxTimestamp(): number {
    return maxTimestampAt(this.#buffer, this.#position)
  }

  get leaderEpoch(): number {
    return leaderEpochAt(this.#buffer, this.#position)
  }

  get sizeBytes(): number {
    return batchSizeAt(this.#buffer, this.#position)
  }

  get compressionType(): CompressionType {
    return compressionTypeOf(attributesAt(this.#buffer, this.#position))
  }

  /** A transaction's marker, written by a coordinator and never shown to readers. */
  get isControl(): boolean {
    return (attributesAt(this.#buffer, this.#position) & batchAttribute.control) !== 0
  }

  [Symbol.iterator](): IterableIterator<LogRecord<K, V>> {
    if (this.isControl) return noRecords.values()
    const isInPlace = this.compressionType === 'none'
    const bytes = isInPlace ? this.#buffer : this.#records
    ok(bytes !== undefined, 'a compressed batch is read with its decompressed records')
    const position = this.#position
    const isAppendTime =
      (attributesAt(this.#buffer, position) & batchAttribute.appendTimestamps) !== 0
    const source: RecordSource = {
      context: this.#context,
      bytes,
      baseOffset: this.baseOffset,
      baseTimestamp: readInt64(this.#buffer, position + batchField.baseTimestamp),
      appendTimestamp: isAppendTime ? this.maxTimestamp : null,
    }
    return new RecordIterator<K, V>(source, {
      start: isInPlace ? position + batchHeaderBytes : 0,
      end: isInPlace ? position + this.sizeBytes : bytes.length,
      recordCount: this.recordCount,
      batchPosition: position,
      nextOffset: this.nextOffset,
    })
  }

  /** The batch with its records. */
  toJSON(): unknown {
    return { ...this.#facts(), records: Array.from(this, record => record.toJSON()) }
  }

  /** The batch without its records. @internal */
  [inspectSymbol](_depth: number, options: object, inspect: Inspect): string {
    return `RecordBatch ${inspect(this.#facts(), options)}`
  }

  #facts(): object {
    return {
      topic: this.topic,
      partition: this.partition,
      baseOffset: this.baseOffset,
      nextOffset: this.nextOffset,
      recordCount: this.recordCount,
      maxTimestamp: this.maxTimestamp,
      leaderEpoch: this.leaderEpoch,
      sizeBytes: this.sizeBytes,
      compressionType: this.compressionType,
    }
  }
}

const noRecords: readonly never[] = []

/** Where the records of a batch lie in their source's bytes. */
interface RecordsSection {
  readonly start: number
  readonly end: number
  readonly recordCount: number
  /** Position of the batch itself, for errors. */
  readonly batchPosition: number
  readonly nextOffset: number
}

/** Written out, not a generator: a generator's resumption costs as much as decoding a record. */
class RecordIterator<K, V> implements IterableIterator<LogRecord<K, V>> {
  readonly #source: RecordSource
  readonly #section: RecordsSection
  readonly #parser: RecordParser
  readonly #end: number
  #remaining: number
  #previousDelta = -1
  #isEndChecked = false

  constructor(source: RecordSource, section: RecordsSection) {
    this.#source = source
    this.#section = section
    this.#parser = new RecordParser(source.bytes, section.start)
    this.#end = section.end
    this.#remaining = section.recordCount
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<LogRecord<K, V>, undefined> {
    if (this.#remaining === 0) {
      if (!this.#isEndChecked) this.#checkEnd()
      return { value: undefined, done: true }
    }
    const parser = this.#parser
    if (!parser.parseNext(this.#end) || parser.offsetDelta <= this.#previousDelta) this.#refuse()
    this.#previousDelta = parser.offsetDelta
    this.#remaining--
    // Before the last record is handed out, so that whoever has seen it has seen a sound batch.
    if (this.#remaining === 0) this.#checkEnd()
    return { value: new RecordView<K, V>(this.#source, parser), done: false }
  }

  /** Nothing may remain behind the last record, and no offset lie behind the batch's last one. */
  #checkEnd(): void {
    this.#isEndChecked = true
    const endOffset = this.#source.baseOffset + this.#previousDelta + 1
    if (this.#parser.position !== this.#end || endOffset > this.#section.nextOffset) this.#refuse()
  }

  #refuse(): never {
    this.#remaining = 0
    this.#isEndChecked = true
    const { context, baseOffset } = this.#source
    throw new CorruptRecordError(
      {
        path: context.path ?? `${context.topic}-${context.partition}`,
        position: this.#section.batchPosition,
        from: baseOffset,
        to: this.#section.nextOffset,
      },
      'record',
    )
  }
}
