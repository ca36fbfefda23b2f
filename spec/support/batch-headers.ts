/** The batches of a segment file, by their headers: what really lies on the disk. */
import type { Files } from '../../lib/files/files.ts'
import { type BatchHeader, batchSizeAt, decodeBatchHeader } from '../../lib/record/batch-format.ts'

/** The headers of the batches in a partition's first segment, in their order. */
export function batchHeaders(files: Files, partitionDir: string): readonly BatchHeader[] {
  const bytes = files.readFile(`${partitionDir}/00000000000000000000.log`) ?? Buffer.alloc(0)
  const headers: BatchHeader[] = []
  for (let position = 0; position < bytes.length; ) {
    headers.push(decodeBatchHeader(bytes, position))
    position += batchSizeAt(bytes, position)
  }
  return headers
}
