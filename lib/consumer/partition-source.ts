/** The partitions of one consumer, in the order in which it is their turn. */

import type { Clock, Timer } from '../clock.ts'
import type { TopicPartition } from '../consuming.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { keyOf } from './group-coordinator.ts'

/** The longest time that a timer takes. */
const longestMs = 2 ** 31 - 1

/** The log tells when there is something in a partition, unless it is left before. */
interface Watch {
  leave: () => void
}

/**
 * A queue of partitions that may have something. Whoever takes one out puts it back when done with it; one
 * that turned out to have nothing is looked at again when the log tells that it has. So a partition
 * costs nothing as long as nothing happens in it, however many there are.
 */
export class PartitionSource {
  readonly #clock: Clock
  readonly #partitions = new Map<string, AssignedPartition>()
  /** The same: asked for every record, and without a key to be made. */
  readonly #held = new Set<AssignedPartition>()
  #queue: AssignedPartition[] = []
  readonly #queued = new Set<AssignedPartition>()
  /** Those that have nothing; `wait` makes the log tell when they have. */
  readonly #idle = new Set<AssignedPartition>()
  readonly #watched = new Map<AssignedPartition, Watch>()
  #wake: (() => void) | null = null
  /** Keeps the process alive from the first wait without a limit until `rest`: a timer for each would cost more than the wait. */
  #alive: Timer | null = null
  /** Something has happened that nobody has waited for yet. */
  #hasNews = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** All of them, in the order in which they came. */
  get partitions(): readonly AssignedPartition[] {
    return [...this.#partitions.values()]
  }

  /** The partition, if it is one of these. */
  find(of: TopicPartition): AssignedPartition | undefined {
    return this.#partitions.get(keyOf(of))
  }

  /** Whether it is one of these. */
  has(partition: AssignedPartition): boolean {
    return this.#held.has(partition)
  }

  /** Takes a partition in; it gets its turn when it is put into the queue. */
  add(partition: AssignedPartition): void {
    const { key } = partition
    const before = this.#partitions.get(key)
    if (before !== undefined) this.#held.delete(before)
    this.#partitions.set(key, partition)
    this.#held.add(partition)
  }

  /** Forgets a partition. */
  remove(partition: AssignedPartition): void {
    if (this.#held.delete(partition)) this.#partitions.delete(partition.key)
    this.#idle.delete(partition)
    this.#watched.get(partition)?.leave()
    this.#watched.delete(partition)
  }

  /** Gives a partition its turn behind all others; `isNext` before all others. Wakes who waits. */
  enqueue(partition: AssignedPartition, isNext: boolean = false): void {
    if (!this.#held.has(partition)) return
    if (!this.#queued.has(partition)) {
      this.#queued.add(partition)
      this.#idle.delete(partition)
      if (isNext) this.#queue.unshift(partition)
      else this.#queue.push(partition)
    }
    this.wake()
  }

  /** Takes the next one out of the queue that has something, or can be read; null when there is none. */
  next(): AssignedPartition | null {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#queued.delete(next)
      if (!this.#held.has(next)) continue
      if (next.isReady) return next
      this.#idle.add(next)
    }
    return null
  }

  /** Ends a `wait`, or the next one if there is none now. */
  wake(): void {
    this.#hasNews = true
    this.#wake?.()
  }

  /**
   * Waits for a partition to have something, for `wake`, or for `timeoutMs` (-1: no limit), and keeps the
   * process alive meanwhile. Returns at once when any of that has happened since the last wait.
   */
  async wait(timeoutMs: number = -1): Promise<void> {
    for (const partition of this.#idle) if (partition.isWaiting) this.#watch(partition)
    if (!this.#hasNews) {
      if (timeoutMs === -1) this.#keepAlive()
      await new Promise<void>(resolve => {
        if (timeoutMs === -1) {
          this.#wake = resolve
          return
        }
        const timer = this.#clock.setTimer(timeoutMs, resolve, { keepAlive: true })
        this.#wake = () => {
          timer.cancel()
          resolve()
        }
      })
      this.#wake = null
    }
    this.#hasNews = false
  }

  /** Nobody is going to wait for a while: nothing of this keeps the process alive any more. */
  rest(): void {
    this.#alive?.cancel()
    this.#alive = null
    const watched = [...this.#watched]
    this.#watched.clear()
    for (const [partition, watch] of watched) {
      watch.leave()
      this.enqueue(partition)
    }
  }

  #keepAlive(): void {
    const end = (): void => {
      this.#alive = null
      this.wake()
    }
    this.#alive ??= this.#clock.setTimer(longestMs, end, { keepAlive: true })
  }

  #watch(partition: AssignedPartition): void {
    this.#idle.delete(partition)
    if (this.#watched.has(partition)) return
    // It may be heard of before `onceReady` has returned.
    const watch: Watch = { leave: () => {} }
    this.#watched.set(partition, watch)
    watch.leave = partition.onceReady(() => void this.#heard(partition, watch))
  }

  async #heard(partition: AssignedPartition, watch: Watch): Promise<void> {
    // A partition that is being recovered, or closed, ends every wait at once: look again in another turn.
    if (!partition.isReady) await new Promise(resolve => setImmediate(resolve))
    if (this.#watched.get(partition) === watch) this.#watched.delete(partition)
    this.enqueue(partition)
  }
}
