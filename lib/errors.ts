/**
 * Every operational error of the package. The contract: a `code` never changes within a major
 * version, a message may; wrong arguments are `TypeError` or `RangeError` without a code; a broken
 * invariant is an `AssertionError` and means a bug. Constructors take facts and build the message;
 * every fact is a readonly field, and the errno error that caused it is in `cause`.
 */

import type { LogRecord } from './types.ts'

/** The stable codes of all errors, one per class. */
export type LogErrorCode =
  | 'LOG_CLOSED'
  | 'LOG_LOCKED'
  | 'NOT_A_LOG'
  | 'READ_ONLY'
  | 'OFFSET_OUT_OF_RANGE'
  | 'OFFSET_MISMATCH'
  | 'UNKNOWN_TOPIC_OR_PARTITION'
  | 'TOPIC_EXISTS'
  | 'TOPIC_MISMATCH'
  | 'INVALID_TOPIC'
  | 'RECORD_BATCH_TOO_LARGE'
  | 'RECORD_TOO_LARGE'
  | 'INVALID_RECORD'
  | 'INVALID_TIMESTAMP'
  | 'CORRUPT_RECORD'
  | 'STORAGE_FAILED'
  | 'DISK_FULL'
  | 'QUEUE_FULL'
  | 'UNSUPPORTED_FORMAT'
  | 'CODEC_MISSING'
  | 'OUT_OF_ORDER_SEQUENCE'
  | 'INVALID_PRODUCER_EPOCH'
  | 'DESERIALIZATION_FAILED'
  | 'POLICY_VIOLATION'
  | 'HANDLER_FAILED'
  | 'NOT_ASSIGNED'
  | 'UNKNOWN_GROUP'
  | 'GROUP_NOT_EMPTY'

/** Whether a rejected append may nevertheless be found in the log later. */
export type AppendOutcome = 'not-written' | 'unknown'

/** The base of every operational error; test `error.code`. */
export abstract class LogError extends Error {
  readonly code: LogErrorCode

  constructor(code: LogErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
  }
}

/** The log, or the reader, has been closed. */
export class ClosedError extends LogError {
  /** What an append that was waiting must assume. */
  readonly outcome: AppendOutcome

  constructor(what = 'the log', outcome: AppendOutcome = 'not-written') {
    super('LOG_CLOSED', `${what} is closed`)
    this.outcome = outcome
  }
}

/** What is known of the process that holds a directory. */
export interface LockHolder {
  readonly pid?: number | undefined
  readonly host?: string | undefined
  readonly since?: Date | undefined
  readonly sameProcess?: boolean | undefined
}

/** Another writer holds the directory. */
export class LockedError extends LogError {
  readonly dir: string
  readonly pid: number | undefined
  readonly host: string | undefined
  readonly since: Date | undefined
  readonly sameProcess: boolean

  constructor(dir: string, holder: LockHolder = {}, cause?: unknown) {
    const who = holder.sameProcess
      ? 'this very process'
      : holder.pid === undefined
        ? 'another process'
        : `process ${holder.pid}${holder.host === undefined ? '' : ` on ${holder.host}`}`
    const when = holder.since === undefined ? '' : ` since ${holder.since.toISOString()}`
    super('LOG_LOCKED', `${dir} is locked by ${who}${when}`, { cause })
    this.dir = dir
    this.pid = holder.pid
    this.host = holder.host
    this.since = holder.since
    this.sameProcess = holder.sameProcess ?? false
  }
}

/** The directory holds something, and it is not a log. */
export class NotALogError extends LogError {
  readonly dir: string

  constructor(dir: string, found: string) {
    super('NOT_A_LOG', `${dir} is neither empty nor a log: it holds ${found}`)
    this.dir = dir
  }
}

/** The log was opened with `readOnly`. */
export class ReadOnlyError extends LogError {
  readonly outcome: AppendOutcome = 'not-written'

  constructor(operation: string) {
    super('READ_ONLY', `cannot ${operation}: the log is open for reading only`)
  }
}

/** A read asked for an offset that is not in the log. */
export class OffsetOutOfRangeError extends LogError {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** How many records lie between the offset asked for and the nearest one that exists. */
  readonly missedRecords: number

