/**
 * Removing the files of segments that lie below the log start, oldest first. The log start is durable by
 * then, so a crash in between leaves what the next open removes.
 */
import type { StorageEnvironment } from './environment.ts'
import { attempt } from './file-io.ts'
import { segmentPath } from './segment.ts'

/** Removes the files of one partition's given-up segments. One call at a time. */
export class HeadRemoval {
  readonly #environment: StorageEnvironment
  readonly #dir: string
  /** Base offsets of the segments whose files are still to go, ascending. */
  #pending: number[] = []

  constructor(environment: StorageEnvironment, dir: string) {
    this.#environment = environment
    this.#dir = dir
  }

  /** Segments that nobody reads any more and whose files could not be removed yet. */
  get pendingCount(): number {
    return this.#pending.length
  }

  /**
   * Removes the files of these segments, and of those that an earlier call could not remove. Waits for
   * reads that are under way: no file loses its name while this process has it open.
   *
   * @throws {StorageError} when the file system fails; what is left is tried again by the next call
   */
  async remove(baseOffsets: readonly number[]): Promise<void> {
    this.#pending.push(...baseOffsets)
    if (this.#pending.length === 0) return
    for (;;) {
      const baseOffset = this.#pending[0]
      if (baseOffset === undefined) break
      await this.#removeSegment(baseOffset)
      this.#pending.shift()
    }
    const { files } = this.#environment
    await attempt({ path: this.#dir, operation: 'sync' }, () => files.syncDirectory(this.#dir))
  }

  /** The log last: what has no log any more is not looked for by name when a log is opened. */
  async #removeSegment(baseOffset: number): Promise<void> {
    const { files, handles, indexes } = this.#environment
    for (const suffix of ['index', 'timeindex', 'log'] as const) {
      const path = segmentPath(this.#dir, baseOffset, suffix)
      indexes.forget(path)
      do await handles.retire(path)
      while (handles.isOpen(path))
      await attempt({ path, operation: 'remove' }, async () => {
        if (files.stat(path) !== null) await files.remove(path)
      })
    }
  }
}
