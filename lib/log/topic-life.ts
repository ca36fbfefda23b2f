/** Whether a topic can still be used, and who follows it as it grows. */
import { ClosedError, type LogError, UnknownTopicOrPartitionError } from '../errors.ts'

/** The part of a topic's shared object that is the same whoever writes the log. */
export class TopicLife {
  readonly #name: string
  readonly #log: { readonly isOpen: boolean }
  readonly #whenAdded = new Set<() => void>()
  #isGone = false

  constructor(name: string, log: { readonly isOpen: boolean }) {
    this.#name = name
    this.#log = log
  }

  /** See `TopicState.isUsable`. */
  get isUsable(): boolean {
    return this.#log.isOpen && !this.#isGone
  }

  /** See `TopicState.refusal`. */
  refusal(): LogError {
    return this.#isGone ? new UnknownTopicOrPartitionError(this.#name) : new ClosedError()
  }

  /** @throws {LogError} when the log is closed or the topic is gone */
  assertUsable(): void {
    if (!this.isUsable) throw this.refusal()
  }

  /** The topic was deleted, for good: another one with its name has another object. */
  end(): void {
    this.#isGone = true
  }

  /** See `TopicState.onPartitionsAdded`. */
  onPartitionsAdded(callback: () => void): () => void {
    this.#whenAdded.add(callback)
    return () => {
      this.#whenAdded.delete(callback)
    }
  }

  /** Tells those who asked; one that leaves meanwhile is told still. */
  tellPartitionsAdded(): void {
    for (const callback of [...this.#whenAdded]) callback()
  }
}
