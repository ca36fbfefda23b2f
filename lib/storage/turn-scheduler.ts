/**
 * The end of a turn of the event loop, shared by all partitions: one `setImmediate` however many of
 * them have something open. Appends of one turn thereby share a batch, and an idle partition has no
 * timer at all.
 */

/** Something that wants to hear the end of the present turn. */
export interface TurnMember {
  endOfTurn(): void
}

/** Collects members during a turn and calls each once when it ends. */
export class TurnScheduler {
  #members = new Set<TurnMember>()
  #isScheduled = false

  /** `member.endOfTurn()` is called once when this turn ends, however often it is scheduled. */
  schedule(member: TurnMember): void {
    this.#members.add(member)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    const members = this.#members
    this.#members = new Set()
    this.#isScheduled = false
    for (const member of members) member.endOfTurn()
  }
}
