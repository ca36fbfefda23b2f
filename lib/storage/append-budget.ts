/**
 * Back-pressure of one log. Two sums are bounded: bytes accepted and not written (`maxQueuedBytes`)
 * and bytes written and not flushed (`maxUnflushedBytes`). Past either, appends wait in arrival
 * order; past as much again in waiting bytes they are refused.
 */
import { QueueFullError } from '../errors.ts'

/** A partition with appends that wait for room. */
export interface WaitingMember {
  /** Arrival number of its oldest waiting append. */
  readonly headArrival: number
  /** Accepts what now has room. */
  admitWaiting(): void
}

/** The sums and the line in front of them. */
export class AppendBudget {
  readonly maxQueuedBytes: number
  readonly maxUnflushedBytes: number
  queuedBytes = 0
  unflushedBytes = 0
  waitingBytes = 0
  waitingCount = 0
  #arrivals = 0
  #waiting = new Set<WaitingMember>()
  #isAdmitting = false
  #isRelieving = false
  #callPressure: () => void = () => {}

  constructor(maxQueuedBytes: number, maxUnflushedBytes: number) {
    this.maxQueuedBytes = maxQueuedBytes
    this.maxUnflushedBytes = maxUnflushedBytes
  }

  /** True when bytes may be accepted now; a single append larger than the whole queue passes when it is empty. */
  hasRoom(sizeBytes: number): boolean {
    if (this.unflushedBytes >= this.maxUnflushedBytes) return false
    return this.queuedBytes + sizeBytes <= this.maxQueuedBytes || this.queuedBytes === 0
  }

  /** Called when appends wait until something is flushed: a policy that lets records lie would keep them waiting. */
  onPressure(callback: () => void): void {
    this.#callPressure = callback
  }

  get isAnyoneWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Takes a place in the line. @throws {QueueFullError} when as much waits already as may be queued. */
  wait(sizeBytes: number): number {
    // What is queued less than it may be waits for other reasons (compression) and counts as queued.
    const unusedBytes = Math.max(0, this.maxQueuedBytes - this.queuedBytes)
    const isTooMuch = this.waitingBytes + sizeBytes > this.maxQueuedBytes + unusedBytes
    if (isTooMuch && this.waitingBytes > 0) {
      throw new QueueFullError(this.queuedBytes + this.waitingBytes, this.maxQueuedBytes)
    }
    this.waitingBytes += sizeBytes
    this.waitingCount++
    return this.#arrivals++
  }

  /** Leaves the line: accepted, refused or given up. */
  leave(sizeBytes: number): void {
    this.waitingBytes -= sizeBytes
    this.waitingCount--
  }

  /** `member` has waiting appends and is told when there is room. */
  register(member: WaitingMember): void {
    this.#waiting.add(member)
    this.#relieve()
  }

  /** Nothing of `member` waits for room any more. */
  unregister(member: WaitingMember): void {
    if (this.#waiting.delete(member)) this.#admit()
  }

  /** Whether an append that arrived before is told first when there is room. */
  isBehind(arrival: number): boolean {
    for (const member of this.#waiting) if (member.headArrival < arrival) return true
    return false
  }

  /** Bytes were written. */
  wrote(sizeBytes: number): void {
    this.queuedBytes -= sizeBytes
    this.unflushedBytes += sizeBytes
    this.#admit()
  }

  /** Bytes that were accepted were thrown away instead of written. */
  discarded(sizeBytes: number): void {
    this.queuedBytes -= sizeBytes
    this.#admit()
  }

  /** Bytes were flushed, or given up with their partition. */
  flushed(sizeBytes: number): void {
    this.unflushedBytes -= sizeBytes
    this.#admit()
  }

  #admit(): void {
    // Admitting may write at once and come back here: one loop serves all.
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    try {
      while (this.#waiting.size > 0 && this.hasRoom(0)) {
        const member = this.#oldest()
        const before = member.headArrival
        member.admitWaiting()
        if (this.#waiting.has(member) && member.headArrival === before) return
      }
    } finally {
      this.#isAdmitting = false
      this.#relieve()
    }
  }

  #relieve(): void {
    if (this.#isRelieving || this.#isAdmitting || this.#waiting.size === 0) return
    if (this.unflushedBytes < this.maxUnflushedBytes) return
    // A flush that starts here may write first, and come back.
    this.#isRelieving = true
    try {
      this.#callPressure()
    } finally {
      this.#isRelieving = false
    }
  }

  #oldest(): WaitingMember {
    let oldest: WaitingMember | undefined
    for (const member of this.#waiting) {
      if (oldest === undefined || member.headArrival < oldest.headArrival) oldest = member
    }
    return oldest as WaitingMember
  }
}
