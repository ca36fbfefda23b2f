/** The topics of a log as all its consumers see them at the same moment. */
import type { ExtensibleLog } from '../log/extension.ts'
import type { TopicState } from '../log/topic-state.ts'

/** A copy that changes when it is told to, so that looking at it costs nothing. */
export class TopicIndex {
  readonly #log: ExtensibleLog
  #topics: ReadonlyMap<string, TopicState> = new Map()

  constructor(log: ExtensibleLog) {
    this.#log = log
  }

  /** The topic that has the name. */
  topic(name: string): TopicState | undefined {
    return this.#topics.get(name)
  }

  /** All of them. */
  topics(): readonly TopicState[] {
    return [...this.#topics.values()]
  }

  /**
   * Takes in what there is by now, and calls back when that is done; before that once without those
   * topics whose name belongs to another one by now, so that nobody takes the one for the other.
   */
  refresh(changed: () => void): void {
    const found = new Map<string, TopicState>()
    for (const state of this.#log.topics()) if (state.isUsable) found.set(state.name, state)
    const kept = new Map([...this.#topics].filter(([name, state]) => found.get(name) === state))
    if (kept.size < this.#topics.size) {
      this.#topics = kept
      changed()
    }
    this.#topics = found
    changed()
  }
}
