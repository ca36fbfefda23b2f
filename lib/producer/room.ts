/** Back-pressure of one producer: how much it may hold, and the line in front of it. */
import type { Clock, Timer } from '../clock.ts'
import { QueueFullError } from '../errors.ts'

/** Something that needs room. */
export interface RoomSeeker {
  readonly sizeBytes: number
  /** It has room now, which it gives back with `release`. */
  admit(): void
  /** There was none in time. */
  refuse(error: Error): void
}

interface Waiting {
  readonly seeker: RoomSeeker
  readonly deadlineMs: number
}

/**
 * Bytes held at most, and seekers that wait for them in order, as many bytes again at most. What is
 * larger than all of the room is admitted when nothing is held.
 */
export class Room {
  readonly #clock: Clock
  readonly #maxBytes: number
  readonly #maxWaitMs: number
  #heldBytes = 0
  #waitingBytes = 0
  #waiting: Waiting[] = []
  /** Of the first in the line. */
  #timer: Timer | null = null
  #whenReady: (() => void)[] = []

  /** `maxWaitMs` -1: for ever. */
  constructor(clock: Clock, maxBytes: number, maxWaitMs: number) {
    this.#clock = clock
    this.#maxBytes = maxBytes
    this.#maxWaitMs = maxWaitMs
  }

  /** A seeker would wait. */
  get isFull(): boolean {
    return this.#waiting.length > 0 || this.#heldBytes >= this.#maxBytes
  }

  /** Admits the seeker, now or when there is room. @throws {QueueFullError} when too much waits already */
  enter(seeker: RoomSeeker): void {
    const { sizeBytes } = seeker
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) {
      this.#heldBytes += sizeBytes
      seeker.admit()
      return
    }
    if (this.#waitingBytes > 0 && this.#waitingBytes + sizeBytes > this.#maxBytes) {
      throw this.#full('too many bytes wait for room within maxInFlightBytes already')
    }
    this.#waitingBytes += sizeBytes
    const isEndless = this.#maxWaitMs === -1
    const deadlineMs = isEndless
      ? Number.POSITIVE_INFINITY
      : this.#clock.monotonicMs() + this.#maxWaitMs
    this.#waiting.push({ seeker, deadlineMs })
    this.#arm()
  }

  /** Takes a seeker that waits out of the line; false when it does not wait. */
  withdraw(seeker: RoomSeeker): boolean {
    const index = this.#waiting.findIndex(waiting => waiting.seeker === seeker)
    if (index === -1) return false
    this.#waiting.splice(index, 1)
    this.#waitingBytes -= seeker.sizeBytes
    this.#admitWaiting()
    return true
  }

  /** Gives room back. */
  release(sizeBytes: number): void {
    this.#heldBytes -= sizeBytes
    this.#admitWaiting()
  }

  /** Refuses everything that waits. */
  refuseAll(error: Error): void {
    const refused = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const { seeker } of refused) seeker.refuse(error)
    this.#admitWaiting()
  }

  /** Resolves when there is room. */
  whenReady(): Promise<void> {
    if (!this.isFull) return Promise.resolve()
    return new Promise(resolve => this.#whenReady.push(resolve))
  }

  /** Lets those who wait for room go on, whether there is some or not. */
  wake(): void {
    const woken = this.#whenReady
    this.#whenReady = []
    for (const resolve of woken) resolve()
  }

  #fits(sizeBytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + sizeBytes <= this.#maxBytes
  }

  #admitWaiting(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const { seeker } = head
      if (!this.#fits(seeker.sizeBytes)) break
      this.#waiting.shift()
      this.#waitingBytes -= seeker.sizeBytes
      this.#heldBytes += seeker.sizeBytes
      seeker.admit()
    }
    this.#arm()
    if (!this.isFull && this.#whenReady.length > 0) this.wake()
  }

  #arm(): void {
    const deadlineMs = this.#waiting[0]?.deadlineMs ?? Number.POSITIVE_INFINITY
    if (deadlineMs === Number.POSITIVE_INFINITY) {
      this.#timer?.cancel()
      this.#timer = null
      return
    }
    if (this.#timer !== null) return
    const delayMs = Math.max(0, deadlineMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.setTimer(delayMs, () => this.#refuseOverdue(), { keepAlive: true })
  }

  #refuseOverdue(): void {
    this.#timer = null
    const nowMs = this.#clock.monotonicMs()
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      // Timers may come a fraction of a millisecond early.
      if (head.deadlineMs - nowMs > 0.5) break
      this.#waiting.shift()
      this.#waitingBytes -= head.seeker.sizeBytes
      head.seeker.refuse(this.#full('no room within maxInFlightBytes for as long as maxBlockMs'))
    }
    this.#admitWaiting()
  }

  #full(reason: string): QueueFullError {
    return new QueueFullError(this.#heldBytes + this.#waitingBytes, this.#maxBytes, reason)
  }
}
