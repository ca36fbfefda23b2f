/**
 * The one interface through which the engine touches storage. Names, sizes and directory entries
 * are handled synchronously (they take microseconds, a rename now and then milliseconds); data of any
 * size and everything that waits for the disk is asynchronous. Failures are errno errors
 * (`error.code` is `ENOENT`, `ENOSPC`, …).
 *
 * Paths are absolute or relative to the working directory, as `node:fs` takes them.
 */

/** What is known about a path without opening it. */
export interface FileStat {
  readonly sizeBytes: number
  readonly isDirectory: boolean
  /** Time of the last change of the content, in ms since the epoch. */
  readonly modifiedMs: number
}

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

/** Free and total space of the file system that holds a path; both `Number.MAX_SAFE_INTEGER` where there is no limit. */
export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

/** How a directory is protected against a second writer. */
export type LockKind = 'flock' | 'flock-helper' | 'pid-file' | 'none'

/** A directory held by this process until it is released or the process ends. */
export interface DirectoryLock {
  readonly kind: LockKind
  /** Why it is this kind and not a stronger one, for people. */
  readonly reason: string
  /** Gives the directory up. Idempotent. */
  release(): Promise<void>
}

/** How a file is opened: `read`; `write` (read and write an existing file); `create` (a new file, EEXIST when it is there). */
export type OpenMode = 'read' | 'write' | 'create'

/** Storage as the engine sees it. Calls may overlap. */
export interface Files {
  readonly kind: 'disk' | 'memory' | 'faulty'
  open(path: string, mode: OpenMode): OpenFile
  /** The whole content, or null when there is no such file. For small files. */
  readFile(path: string): Buffer | null
  /** The names in a directory, in no particular order. Throws ENOENT when it is not there. */
  list(dir: string): readonly DirectoryEntry[]
  /** Null when there is nothing of that name. */
  stat(path: string): FileStat | null
  /** Makes one directory; its parent exists. Throws EEXIST when it is there. */
  makeDirectory(path: string): void
  /** Replaces `to` when it is a file. */
  rename(from: string, to: string): void
  /** `rename` for who can wait: beside much writing a journal may hold it up for 5 to 20 ms. */
  replace(from: string, to: string): Promise<void>
  link(from: string, to: string): void
  remove(path: string): Promise<void>
  /** Removes an empty directory. */
  removeDirectory(path: string): void
  /** Makes the entries of a directory durable: creations, renames and removals in it. */
  syncDirectory(path: string): Promise<void>
  freeSpace(path: string): Promise<DiskSpace>
  /** Calls back, some time after something in the directory changed. Returns the function that stops it. Throws when it cannot be had. */
  watch(dir: string, onChange: () => void): () => void
  /** Takes the directory for one writer. Throws `LockedError` when another one holds it. */
  lock(dir: string): Promise<DirectoryLock>
}

/** An open file. Reads and writes are positional and may overlap; the count they give may be short. */
export interface OpenFile {
  readonly path: string
  read(buffer: Buffer, position: number): Promise<number>
  readSync(buffer: Buffer, position: number): number
  write(buffer: Buffer, position: number): Promise<number>
  writeSync(buffer: Buffer, position: number): number
  /** Makes content and size durable (fdatasync); not the name in its directory. */
  syncData(): Promise<void>
  truncate(sizeBytes: number): void
  sizeBytes(): number
  close(): void
}
