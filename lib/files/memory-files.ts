import { type Clock, systemClock } from '../clock.ts'
import { LockedError } from '../errors.ts'
import { errnoError } from './errno.ts'
import { Directory, type EntryChange, type FileNode, FileTree } from './file-tree.ts'
import type {
  DirectoryEntry,
  DirectoryLock,
  DiskSpace,
  FileStat,
  Files,
  OpenFile,
  OpenMode,
} from './files.ts'
import { PagedBytes } from './paged-bytes.ts'
import { Watchers } from './watchers.ts'

/** Settings of a memory file system. */
export interface MemoryFilesOptions {
  /** Where modification times come from. @default the machine's clock */
  readonly clock?: Clock | undefined
}

/**
 * A file system in memory, empty but for the working directory. Nothing survives the process, so
 * syncing does nothing; everything else behaves as a disk does, with the same errno errors, and an
 * open file stays usable when its name is gone. What is written is seen by readers at once; promises
 * settle in a later turn of the event loop.
 */
export function memoryFiles(options: MemoryFilesOptions = {}): Files {
  return new MemoryFiles(options.clock ?? systemClock)
}

class MemoryFile implements FileNode {
  readonly bytes: PagedBytes = new PagedBytes()
  modifiedMs = 0

  get sizeBytes(): number {
    return this.bytes.sizeBytes
  }
}

class MemoryFiles implements Files {
  readonly kind = 'memory'
  readonly #tree: FileTree<MemoryFile>
  readonly #watchers = new Watchers<Directory<MemoryFile>>()
  readonly #locked = new Map<Directory<MemoryFile>, Date>()
  readonly #now: () => number

  constructor(clock: Clock) {
    this.#now = () => clock.wallMs()
    this.#tree = new FileTree<MemoryFile>({ now: this.#now, onChange: it => this.#notify(it) })
  }

  open(path: string, mode: OpenMode): OpenFile {
    const isNew = mode === 'create'
    const file = isNew ? new MemoryFile() : this.#tree.file(path, 'open')
    if (isNew) this.#tree.create(path, file)
    const { directory } = this.#tree.place(path, 'open')
    const onChange = (): void => {
      file.modifiedMs = this.#now()
      this.#watchers.notify(directory)
    }
    return new OpenMemoryFile({ path, bytes: file.bytes, canWrite: mode !== 'read', onChange })
  }

  readFile(path: string): Buffer | null {
    if (this.#tree.find(path) === undefined) return null
    const { bytes } = this.#tree.file(path, 'open')
    const content = Buffer.allocUnsafe(bytes.sizeBytes)
    bytes.read(content, 0)
    return content
  }

  list(dir: string): readonly DirectoryEntry[] {
    return this.#tree.list(dir)
  }

  stat(path: string): FileStat | null {
    return this.#tree.stat(path)
  }

  makeDirectory(path: string): void {
    this.#tree.create(path, new Directory<MemoryFile>())
  }

  rename(from: string, to: string): void {
    this.#tree.rename(from, to)
  }

  async replace(from: string, to: string): Promise<void> {
    this.#tree.rename(from, to)
    await nextTurn()
  }

  link(from: string, to: string): void {
    this.#tree.link(from, to)
  }

  async remove(path: string): Promise<void> {
    this.#tree.remove(path)
    await nextTurn()
  }

  removeDirectory(path: string): void {
    this.#tree.removeDirectory(path)
  }

  async syncDirectory(path: string): Promise<void> {
    this.#tree.directory(path, 'open')
    await nextTurn()
  }

  async freeSpace(path: string): Promise<DiskSpace> {
    this.#tree.assertExists(path, 'statfs')
    await nextTurn()
    // Memory sets no limit of its own; running out of it ends the process, not a write.
    return { freeBytes: Number.MAX_SAFE_INTEGER, totalBytes: Number.MAX_SAFE_INTEGER }
  }

  watch(dir: string, onChange: () => void): () => void {
    return this.#watchers.watch(this.#tree.directory(dir, 'watch'), onChange)
  }

  async lock(dir: string): Promise<DirectoryLock> {
    const directory = this.#tree.directory(dir, 'open')
    const since = this.#locked.get(directory)
    if (since !== undefined) {
      throw new LockedError(dir, { pid: process.pid, since, sameProcess: true })
    }
    this.#locked.set(directory, new Date(this.#now()))
    await nextTurn()
    let isHeld = true
    const release = async (): Promise<void> => {
      if (isHeld) this.#locked.delete(directory)
      isHeld = false
      await nextTurn()
    }
    return { kind: 'none', reason: 'memory belongs to this process alone', release }
  }

  #notify(change: EntryChange<MemoryFile>): void {
    if (change.from !== undefined) this.#watchers.notify(change.from.directory)
    if (change.to !== undefined) this.#watchers.notify(change.to.directory)
  }
}

interface OpenMemoryFileFacts {
  readonly path: string
  readonly bytes: PagedBytes
  readonly canWrite: boolean
  readonly onChange: () => void
}

class OpenMemoryFile implements OpenFile {
  readonly path: string
  readonly #facts: OpenMemoryFileFacts
  #isOpen = true

  constructor(facts: OpenMemoryFileFacts) {
    this.path = facts.path
    this.#facts = facts
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    const count = this.readSync(buffer, position)
    await nextTurn()
    return count
  }

  readSync(buffer: Buffer, position: number): number {
    return this.#bytes('read').read(buffer, position)
  }

  async write(buffer: Buffer, position: number): Promise<number> {
    const count = this.writeSync(buffer, position)
    await nextTurn()
    return count
  }

  writeSync(buffer: Buffer, position: number): number {
    const bytes = this.#bytes('write')
    if (!this.#facts.canWrite) throw this.#error('EBADF', 'write')
    bytes.write(buffer, position)
    this.#facts.onChange()
    return buffer.length
  }

  async syncData(): Promise<void> {
    this.#bytes('fdatasync')
    await nextTurn()
  }

  truncate(sizeBytes: number): void {
    const bytes = this.#bytes('ftruncate')
    if (!this.#facts.canWrite) throw this.#error('EINVAL', 'ftruncate')
    bytes.resize(sizeBytes)
    this.#facts.onChange()
  }

  sizeBytes(): number {
    return this.#bytes('fstat').sizeBytes
  }

  close(): void {
    this.#isOpen = false
  }

  #bytes(syscall: string): PagedBytes {
    if (!this.#isOpen) throw this.#error('EBADF', syscall)
    return this.#facts.bytes
  }

  #error(code: string, syscall: string): Error {
    return errnoError(code, { syscall, path: this.path })
  }
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
