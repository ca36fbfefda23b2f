/**
 * The leader epochs of a partition and the offset at which each began, as Kafka's
 * `LeaderEpochFileCache` keeps them. File form: Kafka's checkpoint with lines `epoch startOffset`.
 *
 * Worked example: with `(0, 0) (2, 100) (5, 130)` and a log that ends at 150, epoch 5 ends at 150,
 * epoch 2 at 130, and epoch 3, which wrote nothing here, is answered with epoch 2 and 130.
 */
import assert from 'node:assert/strict'

import { formatCheckpoint, parseCheckpoint, parseDecimal } from './checkpoint-file.ts'

/** One leader epoch and the first offset written, or to be written, in it. */
export interface LeaderEpochEntry {
  readonly epoch: number
  readonly startOffset: number
}

/** Where an epoch ends, exclusive. Both fields are -1 when that is not known. */
export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

const unknownEnd: EpochEnd = { epoch: -1, endOffset: -1 }
const largestEpoch = 2 ** 31 - 1

/** The epochs of one partition, in memory; both epochs and start offsets rise strictly. */
export class LeaderEpochs {
  readonly #entries: LeaderEpochEntry[] = []

  /**
   * Reads what `format` wrote. Null when the text is not in that form, or when epochs or start
   * offsets do not rise. An empty text has no epochs.
   */
  static parse(text: string): LeaderEpochs | null {
    const lines = parseCheckpoint(text)
    if (lines === null) return null
    const epochs = new LeaderEpochs()
    for (const fields of lines) {
      const epoch = parseDecimal(fields[0] ?? '')
      const startOffset = parseDecimal(fields[1] ?? '')
      if (fields.length !== 2 || epoch === null || startOffset === null) return null
      const last = epochs.#entries.at(-1)
      const rises = last === undefined || (epoch > last.epoch && startOffset > last.startOffset)
      if (!rises || epoch > largestEpoch) return null
      epochs.#entries.push({ epoch, startOffset })
    }
    return epochs
  }

  /**
   * The epochs that batches have, one entry for each change, up to `endOffset`, followed by `latest`, the
   * epoch of the session. Null when they fall, or lie above it: then a field of a batch is damaged, and
   * to believe it would make the batches behind look like those of a leader that was deposed.
   */
  static ofRuns(
    runs: readonly LeaderEpochEntry[],
    end: { readonly latest: LeaderEpochEntry; readonly endOffset: number },
  ): LeaderEpochs | null {
    const { latest, endOffset } = end
    const epochs = new LeaderEpochs()
    for (const { epoch, startOffset } of runs) {
      const last = epochs.latest
      // A run goes on in the next segment.
      if (epoch === last) continue
      if (epoch < last || epoch < 0 || epoch > latest.epoch) return null
      epochs.#entries.push({ epoch, startOffset })
    }
    if (epochs.latest < latest.epoch) {
      epochs.assign(latest.epoch, Math.max(latest.startOffset, endOffset))
    }
    return epochs
  }

  /** The text of the checkpoint file. */
  format(): string {
    return formatCheckpoint(
      this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`),
    )
  }

  /** The epochs, lowest first. A view: it changes with the object. */
  get entries(): readonly LeaderEpochEntry[] {
    return this.#entries
  }

  /** The highest epoch, or -1 when there is none. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /**
   * Notes that `epoch` begins at `startOffset` and says whether that changed anything. The latest
   * epoch again changes nothing unless it begins earlier; what contradicts the new entry, being
   * of a higher epoch or beginning no earlier, is dropped.
   */
  assign(epoch: number, startOffset: number): boolean {
    assert.ok(Number.isSafeInteger(startOffset), 'an offset is a safe integer')
    assert.ok(startOffset >= 0, 'an epoch begins at an offset')
    assert.ok(
      Number.isInteger(epoch) && epoch >= 0 && epoch <= largestEpoch,
      'an epoch is an int32',
    )
    const last = this.#entries.at(-1)
    if (last !== undefined && last.epoch === epoch && startOffset >= last.startOffset) return false
    this.#dropFromEnd(entry => entry.epoch >= epoch || entry.startOffset >= startOffset)
    this.#entries.push({ epoch, startOffset })
    return true
  }

  /**
   * Where `epoch` ends in a log that ends at `logEndOffset`: the offset at which the next higher
   * epoch began, given with the greatest known epoch that is not above the one asked for. That is
   * how far a follower which was in `epoch` may agree with this log (KIP-101, KIP-279).
   */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEnd {
    if (epoch < 0) return unknownEnd
    if (epoch === this.latest) return { epoch, endOffset: logEndOffset }
    const higher = this.#entries.findIndex(entry => entry.epoch > epoch)
    const next = this.#entries[higher]
    if (next === undefined) return unknownEnd
    const floor = this.#entries[higher - 1]
    return { epoch: floor?.epoch ?? epoch, endOffset: next.startOffset }
  }

  /** Forgets the epochs that begin at or above `offset`; says whether there were any. */
  truncateFromEnd(offset: number): boolean {
    return this.#dropFromEnd(entry => entry.startOffset >= offset)
  }

  /**
   * Forgets the epochs that end at or below `offset`, the new start of the log, and lets the one
   * that `offset` is in begin there. Says whether anything changed.
   */
  truncateFromStart(offset: number): boolean {
    const firstAbove = this.#entries.findIndex(entry => entry.startOffset > offset)
    const count = firstAbove === -1 ? this.#entries.length : firstAbove
    const current = this.#entries[count - 1]
    if (current === undefined || (count === 1 && current.startOffset === offset)) return false
    this.#entries.splice(0, count, { epoch: current.epoch, startOffset: offset })
    return true
  }

  #dropFromEnd(isDropped: (entry: LeaderEpochEntry) => boolean): boolean {
    // Epochs and offsets rise, so the entries to drop are all those from the first one on.
    const first = this.#entries.findIndex(isDropped)
    if (first === -1) return false
    this.#entries.length = first
    return true
  }
}
