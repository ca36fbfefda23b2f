/**
 * The names of topics, of partition directories (`<topic>-<partition>`) and of the files in them
 * (`<base offset, 20 digits>.<suffix>`).
 */
import assert from 'node:assert/strict'

import { InvalidTopicError } from '../errors.ts'

const maxTopicLength = 249
const topicCharacters = /^[a-zA-Z0-9._-]+$/
// Windows takes a file of such a name, whatever follows its first dot, for the device.
const deviceName = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i
const partitionDirForm = /^(.+)-(0|[1-9]\d{0,9})$/
const segmentFileForm = /^\d{20}\.(?:log|index|timeindex|snapshot)$/
const offsetDigits = 20
const largestPartition = 2 ** 31 - 1

/** The files of a segment, and the producer snapshot that is named like one. */
export type SegmentSuffix = 'log' | 'index' | 'timeindex' | 'snapshot'

/**
 * Accepts the names that Kafka accepts (1 to 249 of `a-z A-Z 0-9 . _ -`, neither `.` nor `..`) except
 * those that some file system would not keep apart or not take: Windows device names, also before a
 * dot, and a dot at the end.
 *
 * @throws {InvalidTopicError} for every other name.
 * @throws {TypeError} when `name` is not a string.
 */
export function checkTopicName(name: string): void {
  if (typeof name !== 'string') {
    throw new TypeError(`expected a topic name to be a string, got ${typeof name}`)
  }
  const reason =
    kafkaRefuses(name) ??
    (name.endsWith('.') ? 'it ends in a dot' : null) ??
    (deviceName.test(name) ? 'Windows reserves it for a device' : null)
  if (reason !== null) throw new InvalidTopicError(name, reason)
}

function kafkaRefuses(name: string): string | null {
  if (name === '') return 'it is empty'
  if (name.length > maxTopicLength) return `it is longer than ${maxTopicLength} characters`
  if (name === '.' || name === '..') return 'it names a directory'
  if (!topicCharacters.test(name)) return 'only a-z, A-Z, 0-9, ".", "_" and "-" are allowed'
  return null
}

/**
 * Whether two topics cannot exist together: their names are the same, or differ only in case (one
 * directory on some file systems) or in `.` and `_` (one metric name in Kafka).
 */
export function collidesWith(a: string, b: string): boolean {
  return collisionForm(a) === collisionForm(b)
}

function collisionForm(name: string): string {
  return name.toLowerCase().replaceAll('.', '_')
}

/**
 * Whether a topic is one that the log, and not its user, writes to: as in Kafka, its name begins with
 * two underscores.
 */
export function isInternalTopic(name: string): boolean {
  return name.startsWith('__')
}

/** Opening a log asks it fifty times for each partition: `assert.ok` takes longer than all the rest. */
function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** The name of a partition's directory. */
export function partitionDirName(topic: string, partition: number): string {
  if (!isCount(partition)) assert.fail('a partition is an integer from 0 up')
  return `${topic}-${partition}`
}

/**
 * What a directory name says; null when it is not that of a partition. Topics are taken by Kafka's
 * rules alone, so that directories which Kafka wrote are found. Names that `partitionDirName`
 * would not give, `a-01` say, are null.
 */
export function parsePartitionDir(name: string): { topic: string; partition: number } | null {
  const [, topic, digits] = partitionDirForm.exec(name) ?? []
  if (topic === undefined || kafkaRefuses(topic) !== null) return null
  const partition = Number(digits)
  return partition <= largestPartition ? { topic, partition } : null
}

/** The name of a file of the segment that begins at `baseOffset`; a snapshot's offset is its exclusive end. */
export function segmentFileName(baseOffset: number, suffix: SegmentSuffix): string {
  if (!isCount(baseOffset)) assert.fail('an offset is a safe integer from 0 up')
  return `${String(baseOffset).padStart(offsetDigits, '0')}.${suffix}`
}

/** What a file name says; null when it is not exactly one that `segmentFileName` gives. */
export function parseSegmentFile(
  name: string,
): { baseOffset: number; suffix: SegmentSuffix } | null {
  // Opening a log asks it of every file: tested and cut up, which takes less than groups do.
  if (!segmentFileForm.test(name)) return null
  const baseOffset = Number(name.slice(0, offsetDigits))
  if (!Number.isSafeInteger(baseOffset)) return null
  const suffix = name.slice(offsetDigits + 1) as SegmentSuffix
  return { baseOffset, suffix }
}
