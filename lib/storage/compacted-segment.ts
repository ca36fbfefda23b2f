/** Writes the segment that compaction makes of one or several others: `<base offset>.log.cleaned`. */
import type { Files, OpenFile } from '../files/files.ts'
import { gapBatch } from '../record/batch-filter.ts'
import { baseOffsetAt, batchSizeAt, leaderEpochAt } from '../record/batch-format.ts'
import { attempt, writeFully } from './file-io.ts'
import { ActiveSegment, emptySegmentState, type SealedSegment } from './segment.ts'
import { cleanedPath } from './segment-swap.ts'

/** Bytes written at once. */
const chunkBytes = 1 << 20

/** Offsets whose records are gone, up to the next gap or batch. */
interface Gap {
  readonly from: number
  readonly leaderEpoch: number
}

/**
 * The segment being written. Batches come in offset order; what was dropped between them is kept as
 * one batch without records, so that offsets never have a gap, and a gap always means loss. One such
 * batch per leader epoch: where an epoch begins can be told from the batches alone.
 */
export class CompactedSegment {
  readonly #file: OpenFile
  readonly #segment: ActiveSegment
  readonly #indexIntervalBytes: number
  readonly #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  #pendingBytes = 0
  #writtenBytes = 0
  /** Ascending; they end where the next batch begins. */
  #gaps: Gap[] = []

  private constructor(file: OpenFile, baseOffset: number, indexIntervalBytes: number) {
    this.#file = file
    this.#segment = new ActiveSegment(emptySegmentState(baseOffset), 0)
    this.#indexIntervalBytes = indexIntervalBytes
  }

  /** Creates the file; one that an earlier compaction left is replaced. */
  static async create(
    files: Files,
    dir: string,
    segment: { readonly baseOffset: number; readonly indexIntervalBytes: number },
  ): Promise<CompactedSegment> {
    const path = cleanedPath(dir, segment.baseOffset)
    if (files.stat(path) !== null) {
      await attempt({ path, operation: 'remove' }, () => files.remove(path))
    }
    const file = await attempt({ path, operation: 'create' }, () => files.open(path, 'create'))
    return new CompactedSegment(file, segment.baseOffset, segment.indexIntervalBytes)
  }

  /** Bytes so far, without the gap at the end. */
  get sizeBytes(): number {
    return this.#segment.sizeBytes
  }

  /** Notes that nothing is left of the batch at `position`. */
  drop(bytes: Buffer, position: number): void {
    const leaderEpoch = leaderEpochAt(bytes, position)
    if (this.#gaps.at(-1)?.leaderEpoch === leaderEpoch) return
    this.#gaps.push({ from: baseOffsetAt(bytes, position), leaderEpoch })
  }

  /** Takes the batch at `position`. Null when it is taken, else a promise of when the bytes are no longer needed. */
  add(bytes: Buffer, position: number): Promise<void> | null {
    if (this.#gaps.length === 0) return this.#put(bytes, position)
    return this.#fillGaps(baseOffsetAt(bytes, position)).then(
      () => this.#put(bytes, position) ?? undefined,
    )
  }

  /**
   * Ends the segment at `nextOffset`, and makes its bytes durable. The facts have no
   * append times yet: those are the sources'.
   */
  async finish(nextOffset: number): Promise<SealedSegment> {
    await this.#fillGaps(nextOffset)
    await this.#write()
    const path = this.#file.path
    await attempt({ path, operation: 'sync' }, () => this.#file.syncData())
    return this.#segment.seal()
  }

  /** Closes the file, which is complete or of no use. */
  close(): void {
    this.#file.close()
  }

  async #fillGaps(nextOffset: number): Promise<void> {
    const gaps = this.#gaps
    this.#gaps = []
    for (const [index, { from, leaderEpoch }] of gaps.entries()) {
      const to = gaps[index + 1]?.from ?? nextOffset
      await this.#put(gapBatch({ baseOffset: from, nextOffset: to, leaderEpoch }), 0)
    }
  }

  #put(bytes: Buffer, position: number): Promise<void> | null {
    const sizeBytes = batchSizeAt(bytes, position)
    const indexIntervalBytes = this.#indexIntervalBytes
    this.#segment.noteBatch(bytes, position, { sizeBytes, nowMs: 0, indexIntervalBytes })
    if (this.#pendingBytes + sizeBytes > chunkBytes)
      return this.#writeAndPut(bytes, position, sizeBytes)
    bytes.copy(this.#chunk, this.#pendingBytes, position, position + sizeBytes)
    this.#pendingBytes += sizeBytes
    return null
  }

  async #writeAndPut(bytes: Buffer, position: number, sizeBytes: number): Promise<void> {
    await this.#write()
    if (sizeBytes > chunkBytes) {
      const batch = bytes.subarray(position, position + sizeBytes)
      await writeFully(this.#file, batch, this.#writtenBytes)
      this.#writtenBytes += sizeBytes
      return
    }
    bytes.copy(this.#chunk, this.#pendingBytes, position, position + sizeBytes)
    this.#pendingBytes += sizeBytes
  }

  async #write(): Promise<void> {
    await writeFully(this.#file, this.#chunk.subarray(0, this.#pendingBytes), this.#writtenBytes)
    this.#writtenBytes += this.#pendingBytes
    this.#pendingBytes = 0
  }
}
