/** Bytes of segment files, read through shared handles: small reads at once, larger ones in the pool. */
import { CorruptRecordError, StorageError } from '../errors.ts'
import type { OpenFile } from '../files/files.ts'
import type { StorageEnvironment } from './environment.ts'
import type { PinnedFile } from './file-handles.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { ReadAhead } from './readable.ts'
import type { ReadableSegment } from './readable-segment.ts'
import { segmentPath } from './segment.ts'
import { maxSyncBytes } from './sync-io.ts'

/** A read of more than this is first compared with what the file has. */
const checkedReadBytes = 8 << 20

/** What to read of a segment, and into what: fresh memory where `buffers` is not given. */
export interface ReadPlace {
  readonly position: number
  readonly sizeBytes: number
  readonly buffers?: ReadBuffers | undefined
}

/** Reads the segments of one partition. Calls may overlap; no file handle is held between them. */
export class SegmentFileReader {
  readonly dir: string
  readonly #environment: StorageEnvironment

  constructor(environment: StorageEnvironment, dir: string) {
    this.#environment = environment
    this.dir = dir
  }

  /** Reads up to `sizeBytes`, fewer at the segment's end. */
  readAt(segment: ReadableSegment, at: ReadPlace): Buffer | Promise<Buffer> {
    const { position } = at
    const sizeBytes = Math.max(0, Math.min(at.sizeBytes, segment.endPosition - position))
    return this.#environment.syncReads.isAllowed(sizeBytes)
      ? this.#readSync(this.pathOf(segment), position, sizeBytes)
      : this.#readLarge(this.pathOf(segment), { ...at, sizeBytes })
  }

  /**
   * Begins to read in the pool what will be wanted next; undefined when so little is left that it is
   * as well read when it is wanted.
   */
  readAhead(segment: ReadableSegment, at: ReadPlace): ReadAhead | undefined {
    const { position } = at
    const sizeBytes = Math.min(at.sizeBytes, segment.endPosition - position)
    if (segment.endPosition === Number.POSITIVE_INFINITY || sizeBytes <= maxSyncBytes)
      return undefined
    const bytes = this.#readLarge(this.pathOf(segment), { ...at, sizeBytes }).catch(() => null)
    return { position, sizeBytes, bytes }
  }

  /** Nothing is awaited: a small read from the page cache is over before a promise would be made. */
  #readSync(path: string, position: number, wanted: number): Buffer {
    const { syncReads, clock, handles } = this.#environment
    const buffer = Buffer.allocUnsafe(wanted)
    let pin: PinnedFile | undefined
    try {
      pin = handles.pin(path, 'read')
      const startMs = clock.monotonicMs()
      const count = pin.file.readSync(buffer, position)
      syncReads.note(clock.monotonicMs() - startMs)
      return this.#counted(buffer, count)
    } catch (error) {
      throw new StorageError(path, 'read', error, 'not-written')
    } finally {
      pin?.release()
    }
  }

  async #readLarge(path: string, at: ReadPlace): Promise<Buffer> {
    const { position, sizeBytes, buffers } = at
    return await this.withFile(path, async file => {
      // A damaged length may ask for gigabytes that no file has.
      const isPlausible = sizeBytes <= checkedReadBytes
      const wanted = isPlausible ? sizeBytes : Math.min(sizeBytes, file.sizeBytes() - position)
      const buffer =
        buffers?.take(Math.max(wanted, 0)) ?? Buffer.allocUnsafeSlow(Math.max(wanted, 0))
      return this.#counted(buffer, await file.read(buffer, position))
    })
  }

  #counted(buffer: Buffer, count: number): Buffer {
    const { counters } = this.#environment
    counters.reads++
    counters.readBytes += count
    return count === buffer.length ? buffer : buffer.subarray(0, count)
  }

  /**
   * Runs `use` with the file open.
   *
   * @throws {StorageError} when the file cannot be opened, or `use` throws anything but a CorruptRecordError.
   */
  async withFile<T>(path: string, use: (file: OpenFile) => T | Promise<T>): Promise<T> {
    let pin: PinnedFile | undefined
    try {
      pin = this.#environment.handles.pin(path, 'read')
      return await use(pin.file)
    } catch (error) {
      throw error instanceof CorruptRecordError
        ? error
        : new StorageError(path, 'read', error, 'not-written')
    } finally {
      pin?.release()
    }
  }

  /** Path of the segment's log. */
  pathOf(segment: { readonly baseOffset: number }): string {
    return segmentPath(this.dir, segment.baseOffset, 'log')
  }
}
