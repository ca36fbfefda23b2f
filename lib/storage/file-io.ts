/** File operations as recovery needs them: whole reads, whole writes, and errors that name the file. */
import { DiskFullError, StorageError } from '../errors.ts'
import type { OpenFile } from '../files/files.ts'

/** What is done to which file, for the error. */
export interface FileOperation {
  readonly path: string
  readonly operation: string
}

/**
 * Runs one file operation.
 *
 * @throws {StorageError} with the operation's own error as `cause`; a `StorageError` passes as it is.
 */
export async function attempt<T>(at: FileOperation, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof StorageError) throw error
    throw new StorageError(at.path, at.operation, error)
  }
}

/** What is read of a file by position: an open one, or one that is opened for each read. */
export type ReadableFile = Pick<OpenFile, 'path' | 'read'>

/** Fills `buffer` from `position` on and returns how many bytes there were before the file ended. */
export async function readFully(
  file: ReadableFile,
  buffer: Buffer,
  position: number,
): Promise<number> {
  let filled = 0
  while (filled < buffer.length) {
    const count = await attempt({ path: file.path, operation: 'read' }, () =>
      file.read(buffer.subarray(filled), position + filled),
    )
    if (count === 0) break
    filled += count
  }
  return filled
}

/**
 * Writes all of `bytes` at `position`.
 *
 * @throws {StorageError} when a write fails, or makes no progress (then `cause` is a `DiskFullError`).
 */
export async function writeFully(file: OpenFile, bytes: Buffer, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const count = await attempt({ path: file.path, operation: 'write' }, async () => {
      const made = await file.write(bytes.subarray(written), position + written)
      if (made === 0) throw new DiskFullError(file.path)
      return made
    })
    written += count
  }
}

/**
 * Whether the file system itself has no room, be it space, a quota or inodes. A limit on the size of
 * one file says nothing of the others.
 */
export function isOutOfSpace(error: unknown): boolean {
  let cause = error
  while ((cause instanceof StorageError || cause instanceof DiskFullError) && cause.cause != null) {
    cause = cause.cause
  }
  const isFileLimit = cause instanceof Error && 'code' in cause && cause.code === 'EFBIG'
  return isDiskFull(cause) && !isFileLimit
}

/** Whether there was no room on the disk, which a caller may be able to do without. */
export function isDiskFull(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : error
  if (cause instanceof DiskFullError) return true
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}