  constructor(
    at: { topic: string; partition: number; offset: number },
    logStartOffset: number,
    logEndOffset: number,
  ) {
    const missedRecords = Math.max(logStartOffset - at.offset, at.offset - logEndOffset, 0)
    super(
      'OFFSET_OUT_OF_RANGE',
      `offset ${at.offset} of ${at.topic}-${at.partition} is outside [${logStartOffset}, ${logEndOffset}]: ${missedRecords} ${
        at.offset < logStartOffset ? 'records before the log start are gone' : 'past the end'
      }`,
    )
    this.topic = at.topic
    this.partition = at.partition
    this.offset = at.offset
    this.logStartOffset = logStartOffset
    this.logEndOffset = logEndOffset
    this.missedRecords = missedRecords
  }
}

/** A conditional append found another log end offset than it expected; nothing was written. */
export class OffsetMismatchError extends LogError {
  readonly expectedOffset: number
  readonly logEndOffset: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(expectedOffset: number, logEndOffset: number) {
    super(
      'OFFSET_MISMATCH',
      `expected the log to end at ${expectedOffset}, it ends at ${logEndOffset}`,
    )
    this.expectedOffset = expectedOffset
    this.logEndOffset = logEndOffset
  }
}

/** No such topic, or no such partition in it. */
export class UnknownTopicOrPartitionError extends LogError {
  readonly topic: string
  readonly partition: number | undefined
  /** What was appended before the topic was deleted is gone with it. */
  readonly outcome: AppendOutcome = 'not-written'

  constructor(topic: string, partition?: number) {
    super(
      'UNKNOWN_TOPIC_OR_PARTITION',
      partition === undefined
        ? `there is no topic ${topic}`
        : `topic ${topic} has no partition ${partition}`,
    )
    this.topic = topic
    this.partition = partition
  }
}

/** `createTopic` found a topic of that name, or of one that differs only in case or in `.` and `_`. */
export class TopicExistsError extends LogError {
  readonly topic: string

  constructor(topic: string, existing: string = topic) {
    super(
      'TOPIC_EXISTS',
      existing === topic ? `topic ${topic} exists` : `topic ${topic} collides with ${existing}`,
    )
    this.topic = topic
  }
}

/** A topic was opened with a partition count that it does not have. */
export class TopicMismatchError extends LogError {
  readonly topic: string
  readonly partitions: number
  readonly requested: number

  constructor(topic: string, partitions: number, requested: number) {
    super(
      'TOPIC_MISMATCH',
      `topic ${topic} has ${partitions} partitions, not ${requested}; addPartitions() changes that`,
    )
    this.topic = topic
    this.partitions = partitions
    this.requested = requested
  }
}

/** The name cannot be a topic's. */
export class InvalidTopicError extends LogError {
  readonly topic: string
  readonly outcome: AppendOutcome = 'not-written'

  constructor(topic: string, reason: string) {
    super('INVALID_TOPIC', `${JSON.stringify(topic)} is not a topic name: ${reason}`)
    this.topic = topic
  }
}

/** The encoded batch exceeds `maxBatchBytes`; nothing was written. */
export class RecordBatchTooLargeError extends LogError {
  readonly sizeBytes: number
  readonly maxBatchBytes: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(sizeBytes: number, maxBatchBytes: number) {
    super(
      'RECORD_BATCH_TOO_LARGE',
      `the record batch has ${sizeBytes} bytes, maxBatchBytes is ${maxBatchBytes}`,
    )
    this.sizeBytes = sizeBytes
    this.maxBatchBytes = maxBatchBytes
  }
}

/** A single record exceeds `maxBatchBytes` by itself; nothing was written. */
export class RecordTooLargeError extends LogError {
  readonly sizeBytes: number
  readonly maxBatchBytes: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(sizeBytes: number, maxBatchBytes: number) {
    super(
      'RECORD_TOO_LARGE',
      `the record takes ${sizeBytes} bytes, maxBatchBytes is ${maxBatchBytes}`,
    )
    this.sizeBytes = sizeBytes
    this.maxBatchBytes = maxBatchBytes
  }
}

/** One thing that a schema found wrong with a value, as Standard Schema has it. */
export interface RecordIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The topic's rules refuse the record (a compacted topic needs a key, say), or its schema; nothing was written. */
export class InvalidRecordError extends LogError {
  /** What the schema found wrong; empty where there is none. */
  readonly issues: readonly RecordIssue[]
  readonly outcome: AppendOutcome = 'not-written'

