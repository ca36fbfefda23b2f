/**
 * Records that no attempt could deal with, put into a topic of their own: key, value, timestamp and
 * headers as they were, and behind those what happened, as text.
 *
 * ```
 * dead-letter.topic, .partition, .offset, .timestamp   where it lay, and its timestamp
 * dead-letter.group                                    who gave up; absent without a group
 * dead-letter.attempts                                 how often it was tried
 * dead-letter.error, .message                          name and message of the last error
 * ```
 */
import type { TopicHandle } from '../log/topic.ts'
import type { LogRecord, RecordInput } from '../types.ts'

/** Of an error's message this much is kept: it is for people, and a record has to fit into a batch. */
const maxMessageLength = 1024

/** Why a record is given up. */
export interface GivenUp {
  readonly group: string | null
  readonly attempts: number
  readonly error: unknown
}

/** The record as it is put into the dead-letter topic. */
export function deadLetterOf(
  record: LogRecord<unknown, unknown>,
  { group, attempts, error }: GivenUp,
): RecordInput {
  const name = error instanceof Error ? error.name : typeof error
  const message = error instanceof Error ? error.message : String(error)
  return {
    key: record.keyBytes,
    value: record.valueBytes,
    timestamp: record.timestamp,
    headers: [
      ...record.headers,
      ['dead-letter.topic', record.topic],
      ['dead-letter.partition', String(record.partition)],
      ['dead-letter.offset', String(record.offset)],
      ['dead-letter.timestamp', String(record.timestamp)],
      ...(group === null ? [] : ([['dead-letter.group', group]] as const)),
      ['dead-letter.attempts', String(attempts)],
      ['dead-letter.error', name],
      ['dead-letter.message', message.slice(0, maxMessageLength)],
    ],
  }
}

/** Appends dead letters. Calls may overlap. */
export class DeadLetters {
  readonly #topic: TopicHandle

  /** A handle without serdes: what is appended are bytes. */
  constructor(topic: TopicHandle) {
    this.#topic = topic
  }

  /** Resolves when the dead letter survives power loss, whatever the topic's `acks`: only then the record counts as finished. */
  async send(record: LogRecord<unknown, unknown>, why: GivenUp): Promise<void> {
    await this.#topic.append(deadLetterOf(record, why), { acks: 'durable' })
  }
}
