import {
  applyContentChange,
  type ChangingCall,
  type ContentChange,
  drawContent,
  PAGE_BYTES,
  SECTOR_BYTES,
} from './faulty-content.ts'
import type { FileNode } from './file-tree.ts'
import { PagedBytes } from './paged-bytes.ts'
import type { SeededRandom } from './seeded-random.ts'

/**
 * As an operating system does after a while, the older half of the changes is written back when a
 * file has more than this many that nobody synced. It bounds memory.
 */
const MAX_UNSYNCED_CHANGES = 4096

const NO_BYTES = Buffer.alloc(0)

/** How much of what was not synced a power cut leaves. */
export type CrashShare = 'none' | 'all' | 'some'

/** The calls whose changes a sync makes durable when it succeeds. */
export type CoveredCalls = ReadonlySet<ChangingCall>

/**
 * A file that knows what of it is durable: the content that readers see, the content as it was
 * synced, and what lies between the two.
 */
export class FaultyFile implements FileNode {
  modifiedMs = 0
  readonly #random: SeededRandom
  #current = new PagedBytes()
  #durable = new PagedBytes()
  /** Oldest first, in the order in which readers saw them. */
  #unsynced: ContentChange[] = []
  /**
   * Sectors whose data was given up by a failed sync: readable and clean, so that no later sync
   * writes them. A later write to the sector makes all of it dirty again.
   */
  readonly #lostSectors = new Set<number>()

  constructor(random: SeededRandom) {
    this.#random = random
  }

  get sizeBytes(): number {
    return this.#current.sizeBytes
  }

  read(buffer: Buffer, position: number): number {
    return this.#current.read(buffer, position)
  }

  /** Writes `bytes`, which are kept and must not change afterwards. */
  write(bytes: Buffer, position: number, call: ChangingCall): void {
    if (bytes.length === 0) return
    this.#current.write(bytes, position)
    this.#unsynced.push({ kind: 'write', position, bytes, call })
    if (this.#lostSectors.size > 0) this.#dirtyAgain(position, position + bytes.length, call)
    if (this.#unsynced.length > MAX_UNSYNCED_CHANGES) this.#writeBack()
  }

  truncate(sizeBytes: number, call: ChangingCall): void {
    this.#current.resize(sizeBytes)
    this.#unsynced.push({ kind: 'truncate', position: sizeBytes, bytes: NO_BYTES, call })
    // The sector that is cut through is rewritten, with zeros behind the cut.
    if (this.#lostSectors.size > 0) this.#dirtyAgain(sizeBytes, sizeBytes, call)
  }

  /** What a sync that starts now covers: what was completed by now, and no more. */
  startSync(): CoveredCalls {
    return doneCalls(this.#unsynced)
  }

  completeSync(covered: CoveredCalls): void {
    let remaining: ContentChange[] = []
    for (const change of this.#unsynced) {
      if (!covered.has(change.call)) {
        remaining.push(change)
        continue
      }
      applyContentChange(this.#durable, change)
      // A write that was under way when this one went over it must not come back on top of it.
      remaining = remaining.flatMap(earlier => outside(earlier, change))
    }
    this.#unsynced = remaining
  }

  /**
   * Gives up the data that a failed sync covered: it stays readable, no later sync covers it. The
   * size and the truncates stay to be synced.
   */
  failSync(covered: CoveredCalls): void {
    const dirty = new Set<number>()
    for (const change of this.#unsynced) {
      if (!covered.has(change.call)) for (const sector of sectorsOf(change)) dirty.add(sector)
    }
    this.#unsynced = this.#unsynced.flatMap(change => {
      if (!covered.has(change.call) || change.kind !== 'write') return [change]
      const end = change.position + change.bytes.length
      const left: ContentChange[] = [{ ...change, kind: 'grow', position: end, bytes: NO_BYTES }]
      for (const sector of sectorsOf(change)) {
        if (dirty.has(sector)) left.push(slice(change, sector * SECTOR_BYTES, SECTOR_BYTES))
        else this.#lostSectors.add(sector)
      }
      return left
    })
  }

  /** Replaces the content by what a power cut leaves of it. */
  crash(share: CrashShare): void {
    if (share === 'some') drawContent(this.#durable, this.#unsynced, this.#random)
    if (share === 'all') {
      for (const change of this.#unsynced) applyContentChange(this.#durable, change)
    }
    this.#current = this.#durable.clone()
    this.#unsynced = []
    this.#lostSectors.clear()
  }

  /** Puts the lost sectors of a range that is written among the changes, as they are now. */
  #dirtyAgain(from: number, to: number, call: ChangingCall): void {
    // File systems differ in how much they write with a changed byte: the block, or the page.
    const unit = this.#random.chance(0.5) ? SECTOR_BYTES : PAGE_BYTES
    const start = Math.floor(from / unit) * unit
    const end = Math.min(Math.ceil(to / unit) * unit, this.sizeBytes)
    for (let position = start; position < end; position += SECTOR_BYTES) {
      if (!this.#lostSectors.delete(position / SECTOR_BYTES)) continue
      const bytes = Buffer.alloc(Math.min(SECTOR_BYTES, this.sizeBytes - position))
      this.#current.read(bytes, position)
      this.#unsynced.push({ kind: 'write', position, bytes, call })
    }
  }

  #writeBack(): void {
    this.completeSync(doneCalls(this.#unsynced.slice(0, MAX_UNSYNCED_CHANGES / 2)))
  }
}

function doneCalls(changes: readonly ContentChange[]): CoveredCalls {
  return new Set(changes.map(change => change.call).filter(call => call.isDone))
}

function* sectorsOf(change: ContentChange): Generator<number> {
  const end = change.position + change.bytes.length
  const first = Math.floor(change.position / SECTOR_BYTES)
  for (let sector = first; sector * SECTOR_BYTES < end; sector++) yield sector
}

/** The part of a write that lies in a range. */
function slice(change: ContentChange, from: number, count: number): ContentChange {
  const start = Math.max(0, from - change.position)
  const end = Math.max(start, from + count - change.position)
  return {
    ...change,
    position: change.position + start,
    bytes: change.bytes.subarray(start, end),
  }
}

/** What is left of a write beside what a later change covers. */
function outside(earlier: ContentChange, later: ContentChange): ContentChange[] {
  if (earlier.kind !== 'write' || later.kind === 'grow') return [earlier]
  const end = earlier.position + earlier.bytes.length
  const coveredEnd =
    later.kind === 'truncate' ? Number.POSITIVE_INFINITY : later.position + later.bytes.length
  if (later.position >= end || coveredEnd <= earlier.position) return [earlier]
  const pieces: ContentChange[] = []
  if (earlier.position < later.position) {
    pieces.push(slice(earlier, earlier.position, later.position - earlier.position))
  }
  if (coveredEnd < end) pieces.push(slice(earlier, coveredEnd, end - coveredEnd))
  return pieces
}
