/**
 * Open files of the whole log, opened on demand and kept in a bounded LRU, so that thousands of
 * partitions need few descriptors. A handle that is in use, or that covers bytes not yet flushed,
 * is pinned: it cannot be closed. When every handle is pinned, `onceFree` waits for a flush.
 */
import type { Files, OpenFile } from '../files/files.ts'

/** A pinned open file; `release` it once, further calls do nothing. */
export interface PinnedFile {
  readonly file: OpenFile
  release(): void
}

interface Entry {
  readonly path: string
  readonly file: OpenFile
  readonly isWritable: boolean
  pins: number
  /** Closed as soon as the last pin goes: its name was removed or given to another file. */
  isForgotten: boolean
  readonly whenClosed: (() => void)[]
}

/** The LRU. Calls never overlap: everything here is synchronous. */
export class FileHandles {
  readonly #files: Files
  readonly #maxOpen: number
  /** In order of last use, the oldest first; the path is the key. */
  readonly #entries = new Map<string, Entry>()
  /** The last of them: who is at one file again and again does not move it within the map. */
  #newest: Entry | null = null
  #forgottenCount = 0
  #pinnedCount = 0
  readonly #waiting: (() => void)[] = []
  #isWaking = false
  #callPressure: () => void = () => {}

  constructor(files: Files, maxOpen: number) {
    this.#files = files
    this.#maxOpen = maxOpen
  }

  /** Called when a handle is wanted and all are pinned: flush something early. */
  onPressure(callback: () => void): void {
    this.#callPressure = callback
  }

  get openCount(): number {
    return this.#entries.size + this.#forgottenCount
  }

  /**
   * True when a file that is not open yet can be opened within the limit. What has become free is kept
   * for who waits for it: a partition that is never idle would take it again at once.
   */
  get hasRoom(): boolean {
    return this.#pinnedCount < this.#maxOpen && !this.#isWaking
  }

  /** Pins the file, opening it when it is not open. Errors of opening pass through. */
  pin(path: string, mode: 'read' | 'write' | 'create'): PinnedFile {
    let entry = this.#entries.get(path)
    if (entry !== undefined && (mode === 'create' || (mode === 'write' && !entry.isWritable))) {
      this.forget(path)
      entry = undefined
    }
    if (entry === undefined) {
      this.#makeRoom()
      entry = {
        path,
        file: this.#files.open(path, mode),
        isWritable: mode !== 'read',
        pins: 0,
        isForgotten: false,
        whenClosed: [],
      }
    } else if (entry !== this.#newest) {
      this.#entries.delete(path)
    }
    if (entry !== this.#newest) {
      this.#entries.set(path, entry)
      this.#newest = entry
    }
    if (entry.pins === 0) this.#pinnedCount++
    entry.pins++
    return new Pin(entry, this.#release)
  }

  /** True while somebody waits for a handle: who holds one and can do without gives it up. */
  get isWanted(): boolean {
    return this.#waiting.length > 0
  }

  /** Calls back once when `hasRoom` has become true, in the order of the calls, and never from within a release. */
  onceFree(callback: () => void): void {
    this.#waiting.push(callback)
    this.#callPressure()
  }

  /** The file goes away or is replaced: later pins open it anew; present pins stay good. */
  forget(path: string): void {
    const entry = this.#entries.get(path)
    if (entry === undefined) return
    this.#drop(entry)
    if (entry.pins === 0) {
      entry.file.close()
      return
    }
    entry.isForgotten = true
    this.#forgottenCount++
  }

  /**
   * Forgets the file and resolves when those who have it pinned are done and its handle is closed: it may
   * then be removed or renamed. Who pins it meanwhile opens it anew and is not waited for.
   */
  async retire(path: string): Promise<void> {
    const entry = this.#entries.get(path)
    this.forget(path)
    if (entry === undefined || entry.pins === 0) return
    await new Promise<void>(resolve => entry.whenClosed.push(resolve))
  }

  /** Whether the file is open under this name. */
  isOpen(path: string): boolean {
    return this.#entries.has(path)
  }

  /** As `retire`, for every file whose path begins with `prefix`. */
  async retireAll(prefix: string): Promise<void> {
    const paths = [...this.#entries.keys()].filter(path => path.startsWith(prefix))
    await Promise.all(paths.map(path => this.retire(path)))
  }

  /** Forgets every file whose path begins with `prefix`. */
  forgetAll(prefix: string): void {
    for (const path of [...this.#entries.keys()]) if (path.startsWith(prefix)) this.forget(path)
  }

  readonly #release = (entry: Entry): void => {
    entry.pins--
    if (entry.pins > 0) return
    this.#pinnedCount--
    if (entry.isForgotten) {
      this.#forgottenCount--
      entry.file.close()
      for (const resolve of entry.whenClosed) resolve()
    } else if (this.#entries.size > this.#maxOpen) {
      this.#drop(entry)
      entry.file.close()
    }
    this.#wakeSoon()
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.path)
    if (this.#newest === entry) this.#newest = null
  }

  /** Behind whatever releases: it may be in the middle of something that a callback would change. */
  #wakeSoon(): void {
    if (this.#isWaking || this.#waiting.length === 0) return
    this.#isWaking = true
    queueMicrotask(() => {
      this.#isWaking = false
      this.#wake()
    })
  }

  #wake(): void {
    // A callback may take the room, or find that it has no use for it any more.
    while (this.hasRoom) {
      const callback = this.#waiting.shift()
      if (callback === undefined) return
      callback()
    }
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#maxOpen) return
    for (const entry of this.#entries.values()) {
      if (entry.pins > 0) continue
      this.#drop(entry)
      entry.file.close()
      if (this.#entries.size < this.#maxOpen) return
    }
  }
}

/** Holds one pin; made with every small read, and so without a closure. */
class Pin implements PinnedFile {
  readonly #entry: Entry
  readonly #onRelease: (entry: Entry) => void
  #isReleased = false

  constructor(entry: Entry, onRelease: (entry: Entry) => void) {
    this.#entry = entry
    this.#onRelease = onRelease
  }

  get file(): OpenFile {
    return this.#entry.file
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#onRelease(this.#entry)
  }
}
