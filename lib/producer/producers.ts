/** The producers of one open log. */
import { ClosedError, ReadOnlyError } from '../errors.ts'
import { firstFailure } from '../log/bounded.ts'
import type { ExtensibleLog } from '../log/extension.ts'
import type { Producer, ProducerOptions } from '../producing.ts'
import { LogProducer } from './producer.ts'
import { ProducerIds } from './producer-ids.ts'
import { resolveProducerOptions } from './producer-options.ts'

/** Makes them, and closes them with the log. */
export class Producers {
  readonly #log: ExtensibleLog
  readonly #ids: ProducerIds
  readonly #open = new Set<LogProducer>()
  #isClosed = false

  constructor(log: ExtensibleLog) {
    this.#log = log
    const { files } = log.environment
    this.#ids = new ProducerIds(files, log.dir, () => log.largestProducerId())
  }

  /** See `Log.producer`. */
  async producer(options?: ProducerOptions): Promise<Producer> {
    const resolved = resolveProducerOptions(options, this.#log.options)
    if (this.#log.isReadOnly) throw new ReadOnlyError('make a producer')
    const producerId = resolved.idempotent ? await this.#ids.take() : null
    // The log may have been closed while the id was made sure.
    if (this.#isClosed) throw new ClosedError()
    const producer: LogProducer = new LogProducer({
      log: this.#log,
      options: resolved,
      producerId,
      onClosed: () => this.#open.delete(producer),
    })
    this.#open.add(producer)
    return producer
  }

  /**
   * Closes every producer. Null when none of them has anything that is not settled. When `giveUp`
   * aborts, what is not settled by then is refused.
   */
  close(giveUp: AbortSignal): Promise<void> | null {
    this.#isClosed = true
    const producers = [...this.#open]
    const busy = producers.filter(producer => !producer.isIdle)
    const closed = busy.map(producer => producer.close())
    for (const producer of producers) {
      // What an idle one failed to do was told to whoever sent the record.
      if (!busy.includes(producer)) producer.close().catch(() => undefined)
    }
    if (busy.length === 0) return null
    const end = (): void => {
      for (const producer of busy) producer.giveUp()
    }
    if (giveUp.aborted) end()
    else giveUp.addEventListener('abort', end, { once: true })
    return firstFailure(closed).then(failure => {
      giveUp.removeEventListener('abort', end)
      if (failure !== null) throw failure
    })
  }
}
