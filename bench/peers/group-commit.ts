/** Group commit for stores that leave it to their users. */

interface Waiting {
  readonly values: readonly Buffer[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Callers of the same turn, and those who come while a commit is under way, share the next commit:
 * what anybody would build around a store whose commits are expensive.
 */
export class GroupCommit {
  readonly #commit: (values: readonly Buffer[]) => Promise<unknown>
  readonly #maxValues: number
  #waiting: Waiting[] = []
  #isCommitting = false

  /** Commits hold at most `maxValues`, but never less than one call. */
  constructor(commit: (values: readonly Buffer[]) => Promise<unknown>, maxValues: number) {
    this.#commit = commit
    this.#maxValues = maxValues
  }

  append(values: readonly Buffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ values, resolve, reject })
      if (this.#isCommitting) return
      this.#isCommitting = true
      // The other callers of this turn come first.
      queueMicrotask(() => this.#commitAll())
    })
  }

  #commitAll(): void {
    const group = this.#takeGroup()
    if (group.length === 0) {
      this.#isCommitting = false
      return
    }
    this.#commit(group.flatMap(({ values }) => values))
      .then(
        () => {
          for (const { resolve } of group) resolve()
        },
        error => {
          for (const { reject } of group) reject(error)
        },
      )
      // In a turn of its own, so that those who were just answered can join.
      .finally(() => setImmediate(() => this.#commitAll()))
  }

  #takeGroup(): Waiting[] {
    let count = 0
    let calls = 0
    for (const { values } of this.#waiting) {
      if (calls > 0 && count + values.length > this.#maxValues) break
      count += values.length
      calls++
    }
    return this.#waiting.splice(0, calls)
  }
}
