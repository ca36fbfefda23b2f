/**
 * The two index files of a segment against its batches, in one walk. An entry of the offset index must
 * name the position and the last offset of a batch; one of the time index the last offset of a batch
 * that has the largest timestamp so far. A sealed segment's last time entry must hold its largest
 * timestamp, for look-ups by time pass a segment over by it. An offset index that has fewer entries
 * than it could have is sound: it costs time and says nothing wrong.
 */
import { OffsetIndex } from './offset-index.ts'
import { TimeIndex } from './time-index.ts'

/** The first thing that is wrong with an index file. */
export interface IndexProblem {
  readonly type: 'index' | 'time-index'
  /** Position of the entry in the index file. */
  readonly position: number
  readonly what: string
}

/** Content of the files; null for one that is not there. */
export interface IndexContents {
  readonly offsets: Buffer | null
  readonly times: Buffer | null
}

const offsetEntryBytes = 8
const timeEntryBytes = 12

/** Follows a walk over the batches of one segment, in order. At most one problem for each file. */
export class IndexesCheck {
  readonly #offsets: OffsetIndex | null
  readonly #times: TimeIndex | null
  #nextOffsetEntry = 0
  #nextTimeEntry = 0
  #maxTimestamp = -1
  #offsetProblem: IndexProblem | null = null
  #timeProblem: IndexProblem | null = null

  /** `isFinished`: the segment is sealed and both files must be there. */
  constructor(baseOffset: number, contents: IndexContents, isFinished: boolean) {
    const { offsets, times } = contents
    this.#offsets = offsets === null ? null : OffsetIndex.load(baseOffset, Buffer.from(offsets))
    this.#times = times === null ? null : TimeIndex.load(baseOffset, Buffer.from(times))
    if (offsets === null ? isFinished : this.#offsets === null) {
      this.#wrongOffset(0, offsets === null ? 'the file is missing' : 'its entries are malformed')
    }
    if (times === null ? isFinished : this.#times === null) {
      this.#wrongTime(0, times === null ? 'the file is missing' : 'its entries are malformed')
    }
  }

  /** Null when there is no file that loads. */
  get offsets(): OffsetIndex | null {
    return this.#offsets
  }

  get problems(): readonly IndexProblem[] {
    return [this.#offsetProblem, this.#timeProblem].filter(problem => problem !== null)
  }

  /** Takes the next good batch. */
  note(batch: {
    readonly lastOffset: number
    readonly position: number
    readonly maxTimestamp: number
  }): void {
    this.#noteOffset(batch)
    this.#noteTime(batch)
  }

  /** The walk goes on behind damage: what names it cannot be judged, and is believed. */
  skip(to: { readonly offset: number; readonly position: number }): void {
    for (let entry = this.#offsetEntry(); entry !== null; entry = this.#offsetEntry()) {
      if (entry.position >= to.position) break
      this.#nextOffsetEntry++
    }
    for (let entry = this.#timeEntry(); entry !== null; entry = this.#timeEntry()) {
      if (entry.offset >= to.offset) break
      this.#maxTimestamp = Math.max(this.#maxTimestamp, entry.timestamp)
      this.#nextTimeEntry++
    }
  }

  /** The walk is over. In a sealed segment nothing may be left, and the time index must be complete. */
  finish(isSealed: boolean): void {
    if (!isSealed) return
    if (this.#offsetEntry() !== null) {
      this.#wrongOffset(this.#nextOffsetEntry, 'an entry lies behind the end of the segment')
    }
    if (this.#timeEntry() !== null) {
      this.#wrongTime(this.#nextTimeEntry, 'an entry lies behind the end of the segment')
    }
    const last = this.#times?.lastEntry?.timestamp ?? -1
    if (this.#times !== null && last < this.#maxTimestamp) {
      const what = `its last entry has ${last}, the largest timestamp is ${this.#maxTimestamp}`
      this.#wrongTime(this.#times.entryCount, what)
    }
  }

  #noteOffset({
    lastOffset,
    position,
  }: {
    readonly lastOffset: number
    readonly position: number
  }): void {
    const entry = this.#offsetEntry()
    if (entry === null || entry.position > position) return
    if (entry.position !== position || entry.offset !== lastOffset) {
      const what = `no batch that ends with offset ${entry.offset} begins at ${entry.position}`
      this.#wrongOffset(this.#nextOffsetEntry, what)
    }
    this.#nextOffsetEntry++
  }

  #noteTime({
    lastOffset,
    maxTimestamp,
  }: {
    readonly lastOffset: number
    readonly maxTimestamp: number
  }): void {
    this.#maxTimestamp = Math.max(this.#maxTimestamp, maxTimestamp)
    const entry = this.#timeEntry()
    if (entry === null || entry.offset > lastOffset) return
    const { offset, timestamp } = entry
    const isTrue =
      offset === lastOffset && timestamp === maxTimestamp && timestamp === this.#maxTimestamp
    if (!isTrue) {
      const what = `${timestamp} is not the largest timestamp up to a batch that ends with ${offset}`
      this.#wrongTime(this.#nextTimeEntry, what)
    }
    this.#nextTimeEntry++
  }

  /** The entry to be met next; null when all were, or when something is wrong already. */
  #offsetEntry(): { readonly offset: number; readonly position: number } | null {
    const index = this.#offsets
    if (index === null || this.#offsetProblem !== null) return null
    return this.#nextOffsetEntry < index.entryCount ? index.entryAt(this.#nextOffsetEntry) : null
  }

  #timeEntry(): { readonly timestamp: number; readonly offset: number } | null {
    const index = this.#times
    if (index === null || this.#timeProblem !== null) return null
    return this.#nextTimeEntry < index.entryCount ? index.entryAt(this.#nextTimeEntry) : null
  }

  #wrongOffset(entry: number, what: string): void {
    this.#offsetProblem ??= { type: 'index', position: entry * offsetEntryBytes, what }
  }

  #wrongTime(entry: number, what: string): void {
    this.#timeProblem ??= { type: 'time-index', position: entry * timeEntryBytes, what }
  }
}
