/**
 * The diagnostics channels of the engine (`node:diagnostics_channel`), for tracing. A publisher tests
 * `hasSubscribers` before it builds a message, so that they cost nothing unheard.
 *
 *     varve:append   { topic, partition, baseOffset, nextOffset, sizeBytes }      written
 *     varve:flush    { topic, partition, recoveryPoint, durationMs }              fsynced
 *     varve:read     { topic, partition, from, nextOffset, sizeBytes }            one chunk; its size in the file
 */
import { type Channel, channel } from 'node:diagnostics_channel'

/** What `varve:append` publishes. */
export interface AppendDiagnostic {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
}

/** What `varve:flush` publishes. */
export interface FlushDiagnostic {
  readonly topic: string
  readonly partition: number
  readonly recoveryPoint: number
  readonly durationMs: number
}

/** What `varve:read` publishes. */
export interface ReadDiagnostic {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly nextOffset: number
  readonly sizeBytes: number
}

/** Publishes an `AppendDiagnostic` for each record batch. */
export const appendChannel: Channel<unknown, unknown> = channel('varve:append')

/** Publishes a `FlushDiagnostic` for each flush that succeeded. */
export const flushChannel: Channel<unknown, unknown> = channel('varve:flush')

/** Publishes a `ReadDiagnostic` for each chunk read. */
export const readChannel: Channel<unknown, unknown> = channel('varve:read')