  constructor(reason: string, issues: readonly RecordIssue[] = []) {
    super('INVALID_RECORD', reason)
    this.issues = issues
  }
}

/** The record's timestamp lies further ahead than `timestampAfterMaxMs` allows; nothing was written. */
export class InvalidTimestampError extends LogError {
  readonly timestamp: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(timestamp: number, now: number, timestampAfterMaxMs: number) {
    super(
      'INVALID_TIMESTAMP',
      `timestamp ${timestamp} is ${timestamp - now} ms ahead, timestampAfterMaxMs is ${timestampAfterMaxMs}`,
    )
    this.timestamp = timestamp
  }
}

/** Why bytes are not the batch that should be there. */
export type CorruptReason = 'crc' | 'length' | 'magic' | 'offset-order' | 'record' | 'missing'

/** Bytes of the log are damaged, or gone. What lies before and behind stays readable. */
export class CorruptRecordError extends LogError {
  readonly path: string
  readonly position: number
  readonly reason: CorruptReason
  /** The offsets that cannot be read: `[from, to)`; `to` is where reading can go on. */
  readonly from: number
  readonly to: number

  constructor(
    at: { path: string; position: number; from: number; to: number },
    reason: CorruptReason,
    cause?: unknown,
  ) {
    super(
      'CORRUPT_RECORD',
      `${at.path} is damaged at position ${at.position} (${reason}): offsets [${at.from}, ${at.to}) cannot be read`,
      { cause },
    )
    this.path = at.path
    this.position = at.position
    this.reason = reason
    this.from = at.from
    this.to = at.to
  }
}

/** A write, sync or other file operation failed. */
export class StorageError extends LogError {
  readonly path: string
  readonly operation: string
  readonly outcome: AppendOutcome

  constructor(path: string, operation: string, cause: unknown, outcome: AppendOutcome = 'unknown') {
    const detail = cause instanceof Error ? `: ${cause.message}` : ''
    super('STORAGE_FAILED', `${operation} failed on ${path}${detail}`, { cause })
    this.path = path
    this.operation = operation
    this.outcome = outcome
  }
}

/**
 * Why nothing is appended for want of room: the file system had none (`no-space`), fewer than
 * `diskReserveBytes` are free (`reserve`), or the log has `maxTotalBytes` and nothing of it may be
 * deleted (`max-total-bytes`).
 */
export type DiskFullReason = 'no-space' | 'reserve' | 'max-total-bytes'

const diskFullMessages: Readonly<Record<DiskFullReason, string>> = {
  'no-space': 'no space left for',
  reserve: 'too little space is left on the disk of',
  'max-total-bytes': 'maxTotalBytes is reached, and nothing may be deleted, in',
}

/** There was no room on the disk; what was refused is not in the log. */
export class DiskFullError extends LogError {
  readonly path: string
  readonly reason: DiskFullReason
  readonly outcome: AppendOutcome = 'not-written'

  constructor(path: string, cause?: unknown, reason: DiskFullReason = 'no-space') {
    super('DISK_FULL', `${diskFullMessages[reason]} ${path}`, { cause })
    this.path = path
    this.reason = reason
  }
}

/** Too much is waiting to be written already; nothing was accepted. */
export class QueueFullError extends LogError {
  readonly queuedBytes: number
  readonly maxQueuedBytes: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(queuedBytes: number, maxQueuedBytes: number, reason = 'too many bytes wait already') {
    super(
      'QUEUE_FULL',
      `${reason}: ${queuedBytes} bytes queued, maxQueuedBytes is ${maxQueuedBytes}`,
    )
    this.queuedBytes = queuedBytes
    this.maxQueuedBytes = maxQueuedBytes
  }
}

/** A file was written by a newer format than this package reads. */
export class UnsupportedFormatError extends LogError {
  readonly path: string
  readonly found: string
  readonly supported: string

  constructor(path: string, found: string, supported: string) {
    super('UNSUPPORTED_FORMAT', `${path} has format ${found}; this version reads ${supported}`)
    this.path = path
    this.found = found
    this.supported = supported
  }
}

/** The batch is compressed in a codec whose optional package is not installed. */
export class CodecMissingError extends LogError {
  readonly codec: string
  readonly package: string
  readonly outcome: AppendOutcome = 'not-written'

