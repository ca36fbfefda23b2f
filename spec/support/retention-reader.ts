/** A reader that pauses for as long as it is told to, while records go before its eyes. */
import assert from 'node:assert/strict'

import { OffsetOutOfRangeError } from '../../lib/errors.ts'
import type { LogRecord, Partition, Reader } from '../../lib/types.ts'
import type { RetainedPartitionModel } from './retention-model.ts'
import type { FoundRecord, PossibleRules } from './retention-records.ts'
import type { SimLife } from './sim-life.ts'

/** Where and how it reads. */
export interface ReaderOptions {
  readonly from: number
  readonly isLive: boolean
  /** It goes on at the log start when its position is gone; else that is an error. */
  readonly mayJump: boolean
}

/** What it is compared with. */
export interface ReaderWitness {
  readonly rules: PossibleRules
  readonly partition: RetainedPartitionModel
  readonly life: SimLife
  /** Compares offsets. */
  readonly observe: () => void
}

/** One reader. */
export class RetentionReader {
  readonly #partition: Partition
  readonly #options: ReaderOptions
  readonly #witness: ReaderWitness
  readonly #reader: Reader<LogRecord>
  readonly #endOffset: number
  /** Records that it may read before it pauses. */
  #credit = 3
  #resume: (() => void) | null = null
  #expected: number

  constructor(partition: Partition, options: ReaderOptions, witness: ReaderWitness) {
    const { from, isLive: live, mayJump } = options
    this.#partition = partition
    this.#options = options
    this.#witness = witness
    this.#expected = from
    this.#endOffset = live ? Number.POSITIVE_INFINITY : partition.highWatermark
    const onOutOfRange = mayJump ? 'earliest' : 'error'
    this.#reader = partition.records({ from, live, maxBytes: 300, onOutOfRange })
  }

  /** Lets it read on. */
  readOn(count: number): void {
    this.#credit += count
    this.#resume?.()
  }

  /** Reads until the end. Never rejects. */
  async run(): Promise<void> {
    const { life } = this.#witness
    try {
      for await (const record of this.#reader) {
        if (!life.isAlive) return
        this.#take(foundOf(record))
        while (--this.#credit < 0) await this.#pause()
      }
      if (life.isAlive && !this.#options.isLive) this.#passed(this.#endOffset)
    } catch (error) {
      if (life.isAlive) this.#judge(error)
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#resume = resolve
    })
    this.#resume = null
  }

  #take(record: FoundRecord): void {
    const { partition, life } = this.#witness
    assert.ok(record.offset >= this.#expected, `a reader went back to ${record.offset}`)
    assert.ok(
      record.offset < this.#partition.highWatermark,
      'nothing is read above what is flushed',
    )
    partition.see(record, { nowMs: life.engineMs, isStale: true })
    this.#passed(record.offset)
    this.#expected = record.offset + 1
  }

  /** Everything up to `offset` is behind it. */
  #passed(offset: number): void {
    const { partition, rules, life, observe } = this.#witness
    observe()
    partition.missed(this.#expected, offset, { rules, nowMs: life.engineMs })
  }

  #judge(error: unknown): void {
    const { life, observe } = this.#witness
    if (!(error instanceof OffsetOutOfRangeError)) {
      life.judge('a reader', error)
      return
    }
    try {
      observe()
      const { logStartOffset } = this.#partition
      const position = this.#reader.position[this.#partition.id] ?? this.#expected
      assert.ok(!this.#options.mayJump, 'a reader that may jump is never out of range')
      assert.ok(position < logStartOffset, `${position} is out of range: ${logStartOffset}`)
    } catch (violation) {
      life.violated(violation)
    }
  }
}

/** A record as the model knows it. */
export function foundOf(record: LogRecord): FoundRecord {
  return {
    offset: record.offset,
    id: record.header('id')?.toString('latin1') ?? '',
    key: record.keyBytes?.toString('latin1') ?? '',
    value: record.valueBytes?.toString('latin1') ?? null,
    timestamp: record.timestamp,
  }
}
