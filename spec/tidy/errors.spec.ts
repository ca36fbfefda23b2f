/**
 * The error contract, over every error that the package exports: the name is the class's, the code
 * is its own, and the README lists both. A new error class does not compile, or fails here, until it
 * has a row in the table below.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import type { LogErrorCode } from '../../lib/errors.ts'
import * as varve from '../../lib/index.ts'

import { root } from './source.ts'

const at = { topic: 'orders', partition: 0, offset: 7 }
const damage = { path: 'orders-0/00000000000000000000.log', position: 61, from: 7, to: 9 }
const errno = new Error('EIO: i/o error, write')

function recordAt(place: typeof at): varve.LogRecord<unknown, unknown> {
  // An error asks no more of a record than where it lies.
  return place as unknown as varve.LogRecord<unknown, unknown>
}

const samples = {
  LOG_CLOSED: new varve.ClosedError(),
  LOG_LOCKED: new varve.LockedError('data', { pid: 42 }, errno),
  NOT_A_LOG: new varve.NotALogError('data', 'notes.txt'),
  READ_ONLY: new varve.ReadOnlyError('append'),
  OFFSET_OUT_OF_RANGE: new varve.OffsetOutOfRangeError(at, 8, 9),
  OFFSET_MISMATCH: new varve.OffsetMismatchError(7, 8),
  UNKNOWN_TOPIC_OR_PARTITION: new varve.UnknownTopicOrPartitionError('orders', 3),
  TOPIC_EXISTS: new varve.TopicExistsError('orders'),
  TOPIC_MISMATCH: new varve.TopicMismatchError('orders', 1, 2),
  INVALID_TOPIC: new varve.InvalidTopicError('a/b', 'it holds a slash'),
  RECORD_BATCH_TOO_LARGE: new varve.RecordBatchTooLargeError(2, 1),
  RECORD_TOO_LARGE: new varve.RecordTooLargeError(2, 1),
  INVALID_RECORD: new varve.InvalidRecordError('the topic is compacted: a record needs a key'),
  INVALID_TIMESTAMP: new varve.InvalidTimestampError(9, 5, 1),
  CORRUPT_RECORD: new varve.CorruptRecordError(damage, 'crc', errno),
  STORAGE_FAILED: new varve.StorageError('data', 'write', errno),
  DISK_FULL: new varve.DiskFullError('data', errno),
  QUEUE_FULL: new varve.QueueFullError(2, 1),
  UNSUPPORTED_FORMAT: new varve.UnsupportedFormatError('data', '2', '1'),
  CODEC_MISSING: new varve.CodecMissingError('lz4', 'lz4-napi', errno),
  OUT_OF_ORDER_SEQUENCE: new varve.OutOfOrderSequenceError(1, 2, 3),
  INVALID_PRODUCER_EPOCH: new varve.InvalidProducerEpochError(1, 2, 1),
  POLICY_VIOLATION: new varve.PolicyViolationError('t', 'delete', 'not that'),
  HANDLER_FAILED: new varve.HandlerError(recordAt(at), 3, errno),
  NOT_ASSIGNED: new varve.NotAssignedError(at, 'billing'),
  UNKNOWN_GROUP: new varve.UnknownGroupError('billing'),
  GROUP_NOT_EMPTY: new varve.GroupNotEmptyError('billing', 2),
  DESERIALIZATION_FAILED: new varve.DeserializationError(at, Buffer.from('{'), errno),
} satisfies Readonly<Record<LogErrorCode, varve.LogError>>

const exported = Object.entries(varve).filter(
  ([, value]) =>
    typeof value === 'function' && Object.prototype.isPrototypeOf.call(varve.LogError, value),
)

describe('every exported error', () => {
  it('has a sample here', () => {
    const classes = Object.values(samples).map(error => error.constructor)
    assert.deepEqual(
      exported.filter(([, value]) => !classes.some(sampled => sampled === value)),
      [],
    )
    assert.equal(exported.length, classes.length)
  })

  it('is named like its class and its export', () => {
    for (const error of Object.values(samples)) {
      assert.equal(error.name, error.constructor.name)
      assert.ok(
        exported.some(([name, value]) => name === error.name && value === error.constructor),
      )
    }
  })

  it('has a code that is its own', () => {
    for (const [code, error] of Object.entries(samples)) assert.equal(error.code, code)
  })

  it('says what happened, and keeps the error that caused it', () => {
    for (const error of Object.values(samples)) {
      assert.notEqual(error.message, '')
      assert.doesNotMatch(error.message, /undefined|NaN|\[object/)
    }
    assert.equal(samples.STORAGE_FAILED.cause, errno)
    assert.equal('cause' in samples.LOG_CLOSED, false)
  })

  it('is in a heading or a table of the README, with its code', () => {
    const path = join(root, 'README.md')
    assert.ok(existsSync(path), 'there is no README.md')
    const rows = readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => /^\s*(?:#|\|)/.test(line))
    const isListed = (word: string): boolean =>
      rows.some(row => new RegExp(`\\b${word}\\b`).test(row))
    const missing = Object.values(samples).flatMap(({ name, code }) =>
      [name, code].filter(word => !isListed(word)),
    )
    assert.deepEqual(missing, [])
  })
})