  constructor(codec: string, packageName: string, cause?: unknown) {
    super('CODEC_MISSING', `the codec ${codec} needs a package: npm install ${packageName}`, {
      cause,
    })
    this.codec = codec
    this.package = packageName
  }
}

/** The topic's `cleanupPolicy` rules out what was asked for; Kafka's POLICY_VIOLATION. Nothing was changed. */
export class PolicyViolationError extends LogError {
  readonly topic: string
  readonly cleanupPolicy: string

  constructor(topic: string, cleanupPolicy: string, refused: string) {
    super('POLICY_VIOLATION', `topic ${topic} has the cleanupPolicy '${cleanupPolicy}': ${refused}`)
    this.topic = topic
    this.cleanupPolicy = cleanupPolicy
  }
}

/** A producer's sequence number left a gap; nothing was written. */
export class OutOfOrderSequenceError extends LogError {
  readonly producerId: number
  readonly expectedSequence: number
  readonly sequence: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(producerId: number, expectedSequence: number, sequence: number) {
    super(
      'OUT_OF_ORDER_SEQUENCE',
      `producer ${producerId} sent sequence ${sequence}, expected ${expectedSequence}`,
    )
    this.producerId = producerId
    this.expectedSequence = expectedSequence
    this.sequence = sequence
  }
}

/** A producer uses an epoch older than one already seen; nothing was written. */
export class InvalidProducerEpochError extends LogError {
  readonly producerId: number
  readonly currentEpoch: number
  readonly epoch: number
  readonly outcome: AppendOutcome = 'not-written'

  constructor(producerId: number, currentEpoch: number, epoch: number) {
    super(
      'INVALID_PRODUCER_EPOCH',
      `producer ${producerId} uses epoch ${epoch}, ${currentEpoch} has been seen`,
    )
    this.producerId = producerId
    this.currentEpoch = currentEpoch
    this.epoch = epoch
  }
}

/** A serde could not read the bytes of a key or a value. */
export class DeserializationError extends LogError {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly bytes: Buffer

  constructor(
    at: { topic: string; partition: number; offset: number },
    bytes: Buffer,
    cause: unknown,
  ) {
    super(
      'DESERIALIZATION_FAILED',
      `cannot deserialize the record at ${at.topic}-${at.partition}@${at.offset}`,
      {
        cause,
      },
    )
    this.topic = at.topic
    this.partition = at.partition
    this.offset = at.offset
    this.bytes = bytes
  }
}

/** A handler threw at the last attempt that a record gets, and nothing else takes the record. */
export class HandlerError extends LogError {
  /** Detached: it keeps nothing else in memory. */
  readonly record: LogRecord<unknown, unknown>
  /** How often the record was tried. */
  readonly attempts: number

  /** `cause` is what the handler threw; an AggregateError when the dead-letter topic refused the record as well. */
  constructor(record: LogRecord<unknown, unknown>, attempts: number, cause: unknown) {
    const { topic, partition, offset } = record
    const detail = cause instanceof Error ? `: ${cause.message}` : ''
    super(
      'HANDLER_FAILED',
      `the handler failed on ${topic}-${partition}@${offset}, attempt ${attempts}${detail}`,
      { cause },
    )
    this.record = record
    this.attempts = attempts
  }
}

/** A partition is not, or no longer, this consumer's; nothing was committed. */
export class NotAssignedError extends LogError {
  readonly topic: string
  readonly partition: number
  readonly group: string

  constructor(at: { topic: string; partition: number }, group: string) {
    super('NOT_ASSIGNED', `${at.topic}-${at.partition} is not this member's of group ${group}`)
    this.topic = at.topic
    this.partition = at.partition
    this.group = group
  }
}

/** No such group: nobody of that name is a member, or has committed anything. */
export class UnknownGroupError extends LogError {
  readonly group: string

  constructor(group: string) {
    super('UNKNOWN_GROUP', `there is no group ${group}`)
    this.group = group
  }
}

/** What was asked for needs a group without members. */
export class GroupNotEmptyError extends LogError {
  readonly group: string
  readonly members: number

  constructor(group: string, members: number) {
    super('GROUP_NOT_EMPTY', `group ${group} has members: ${members}`)
    this.group = group
    this.members = members
  }
}
