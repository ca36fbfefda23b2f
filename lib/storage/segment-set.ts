/**
 * The segments of one partition and what the manifest says of them. Appends go to the last of them
 * through `segment-output.ts`. Finishing a sealed segment (its index files and its manifest line)
 * happens behind, off the way of acknowledgements, because indexes can be rebuilt from the log.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import { StorageError } from '../errors.ts'
import { replaceFile } from './checkpoint-file.ts'
import { cutSegments } from './cut-segments.ts'
import { damageFrom, damageLines } from './damage.ts'
import type { Damage, StorageEnvironment } from './environment.ts'
import { attempt } from './file-io.ts'
import { HeadRemoval } from './head-removal.ts'
import { type HeldSegment, heldSegments } from './held-segments.ts'
import type { ImplausibleFound } from './implausible-timestamps.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { saveIndexEntries, writeIndexFiles } from './index-files.ts'
import type { BatchBoundary, ReadableSegment } from './readable-segment.ts'
import {
  ActiveSegment,
  type ActiveSegmentState,
  type SealedSegment,
  segmentPath,
} from './segment.ts'
import { type OutputSegments, SegmentOutput } from './segment-output.ts'
import { type SwapFiles, type SwapOutcome, settleSwap, swapSegments } from './segment-swap.ts'
import { formatManifest, type SegmentFacts } from './segments-manifest.ts'

/** Name of the manifest in the partition's directory. */
export const manifestFileName = 'segments.manifest'

/** What the owner hears. */
export interface SegmentSetListener {
  segmentSealed(segment: SealedSegment): void
  backgroundFailed(what: string, error: Error): void
}

/** What a chain of work begins with; shared, since most partitions never have any. */
const quiet: Promise<void> = Promise.resolve()

/** Segments of one partition; appends come from its single writer, reads may come at any time. */
export class SegmentSet implements OutputSegments {
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #listener: SegmentSetListener
  #sealed: SealedSegment[]
  #active: ActiveSegment | null
  #output: SegmentOutput | null = null
  #readable: readonly ReadableSegment[] | null = null
  /** Ends with the last piece of work on sealed segments; never rejects. */
  #finishing: Promise<void> = quiet
  /** The swap that is under way or unsettled: the manifest must not speak of what lies in its range. */
  #swap: (SwapFiles & { readonly by: SealedSegment }) | null = null
  #isUnsettled = false
  /** The manifest says of every segment what is known of it, as far as that is finished. */
  #isListed: boolean
  /** Size of the active segment as the manifest has it; 0 when it has none of it. */
  #listedBytes = 0
  #isAbandoned = false
  /** The log start as the manifest has it; 0: it need not say so. */
  #start: number
  #removal: HeadRemoval | null = null
  readonly #openedMs: number
  damage: Damage[]

