/**
 * The five offsets of a partition and the one place that moves them. All but the first are
 * exclusive ends:
 *
 *   logStartOffset <= highWatermark <= recoveryPoint <= writtenOffset <= logEndOffset
 *
 * Worked example: 10 records were appended, 7 of them are with the operating system, 5 are fsynced:
 * 0 <= 5 <= 5 <= 7 <= 10.
 */
import assert from 'node:assert/strict'

/** A snapshot of the offsets; see `PartitionOffsets`. */
export interface OffsetsSnapshot {
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly recoveryPoint: number
  readonly writtenOffset: number
  readonly logEndOffset: number
}

/** Holds the offsets of one partition; `move` asserts their order and that none goes back. */
export class PartitionOffsets implements OffsetsSnapshot {
  logStartOffset: number
  highWatermark: number
  recoveryPoint: number
  writtenOffset: number
  logEndOffset: number

  /** An idle partition: everything up to `logEndOffset` is flushed and visible. */
  constructor(logStartOffset: number, logEndOffset: number) {
    this.logStartOffset = logStartOffset
    this.highWatermark = logEndOffset
    this.recoveryPoint = logEndOffset
    this.writtenOffset = logEndOffset
    this.logEndOffset = logEndOffset
    this.#check()
  }

  /** Records were accepted and have their offsets. */
  accept(logEndOffset: number): void {
    assert(logEndOffset >= this.logEndOffset)
    this.logEndOffset = logEndOffset
  }

  /** A write has succeeded. */
  wrote(writtenOffset: number): void {
    assert(writtenOffset >= this.writtenOffset)
    this.writtenOffset = writtenOffset
    this.#check()
  }

  /** A flush has succeeded; alone, what is flushed is visible. */
  flushed(recoveryPoint: number): void {
    assert(recoveryPoint >= this.recoveryPoint)
    this.recoveryPoint = recoveryPoint
    this.highWatermark = recoveryPoint
    this.#check()
  }

  /** The head of the log was given up. */
  startAt(logStartOffset: number): void {
    assert(logStartOffset >= this.logStartOffset)
    this.logStartOffset = logStartOffset
    this.#check()
  }

  /** What was accepted and not written is taken back: it never had a reader nor an acknowledgement above `queued`. */
  fallBackToWritten(): void {
    this.logEndOffset = this.writtenOffset
    this.#check()
  }

  /** The whole log from `logStartOffset` to `logEndOffset` anew, as one step: truncation, reset and recovery. */
  replace(logStartOffset: number, logEndOffset: number): void {
    this.logStartOffset = logStartOffset
    this.highWatermark = logEndOffset
    this.recoveryPoint = logEndOffset
    this.writtenOffset = logEndOffset
    this.logEndOffset = logEndOffset
    this.#check()
  }

  #check(): void {
    assert(Number.isSafeInteger(this.logEndOffset))
    assert(this.logStartOffset >= 0)
    assert(this.logStartOffset <= this.highWatermark)
    assert(this.highWatermark <= this.recoveryPoint)
    assert(this.recoveryPoint <= this.writtenOffset)
    assert(this.writtenOffset <= this.logEndOffset)
  }
}
