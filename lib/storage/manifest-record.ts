/**
 * What the manifest of one partition says (`segments-manifest.ts` has its form): the log start and the
 * damage, which are kept here, and of each segment what the list knows. Whoever changes one of them
 * writes it, one after the other; what a failed writing left in the file the next one says anew.
 */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { replaceFile } from './checkpoint-file.ts'
import { damageLines } from './damage.ts'
import type { Damage } from './environment.ts'
import { manifestName } from './partition-files.ts'
import type { SealedSegment } from './segment.ts'
import { formatManifest, type SegmentFacts } from './segments-manifest.ts'

/** What the manifest says when the partition is opened, as far as it holds. */
export interface KnownRecord {
  readonly logStartOffset: number
  readonly damage: readonly Damage[]
  /** It says what is known of every segment. */
  readonly isListed: boolean
  /** Size of the active segment; 0 when there is none. */
  readonly activeBytes: number
}

/** The manifest of one partition. One writing at a time. */
export class ManifestRecord {
  readonly #files: Files
  readonly #dir: string
  /** The log start; 0: the file need not say so. */
  logStartOffset: number
  /** What cannot be read, or was accepted as lost. */
  damage: Damage[]
  #isListed: boolean
  /** Size of the active segment as the file has it; 0 when it has none of it. */
  #listedBytes: number

  constructor(files: Files, dir: string, known: KnownRecord) {
    this.#files = files
    this.#dir = dir
    this.logStartOffset = known.logStartOffset
    this.damage = [...known.damage]
    this.#isListed = known.isListed
    this.#listedBytes = known.isListed ? known.activeBytes : 0
  }

  get path(): string {
    return join(this.#dir, manifestName)
  }

  /** Whether the file said what is known of every segment when it was last written, or when this was made. */
  get isListed(): boolean {
    return this.#isListed
  }

  /** Whether the file says so much of an active segment, and all that is known of the others. */
  lists(active: SegmentFacts): boolean {
    return this.#isListed && this.#listedBytes === active.sizeBytes
  }

  /**
   * Says durably what is known by now of these sealed segments, and of the active one unless that is
   * null. A line says that the segment and its indexes are synced: one that is not finished gets none.
   */
  async write(segments: readonly SealedSegment[], active: SegmentFacts | null): Promise<void> {
    const sealed: SegmentFacts[] = []
    for (const { facts, pendingIndexes } of segments)
      if (facts !== null && pendingIndexes === null) sealed.push(facts)
    this.#isListed = active !== null
    this.#listedBytes = active?.sizeBytes ?? 0
    const damage = damageLines(this.damage)
    const start = this.logStartOffset === 0 ? undefined : this.logStartOffset
    await replaceFile(this.#files, this.path, formatManifest({ sealed, active, damage, start }))
  }
}
