/**
 * Where the appends of one partition go: its active segment's file, and what must be synced in which
 * order. A flush covers the segments that were rolled since the last one first, then the names of new
 * files, then the active segment. Made with the first write, for most partitions have none.
 */
import assert from 'node:assert/strict'

import type { OpenFile } from '../files/files.ts'
import type { WriteRegion } from './batch-accumulator.ts'
import type { PartitionConfig, StorageEnvironment } from './environment.ts'
import type { PinnedFile } from './file-handles.ts'
import { type ImplausibleFound, ImplausibleTimestamps } from './implausible-timestamps.ts'
import { ActiveSegment, emptySegmentState, type SealedSegment, segmentPath } from './segment.ts'
import type { SegmentList } from './segment-list.ts'

/** Whose end is written. */
export interface OutputSegments {
  /** The output begins and seals the active one of them. */
  readonly segments: SegmentList
  /** A sealed segment is durable: it gets its index files and its manifest line behind. */
  readonly onDurable: (segment: SealedSegment) => void
}

interface RolledSegment {
  readonly segment: SealedSegment
  /** Pins the log file while it has bytes to flush. */
  readonly pin: PinnedFile | null
}

/** The end of one partition as its single writer has it. At most one `sync` is under way. */
export class SegmentOutput {
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #segments: SegmentList
  readonly #onDurable: (segment: SealedSegment) => void
  #activePin: PinnedFile | null = null
  /** Path of the active segment's log, once it was asked for: every flush gives its handle back, and every write asks. */
  #activePath: { readonly baseOffset: number; readonly path: string } | null = null
  #rolled: RolledSegment[] = []
  /** Counts files whose names may not be durable yet; a sync of the directory covers those before it. */
  #namesMade = 0
  #namesSynced = 0
  #sealsNext = false
  #implausible: ImplausibleTimestamps | null = null

  constructor(environment: StorageEnvironment, dir: string, of: OutputSegments) {
    this.#environment = environment
    this.#dir = dir
    this.#segments = of.segments
    this.#onDurable = of.onDurable
  }

  /** The oldest segment that was rolled and is not synced. */
  get oldestRolled(): SealedSegment | null {
    return this.#rolled[0]?.segment ?? null
  }

