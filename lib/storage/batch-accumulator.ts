/**
 * Accepted appends of one partition, encoded and waiting to be written. Batches lie back to back in
 * chunks, exactly as they will lie in the segment; at most one batch is open, at the very end.
 */
import assert from 'node:assert/strict'

import { batchHeaderBytes, stampBatch } from '../record/batch-format.ts'
import { BatchWriter, type BatchWriterHeader } from '../record/batch-writer.ts'
import type { RecordInput } from '../types.ts'
import { type Chunk, type ChunkPool, chunkBytes } from './chunk-pool.ts'

/** A complete batch in a chunk. */
export interface PendingBatch {
  readonly chunk: Chunk
  readonly position: number
  readonly sizeBytes: number
  readonly baseOffset: number
  readonly nextOffset: number
}

/** Batches that lie next to each other and are written with one call. */
export interface WriteRegion {
  readonly chunk: Chunk
  readonly position: number
  readonly sizeBytes: number
  readonly batches: readonly PendingBatch[]
}

/** The queue between accepting and writing. Used by one partition only; nothing here waits. */
export class BatchAccumulator {
  readonly #pool: ChunkPool
  #chunk: Chunk | null = null
  #writer: BatchWriter | null = null
  #pending: PendingBatch[] = []
  #head = 0
  /** Bytes of complete batches that no write has taken. */
  pendingBytes = 0
  /** True while a batch is open. */
  hasOpen = false
  /** Where the open batch begins; means nothing while none is open. */
  openBaseOffset = 0
  #openPosition = 0
  /** Engine time at which the open batch was begun. */
  openedMs = 0
  /** More than a small chunk went through since the partition was idle. */
  #isBusy = false

  constructor(pool: ChunkPool) {
    this.#pool = pool
  }

  get isEmpty(): boolean {
    return !this.hasOpen && this.#head === this.#pending.length
  }

