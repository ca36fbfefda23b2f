import * as fs from 'node:fs'

import { lockDirectory } from './directory-lock.ts'
import { errnoCode, errnoError } from './errno.ts'
import type {
  DirectoryEntry,
  DirectoryLock,
  DiskSpace,
  FileStat,
  Files,
  OpenFile,
  OpenMode,
} from './files.ts'

/**
 * The file systems of this machine. Descriptors are plain numbers and callbacks are wrapped by hand:
 * a `FileHandle` costs more per call and closes itself when it is collected.
 */
export const diskFiles: Files = {
  kind: 'disk',

  open(path: string, mode: OpenMode): OpenFile {
    return new DiskFile(path, fs.openSync(path, openFlags[mode], 0o666))
  },

  readFile(path: string): Buffer | null {
    try {
      return readWhole(path)
    } catch (error) {
      if (isNothingThere(error)) return null
      throw error
    }
  },

  list(dir: string): readonly DirectoryEntry[] {
    return fs.readdirSync(dir, { withFileTypes: true }).map(entry => ({
      name: entry.name,
      isDirectory: entry.isSymbolicLink()
        ? (diskFiles.stat(`${dir}/${entry.name}`)?.isDirectory ?? false)
        : entry.isDirectory(),
    }))
  },

  stat(path: string): FileStat | null {
    try {
      // Often a name is looked up to see that it is free: an error that is thrown takes six times as long.
      const found = fs.statSync(path, { throwIfNoEntry: false })
      if (found === undefined) return null
      return {
        sizeBytes: found.size,
        isDirectory: found.isDirectory(),
        modifiedMs: found.mtimeMs,
      }
    } catch (error) {
      if (isNothingThere(error)) return null
      throw error
    }
  },

  makeDirectory(path: string): void {
    fs.mkdirSync(path)
  },

  rename(from: string, to: string): void {
    fs.renameSync(from, to)
  },

  replace(from: string, to: string): Promise<void> {
    return settled(done => fs.rename(from, to, done))
  },

  link(from: string, to: string): void {
    fs.linkSync(from, to)
  },

  remove(path: string): Promise<void> {
    return settled(done => fs.unlink(path, done))
  },

  removeDirectory(path: string): void {
    fs.rmdirSync(path)
  },

  async syncDirectory(path: string): Promise<void> {
    // Windows gives no handle of a directory that could be synced; NTFS journals its entries.
    if (process.platform === 'win32') return
    // Only the sync waits for the disk: a trip through the pool takes longer than the other two calls.
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
    try {
      await settled(done => fs.fsync(fd, done))
    } finally {
      fs.closeSync(fd)
    }
  },

  async freeSpace(path: string): Promise<DiskSpace> {
    const found = await value<fs.StatsFs>(done => fs.statfs(path, done))
    return {
      freeBytes: found.bavail * found.bsize,
      totalBytes: found.blocks * found.bsize,
    }
  },

  watch(dir: string, onChange: () => void): () => void {
    const watcher = fs.watch(dir, { persistent: false }, () => onChange())
    // The directory is gone or cannot be watched any longer: the caller looks and finds out.
    watcher.on('error', () => {
      watcher.close()
      onChange()
    })
    return () => watcher.close()
  },

  lock(dir: string): Promise<DirectoryLock> {
    return lockDirectory(dir)
  },
}

/** Never O_APPEND: Linux would then ignore the position of a write. */
const openFlags: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
}

/**
 * Calls may overlap. A close waits for those in flight, because the kernel would give the number of
 * the descriptor to the next open while they still use it.
 */
class DiskFile implements OpenFile {
  readonly path: string
  readonly #fd: number
  #isOpen = true
  #inFlight = 0

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    let done = 0
    while (done < buffer.length) {
      const count = await this.#pending<number>('read', settle =>
        fs.read(this.#fd, buffer, done, buffer.length - done, position + done, settle),
      )
      if (count === 0) break
      done += count
    }
    return done
  }

  readSync(buffer: Buffer, position: number): number {
    this.#assertOpen('read')
    try {
      let done = 0
      while (done < buffer.length) {
        const count = fs.readSync(this.#fd, buffer, done, buffer.length - done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    } catch (error) {
      throw this.#withPath(error)
    }
  }

  write(buffer: Buffer, position: number): Promise<number> {
    return this.#pending<number>('write', settle =>
      fs.write(this.#fd, buffer, 0, buffer.length, position, settle),
    )
  }

  writeSync(buffer: Buffer, position: number): number {
    this.#assertOpen('write')
    try {
      return fs.writeSync(this.#fd, buffer, 0, buffer.length, position)
    } catch (error) {
      throw this.#withPath(error)
    }
  }

  async syncData(): Promise<void> {
    await this.#pending<null>('fdatasync', settle =>
      fs.fdatasync(this.#fd, error => settle(error, null)),
    )
  }

  truncate(sizeBytes: number): void {
    this.#assertOpen('ftruncate')
    try {
      fs.ftruncateSync(this.#fd, sizeBytes)
    } catch (error) {
      throw this.#withPath(error)
    }
  }

  sizeBytes(): number {
    this.#assertOpen('fstat')
    return fs.fstatSync(this.#fd).size
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.#inFlight === 0) fs.closeSync(this.#fd)
  }

  #pending<T>(syscall: string, start: (settle: Settle<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#assertOpen(syscall)
      this.#inFlight++
      start((error, result) => {
        this.#inFlight--
        if (!this.#isOpen && this.#inFlight === 0) this.#closeLate()
        if (error === null) resolve(result)
        else reject(this.#withPath(error))
      })
    })
  }

  #closeLate(): void {
    try {
      fs.closeSync(this.#fd)
    } catch {
      // Nobody is left to tell, and what matters of it a sync has said.
    }
  }

  #assertOpen(syscall: string): void {
    if (!this.#isOpen) throw errnoError('EBADF', { syscall, path: this.path })
  }

  /** Calls on a descriptor fail without a path. */
  #withPath(error: unknown): unknown {
    const isErrno = errnoCode(error) !== undefined
    return isErrno && error instanceof Error ? Object.assign(error, { path: this.path }) : error
  }
}

/** Most of the files that are read as a whole are much smaller. */
const scratch = Buffer.allocUnsafeSlow(16 << 10)

/**
 * Opening a log reads five small files for each partition: read into a buffer that is there, and
 * without asking for their size, that takes a fifth less than `fs.readFileSync`.
 */
function readWhole(path: string): Buffer {
  const fd = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    let length = 0
    while (length < scratch.length) {
      const count = fs.readSync(fd, scratch, length, scratch.length - length, length)
      if (count === 0) return ownCopy(scratch.subarray(0, length))
      length += count
    }
    return fs.readFileSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** Indexes are kept as they were read: in memory of the pool they would keep what was read beside them. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

type Settle<T> = (error: NodeJS.ErrnoException | null, result: T) => void

function value<T>(start: (settle: Settle<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
}

function settled(start: (settle: fs.NoParamCallback) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}

function isNothingThere(error: unknown): boolean {
  const code = errnoCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