  /**
   * The file in which a batch belongs, pinned until `unpin`; rolls first when the active segment is
   * full. Null when no file handle is free. Errors of opening pass through.
   */
  fileFor(
    batch: { baseOffset: number; nextOffset: number; sizeBytes: number },
    segmentBytes: number,
  ): OpenFile | null {
    const { active } = this.#segments
    if (active !== null && (this.#sealsNext || active.isFullFor(batch, segmentBytes))) this.#seal()
    if (this.#activePin !== null) return this.#activePin.file
    const { handles } = this.#environment
    if (!handles.hasRoom) return null
    if (this.#segments.active === null) return this.create(batch.baseOffset)
    this.#activePin = handles.pin(this.#pathOf(this.#segments.active), 'write')
    // Whoever made it found no room in it, perhaps, and ended without a flush: its name is as new as it is.
    if (this.#segments.active.sizeBytes === 0) this.#namesMade++
    return this.#activePin.file
  }

  /** The next write begins a new segment. */
  sealWithNextWrite(): void {
    this.#sealsNext = (this.#segments.active?.sizeBytes ?? 0) > 0
  }

  /** Bytes that the next write may take of the active segment without looking at its limits again. */
  roomFor(segmentBytes: number): number {
    return segmentBytes - (this.#segments.active as ActiveSegment).sizeBytes
  }

  /** No batch of the active segment ends above: relative offsets are int32. */
  get limitOffset(): number {
    return (this.#segments.active as ActiveSegment).baseOffset + 2 ** 31
  }

  /** Notes what has been written at the end of the active segment. */
  wrote(
    region: WriteRegion,
    nowMs: number,
    config: Pick<PartitionConfig, 'indexIntervalBytes' | 'timestampAfterMaxMs'>,
  ): void {
    const active = this.#segments.active as ActiveSegment
    const { indexIntervalBytes, timestampAfterMaxMs } = config
    for (const batch of region.batches) {
      active.noteBatch(batch.chunk.buffer, batch.position, {
        sizeBytes: batch.sizeBytes,
        nowMs,
        indexIntervalBytes,
      })
    }
    const limitMs = nowMs + timestampAfterMaxMs
    // Looking at the largest of the segment costs nothing: most writes end here.
    if (timestampAfterMaxMs === -1 || active.maxTimestamp <= limitMs) return
    this.#implausible ??= new ImplausibleTimestamps()
    this.#implausible.wrote(region, limitMs)
  }

  /** Timestamps that lay too far ahead in what was written since the last call. */
  takeImplausible(): ImplausibleFound | null {
    return this.#implausible?.take() ?? null
  }

  /** Cuts what a failed write may have left behind the last good batch, and syncs that. */
  async cutTail(): Promise<void> {
    const file = this.#activePin?.file
    const { active } = this.#segments
    if (file === undefined || active === null) return
    file.truncate(active.sizeBytes)
    await file.syncData()
  }

  /** Makes everything durable that was written before the call. */
  sync(): Promise<void> {
    if (this.#rolled.length === 0 && this.#namesMade === this.#namesSynced) {
      return this.#activePin === null ? Promise.resolve() : this.#activePin.file.syncData()
    }
    return this.#syncOverRoll()
  }

  /** Everything is flushed, or never will be: no file need stay open. */
  unpin(): void {
    const pins = [this.#activePin, ...this.#rolled.map(({ pin }) => pin)]
    this.#activePin = null
    this.#rolled = this.#rolled.map(({ segment }) => ({ segment, pin: null }))
    // Only now, when nothing here names them any more: who waits for a handle may be this very partition.
    for (const pin of pins) pin?.release()
  }

  /** Starts a new, empty active segment behind an idle one. */
  rollIdle(nextOffset: number): void {
    if (this.#segments.active !== null) this.#seal()
    this.create(nextOffset)
    const pin = this.#activePin
    this.#activePin = null
    pin?.release()
  }

  /** Creates the active segment's file and pins it; its name is not durable before the next sync. */
  create(baseOffset: number): OpenFile {
    assert(this.#segments.active === null)
    const { handles, time } = this.#environment
    this.#activePin = handles.pin(this.#pathOf({ baseOffset }), 'create')
    this.#segments.begin(new ActiveSegment(emptySegmentState(baseOffset), time.nowMs()))
    this.#namesMade++
    return this.#activePin.file
  }

  /** Gives up all handles, also of files with bytes to flush: nothing more is written or synced. */
  abandon(): void {
    this.unpin()
    this.#rolled = []
  }

  #seal(): void {
    this.#rolled.push({ segment: this.#segments.seal(), pin: this.#activePin })
    this.#activePin = null
    this.#sealsNext = false
    this.#environment.counters.segmentsRolled++
  }

  async #syncOverRoll(): Promise<void> {
    const rolled = [...this.#rolled]
    const active = this.#activePin
    const namesMade = this.#namesMade
    for (const { pin } of rolled) await pin?.file.syncData()
    if (namesMade > this.#namesSynced) {
      await this.#environment.files.syncDirectory(this.#dir)
      this.#namesSynced = namesMade
    }
    await active?.file.syncData()
    this.#rolled.splice(0, rolled.length)
    for (const { segment, pin } of rolled) {
      pin?.release()
      this.#onDurable(segment)
    }
  }

  #pathOf({ baseOffset }: { readonly baseOffset: number }): string {
    if (this.#activePath?.baseOffset !== baseOffset) {
      this.#activePath = { baseOffset, path: segmentPath(this.#dir, baseOffset, 'log') }
    }
    return this.#activePath.path
  }
}
