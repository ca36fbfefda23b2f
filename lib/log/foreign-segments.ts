/** The segments of a partition that another process writes, as its directory lists them. */
import { join } from 'node:path'

import { isKnownDamage } from '../storage/damage.ts'
import type { Damage, StorageEnvironment } from '../storage/environment.ts'
import type { ReadableSegment, SegmentSource } from '../storage/readable-segment.ts'
import { parseSegmentFile, segmentFileName } from '../storage/topic-name.ts'
import { storageCall } from './directory-layout.ts'

/** What the list of segments asks and tells. */
export interface ForeignSegmentsOwner {
  readonly onDamage: (damage: Damage) => void
  /** Looks again where the log begins; true when that is further up than it was known to be. */
  readonly hasMoved: () => boolean
}

/** How long a look at the files is taken for true. */
const lookMs = 1000

/**
 * Compaction replaces files under the same names, and open handles go on showing the old ones. That
 * is true to the log as it was; but a reader that had old files beside new ones for long would see
 * records whose tombstones are gone. So the files are looked at now and then, and the handles of
 * those that have changed are given up.
 */
export class ForeignSegments implements SegmentSource {
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #owner: ForeignSegmentsOwner
  readonly #damage: Damage[] = []
  /** What the writer has on record. */
  recorded: readonly Damage[] = []
  #listed: readonly ReadableSegment[] | null = null
  /** Size and time of the sealed logs at the last look, by path. */
  #stamps: ReadonlyMap<string, string> = new Map()
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(environment: StorageEnvironment, dir: string, owner: ForeignSegmentsOwner) {
    this.#environment = environment
    this.#dir = dir
    this.#owner = owner
  }

  /** There may be more segments now. Without a new look a read would miss records, not only wait for them. */
  outdate(): void {
    this.#listed = null
  }

  segments(): readonly ReadableSegment[] {
    if (this.#environment.clock.monotonicMs() - this.#lookedMs >= lookMs) this.#look()
    this.#listed ??= this.#list()
    return this.#listed
  }

  refresh(seen: readonly ReadableSegment[]): boolean {
    const hasMoved = this.#owner.hasMoved()
    return this.#look() || hasMoved || (this.#listed !== null && this.#listed !== seen)
  }

  damage(): readonly Damage[] {
    return [...this.recorded, ...this.#damage]
  }

  noteDamage(damage: Damage): void {
    if (isKnownDamage(this.#damage, damage)) return
    this.#damage.push(damage)
    this.#owner.onDamage(damage)
  }

  /** Lists the files anew when they have changed; says whether they have. */
  #look(): boolean {
    const { clock, files, handles, indexes } = this.#environment
    this.#lookedMs = clock.monotonicMs()
    const listed = this.#list()
    const stamps = new Map<string, string>()
    // The last one grows; it is read to where it ends.
    for (const { baseOffset } of listed.slice(0, -1)) {
      const path = this.#pathOf(baseOffset)
      const stat = storageCall(path, 'stat', () => files.stat(path))
      stamps.set(path, `${stat?.sizeBytes} ${stat?.modifiedMs}`)
    }
    const before = this.#stamps
    const paths = [...new Set([...before.keys(), ...stamps.keys()])]
    const changed = paths.filter(path => before.get(path) !== stamps.get(path))
    const bases = (of: readonly ReadableSegment[] | null): string =>
      of?.map(({ baseOffset }) => baseOffset).join() ?? ''
    if (changed.length === 0 && bases(listed) === bases(this.#listed)) return false
    for (const path of changed) {
      handles.forget(path)
      indexes.forget(path)
    }
    this.#stamps = stamps
    this.#listed = listed
    return true
  }

  #pathOf(baseOffset: number): string {
    return join(this.#dir, segmentFileName(baseOffset, 'log'))
  }

  #list(): readonly ReadableSegment[] {
    const entries = storageCall(this.#dir, 'list', () => this.#environment.files.list(this.#dir))
    const baseOffsets: number[] = []
    for (const { name } of entries) {
      const file = parseSegmentFile(name)
      if (file?.suffix === 'log') baseOffsets.push(file.baseOffset)
    }
    baseOffsets.sort((a, b) => a - b)
    // The files may still be growing: they end where they end, below the high watermark with whole batches.
    return baseOffsets.map((baseOffset, index) => ({
      baseOffset,
      nextOffset: baseOffsets[index + 1] ?? Number.POSITIVE_INFINITY,
      endPosition: Number.POSITIVE_INFINITY,
      indexes: null,
    }))
  }
}
