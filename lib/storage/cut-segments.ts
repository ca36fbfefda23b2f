/** Cutting the files of a partition at a batch boundary, after the manifest has stopped to speak of them. */

import type { StorageEnvironment } from './environment.ts'
import type { BatchBoundary } from './readable-segment.ts'
import { segmentPath } from './segment.ts'

/** Removes the files of the segments in `later`, the last one first, then cuts the one that holds the boundary. */
export async function cutSegments(
  { files, handles, indexes }: StorageEnvironment,
  dir: string,
  at: { readonly cut: BatchBoundary; readonly later: readonly number[] },
): Promise<void> {
  const { cut } = at
  for (const baseOffset of [...at.later].reverse()) {
    for (const suffix of ['log', 'index', 'timeindex', 'snapshot'] as const) {
      const path = segmentPath(dir, baseOffset, suffix)
      handles.forget(path)
      indexes.forget(path)
      if (files.stat(path) !== null) await files.remove(path)
    }
  }
  for (const suffix of ['index', 'timeindex'] as const) {
    const path = segmentPath(dir, cut.baseOffset, suffix)
    if (files.stat(path) !== null) await files.remove(path)
  }
  const path = segmentPath(dir, cut.baseOffset, 'log')
  indexes.forget(path)
  if (files.stat(path) !== null) {
    const file = files.open(path, 'write')
    try {
      file.truncate(cut.position)
      await file.syncData()
    } finally {
      file.close()
    }
  }
  await files.syncDirectory(dir)
}
