/** Hands events to whoever listens. */
import { nearestOf, shown } from '../checks.ts'
import type { LogEvent } from '../events.ts'

type Listener = (event: LogEvent) => void

/** A listener of a type that does not exist would never be called, and nobody would notice. */
const eventTypes: { readonly [T in LogEvent['type']]: true } = {
  recovered: true,
  topicCreated: true,
  topicDeleted: true,
  partitionsAdded: true,
  configured: true,
  segmentSealed: true,
  segmentDeleted: true,
  implausibleTimestamp: true,
  flushFailed: true,
  diskFull: true,
  partitionStateChanged: true,
  stateChanged: true,
  corruption: true,
  tailCut: true,
  compactionProgress: true,
  compacted: true,
  compactionSkipped: true,
  partitionsAssigned: true,
  partitionsRevoked: true,
  partitionsLost: true,
  backgroundFailed: true,
}

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

  /**
   * Hears one type of event; returns the function that ends it. The same function may be added twice.
   *
   * @throws {TypeError} when there is no event of that type, or no function to call
   */
  on<T extends LogEvent['type']>(
    type: T,
    listener: (event: Extract<LogEvent, { type: T }>) => void,
  ): () => void {
    if (!Object.hasOwn(eventTypes, type)) throw new TypeError(unknownType(type))
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

function unknownType(type: unknown): string {
  const known = Object.keys(eventTypes)
  const isName = typeof type === 'string'
  const hint = (isName ? nearestOf(type, known) : null) ?? `; there are ${known.join(', ')}`
  return `${isName ? `\`${type}\`` : shown(type)} is no type of event${hint}`
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
