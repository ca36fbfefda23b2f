import type { SeededRandom } from './seeded-random.ts'

interface PendingCall {
  complete(): void
  interrupt(error: Error): void
}

/** What an asynchronous call does. */
export interface CallSteps<T> {
  /** Takes effect and gives the result, or throws. */
  readonly complete: () => T
  /** What the call has done by the time its process is killed: nothing, a part or all. */
  readonly interrupt?: () => void
}

/**
 * The asynchronous calls under way. They end one at a time, each in a later turn of the event loop
 * than it began, in an order drawn by the seed.
 */
export class PendingCalls {
  readonly #random: SeededRandom
  #calls: PendingCall[] = []

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** Begins a call. */
  start<T>(steps: CallSteps<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#calls.push({
        complete: () => {
          try {
            resolve(steps.complete())
          } catch (error) {
            reject(error)
          }
        },
        interrupt: error => {
          steps.interrupt?.()
          reject(error)
        },
      })
      // One turn for each call, so that what waits for one goes on before the next one ends.
      setImmediate(() => this.#completeOne())
    })
  }

  /** Ends all of them where they are; they reject with `error`. */
  interruptAll(error: Error): void {
    const calls = this.#calls
    this.#calls = []
    for (const call of calls) call.interrupt(error)
  }

  #completeOne(): void {
    const index = this.#random.below(this.#calls.length)
    const call = this.#calls[index]
    const last = this.#calls.pop()
    if (call === undefined || last === undefined) return
    if (call !== last) this.#calls[index] = last
    call.complete()
  }
}
