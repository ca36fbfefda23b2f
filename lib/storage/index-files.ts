/** Writing the two index files of a segment (offset-index.ts, time-index.ts). */
import { DiskFullError } from '../errors.ts'
import type { Files, OpenFile } from '../files/files.ts'
import { type ActiveSegment, segmentPath } from './segment.ts'

type Suffix = 'index' | 'timeindex'

/** Bytes of both index files. */
export interface IndexContents {
  readonly offsets: Buffer
  readonly times: Buffer
}

/**
 * Writes both files from their beginning, cuts them to what was written and syncs them; their names are
 * not durable before the directory is. Errors of the file system pass through.
 *
 * @throws {DiskFullError} when a file did not take all of it
 */
export async function writeIndexFiles(
  files: Files,
  segment: { readonly dir: string; readonly baseOffset: number },
  contents: IndexContents,
): Promise<void> {
  await writeIndexFile(files, { ...segment, suffix: 'index' }, contents.offsets)
  await writeIndexFile(files, { ...segment, suffix: 'timeindex' }, contents.times)
}

/**
 * Does so for one of them. A crash before it has resolved leaves any mixture of what was there and
 * `bytes`.
 *
 * @throws {DiskFullError} when the file did not take all of it
 */
export async function writeIndexFile(
  files: Files,
  to: { readonly dir: string; readonly baseOffset: number; readonly suffix: Suffix },
  bytes: Buffer,
): Promise<void> {
  const file = openIndexFile(files, to, to.suffix)
  try {
    // A disk that takes a part of it has no room for the rest.
    if (bytes.length > 0 && (await file.write(bytes, 0)) !== bytes.length)
      throw new DiskFullError(file.path)
    file.truncate(bytes.length)
    await file.syncData()
  } finally {
    file.close()
  }
}

/** Writes the entries of the active segment that are not in its files yet, without syncing them. */
export function saveIndexEntries(files: Files, dir: string, active: ActiveSegment): void {
  const { baseOffset } = active
  const { offsets, times } = active.indexes
  const append = (suffix: Suffix, bytes: Buffer, position: number): boolean =>
    appendEntries(files, { dir, baseOffset, suffix }, { bytes, position })
  const offsetsEnd = active.savedOffsetEntries * 8
  if (append('index', offsets.bytes().subarray(offsetsEnd), offsetsEnd)) {
    active.savedOffsetEntries = offsets.entryCount
  }
  const timesEnd = active.savedTimeEntries * 12
  if (append('timeindex', times.bytes().subarray(timesEnd), timesEnd)) {
    active.savedTimeEntries = times.entryCount
  }
}

/** False when not all of it was written: the next time it is written again. */
function appendEntries(
  files: Files,
  to: { readonly dir: string; readonly baseOffset: number; readonly suffix: Suffix },
  entries: { readonly bytes: Buffer; readonly position: number },
): boolean {
  if (entries.bytes.length === 0) return true
  const file = openIndexFile(files, to, to.suffix)
  try {
    return file.writeSync(entries.bytes, entries.position) === entries.bytes.length
  } finally {
    file.close()
  }
}

function openIndexFile(
  files: Files,
  { dir, baseOffset }: { readonly dir: string; readonly baseOffset: number },
  suffix: Suffix,
): OpenFile {
  const path = segmentPath(dir, baseOffset, suffix)
  return files.open(path, files.stat(path) === null ? 'create' : 'write')
}
