/** Makes the sparse indexes of a segment anew from its log, which alone is proof of anything. */
import type { OpenFile } from '../files/files.ts'
import { batchSizeAt, maxTimestampAt, nextOffsetAt } from '../record/batch-format.ts'
import { scanBatches } from './batch-scan.ts'
import { findChain } from './batch-search.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { OffsetIndex } from './offset-index.ts'
import { TimeIndex } from './time-index.ts'

/** Bytes of log between two entries: Kafka's default of index.interval.bytes. */
const intervalBytes = 4096

/** Walks a whole segment. Behind damage it goes on where an unbroken chain of batches reaches the end. */
export async function rebuildIndexes(
  file: OpenFile,
  segment: {
    readonly baseOffset: number
    readonly nextOffset: number
    readonly endPosition: number
  },
): Promise<SegmentIndexes> {
  const offsets = new OffsetIndex(segment.baseOffset)
  const times = new TimeIndex(segment.baseOffset)
  const endPosition = Math.min(segment.endPosition, file.sizeBytes())
  let maxTimestamp = -1
  let maxTimestampOffset = -1
  let sinceEntry = 0
  const onBatch = (buffer: Buffer, position: number, filePosition: number): void => {
    const lastOffset = nextOffsetAt(buffer, position) - 1
    if (maxTimestampAt(buffer, position) > maxTimestamp) {
      maxTimestamp = maxTimestampAt(buffer, position)
      maxTimestampOffset = lastOffset
    }
    if (sinceEntry > intervalBytes) {
      offsets.append(lastOffset, filePosition)
      times.append(maxTimestamp, maxTimestampOffset)
      sinceEntry = 0
    }
    sinceEntry += batchSizeAt(buffer, position)
  }
  let startPosition = 0
  let expectedOffset = segment.baseOffset
  for (;;) {
    const scan = await scanBatches(file, {
      startPosition,
      endPosition,
      expectedOffset,
      minLeaderEpoch: 0,
      onBatch,
    })
    if (scan.end.kind === 'end') break
    const minOffset = scan.nextOffset ?? expectedOffset
    const search = {
      startPosition: scan.position + 1,
      endPosition,
      minOffset,
      limitOffset: segment.nextOffset,
      minLeaderEpoch: 0,
    }
    const chain = await findChain(file, search, () => false)
    if (chain === null || !chain.isAnchored) break
    startPosition = chain.position
    expectedOffset = chain.baseOffset
    // What comes behind a hole gets an entry at once, so that nobody has to pass the hole again.
    sinceEntry = intervalBytes + 1
  }
  if (maxTimestampOffset >= 0) times.append(maxTimestamp, maxTimestampOffset)
  return { offsets, times }
}
