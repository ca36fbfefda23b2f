/**
 * What happens to the segments of one partition and their files. Appends go to the last of them through
 * `segment-output.ts`. Everything else happens behind, off the way of acknowledgements and one piece
 * at a time: finishing a sealed segment (its index files and its manifest line), and each change of
 * which segments there are, namely replacing some by a compacted one, giving up the head, and cutting
 * the tail. What the manifest says is made to hold before a file changes, so that a crash leaves no line
 * that is wrong.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'

import { StorageError } from '../errors.ts'
import { cutSegments } from './cut-segments.ts'
import { damageFrom } from './damage.ts'
import type { Damage, StorageEnvironment } from './environment.ts'
import { attempt } from './file-io.ts'
import { HeadRemoval } from './head-removal.ts'
import type { ImplausibleFound } from './implausible-timestamps.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { saveIndexEntries, writeIndexFiles } from './index-files.ts'
import { ManifestRecord } from './manifest-record.ts'
import type { BatchBoundary } from './readable-segment.ts'
import {
  ActiveSegment,
  type ActiveSegmentState,
  type SealedSegment,
  segmentPath,
} from './segment.ts'
import { SegmentList } from './segment-list.ts'
import { SegmentOutput } from './segment-output.ts'
import { type SwapFiles, type SwapOutcome, settleSwap, swapSegments } from './segment-swap.ts'
import type { SegmentFacts } from './segments-manifest.ts'

/** What the owner hears. */
export interface SegmentSetListener {
  segmentSealed(segment: SealedSegment): void
  backgroundFailed(what: string, error: Error): void
}

/** What a chain of work begins with; shared, since most partitions never have any. */
const quiet: Promise<void> = Promise.resolve()

