/** The `.snapshot` files of one partition, from which opening takes the producers' states. */
import type { Files } from '../files/files.ts'
import { replaceFile } from './checkpoint-file.ts'
import { segmentPath } from './segment.ts'
import { parseSegmentFile } from './topic-name.ts'

/** What a snapshot is to hold. */
export interface SnapshotContent {
  /** The state is that below this offset; it names the file. */
  readonly offset: number
  readonly bytes: Buffer
}

/** Writes snapshots, one after the other. Calls may overlap. */
export class ProducerSnapshots {
  readonly #files: Files
  readonly #dir: string
  /** The one that this session wrote last. */
  #path: string | null = null
  /** Ends with the last one that was asked for; never rejects. */
  #saving: Promise<unknown> = quiet

  constructor(files: Files, dir: string) {
    this.#files = files
    this.#dir = dir
  }

  /**
   * Writes what `content` gives when it is this snapshot's turn, and removes the one that this session
   * wrote before: not until the new one is durable, so that a crash leaves one of the two.
   */
  save(content: () => SnapshotContent): Promise<void> {
    const saved = this.#saving.then(async () => {
      const { offset, bytes } = content()
      const path = segmentPath(this.#dir, offset, 'snapshot')
      await replaceFile(this.#files, path, bytes)
      const older = this.#path
      this.#path = path
      // One is enough: the batches behind it are replayed.
      if (older !== null && older !== path && this.#files.stat(older) !== null)
        await this.#files.remove(older)
    })
    this.#saving = saved.catch(() => {})
    return saved
  }

  /** Removes snapshots that are of no use, in turn with those that are written. */
  remove(paths: readonly string[]): Promise<void> {
    const removed = this.#saving.then(async () => {
      for (const path of paths) if (this.#files.stat(path) !== null) await this.#files.remove(path)
      await this.#files.syncDirectory(this.#dir)
    })
    this.#saving = removed.catch(() => {})
    return removed
  }

  /**
   * Removes the snapshots below `offset`, the log start, but for the newest there is: with the batches
   * gone nothing else tells the producers' states. Not durably: one that comes back is not used.
   */
  removeBelow(offset: number): Promise<void> {
    const removed = this.#saving.then(async () => {
      for (const old of listSnapshots(this.#files, this.#dir).slice(0, -1)) {
        if (old < offset) await this.#files.remove(segmentPath(this.#dir, old, 'snapshot'))
      }
    })
    this.#saving = removed.catch(() => {})
    return removed
  }

  /** Resolves when everything asked for has been written, or has failed. */
  async whenSaved(): Promise<void> {
    await this.#saving
  }
}

/** Offsets of the snapshots in the directory, ascending. */
export function listSnapshots(files: Files, dir: string): number[] {
  const offsets: number[] = []
  for (const { name } of files.list(dir)) {
    const file = parseSegmentFile(name)
    if (file?.suffix === 'snapshot') offsets.push(file.baseOffset)
  }
  return offsets.sort((a, b) => a - b)
}

/** What a chain of work begins with; shared, since most partitions never have any. */
const quiet: Promise<unknown> = Promise.resolve()
