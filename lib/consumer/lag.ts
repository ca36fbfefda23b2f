/** How far behind the end of a partition a position is. */
import { dirname, join } from 'node:path'

import type { Lag } from '../consuming.ts'
import { openChunk } from '../log/ready-chunk.ts'
import type { PartitionAccess } from '../log/topic-state.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import { parseSegmentFile, segmentFileName } from '../storage/topic-name.ts'
import type { Offset } from '../types.ts'

/** Where a record lies, and when it was written. */
interface Place {
  readonly path: string
  readonly position: number
  readonly timestamp: number
}

/** The lag of a position, as it is now. Reads one batch. */
export async function lagOf(
  access: PartitionAccess,
  position: Offset,
  environment: StorageEnvironment,
): Promise<Lag> {
  const { topic, partition } = access.identity
  const { highWatermark, logStartOffset } = access
  const from = Math.max(position, logStartOffset)
  const records = Math.max(0, highWatermark - from)
  const place = records === 0 ? null : await findPlace(access, { from, to: highWatermark })
  if (place === null) return { topic, partition, records, bytes: 0, seconds: 0 }
  const ageMs = environment.time.nowMs() - place.timestamp
  const bytes = bytesFrom(environment, place)
  return { topic, partition, records, bytes, seconds: Math.max(0, ageMs / 1000) }
}

/** Of the first record in the range; null when there is none, but for markers. */
async function findPlace(
  access: PartitionAccess,
  range: { readonly from: Offset; readonly to: Offset },
): Promise<Place | null> {
  let { from } = range
  while (from < range.to) {
    const chunk = await access.readChunk({ from, maxBytes: 1, checkCrcs: true })
    const context = { ...access.identity, key: null, value: null }
    const { batches, nextOffset } = await openChunk(chunk, context, from)
    for (const batch of batches) {
      for (const { offset, timestamp } of batch) {
        if (offset < from) continue
        const position = chunk.filePosition + (chunk.positions[0] ?? 0)
        return { path: chunk.path, position, timestamp }
      }
    }
    if (nextOffset <= from) return null
    from = nextOffset
  }
  return null
}

/** From a place in a segment to the end of the last one. */
function bytesFrom({ files }: StorageEnvironment, { path, position }: Place): number {
  const dir = dirname(path)
  let bytes = -position
  for (const { name } of files.list(dir)) {
    const file = parseSegmentFile(name)
    if (file?.suffix !== 'log') continue
    const segment = join(dir, segmentFileName(file.baseOffset, 'log'))
    if (segment >= path) bytes += files.stat(segment)?.sizeBytes ?? 0
  }
  return Math.max(0, bytes)
}
