/** A partition that another process writes, as far as its slot says that it may be read. */
import { join } from 'node:path'

import { ReadOnlyError } from '../errors.ts'
import { rememberedDamage } from '../storage/damage.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from '../storage/environment.ts'
import { HighWatermarkWaiters } from '../storage/high-watermark-waiters.ts'
import { manifestName } from '../storage/partition-files.ts'
import type { ChunkRequest, LogChunk } from '../storage/readable.ts'
import { SegmentReader } from '../storage/segment-reader.ts'
import { parseManifest } from '../storage/segments-manifest.ts'
import { segmentFileName } from '../storage/topic-name.ts'
import type { VerifiablePartition, VerifiableSegment } from '../storage/verify-partition.ts'
import type { AppendResult, PartitionState } from '../types.ts'
import type { DescribedPartition } from './describe.ts'
import { storageCall } from './directory-layout.ts'
import { ForeignSegments } from './foreign-segments.ts'
import type { SlotSource } from './visible-slots.ts'

/** Tells whoever watches the directory that somebody waits. */
export interface ForeignWatch {
  /** Looks at once at what catalog and slots say. */
  refresh(): void
  /** Keeps the slots up to date until the returned function is called. */
  follow(): () => void
}

/** Reads only; nothing here opens a file for writing. Calls may overlap. */
export class ForeignPartition implements DescribedPartition, VerifiablePartition {
  readonly identity: PartitionIdentity
  readonly dir: string
  readonly #environment: StorageEnvironment
  readonly #watch: ForeignWatch
  readonly #segments: ForeignSegments
  readonly #reader: SegmentReader
  readonly #waiters: HighWatermarkWaiters
  #visible: SlotSource
  #isEnded = false

  constructor(options: {
    readonly environment: StorageEnvironment
    readonly dir: string
    readonly identity: PartitionIdentity
    readonly watch: ForeignWatch
    readonly visible: SlotSource
    /** Hears of damage when it is met for the first time. */
    readonly onDamage: (damage: Damage) => void
  }) {
    this.identity = options.identity
    this.dir = options.dir
    this.#environment = options.environment
    this.#watch = options.watch
    this.#visible = options.visible
    this.#segments = new ForeignSegments(options.environment, options.dir, {
      onDamage: options.onDamage,
      hasMoved: () => this.#hasMoved(),
    })
    this.#waiters = new HighWatermarkWaiters(options.environment.clock)
    const { environment, dir, identity } = options
    this.#reader = new SegmentReader(environment, { dir, identity, source: this.#segments })
  }

  /** What its own writer thinks of it is not known here; damage that was met is. */
  get state(): PartitionState {
    return this.damage.length > 0 ? 'damaged' : 'ok'
  }

  get damage(): readonly Damage[] {
    return this.#segments.damage()
  }

  get leaderEpoch(): number {
    return this.#visible.leaderEpoch
  }

  get logStartOffset(): number {
    return this.#visible.logStartOffset
  }

  get highWatermark(): number {
    return this.#visible.highWatermark
  }

  get recoveryPoint(): number {
    return this.#visible.recoveryPoint
  }

  /** What lies above the recovery point is not known here. */
  get writtenOffset(): number {
    return this.#visible.recoveryPoint
  }

  /** What lies above the recovery point is not known here. */
  get logEndOffset(): number {
    return this.#visible.recoveryPoint
  }

  get segmentCount(): number {
    return this.#segments.segments().length
  }

  get sizeBytes(): number {
    const { files } = this.#environment
    let sizeBytes = 0
    for (const { baseOffset } of this.#segments.segments()) {
      sizeBytes += files.stat(join(this.dir, segmentFileName(baseOffset, 'log')))?.sizeBytes ?? 0
    }
    return sizeBytes
  }

  noteDamage(damage: Damage): void {
    this.#segments.noteDamage(damage)
  }

  verifiableSegments(): readonly VerifiableSegment[] {
    this.#segments.outdate()
    const path = join(this.dir, manifestName)
    const bytes = storageCall(path, 'read', () => this.#environment.files.readFile(path))
    const manifest = bytes === null ? null : parseManifest(bytes.toString())
    this.#segments.recorded = rememberedDamage(this.dir, manifest?.damage ?? [], this)
    // The writer finishes index files behind its appends; a line says that it has.
    const finished = new Set(manifest?.sealed.map(line => line.baseOffset))
    return this.#segments.segments().map(({ baseOffset, endPosition }) => ({
      baseOffset,
      endPosition,
      hasIndexFiles: finished.has(baseOffset),
    }))
  }

  /** The slot says something new. */
  update(visible: SlotSource): void {
    const isMoved = visible.highWatermark !== this.#visible.highWatermark
    this.#visible = visible
    if (!isMoved) return
    this.#segments.outdate()
    this.#waiters.reached(visible.highWatermark)
  }

  readChunk(request: ChunkRequest): Promise<LogChunk> {
    // The partition itself is the range: its start may move up while this is read.
    return this.#reader.readChunk(request, this)
  }

  onceAbove(offset: number, wake: () => void): () => void {
    // Following begins with a look at the slots, which may say enough.
    const unfollow = this.#isDueAbove(offset) ? null : this.#watch.follow()
    if (unfollow === null || this.#isDueAbove(offset)) {
      unfollow?.()
      wake()
      return () => {}
    }
    const leave = this.#waiters.once(offset, () => {
      unfollow()
      wake()
    })
    return () => {
      leave()
      unfollow()
    }
  }

  #isDueAbove(offset: number): boolean {
    return this.#isEnded || this.highWatermark > offset
  }

  offsetForTimestamp(timestamp: number): Promise<number | null> {
    return this.#reader.offsetForTimestamp(timestamp, this)
  }

  /** Whether the log begins further up than was known: what a read misses was given up then. */
  #hasMoved(): boolean {
    const { logStartOffset } = this
    try {
      this.#watch.refresh()
    } catch {
      // The read that failed is the failure to report; the next look makes up for this one.
    }
    return this.logStartOffset > logStartOffset
  }

  async offsetOfLast(count: number): Promise<number> {
    return Math.max(this.logStartOffset, this.highWatermark - count)
  }

  async append(): Promise<AppendResult> {
    throw new ReadOnlyError('append')
  }

  async flush(): Promise<void> {
    throw new ReadOnlyError('flush')
  }

  /** The topic is gone, or the log is closed: those who wait stop waiting. */
  end(): void {
    this.#isEnded = true
    this.#waiters.wakeAll()
    this.#environment.handles.forgetAll(join(this.dir, '/'))
  }
}
