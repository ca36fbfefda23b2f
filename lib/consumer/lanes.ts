/**
 * What must stay in order does; everything else goes side by side. A lane is what must: one key of a
 * partition. Only the first of a lane may be at work.
 */

/** Something that is done in its lane. */
export interface LaneJob {
  /** Null: it comes before and after nothing. */
  readonly lane: string | null
}

/** Jobs by lane. Adding and ending take constant time. */
export class Lanes<T extends LaneJob> {
  /**
   * What waits behind the job at work, by lane; a lane without a job is not there. Null as long as nothing
   * has waited, as it is for nearly every record.
   */
  readonly #waiting = new Map<string, T[] | null>()

  /** Jobs that have been added and not ended. */
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Says whether the job may be done at once; if not it waits for those before it. */
  add(job: T): boolean {
    this.#count++
    if (job.lane === null) return true
    const waiting = this.#waiting.get(job.lane)
    if (waiting === undefined) {
      this.#waiting.set(job.lane, null)
      return true
    }
    if (waiting === null) this.#waiting.set(job.lane, [job])
    else waiting.push(job)
    return false
  }

  /** The job is over; gives the next one of its lane, whose turn it is now. */
  end(job: T): T | null {
    this.#count--
    if (job.lane === null) return null
    const next = this.#waiting.get(job.lane)?.shift()
    if (next === undefined) this.#waiting.delete(job.lane)
    return next ?? null
  }
}
