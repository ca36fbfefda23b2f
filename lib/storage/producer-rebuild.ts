/**
 * The producers of a log that is about to be cut (what Kafka does when it truncates one): the newest
 * snapshot at or below the new end, and the batches from there up to it.
 */
import { CorruptRecordError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { ProducerReplay } from './producer-replay.ts'
import { listSnapshots } from './producer-snapshots.ts'
import type { ProducerState } from './producer-state.ts'
import type { ChunkRequest, LogChunk } from './readable.ts'

const chunkBytes = 1 << 20

/** Where the producers are read from. */
export interface RebuildSource {
  readonly files: Files
  readonly dir: string
  readonly logStartOffset: number
  readChunk(request: ChunkRequest): Promise<LogChunk>
}

/**
 * The state of a log that ends at `offset`, the end of a batch. Unlike a recovery this does not take a
 * missing snapshot for a sign that there was no producer: that of a running session may lie above, or
 * not be written yet. Batches that are damaged are passed over.
 *
 * @throws {StorageError} when the file system fails
 */
export async function producersBelow(offset: number, of: RebuildSource): Promise<ProducerState> {
  const snapshots = listSnapshots(of.files, of.dir).filter(it => it <= offset)
  const recoveryPoint = snapshots.length === 0 ? 0 : offset
  const known = { snapshots, recoveryPoint, logStartOffset: 0 }
  const replay = ProducerReplay.open(of.files, of.dir, known)
  let from = Math.max(replay.startOffset, of.logStartOffset)
  while (from < offset) {
    try {
      const request = { from, upTo: offset, maxBytes: chunkBytes, checkCrcs: true }
      const { buffer, positions, nextOffset } = await of.readChunk(request)
      for (const position of positions) replay.note(buffer, position)
      from = nextOffset
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      from = error.to
    }
  }
  return replay.finish(offset)
}
