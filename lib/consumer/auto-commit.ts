/** Commits the finished prefix of partitions, now and then, and at once when somebody needs it to be. */
import type { Clock, Timer } from '../clock.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import type { FinishedPrefix } from './finished-prefix.ts'

/** What it commits with. */
export interface AutoCommitOptions {
  readonly clock: Clock
  readonly intervalMs: number
  /** Commits the offset of each partition. */
  readonly commit: (offsets: ReadonlyMap<AssignedPartition, number>) => Promise<void>
  /** A commit that nobody waits for failed; it is made again after the interval. */
  readonly onFailure: (error: Error) => void
}

/** Calls may overlap. The first commit goes at once, the next one `intervalMs` after it at the earliest. */
export class AutoCommit {
  readonly #options: AutoCommitOptions
  /** Those whose prefix has moved since it was committed. */
  #moved = new Set<AssignedPartition>()
  /** What was committed last of each prefix. */
  readonly #committed = new WeakMap<FinishedPrefix, number>()
  #timer: Timer | null = null
  #lastMs = Number.NEGATIVE_INFINITY
  #isWriting = false
  /** The last commit failed and was told. */
  #isFailing = false
  #isOver = false

  constructor(options: AutoCommitOptions) {
    this.#options = options
  }

  /** The prefix of the partition has moved. */
  moved(partition: AssignedPartition): void {
    this.#moved.add(partition)
    if (this.#timer === null && !this.#isWriting && !this.#isOver) this.#schedule()
  }

  /** Resolves when the finished prefix of the partition is committed. */
  async flush(partition: AssignedPartition): Promise<void> {
    this.#moved.delete(partition)
    await this.#commit([partition])
  }

  /** Nothing is committed by itself any more. */
  stop(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #schedule(): void {
    const { clock, intervalMs } = this.#options
    const leftMs = this.#lastMs + intervalMs - clock.monotonicMs()
    if (leftMs <= 0) {
      void this.#write()
      return
    }
    this.#timer = clock.setTimer(leftMs, () => {
      this.#timer = null
      void this.#write()
    })
  }

  async #write(): Promise<void> {
    this.#isWriting = true
    // What else finishes in this turn goes along.
    await Promise.resolve()
    const moved = this.#moved
    this.#moved = new Set()
    this.#lastMs = this.#options.clock.monotonicMs()
    try {
      await this.#commit(moved)
      this.#isFailing = false
    } catch (error) {
      for (const partition of moved) this.#moved.add(partition)
      if (!this.#isFailing) this.#options.onFailure(error as Error)
      this.#isFailing = true
    }
    this.#isWriting = false
    if (this.#moved.size > 0 && !this.#isOver) this.#schedule()
  }

  async #commit(partitions: Iterable<AssignedPartition>): Promise<void> {
    const offsets = new Map<AssignedPartition, number>()
    const prefixes: [FinishedPrefix, number][] = []
    for (const partition of partitions) {
      const { prefix } = partition
      const { offset, start } = prefix
      if (offset === (this.#committed.get(prefix) ?? start)) continue
      offsets.set(partition, offset)
      prefixes.push([prefix, offset])
    }
    if (offsets.size === 0) return
    await this.#options.commit(offsets)
    for (const [prefix, offset] of prefixes) this.#committed.set(prefix, offset)
  }
}
