/**
 * Which segments one partition has, in offset order: the sealed ones and the active one behind them. All
 * of it is memory; their files, and what is on record of them, are the work of `segment-set.ts`.
 */
import assert from 'node:assert/strict'

import { type HeldSegment, heldSegments } from './held-segments.ts'
import type { ReadableSegment } from './readable-segment.ts'
import type { ActiveSegment, SealedSegment } from './segment.ts'

/** The segments that there are. Changed by the partition's single writer and by the work of its set. */
export class SegmentList {
  /** Where appends go; changed by `begin` and `seal` alone. */
  active: ActiveSegment | null
  #sealed: SealedSegment[]
  #readable: readonly ReadableSegment[] | null = null
  readonly #openedMs: number

  constructor(sealed: readonly SealedSegment[], active: ActiveSegment | null, openedMs: number) {
    this.#sealed = [...sealed]
    this.active = active
    this.#openedMs = openedMs
  }

  get sealed(): readonly SealedSegment[] {
    return this.#sealed
  }

  get count(): number {
    return this.#sealed.length + (this.active === null ? 0 : 1)
  }

  get sizeBytes(): number {
    let total = this.active?.sizeBytes ?? 0
    for (const segment of this.#sealed) total += segment.sizeBytes
    return total
  }

  /** What reads go by; the array is made anew when the list changes. */
  readable(): readonly ReadableSegment[] {
    this.#readable ??= this.#listReadable()
    return this.#readable
  }

  /** What retention judges by. */
  held(): readonly HeldSegment[] {
    return heldSegments(this.#sealed, this.active, this.#openedMs)
  }

  /** The sealed segments that are complete, with their indexes on disk, in order up to the first that is not. */
  get finished(): readonly SealedSegment[] {
    const end = this.#sealed.findIndex(segment => segment.pendingIndexes !== null)
    return end === -1 ? [...this.#sealed] : this.#sealed.slice(0, end)
  }

  /** Whether the segment that was active is sealed, and complete with its indexes on disk. */
  hasFinished(active: ActiveSegment): boolean {
    const { baseOffset } = active
    return (
      this.active !== active &&
      this.#sealed.every(it => it.baseOffset !== baseOffset || it.pendingIndexes === null)
    )
  }

  /** Whether this very segment is there still: none that was replaced or given up. */
  has(segment: SealedSegment): boolean {
    return this.#sealed.includes(segment)
  }

  /** The sealed segment that begins there; another object as soon as anything of it is another. */
  sealedAt(baseOffset: number): SealedSegment | null {
    return this.#sealed.find(it => it.baseOffset === baseOffset) ?? null
  }

  /** How many of the oldest segments lie wholly below `offset`: the next one begins at or below it. */
  countBelow(offset: number): number {
    const bases = this.#sealed.slice(1).map(({ baseOffset }) => baseOffset)
    if (this.active !== null) bases.push(this.active.baseOffset)
    const first = bases.findIndex(baseOffset => baseOffset > offset)
    return first === -1 ? bases.length : first
  }

  /** From now on this is the active segment; there was none. */
  begin(segment: ActiveSegment): void {
    this.active = segment
    this.#readable = null
  }

  /** Seals the active segment; from now on there is none. */
  seal(): SealedSegment {
    const segment = (this.active as ActiveSegment).seal()
    this.#sealed.push(segment)
    this.active = null
    this.#readable = null
    return segment
  }

  /** The indexes of a sealed segment are on disk: reads take them from there. */
  noteFinished(segment: SealedSegment): void {
    segment.pendingIndexes = null
    this.#readable = null
  }

  /** Puts `by` in the place of neighbors. */
  replace(sources: readonly SealedSegment[], by: SealedSegment): void {
    this.#sealed.splice(this.#sealed.indexOf(sources[0] as SealedSegment), sources.length, by)
    this.#readable = null
  }

  /** Something else is known of the segment `seen`; what reads see of it is the same. */
  restate(seen: SealedSegment, by: SealedSegment): void {
    const index = this.#sealed.indexOf(seen)
    assert(index !== -1)
    this.#sealed[index] = by
  }

  /** Takes out the oldest `count` segments. */
  dropOldest(count: number): readonly SealedSegment[] {
    const gone = this.#sealed.splice(0, count)
    this.#readable = null
    return gone
  }

  /** Takes out one that turned out not to be there. */
  drop(missing: SealedSegment): void {
    this.#sealed = this.#sealed.filter(it => it !== missing)
    this.#readable = null
  }

  /**
   * Takes out the sealed segments from `baseOffset` on. What reads see stays as it was: the log is cut
   * for a recovery, which lists what is left anew. Gives the base offsets behind that one, the active
   * segment's among them.
   */
  cutFrom(baseOffset: number): readonly number[] {
    const segments = this.active === null ? this.#sealed : [...this.#sealed, this.active]
    const later = segments.map(it => it.baseOffset).filter(base => base > baseOffset)
    this.#sealed = this.#sealed.filter(segment => segment.baseOffset < baseOffset)
    return later
  }

  #listReadable(): readonly ReadableSegment[] {
    const list: ReadableSegment[] = this.#sealed.map(segment => ({
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      endPosition: segment.sizeBytes,
      indexes: segment.pendingIndexes,
      isFinished: true,
    }))
    const { active } = this
    if (active !== null) {
      list.push({
        baseOffset: active.baseOffset,
        get nextOffset() {
          return active.nextOffset
        },
        get endPosition() {
          return active.sizeBytes
        },
        indexes: active.indexes,
        isFinished: false,
      })
    }
    return list
  }
}