/** Segments of one partition; appends come from its single writer, reads may come at any time. */
export class SegmentSet {
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #listener: SegmentSetListener
  /** Which segments there are. */
  readonly list: SegmentList
  /** What the manifest says of them, and of the log. */
  readonly record: ManifestRecord
  #output: SegmentOutput | null = null
  /** Ends with the last piece of work on sealed segments; never rejects. */
  #finishing: Promise<void> = quiet
  /** The swap that is under way or unsettled: the manifest must not speak of what lies in its range. */
  #swap: (SwapFiles & { readonly by: SealedSegment }) | null = null
  #isUnsettled = false
  #isAbandoned = false
  #removal: HeadRemoval | null = null

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
    const { sealed, active, damage, logStartOffset = 0, isListed = false } = options
    this.#environment = environment
    this.#dir = dir
    this.#listener = options.listener
    const openedMs = environment.time.nowMs()
    const last = active === null ? null : new ActiveSegment(active, openedMs)
    this.list = new SegmentList(sealed, last, openedMs)
    const activeBytes = active?.sizeBytes ?? 0
    const known = { logStartOffset, damage, isListed, activeBytes }
    this.record = new ManifestRecord(environment.files, dir, known)
    for (const segment of sealed)
      if (segment.pendingIndexes !== null) this.#finishInTurn(segment, false)
    if (options.hasNewDamage === true) this.#rememberDamage()
  }

  /** The one that is appended to; null before the first append. */
  get active(): ActiveSegment | null {
    return this.list.active
  }

  /** Where appends go. */
  get output(): SegmentOutput {
    this.#output ??= new SegmentOutput(this.#environment, this.#dir, {
      segments: this.list,
      onDurable: segment => this.#finishInTurn(segment, true),
    })
    return this.#output
  }

  /** Timestamps that lay too far ahead in what was written since the last call. */
  takeImplausible(): ImplausibleFound | null {
    return this.#output?.takeImplausible() ?? null
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

  /** Resolves when nothing happens in the background any more. */
  whenFinished(): Promise<void> {
    return this.#finishing
  }

  #finishInTurn(segment: SealedSegment, isNew: boolean): void {
    this.#finishing = this.#finishing.then(() => this.#complete(segment, isNew))
  }

  async #complete(segment: SealedSegment, isNew: boolean): Promise<void> {
    // Given up while it waited for its turn: no index may come back without its log.
    if (!this.list.has(segment)) return
    try {
      await this.#environment.room.insist(async () => {
        if (segment.pendingIndexes !== null)
          await this.#writeIndexFiles(segment.baseOffset, segment.pendingIndexes)
        this.list.noteFinished(segment)
        await this.writeManifest(null)
      })
      if (isNew) this.#listener.segmentSealed(segment)
    } catch (error) {
      this.#listener.backgroundFailed(`finishing segment ${segment.baseOffset}`, error as Error)
    }
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
    const isPublished = this.list.has(swap.by)
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
    const isCurrent = (): boolean => sources.every(source => this.list.has(source))
    if (!isCurrent()) return { kind: 'outdated' }
    const bases = sources.map(source => source.baseOffset)
    const swap = { dir: this.#dir, range: by, bases, by }
    this.#swap = swap
    const outcome = await swapSegments(this.#environment, swap, {
      isCurrent,
      dropLines: () => this.writeManifest(null),
      publish: () => {
        this.list.replace(sources, by)
        this.#forgetIndexes(sources)
      },
    })
    this.#isUnsettled = outcome.kind === 'unsettled'
    if (!this.#isUnsettled) this.#swap = null
    // A read that began before may have put the indexes of the old log back.
    this.#forgetIndexes(sources)
    if (this.list.has(by)) await this.#complete(by, false)
    return outcome
  }

  #forgetIndexes(segments: readonly SealedSegment[]): void {
    for (const segment of segments) this.#environment.indexes.forget(this.#pathOf(segment))
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
    const { record } = this
    const before = record.logStartOffset
    if (logStartOffset > before) {
      record.logStartOffset = logStartOffset
      try {
        const at = { path: record.path, operation: 'replace' }
        await attempt(at, () => this.writeManifest(null))
        await commit()
      } catch (error) {
        // The file may say it all the same; the next one that is written says what is so.
        record.logStartOffset = before
        throw error
      }
    }
    const count = this.#countOfFlushed(this.list.countBelow(logStartOffset))
    const gone = this.list.dropOldest(count)
    record.damage = record.damage.flatMap(damage => damageFrom(damage, logStartOffset))
    this.#removal ??= new HeadRemoval(this.#environment, this.#dir)
    try {
      await this.#removal.remove(gone.map(segment => segment.baseOffset))
    } catch (error) {
      this.#listener.backgroundFailed('removing segments below the log start', error as Error)
    }
    return gone
  }

  /** The next segment is not durable yet where a sync is outstanding: those before it have to stay. */
  #countOfFlushed(count: number): number {
    const oldest = this.#output?.oldestRolled ?? null
    return oldest === null ? count : Math.min(count, this.list.sealed.indexOf(oldest))
  }

  /** Cuts the files at a batch boundary: manifest lines go first, then later segments, then the tail. */
  cutTo(cut: BatchBoundary): Promise<void> {
    return this.inTurn(() => this.#cutTo(cut))
  }

  async #cutTo(cut: BatchBoundary): Promise<void> {
    const later = this.list.cutFrom(cut.baseOffset)
    // Offsets that are given again must not be taken for lost ones.
    this.record.damage = this.record.damage.filter(it => it.to <= cut.offset)
    await this.writeManifest(null)
    await cutSegments(this.#environment, this.#dir, { cut, later })
  }

  /** Says durably what is known of the segments by now; only ever in turn. */
  writeManifest(active: SegmentFacts | null): Promise<void> {
    const kept = this.list.sealed.slice(this.list.countBelow(this.record.logStartOffset))
    const said = kept.filter(segment => !this.#isSwapped(segment))
    return this.record.write(said, active)
  }

  #isSwapped({ baseOffset }: SealedSegment): boolean {
    const range = this.#swap?.range
    return range !== undefined && baseOffset >= range.baseOffset && baseOffset < range.nextOffset
  }

  /** Keeps damage in mind, also over a close: the manifest has a line for it. */
  noteDamage(damage: Damage): void {
    this.record.damage.push(damage)
    this.#rememberDamage()
  }

  #rememberDamage(): void {
    // Whoever opens the partition next may be reading the manifest already.
    if (this.#isAbandoned || this.#isUnsettled) return
    this.inTurn(() => this.writeManifest(null)).catch((error: Error) =>
      this.#listener.backgroundFailed('putting damage on record', error),
    )
  }

  /** Writes the index entries that are not in their files yet, without syncing them. */
  saveIndexes(): void {
    const { active } = this.list
    if (active === null) return
    saveIndexEntries(this.#environment.files, this.#dir, active)
  }

  /** A clean end: the indexes are complete and synced, and the manifest knows the active segment. */
  finishActive(): Promise<void> {
    return this.inTurn(async () => {
      const { active } = this.list
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
    const { active } = this.list
    if (active === null || this.#isUnsettled) return
    const facts = active.facts()
    if (this.record.lists(facts)) return
    await this.inTurn(async () => {
      if (this.list.active !== active || this.#isAbandoned) return
      const at = { path: this.record.path, operation: 'replace' }
      await attempt(at, () => this.writeManifest(facts))
    })
  }

  /** Gives up all handles, also of files with bytes to flush. */
  abandon(): void {
    this.#isAbandoned = true
    this.#output?.abandon()
    this.#environment.handles.forgetAll(join(this.#dir, '/'))
    for (const segment of this.list.sealed) this.#environment.indexes.forget(this.#pathOf(segment))
  }

  #writeIndexFiles(baseOffset: number, indexes: SegmentIndexes): Promise<void> {
    const contents = { offsets: indexes.offsets.bytes(), times: indexes.times.bytes() }
    return writeIndexFiles(this.#environment.files, { dir: this.#dir, baseOffset }, contents)
  }

  #pathOf(segment: { baseOffset: number }): string {
    return segmentPath(this.#dir, segment.baseOffset, 'log')
  }
}