  constructor(
    environment: StorageEnvironment,
    dir: string,
    options: {
      readonly sealed: readonly SealedSegment[]
      readonly active: ActiveSegmentState | null
      readonly damage: readonly Damage[]
      /** Some of the damage is not on record. */
      readonly hasNewDamage?: boolean
      /** @default 0 */
      readonly logStartOffset?: number | undefined
      /** The manifest says what is known of every segment. @default false */
      readonly isListed?: boolean
      readonly listener: SegmentSetListener
    },
  ) {
    this.#environment = environment
    this.#dir = dir
    this.#listener = options.listener
    this.#sealed = [...options.sealed]
    this.#start = options.logStartOffset ?? 0
    this.#isListed = options.isListed === true
    if (this.#isListed) this.#listedBytes = options.active?.sizeBytes ?? 0
    this.#openedMs = environment.time.nowMs()
    this.#active =
      options.active === null ? null : new ActiveSegment(options.active, this.#openedMs)
    this.damage = [...options.damage]
    for (const segment of this.#sealed)
      if (segment.pendingIndexes !== null) this.#finishInTurn(segment, false)
    if (options.hasNewDamage === true) this.#rememberDamage()
  }

  get active(): ActiveSegment | null {
    return this.#active
  }

  get count(): number {
    return this.#sealed.length + (this.#active === null ? 0 : 1)
  }

  get sizeBytes(): number {
    let total = this.#active?.sizeBytes ?? 0
    for (const segment of this.#sealed) total += segment.sizeBytes
    return total
  }

  /** In offset order; the array is made anew when the set changes. */
  segments(): readonly ReadableSegment[] {
    this.#readable ??= this.#listReadable()
    return this.#readable
  }

  /** The sealed segments that are complete, with their indexes on disk, in order up to the first that is not. */
  get finished(): readonly SealedSegment[] {
    const end = this.#sealed.findIndex(segment => segment.pendingIndexes !== null)
    return end === -1 ? [...this.#sealed] : this.#sealed.slice(0, end)
  }

  /** A swap failed, and so did taking it back or ending it: `settle` tries again, and so does the next open. */
  get isUnsettled(): boolean {
    return this.#isUnsettled
  }

  /** Brings an unsettled swap to its end. Null when there is none any more, else what is in the way. */
  settle(): Promise<Error | null> {
    return this.inTurn(() => this.#settle())
  }

  async #settle(): Promise<Error | null> {
    const swap = this.#swap
    if (!this.#isUnsettled || swap === null) return null
    const isPublished = this.#sealed.includes(swap.by)
    try {
      await settleSwap(this.#environment, swap, isPublished)
    } catch (error) {
      return error as Error
    }
    this.#swap = null
    this.#isUnsettled = false
    if (isPublished) await this.#complete(swap.by, false)
    return null
  }

  /**
   * Puts `by`, whose log lies beside them under another name, in the place of neighbors. See
   * `segment-swap.ts` for what a crash leaves.
   */
  replace(sources: readonly SealedSegment[], by: SealedSegment): Promise<SwapOutcome> {
    return this.inTurn(() => this.#replace(sources, by))
  }

  async #replace(sources: readonly SealedSegment[], by: SealedSegment): Promise<SwapOutcome> {
    assert(!this.#isUnsettled)
    const isCurrent = (): boolean => sources.every(source => this.#sealed.includes(source))
    if (!isCurrent()) return { kind: 'outdated' }
    const bases = sources.map(source => source.baseOffset)
    const swap = { dir: this.#dir, range: by, bases, by }
    this.#swap = swap
    const outcome = await swapSegments(this.#environment, swap, {
      isCurrent,
      dropLines: () => this.writeManifest(null),
      publish: () => {
        this.#sealed.splice(this.#sealed.indexOf(sources[0] as SealedSegment), sources.length, by)
        this.#readable = null
        this.#forgetIndexes(sources)
      },
    })
    this.#isUnsettled = outcome.kind === 'unsettled'
    if (!this.#isUnsettled) this.#swap = null
    // A read that began before may have put the indexes of the old log back.
    this.#forgetIndexes(sources)
    if (this.#sealed.includes(by)) await this.#complete(by, false)
    return outcome
  }

  #forgetIndexes(segments: readonly SealedSegment[]): void {
    for (const segment of segments) this.#environment.indexes.forget(this.#pathOf(segment))
  }

  /** What retention judges by, in offset order. */
  held(): readonly HeldSegment[] {
    return heldSegments(this.#sealed, this.#active, this.#openedMs)
  }

  /**
   * Gives up everything below `logStartOffset`, and the sealed segments that lie wholly there, in this order:
   *
   * 1. the manifest names the new log start, and those segments no more;
   * 2. `commit` makes the log start durable for Kafka and shows it to readers;
   * 3. the segments are taken out of the set;
   * 4. their files go, oldest first.
   *
   * A crash before 1 has ended leaves the log as it was, one behind it a log that begins at
   * `logStartOffset`, whose leftovers the next open removes. Resolves with the segments that
   * are gone; rejects when nothing has changed for readers. A file that cannot be removed is reported
   * and tried again by the next call.
   */
  giveUp(logStartOffset: number, commit: () => Promise<void>): Promise<readonly SealedSegment[]> {
    return this.inTurn(() => this.#giveUp(logStartOffset, commit))
  }

  /** Files of segments that were given up, or replaced, are still there. */
  get hasLeftovers(): boolean {
    return (this.#removal?.pendingCount ?? 0) > 0 || this.#isUnsettled
  }

  async #giveUp(
    logStartOffset: number,
    commit: () => Promise<void>,
  ): Promise<readonly SealedSegment[]> {
    const unsettled = await this.#settle()
    if (unsettled !== null) throw new StorageError(this.#dir, 'delete', unsettled)
    const before = this.#start
    if (logStartOffset > before) {
      this.#start = logStartOffset
      try {
        const at = { path: join(this.#dir, manifestFileName), operation: 'replace' }
        await attempt(at, () => this.writeManifest(null))
        await commit()
      } catch (error) {
        // The file may say it all the same; the next one that is written says what is so.
        this.#start = before
        throw error
      }
    }
    const gone = this.#sealed.splice(0, this.#countOfFlushed(this.#countBelow(logStartOffset)))
    this.#readable = null
    this.damage = this.damage.flatMap(damage => damageFrom(damage, logStartOffset))
    this.#removal ??= new HeadRemoval(this.#environment, this.#dir)
    try {
      await this.#removal.remove(gone.map(segment => segment.baseOffset))
    } catch (error) {
      this.#listener.backgroundFailed('removing segments below the log start', error as Error)
    }
    return gone
  }

  /** How many of the oldest segments lie wholly below `offset`: the next one begins at or below it. */
  #countBelow(offset: number): number {
    const bases = this.#sealed.slice(1).map(({ baseOffset }) => baseOffset)
    if (this.#active !== null) bases.push(this.#active.baseOffset)
    const first = bases.findIndex(baseOffset => baseOffset > offset)
    return first === -1 ? bases.length : first
  }

  /** The next segment is not durable yet where a sync is outstanding: those before it have to stay. */
  #countOfFlushed(count: number): number {
    const oldest = this.#output?.oldestRolled ?? null
    return oldest === null ? count : Math.min(count, this.#sealed.indexOf(oldest))
  }

  /** Keeps damage in mind, also over a close: the manifest has a line for it. */
  noteDamage(damage: Damage): void {
    this.damage.push(damage)
    this.#rememberDamage()
  }

  #rememberDamage(): void {
    // Whoever opens the partition next may be reading the manifest already.
    if (this.#isAbandoned || this.#isUnsettled) return
    this.inTurn(() => this.writeManifest(null)).catch((error: Error) =>
      this.#listener.backgroundFailed('putting damage on record', error),
    )
  }

  /** Work on the files of sealed segments: one piece at a time, behind what is under way. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#finishing.then(work)
    this.#finishing = done.then(
      () => {},
      () => {},
    )
    return done
  }

  /** Where appends go. */
  get output(): SegmentOutput {
    this.#output ??= new SegmentOutput(this.#environment, this.#dir, this)
    return this.#output
  }

  begin(segment: ActiveSegment): void {
    this.#active = segment
    this.#readable = null
  }

  seal(): SealedSegment {
    const segment = (this.#active as ActiveSegment).seal()
    this.#sealed.push(segment)
    this.#active = null
    this.#readable = null
    return segment
  }

  finish(segment: SealedSegment): void {
    this.#finishInTurn(segment, true)
  }

  /** Whether the segment that was active is sealed, and complete with its indexes on disk. */
  hasFinished(active: ActiveSegment): boolean {
    const { baseOffset } = active
    return (
      this.#active !== active &&
      this.#sealed.every(it => it.baseOffset !== baseOffset || it.pendingIndexes === null)
    )
  }

  /** Timestamps that lay too far ahead in what was written since the last call. */
  takeImplausible(): ImplausibleFound | null {
    return this.#output?.takeImplausible() ?? null
  }

  /** Writes the index entries that are not in their files yet, without syncing them. */
  saveIndexes(): void {
    const active = this.#active
    if (active === null) return
    saveIndexEntries(this.#environment.files, this.#dir, active)
  }

  /** A clean end: the indexes are complete and synced, and the manifest knows the active segment. */
  finishActive(): Promise<void> {
    return this.inTurn(async () => {
      const active = this.#active
      if (active === null) return
      active.finishTimeIndex()
      await this.#writeIndexFiles(active.baseOffset, active.indexes)
      await this.writeManifest(active.facts())
    })
  }

  /**
   * Puts on record what the active segment holds and when that was appended, all of it being flushed, so
   * that a crash does not make it young again, and with it what was assumed of other segments when they
   * were opened. Does nothing when that is on record.
   */
  async listActive(): Promise<void> {
    const active = this.#active
    if (active === null || this.#isUnsettled) return
    const facts = active.facts()
    if (this.#isListed && this.#listedBytes === facts.sizeBytes) return
    await this.inTurn(async () => {
      if (this.#active !== active || this.#isAbandoned) return
      const at = { path: join(this.#dir, manifestFileName), operation: 'replace' }
      await attempt(at, () => this.writeManifest(facts))
    })
  }

  /** Whether the manifest said what is known of every segment when it was last written, or when this was made. */
  get isListed(): boolean {
    return this.#isListed
  }

  /** Resolves when nothing happens in the background any more. */
  whenFinished(): Promise<void> {
    return this.#finishing
  }

  /** Gives up all handles, also of files with bytes to flush. */
  abandon(): void {
    this.#isAbandoned = true
    this.#output?.abandon()
    this.#environment.handles.forgetAll(join(this.#dir, '/'))
    for (const segment of this.#sealed) this.#environment.indexes.forget(this.#pathOf(segment))
  }

  /** Cuts the files at a batch boundary: manifest lines go first, then later segments, then the tail. */
  cutTo(cut: BatchBoundary): Promise<void> {
    return this.inTurn(() => this.#cutTo(cut))
  }

  async #cutTo(cut: BatchBoundary): Promise<void> {
    const later = [...this.#sealed, ...(this.#active === null ? [] : [this.#active])].filter(
      segment => segment.baseOffset > cut.baseOffset,
    )
    this.#sealed = this.#sealed.filter(segment => segment.baseOffset < cut.baseOffset)
    // Offsets that are given again must not be taken for lost ones.
    this.#keepDamage(it => it.to <= cut.offset)
    await this.writeManifest(null)
    const bases = later.map(({ baseOffset }) => baseOffset)
    await cutSegments(this.#environment, this.#dir, { cut, later: bases })
  }

  /**
   * Gives a sealed segment new index files and a new manifest line. The old line goes first, durably:
   * a crash leaves a segment of which nothing is said. False when it is not the segment that was `seen`
   * any more, or its files are not finished.
   */
  restate(
    seen: SealedSegment,
    by: { readonly indexes: SegmentIndexes; readonly facts: SegmentFacts | null },
  ): Promise<boolean> {
    return this.inTurn(async () => {
      const index = this.#sealed.indexOf(seen)
      if (index === -1 || seen.pendingIndexes !== null) return false
      const { baseOffset } = seen
      const { files, indexes } = this.#environment
      this.#sealed[index] = { ...seen, facts: null }
      await this.writeManifest(null)
      const { offsets, times } = by.indexes
      await replaceFile(files, segmentPath(this.#dir, baseOffset, 'index'), offsets.bytes())
      await replaceFile(files, segmentPath(this.#dir, baseOffset, 'timeindex'), times.bytes())
      indexes.forget(this.#pathOf(seen))
      this.#sealed[index] = { ...seen, facts: by.facts }
      await this.writeManifest(null)
      return true
    })
  }

  /** The sealed segment that begins there; another object as soon as anything of it is another. */
  sealedAt(baseOffset: number): SealedSegment | null {
    return this.#sealed.find(it => it.baseOffset === baseOffset) ?? null
  }

  /** The file of a sealed segment is gone: what it held is a gap between its neighbors. */
  dropMissing(seen: SealedSegment): Promise<void> {
    return this.inTurn(async () => {
      this.#sealed = this.#sealed.filter(it => it !== seen)
      this.#readable = null
      await this.writeManifest(null)
    })
  }

  /** Puts other damage on record in the place of what is known. Nothing has changed when it rejects. */
  restateDamage(change: (known: readonly Damage[]) => readonly Damage[]): Promise<void> {
    return this.inTurn(async () => {
      const before = [...this.damage]
      this.damage.splice(0, before.length, ...change(before))
      try {
        await this.writeManifest(null)
      } catch (error) {
        this.damage.splice(0, this.damage.length, ...before)
        throw error
      }
    })
  }

  /** Writes the index files of the active segment from what is known of it. */
  restateActive(): Promise<void> {
    return this.inTurn(async () => {
      const active = this.#active
      if (active === null) return
      const { offsets, times } = active.indexes
      const copies = { offsets: Buffer.from(offsets.bytes()), times: Buffer.from(times.bytes()) }
      const at = { dir: this.#dir, baseOffset: active.baseOffset }
      await writeIndexFiles(this.#environment.files, at, copies)
      // Entries that were saved meanwhile were cut again: the next time all are written.
      active.savedOffsetEntries = 0
      active.savedTimeEntries = 0
    })
  }

  #keepDamage(isKept: (damage: Damage) => boolean): void {
    this.damage.splice(0, this.damage.length, ...this.damage.filter(isKept))
  }

  #finishInTurn(segment: SealedSegment, isNew: boolean): void {
    this.#finishing = this.#finishing.then(() => this.#complete(segment, isNew))
  }

  async #complete(segment: SealedSegment, isNew: boolean): Promise<void> {
    // Given up while it waited for its turn: no index may come back without its log.
    if (!this.#sealed.includes(segment)) return
    try {
      await this.#environment.room.insist(async () => {
        if (segment.pendingIndexes !== null)
          await this.#writeIndexFiles(segment.baseOffset, segment.pendingIndexes)
        segment.pendingIndexes = null
        this.#readable = null
        await this.writeManifest(null)
      })
      if (isNew) this.#listener.segmentSealed(segment)
    } catch (error) {
      this.#listener.backgroundFailed(`finishing segment ${segment.baseOffset}`, error as Error)
    }
  }

  #writeIndexFiles(baseOffset: number, indexes: SegmentIndexes): Promise<void> {
    const contents = { offsets: indexes.offsets.bytes(), times: indexes.times.bytes() }
    return writeIndexFiles(this.#environment.files, { dir: this.#dir, baseOffset }, contents)
  }

  /** Says durably what is known of the segments by now; only ever in turn. */
  async writeManifest(active: SegmentFacts | null): Promise<void> {
    const sealed: SegmentFacts[] = []
    for (const segment of this.#sealed.slice(this.#countBelow(this.#start))) {
      const { facts, pendingIndexes } = segment
      // A line says that the segment and its indexes are synced: one that is not finished has none.
      const isKnown = facts !== null && pendingIndexes === null && !this.#isSwapped(segment)
      if (isKnown) sealed.push(facts)
    }
    this.#isListed = active !== null
    this.#listedBytes = active?.sizeBytes ?? 0
    const damage = damageLines(this.damage)
    const start = this.#start === 0 ? undefined : this.#start
    const text = formatManifest({ sealed, active, damage, start })
    await replaceFile(this.#environment.files, join(this.#dir, manifestFileName), text)
  }

  #isSwapped({ baseOffset }: SealedSegment): boolean {
    const range = this.#swap?.range
    return range !== undefined && baseOffset >= range.baseOffset && baseOffset < range.nextOffset
  }

  #pathOf(segment: { baseOffset: number }): string {
    return segmentPath(this.#dir, segment.baseOffset, 'log')
  }

  #listReadable(): readonly ReadableSegment[] {
    const list: ReadableSegment[] = this.#sealed.map(segment => ({
      baseOffset: segment.baseOffset,
      nextOffset: segment.nextOffset,
      endPosition: segment.sizeBytes,
      indexes: segment.pendingIndexes,
    }))
    const active = this.#active
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
      })
    }
    return list
  }
}
