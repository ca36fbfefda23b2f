/**
 * Room on the disk, as the partitions of one log see it. Appends ask here when there may be none, and
 * work that must go on with a full disk (checkpoints, recovery, ends of partitions) is done through
 * `insist`. Who decides and what can be given up is up to the log, which takes the place of the plain
 * look at the disk that a partition by itself begins with.
 */
import { DiskFullError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { isDiskFull } from './file-io.ts'

/** Free bytes from which a full disk counts as having room again, for a partition without a log. */
const minFreeBytes = 64 << 10

/** Who is about to write. */
export interface RoomRequest {
  readonly dir: string
  /** One of the log's own topics, which may use what is kept back from others. */
  readonly isInternal: boolean
}

/** Who knows the disk. */
export interface DiskKeeper {
  /** Looks at the disk now. Null when there is room, else what an append is refused with. Never rejects. */
  ask(request: RoomRequest): Promise<DiskFullError | null>
  /** Gives up what is kept for times of need; false when there is nothing. Never rejects. */
  release(): Promise<boolean>
  /** So many bytes were written to segments. */
  wrote(sizeBytes: number): void
  /** Something could not be written for want of room, whatever there seems to be. */
  refused(error: unknown): void
}

/** Shared by all partitions of a log. */
export class DiskRoom {
  /** Appends are refused, but for those to internal topics, until `ask` says otherwise. */
  isShut = false
  #keeper: DiskKeeper
  #releases = 0

  constructor(files: Files) {
    this.#keeper = new PlainKeeper(files)
  }

  /** From now on `keeper` decides. */
  keepWith(keeper: DiskKeeper): void {
    this.#keeper = keeper
  }

  ask(request: RoomRequest): Promise<DiskFullError | null> {
    return this.#keeper.ask(request)
  }

  async release(): Promise<boolean> {
    const isReleased = await this.#keeper.release()
    if (isReleased) this.#releases++
    return isReleased
  }

  wrote(sizeBytes: number): void {
    this.#keeper.wrote(sizeBytes)
  }

  /** Something could not be written for want of room. */
  refused(error: unknown): void {
    this.#keeper.refused(error)
  }

  /**
   * Does `work`, which may be done again from its beginning. When it fails for want of room, what is
   * kept for that is given up and the work is done once more.
   */
  async insist<T>(work: () => Promise<T>): Promise<T> {
    const releasesBefore = this.#releases
    try {
      return await work()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.#keeper.refused(error)
      // Others may have made room while this was failing.
      if (!(await this.release()) && this.#releases === releasesBefore) throw error
      return await work()
    }
  }
}

/** Looks at the free space and has nothing to give up. */
class PlainKeeper implements DiskKeeper {
  readonly #files: Files

  constructor(files: Files) {
    this.#files = files
  }

  async ask({ dir }: RoomRequest): Promise<DiskFullError | null> {
    try {
      const { freeBytes } = await this.#files.freeSpace(dir)
      return freeBytes >= minFreeBytes ? null : new DiskFullError(dir)
    } catch (error) {
      return new DiskFullError(dir, error)
    }
  }

  async release(): Promise<boolean> {
    return false
  }

  wrote(): void {}

  refused(): void {}
}
