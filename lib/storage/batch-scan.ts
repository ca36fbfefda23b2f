/**
 * Walking the batches of a segment in order. A walk ends in one of three ways, and what each of them
 * means is for `recovery.ts` to say: the exact end of the file, a batch that the file ends before
 * (torn), or bytes that are not the batch that should be there (corrupt).
 */
import type { CorruptReason } from '../errors.ts'
import {
  baseOffsetAt,
  batchPrefixBytes,
  batchSizeAt,
  checkBatch,
  leaderEpochAt,
  nextOffsetAt,
} from '../record/batch-format.ts'
import { type ReadableFile, readFully } from './file-io.ts'

/**
 * Bytes read at once, and looked at in one turn of the event loop, unless the request says otherwise; a
 * larger batch is read whole. Batches of one small record are 2 µs each.
 */
const defaultChunkBytes = 128 << 10

/** What is read to see how large a single batch is; most batches are smaller, and then it is all of it. */
const firstReadBytes = 16 << 10

/** How a walk ended; `position` is where the bytes that are no good batch begin. */
export type ScanEnd =
  | { readonly kind: 'end' }
  | { readonly kind: 'torn'; readonly position: number }
  | { readonly kind: 'corrupt'; readonly position: number; readonly reason: CorruptReason }

/** Which part of a segment to walk, and what its batches must be like. */
export interface ScanRequest {
  readonly startPosition: number
  /** Size of the file. */
  readonly endPosition: number
  /** Base offset of the first batch; each further one begins where the one before ended. Null: the first may begin anywhere. */
  readonly expectedOffset: number | null
  /** No batch may have a lower leader epoch, nor a lower one than its predecessor. */
  readonly minLeaderEpoch: number
  /** An epoch above the highest known one is taken for a damaged field: the checksum leaves it out. It does not raise what later batches must have. @default none is */
  readonly maxLeaderEpoch?: number | undefined
  /** Bytes read, and batches checked, at once. @default 128 KiB */
  readonly chunkBytes?: number | undefined
  /** No batch may end above. @default no limit */
  readonly limitOffset?: number | undefined
  /** Sees each good batch in order: where it lies in `buffer`, and in the file. */
  readonly onBatch: (buffer: Buffer, position: number, filePosition: number) => void
  /** Sees the bytes of one or several good batches, checked; they are not read again before it resolves. */
  readonly onVerified?: ((bytes: Buffer, filePosition: number) => Promise<void>) | undefined
}

/** Where a walk came to. */
export interface ScanResult {
  readonly end: ScanEnd
  /** Behind the last good batch, in bytes of the file. */
  readonly position: number
  /** Behind the last good batch; null when there was none and none was expected. */
  readonly nextOffset: number | null
  /** What a batch that follows must have at least. */
  readonly leaderEpoch: number
}

/**
 * Walks the batches of `file` and checks the CRC of each.
 *
 * @throws {StorageError} when a read fails, or `onVerified` rejects with one.
 */
export async function scanBatches(file: ReadableFile, request: ScanRequest): Promise<ScanResult> {
  const { endPosition } = request
  const chunkBytes = request.chunkBytes ?? defaultChunkBytes
  let buffer = Buffer.allocUnsafe(Math.min(chunkBytes, endPosition - request.startPosition))
  const walk = new Walk(request)
  let wantedBytes = chunkBytes
  for (;;) {
    const filePosition = walk.position
    const wanted = Math.min(wantedBytes, endPosition - filePosition)
    if (wanted === 0) return walk.result({ kind: 'end' })
    const present = await readFully(file, buffer.subarray(0, wanted), filePosition)
    const stop = walk.chunk(buffer, present)
    const good = walk.position - filePosition
    if (good > 0) await request.onVerified?.(buffer.subarray(0, good), filePosition)
    if (stop !== null) return walk.result(stop)
    if (present < wanted) return walk.result({ kind: 'torn', position: walk.position })
    // The room that one large batch took is not filled with small ones: they would take their time.
    wantedBytes = chunkBytes
    if (good === present) continue
    const left = endPosition - walk.position
    const size = present - good < batchPrefixBytes ? batchPrefixBytes : batchSizeAt(buffer, good)
    if (size > left) return walk.result({ kind: 'torn', position: walk.position })
    if (size > buffer.length) buffer = Buffer.allocUnsafe(size)
    if (size > wantedBytes) wantedBytes = size
  }
}

/** What is carried from one chunk of a walk to the next. */
class Walk {
  readonly #request: ScanRequest
  readonly #limitOffset: number
  readonly #maxLeaderEpoch: number
  #expectedOffset: number | null
  #leaderEpoch: number
  position: number

  constructor(request: ScanRequest) {
    this.#request = request
    this.#limitOffset = request.limitOffset ?? Number.POSITIVE_INFINITY
    this.#maxLeaderEpoch = request.maxLeaderEpoch ?? Number.POSITIVE_INFINITY
    this.#expectedOffset = request.expectedOffset
    this.#leaderEpoch = request.minLeaderEpoch
    this.position = request.startPosition
  }

  /** Takes the good batches from the `present` bytes; null when the bytes end before anything is wrong. */
  chunk(buffer: Buffer, present: number): ScanEnd | null {
    const filePosition = this.position
    let position = 0
    while (position < present) {
      const check = checkBatch(buffer, position, { end: present, checkCrc: true })
      if (check === 'incomplete') return null
      if (check !== 'ok') return { kind: 'corrupt', position: this.position, reason: check }
      if (!this.#continues(buffer, position)) {
        return { kind: 'corrupt', position: this.position, reason: 'offset-order' }
      }
      this.#request.onBatch(buffer, position, this.position)
      this.#expectedOffset = nextOffsetAt(buffer, position)
      const leaderEpoch = leaderEpochAt(buffer, position)
      if (leaderEpoch <= this.#maxLeaderEpoch) this.#leaderEpoch = leaderEpoch
      position += batchSizeAt(buffer, position)
      this.position = filePosition + position
    }
    return null
  }

  result(end: ScanEnd): ScanResult {
    return {
      end,
      position: this.position,
      nextOffset: this.#expectedOffset,
      leaderEpoch: this.#leaderEpoch,
    }
  }

  #continues(buffer: Buffer, position: number): boolean {
    const isNext =
      this.#expectedOffset === null || baseOffsetAt(buffer, position) === this.#expectedOffset
    return (
      isNext &&
      nextOffsetAt(buffer, position) <= this.#limitOffset &&
      leaderEpochAt(buffer, position) >= this.#leaderEpoch
    )
  }
}

/** A copy of the good batch that begins at `position` of the file; null when there is none. */
export async function readBatch(
  file: ReadableFile,
  at: { readonly position: number; readonly endPosition: number },
): Promise<Buffer | null> {
  const first = Buffer.allocUnsafe(
    Math.min(firstReadBytes, Math.max(0, at.endPosition - at.position)),
  )
  const firstBytes = await readFully(file, first, at.position)
  if (firstBytes < batchPrefixBytes) return null
  const size = batchSizeAt(first, 0)
  if (size < batchPrefixBytes || at.position + size > at.endPosition) return null
  const isWhole = size <= firstBytes
  const batch = isWhole ? first.subarray(0, size) : Buffer.allocUnsafe(size)
  const present = isWhole ? size : await readFully(file, batch, at.position)
  return checkBatch(batch, 0, { end: present, checkCrc: true }) === 'ok' ? batch : null
}
