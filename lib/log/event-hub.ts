/** Hands events to whoever listens. */
import type { LogEvent } from '../events.ts'

type Listener = (event: LogEvent) => void

/**
 * The listeners of one log. They are called synchronously, in the order in which they were added; one
 * that throws is reported through `process.emitWarning` and disturbs neither the others nor the log.
 */
export class EventHub {
  readonly #onEvent: Listener | null
  readonly #listeners = new Map<LogEvent['type'], Set<Listener>>()

  /** `onEvent` hears everything, from the first moment. */
  constructor(onEvent: Listener | null) {
    this.#onEvent = onEvent
  }

  /** Hears one type of event; returns the function that ends it. The same function may be added twice. */
  on<T extends LogEvent['type']>(
    type: T,
    listener: (event: Extract<LogEvent, { type: T }>) => void,
  ): () => void {
    if (typeof listener !== 'function')
      throw new TypeError('expected the listener to be a function')
    const own: Listener = event => listener(event as Extract<LogEvent, { type: T }>)
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners)
    listeners.add(own)
    return () => {
      listeners.delete(own)
    }
  }

  /** Tells everyone. Never throws. */
  emit(event: LogEvent): void {
    if (this.#onEvent !== null) call(this.#onEvent, event)
    const listeners = this.#listeners.get(event.type)
    if (listeners === undefined) return
    // A listener that adds or removes others does so for the next event.
    for (const listener of [...listeners]) call(listener, event)
  }
}

function call(listener: Listener, event: LogEvent): void {
  try {
    listener(event)
  } catch (error) {
    const warning = new Error(`a listener of ${event.type} events threw`, { cause: error })
    warning.name = 'ListenerWarning'
    process.emitWarning(warning)
  }
}
