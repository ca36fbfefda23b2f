/**
 * Looking into the records of a batch without handing them out: whether they are as many as the
 * header says, fill its bytes exactly, lie at rising offsets inside the batch, have no timestamp
 * above its largest, and hold what their lengths declare.
 */
import { decodeBatchHeader } from './batch-format.ts'
import { RecordParser } from './record-parser.ts'
import { VarintCursor } from './varint.ts'

/** What a step came to. `damage`: readers refuse the batch. `timestamp`: they do not, but look-ups by time may miss the record. */
export type RecordsStep =
  | { readonly kind: 'more' | 'ok' }
  | { readonly kind: 'damage' | 'timestamp'; readonly what: string }

/** A walk over the records of one batch, in steps. */
export class RecordsCheck {
  readonly #bytes: Buffer
  readonly #parser: RecordParser
  readonly #recordCount: number
  readonly #lastOffsetDelta: number
  readonly #baseTimestamp: number
  readonly #maxTimestamp: number
  #seen = 0
  #previousDelta = -1

  /**
   * `batch` starts with a batch that `checkBatch` has passed; `records` are its records, decompressed
   * where it is compressed.
   */
  constructor(batch: Buffer, records: Buffer) {
    const header = decodeBatchHeader(batch, 0)
    this.#bytes = records
    this.#parser = new RecordParser(records, 0)
    this.#recordCount = header.recordCount
    this.#lastOffsetDelta = header.lastOffset - header.baseOffset
    this.#baseTimestamp = header.baseTimestamp
    this.#maxTimestamp =
      header.timestampType === 'append' ? Number.POSITIVE_INFINITY : header.maxTimestamp
  }

  /** Looks at up to `maxRecords` more; the first thing that is wrong ends the walk. */
  step(maxRecords: number): RecordsStep {
    const end = Math.min(this.#seen + maxRecords, this.#recordCount)
    for (; this.#seen < end; this.#seen++) {
      const problem = this.#next()
      if (problem !== null) return problem
    }
    if (this.#seen < this.#recordCount) return { kind: 'more' }
    const left = this.#bytes.length - this.#parser.position
    if (left === 0) return { kind: 'ok' }
    return { kind: 'damage', what: `${left} bytes lie behind the last record of the batch` }
  }

  #next(): RecordsStep | null {
    const parser = this.#parser
    if (!parser.parseNext(this.#bytes.length)) {
      return {
        kind: 'damage',
        what: `record ${this.#seen} of the batch does not hold what it declares`,
      }
    }
    const { offsetDelta } = parser
    if (offsetDelta <= this.#previousDelta || offsetDelta > this.#lastOffsetDelta) {
      return {
        kind: 'damage',
        what: `record ${this.#seen} of the batch has offset delta ${offsetDelta}, out of turn`,
      }
    }
    this.#previousDelta = offsetDelta
    const cursor = new VarintCursor(this.#bytes, parser.bodyPosition + 1)
    const timestamp = this.#baseTimestamp + cursor.readVarlong()
    if (timestamp <= this.#maxTimestamp) return null
    return {
      kind: 'timestamp',
      what: `record ${this.#seen} of the batch has timestamp ${timestamp}, above the largest`,
    }
  }
}