  /** Size of the open batch so far. */
  get openBytes(): number {
    return this.hasOpen ? (this.#writer as BatchWriter).endPosition - this.#openPosition : 0
  }

  /**
   * Adds a record of at most `boundBytes` to the open batch when there is one with room for it. Returns
   * the bytes that it took, 0 when it did not fit.
   */
  join(
    record: RecordInput,
    boundBytes: number,
    at: { readonly maxBatchBytes: number; readonly nowMs: number },
  ): number {
    if (!this.hasOpen) return 0
    const writer = this.#writer as BatchWriter
    const { endPosition } = writer
    const boundPosition = endPosition + boundBytes
    if (boundPosition > (this.#chunk as Chunk).buffer.length) return 0
    if (boundPosition - this.#openPosition > at.maxBatchBytes) return 0
    writer.add(record, at.nowMs)
    return writer.endPosition - endPosition
  }

  /** Opens a batch with room for `boundBytes` of records; none is open. */
  begin(boundBytes: number, baseOffset: number, nowMs: number): BatchWriter {
    assert(!this.hasOpen)
    const chunk = this.#chunkFor(batchHeaderBytes + boundBytes)
    this.#writer ??= new BatchWriter()
    this.#openPosition = chunk.endPosition
    this.openBaseOffset = baseOffset
    this.openedMs = nowMs
    this.#writer.begin(chunk.buffer, chunk.endPosition)
    this.hasOpen = true
    return this.#writer
  }

  /**
   * Opens a batch of these records, for which `boundBytes` is enough, or is thought to be when it is
   * guessed. Returns its size, 0 when they need more than was guessed; none is open then, nor when this
   * throws.
   */
  fill(
    records: readonly RecordInput[],
    boundBytes: number,
    at: { readonly baseOffset: number; readonly nowMs: number; readonly isGuessed: boolean },
  ): number {
    const writer = this.begin(boundBytes, at.baseOffset, at.nowMs)
    const { buffer } = this.#chunk as Chunk
    try {
      if (writer.addAll(records, at.nowMs, at.isGuessed ? buffer.length : undefined)) {
        return this.openBytes
      }
    } catch (error) {
      this.discardOpen()
      throw error
    }
    this.discardOpen()
    return 0
  }

  /** Takes the open batch back; nothing of it was accepted. */
  discardOpen(): void {
    this.hasOpen = false
  }

  /** Completes the open batch, which begins at `openBaseOffset`. Returns it. */
  sealOpen(header: BatchWriterHeader): PendingBatch {
    assert(this.hasOpen)
    const writer = this.#writer as BatchWriter
    const { baseOffset } = header
    const sizeBytes = writer.finish(header)
    this.hasOpen = false
    return this.#push(sizeBytes, baseOffset, baseOffset + writer.recordCount)
  }

  /** Queues a complete batch that was encoded elsewhere, under its offset and epoch. */
  pushEncoded(
    batch: Buffer,
    at: { baseOffset: number; recordCount: number; leaderEpoch: number },
  ): PendingBatch {
    assert(!this.hasOpen)
    const chunk = this.#chunkFor(batch.length)
    chunk.buffer.set(batch, chunk.endPosition)
    stampBatch(chunk.buffer, chunk.endPosition, at)
    return this.#push(batch.length, at.baseOffset, at.baseOffset + at.recordCount)
  }

  /** The oldest batch that no write has taken. */
  get first(): PendingBatch | undefined {
    return this.#pending[this.#head]
  }

  /**
   * Takes the oldest batches that fit into one write, into `roomBytes` of the segment and below its
   * `limitOffset`; at least one.
   */
  takeRegion(roomBytes: number, limitOffset: number = Number.POSITIVE_INFINITY): WriteRegion {
    const first = this.#pending[this.#head]
    assert(first !== undefined)
    const batches = [first]
    let sizeBytes = first.sizeBytes
    for (let index = this.#head + 1; index < this.#pending.length; index++) {
      const batch = this.#pending[index] as PendingBatch
      const total = sizeBytes + batch.sizeBytes
      if (batch.chunk !== first.chunk || total > chunkBytes || total > roomBytes) break
      if (batch.nextOffset > limitOffset) break
      batches.push(batch)
      sizeBytes = total
    }
    this.#head += batches.length
    if (this.#head === this.#pending.length) {
      this.#pending = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#pending.splice(0, this.#head)
      this.#head = 0
    }
    this.pendingBytes -= sizeBytes
    return { chunk: first.chunk, position: first.position, sizeBytes, batches }
  }

  /** The region that was taken last could not be written, and nothing was taken since: it comes first again. */
  putBack(region: WriteRegion): void {
    this.#pending.splice(0, this.#head, ...region.batches)
    this.#head = 0
    this.pendingBytes += region.sizeBytes
  }

  /** The region is with the operating system: its chunk is given back when nothing else lies in it. */
  wrote(region: WriteRegion): void {
    const { chunk } = region
    chunk.writtenPosition += region.sizeBytes
    if (chunk.writtenPosition < chunk.endPosition) return
    if (chunk !== this.#chunk) {
      this.#pool.give(chunk)
    } else if (this.isEmpty) {
      this.#pool.give(chunk)
      this.#chunk = null
      this.#isBusy = false
    }
  }

  /** Throws everything away that is not written; returns how many bytes of complete and open batches that were. */
  clear(): number {
    const droppedBytes = this.pendingBytes + this.openBytes
    // A write may still be reading from a chunk, so none of them goes back to the pool.
    this.#chunk = null
    this.#pending = []
    this.#head = 0
    this.pendingBytes = 0
    this.hasOpen = false
    this.#isBusy = false
    return droppedBytes
  }

  #push(sizeBytes: number, baseOffset: number, nextOffset: number): PendingBatch {
    const chunk = this.#chunk as Chunk
    const pending = { chunk, position: chunk.endPosition, sizeBytes, baseOffset, nextOffset }
    chunk.endPosition += sizeBytes
    this.#pending.push(pending)
    this.pendingBytes += sizeBytes
    return pending
  }

  #chunkFor(sizeBytes: number): Chunk {
    const chunk = this.#chunk
    if (chunk !== null) {
      if (chunk.endPosition + sizeBytes <= chunk.buffer.length) return chunk
      this.#isBusy = true
      // A chunk whose last write has ended already is nobody's any more.
      if (chunk.writtenPosition === chunk.endPosition) this.#pool.give(chunk)
    }
    this.#chunk = this.#pool.take(sizeBytes, this.#isBusy)
    return this.#chunk
  }
}
