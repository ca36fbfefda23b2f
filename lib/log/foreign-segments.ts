/** The segments of a partition that another process writes, as its directory lists them. */
import { join } from 'node:path'

import { isKnownDamage } from '../storage/damage.ts'
import type { Damage, StorageEnvironment } from '../storage/environment.ts'
import { indexKey } from '../storage/index-cache.ts'
import { manifestName } from '../storage/partition-files.ts'
import type { ReadableSegment, SegmentSource } from '../storage/readable-segment.ts'
import { parseManifest } from '../storage/segments-manifest.ts'
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
  /** Base offsets of the segments that the manifest had a line for, with the files as they are. */
  readonly #finished = new Set<number>()
  /** Size and time of the sealed logs at the last look, by base offset. */
  #stamps: ReadonlyMap<number, string> = new Map()
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
    this.#listed ??= this.#describe(this.#baseOffsets())
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
    const baseOffsets = this.#baseOffsets()
    const stamps = new Map<number, string>()
    // The last one grows; it is read to where it ends.
    for (const baseOffset of baseOffsets.slice(0, -1)) {
      const path = this.#pathOf(baseOffset)
      const stat = storageCall(path, 'stat', () => files.stat(path))
      stamps.set(baseOffset, `${stat?.sizeBytes} ${stat?.modifiedMs}`)
    }
    const before = this.#stamps
    const stamped = [...new Set([...before.keys(), ...stamps.keys()])]
    const changed = stamped.filter(base => before.get(base) !== stamps.get(base))
    for (const baseOffset of changed) {
      const path = this.#pathOf(baseOffset)
      handles.forget(path)
      for (const isFinished of [true, false]) indexes.forget(indexKey(path, isFinished))
      this.#finished.delete(baseOffset)
    }
    this.#stamps = stamps
    const listed = this.#describe(baseOffsets)
    if (changed.length === 0 && isSame(this.#listed, listed)) return false
    this.#listed = listed
    return true
  }

  #pathOf(baseOffset: number): string {
    return join(this.#dir, segmentFileName(baseOffset, 'log'))
  }

  #baseOffsets(): readonly number[] {
    const entries = storageCall(this.#dir, 'list', () => this.#environment.files.list(this.#dir))
    const baseOffsets: number[] = []
    for (const { name } of entries) {
      const file = parseSegmentFile(name)
      if (file?.suffix === 'log') baseOffsets.push(file.baseOffset)
    }
    return baseOffsets.sort((a, b) => a - b)
  }

  #describe(baseOffsets: readonly number[]): readonly ReadableSegment[] {
    // The writer finishes index files behind its appends; a line says that it has.
    if (baseOffsets.slice(0, -1).some(base => !this.#finished.has(base))) this.#readManifest()
    // The files may still be growing: they end where they end, below the high watermark with whole batches.
    return baseOffsets.map((baseOffset, index) => ({
      baseOffset,
      nextOffset: baseOffsets[index + 1] ?? Number.POSITIVE_INFINITY,
      endPosition: Number.POSITIVE_INFINITY,
      indexes: null,
      isFinished: this.#finished.has(baseOffset),
    }))
  }

  #readManifest(): void {
    const path = join(this.#dir, manifestName)
    const bytes = storageCall(path, 'read', () => this.#environment.files.readFile(path))
    const manifest = bytes === null ? null : parseManifest(bytes.toString())
    for (const { baseOffset } of manifest?.sealed ?? []) this.#finished.add(baseOffset)
  }
}

function isSame(a: readonly ReadableSegment[] | null, b: readonly ReadableSegment[]): boolean {
  return (
    a?.length === b.length &&
    a.every(({ baseOffset, isFinished }, index) => {
      const other = b[index]
      return other?.baseOffset === baseOffset && other.isFinished === isFinished
    })
  )
}
