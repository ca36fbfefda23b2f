/**
 * Bringing the producers of a partition back: the newest snapshot that can be read, and the batches
 * behind it. A snapshot is written with each recovery-point checkpoint once there are producers, so
 * a partition without any snapshot had none below its recovery point.
 */
import type { Files } from '../files/files.ts'
import { baseOffsetAt, batchField, decodeBatchHeader } from '../record/batch-format.ts'
import { ProducerState } from './producer-state.ts'
import { segmentPath } from './segment.ts'

interface Snapshot {
  readonly offset: number
  readonly state: ProducerState
}

/** Follows the batches of a scan, taking a snapshot's word where there is one. */
export class ProducerReplay {
  /** Where the scan must begin for the replay to be complete. */
  readonly startOffset: number
  /** Offsets of snapshots that cannot be read. */
  readonly damagedSnapshots: readonly number[]
  /** Those above the recovery point, ascending. */
  readonly #later: Snapshot[]
  #state: ProducerState

  private constructor(start: Snapshot, later: Snapshot[], damagedSnapshots: readonly number[]) {
    this.startOffset = start.offset
    this.#state = start.state
    this.#later = later
    this.damagedSnapshots = damagedSnapshots
  }

  /** Reads the snapshots: the newest at or below the recovery point, and those above. */
  static open(
    files: Files,
    dir: string,
    known: {
      /** Ascending. */
      readonly snapshots: readonly number[]
      readonly recoveryPoint: number
      readonly logStartOffset: number
    },
  ): ProducerReplay {
    const later: Snapshot[] = []
    const damaged: number[] = []
    for (const offset of known.snapshots.toReversed()) {
      const bytes = files.readFile(segmentPath(dir, offset, 'snapshot'))
      const state = bytes === null ? null : ProducerState.load(bytes)
      if (state === null) {
        damaged.push(offset)
      } else if (offset > known.recoveryPoint) {
        later.unshift({ offset, state })
      } else {
        return new ProducerReplay({ offset, state }, later, damaged)
      }
    }
    // With none to be read, all batches say what those would have said; without any there was nothing.
    const offset = damaged.length > 0 ? known.logStartOffset : known.recoveryPoint
    return new ProducerReplay({ offset, state: new ProducerState() }, later, damaged)
  }

  /** Takes a batch that is kept; batches come in offset order. */
  note(buffer: Buffer, position: number): void {
    const baseOffset = baseOffsetAt(buffer, position)
    this.#takeSnapshots(baseOffset)
    if (baseOffset < this.startOffset) return
    // The sign alone: most batches have no producer, and need no decoding.
    if (buffer.readInt8(position + batchField.producerId) < 0) return
    this.#state.replay(decodeBatchHeader(buffer, position))
  }

  /** The state of a log that ends at `logEndOffset`. */
  finish(logEndOffset: number): ProducerState {
    this.#takeSnapshots(logEndOffset)
    this.#state.commit(logEndOffset)
    return this.#state
  }

  #takeSnapshots(offset: number): void {
    for (let next = this.#later[0]; next !== undefined && next.offset <= offset; ) {
      this.#state = next.state
      this.#later.shift()
      next = this.#later[0]
    }
  }
}
