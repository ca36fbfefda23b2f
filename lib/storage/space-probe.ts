/** After a full disk: whether there is room again. */
import type { Files } from '../files/files.ts'

/** Free bytes from which a full disk counts as having room again. */
const minFreeBytes = 64 << 10

/** What a probe tells its answer to. */
export interface SpaceProbeHost {
  /** Resolves when what the failed write left is cut: nothing goes behind it. */
  whenQuiet(): Promise<void>
  /** `cause`: why the file system could not say. */
  spaceProbed(hasSpace: boolean, cause?: Error): void
}

/** Asks for one partition, one question at a time. */
export class SpaceProbe {
  readonly #files: Files
  readonly #dir: string
  readonly #host: SpaceProbeHost
  #isAsking = false

  constructor(files: Files, dir: string, host: SpaceProbeHost) {
    this.#files = files
    this.#dir = dir
    this.#host = host
  }

  /** Does nothing while an answer is outstanding. */
  ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#files.freeSpace(this.#dir).then(
      space => this.#host.whenQuiet().then(() => this.#answer(space.freeBytes >= minFreeBytes)),
      (error: Error) => this.#answer(false, error),
    )
  }

  #answer(hasSpace: boolean, cause?: Error): void {
    this.#isAsking = false
    this.#host.spaceProbed(hasSpace, cause)
  }
}
