/** At most one compaction of a partition at a time, and none that outlives what it works on. */
import { ClosedError } from '../errors.ts'

/** Where the compaction of one partition runs. */
export class CompactionSlot {
  #abort: AbortController | null = null
  #running: Promise<unknown> = Promise.resolve()

  get isRunning(): boolean {
    return this.#abort !== null
  }

  /** Runs `work`, which ends with the signal's reason when the slot or the caller wants that. */
  run<T>(caller: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#abort !== null) return Promise.reject(new Error('a compaction is under way'))
    const abort = new AbortController()
    const pass = (): void => abort.abort(caller.reason)
    if (caller.aborted) pass()
    caller.addEventListener('abort', pass)
    this.#abort = abort
    const running = work(abort.signal).finally(() => {
      caller.removeEventListener('abort', pass)
      this.#abort = null
    })
    this.#running = running.catch(() => {})
    return running
  }

  /** Ends what runs; resolves when it touches nothing any more. */
  async stop(): Promise<void> {
    this.#abort?.abort(new ClosedError())
    await this.#running
  }
}
