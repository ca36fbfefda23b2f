/** Doing something for many, a few at a time. */

/**
 * Calls `task` for each item, at most `maxParallel` at the same time, in order of start. Rejects with
 * the first failure after what was running has settled; nothing more is started then.
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  maxParallel: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const work = async (): Promise<void> => {
    for (;;) {
      const next = iterator.next()
      if (next.done === true || failures.length > 0) return
      try {
        await task(next.value)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: maxParallel }, work))
  if (failures.length > 0) throw failures[0]
}

/** Waits for all; the first failure in the order of the promises, or null when there is none. */
export async function firstFailure(promises: Iterable<Promise<unknown>>): Promise<unknown> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') return outcome.reason
  }
  return null
}
