/**
 * The watchers of directories that are held in memory. A callback comes in a later turn of the
 * event loop; changes until then share it.
 */
export class Watchers<Key extends object> {
  readonly #callbacks = new Map<Key, Set<() => void>>()
  readonly #changed = new Set<Key>()

  /** Calls back after changes of `key`, until the returned function is called. */
  watch(key: Key, onChange: () => void): () => void {
    // A wrapper of its own, so that the same function may watch twice.
    const callback = (): void => onChange()
    const callbacks = this.#callbacks.get(key) ?? new Set()
    this.#callbacks.set(key, callbacks.add(callback))
    return () => {
      callbacks.delete(callback)
      if (callbacks.size === 0 && this.#callbacks.get(key) === callbacks) {
        this.#callbacks.delete(key)
      }
    }
  }

  /** Says that something in `key` changed. */
  notify(key: Key): void {
    if (!this.#callbacks.has(key)) return
    if (this.#changed.size === 0) setImmediate(() => this.#callBack())
    this.#changed.add(key)
  }

  /** Stops all of them. */
  clear(): void {
    for (const callbacks of this.#callbacks.values()) callbacks.clear()
    this.#callbacks.clear()
  }

  #callBack(): void {
    const changed = [...this.#changed]
    this.#changed.clear()
    for (const key of changed) {
      for (const callback of [...(this.#callbacks.get(key) ?? [])]) callback()
    }
  }
}
