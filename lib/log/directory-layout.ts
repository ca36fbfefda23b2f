/**
 * The names in a log directory and what each of them means. Beside the partitions' directories
 * there are:
 *
 *     .lock .lock.pid                        one writer
 *     .kafka_cleanshutdown                   only after a clean close
 *     .ballast                               space to give up when the disk is full
 *     .ballast.probe                         there for a moment, to see whether a full disk has room again
 *     topics.catalog  visible.slots          ours
 *     producer.ids                           ours, once there was an idempotent producer
 *     recovery-point-offset-checkpoint  log-start-offset-checkpoint
 *     replication-offset-checkpoint  cleaner-offset-checkpoint
 *                                            Kafka's text form
 *
 * A partition's directory is `<topic>-<partition>`; one that is being deleted has
 * `.<32 hex>-delete` behind it, one that was set aside `.<32 hex>-stray`. The hexadecimal digits are
 * the topic's id, so that what a crash left can be told apart.
 */
import { join, sep } from 'node:path'

import { NotALogError, StorageError } from '../errors.ts'
import type { DirectoryEntry, Files } from '../files/files.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import { formatPartitionMetadata, parsePartitionMetadata } from '../storage/partition-metadata.ts'
import { parsePartitionDir, parseSegmentFile, partitionDirName } from '../storage/topic-name.ts'

/** Names of files in the log directory, and of the one file in a partition's that the log layer writes. */
export const fileNames: {
  readonly catalog: string
  readonly slots: string
  readonly cleanMarker: string
  readonly ballast: string
  readonly probe: string
  readonly recoveryPoints: string
  readonly logStarts: string
  readonly highWatermarks: string
  readonly cleanerOffsets: string
  readonly producerIds: string
  readonly partitionMetadata: string
} = {
  catalog: 'topics.catalog',
  slots: 'visible.slots',
  cleanMarker: '.kafka_cleanshutdown',
  ballast: '.ballast',
  probe: '.ballast.probe',
  recoveryPoints: 'recovery-point-offset-checkpoint',
  logStarts: 'log-start-offset-checkpoint',
  highWatermarks: 'replication-offset-checkpoint',
  cleanerOffsets: 'cleaner-offset-checkpoint',
  producerIds: 'producer.ids',
  partitionMetadata: 'partition.metadata',
}

/** Content of the clean marker, as Kafka 3.9 writes it without a broker epoch; its existence is what counts. */
export const cleanMarkerContent = '{"version":0,"brokerEpoch":-1}'

// Some of these are only ever written by Kafka.
const logFileNames = new Set([
  fileNames.catalog,
  fileNames.slots,
  fileNames.cleanMarker,
  fileNames.ballast,
  fileNames.probe,
  fileNames.recoveryPoints,
  fileNames.logStarts,
  fileNames.highWatermarks,
  fileNames.cleanerOffsets,
  fileNames.producerIds,
  'meta.properties',
  'bootstrap.checkpoint',
])

const setAsideForm = /^(.+-\d+)\.([0-9a-f]{32})-(delete|stray)$/

/** A directory that was renamed out of the way. */
export interface SetAside {
  readonly name: string
  readonly topicIdHex: string
  readonly why: 'delete' | 'stray'
}

/** What lies in a partition's directory, as far as deciding about the directory needs it. */
export interface PartitionDirectory {
  readonly name: string
  readonly topic: string
  readonly partition: number
  /** Null when `partition.metadata` is missing or unreadable. */
  readonly topicId: string | null
  /** Whether a `.log` file has bytes or begins above 0, or whether something lies here that is not a log's. */
  readonly holdsData: boolean
}

/** The topic id as the 32 hexadecimal digits that names of directories carry. */
export function topicIdHex(topicId: string): string {
  return Buffer.from(topicId, 'base64url').toString('hex')
}

/**
 * The name of a partition's directory that is out of the way. At most 255 characters long: that much
 * most file systems take, so a long topic name is cut, as Kafka does.
 */
export function setAsideName(
  at: { readonly topic: string; readonly partition: number },
  topicId: string,
  why: SetAside['why'],
): string {
  const suffix = `-${at.partition}.${topicIdHex(topicId)}-${why}`
  return `${at.topic.slice(0, 255 - suffix.length)}${suffix}`
}

/** What the name of a directory that is out of the way says, or null for every other name. */
export function parseSetAside(name: string): SetAside | null {
  const [, , hex, why] = setAsideForm.exec(name) ?? []
  return hex === undefined ? null : { name, topicIdHex: hex, why: why as SetAside['why'] }
}

/** Path of a partition's directory. */
export function partitionPath(dir: string, topic: string, partition: number): string {
  // Every partition keeps it: joined like this it is one string, and not a tree of its parts.
  return [dir, partitionDirName(topic, partition)].join(sep)
}

/**
 * The entries of the log directory, after making sure that it is one: it is empty (locks and a file
 * system's `lost+found` aside), or has a catalog, or holds nothing but what logs consist of.
 *
 * @throws {NotALogError} when it holds something else
 * @throws {StorageError} when it cannot be listed
 */
export function listLogDirectory(files: Files, dir: string): readonly DirectoryEntry[] {
  const entries = storageCall(dir, 'list', () => files.list(dir))
  if (entries.some(entry => entry.name === fileNames.catalog)) return entries
  const foreign = entries.filter(entry => !isLogEntry(files, dir, entry)).map(entry => entry.name)
  if (foreign.length === 0) return entries
  const shown = foreign.sort().slice(0, 3).join(', ')
  throw new NotALogError(
    dir,
    foreign.length > 3 ? `${shown} and ${foreign.length - 3} more` : shown,
  )
}

function isLogEntry(files: Files, dir: string, entry: DirectoryEntry): boolean {
  const { name } = entry
  if (name.startsWith('.lock') || name === 'lost+found') return true
  if (!entry.isDirectory) return logFileNames.has(name.replace(/\.tmp$/, ''))
  if (parseSetAside(name) !== null) return true
  if (parsePartitionDir(name) === null) return false
  // A directory that only happens to be called `something-1` has other things in it.
  const inside = storageCall(join(dir, name), 'list', () => files.list(join(dir, name)))
  return inside.length === 0 || inside.some(({ name: file }) => isPartitionFile(file))
}

function isPartitionFile(name: string): boolean {
  return name === fileNames.partitionMetadata || parseSegmentFile(name) !== null
}

/** Looks into a directory whose name is a partition's. */
export function inspectPartitionDirectory(
  files: Files,
  dir: string,
  name: string,
): PartitionDirectory | null {
  const parsed = parsePartitionDir(name)
  if (parsed === null) return null
  const path = join(dir, name)
  const metadataPath = join(path, fileNames.partitionMetadata)
  const metadata = storageCall(metadataPath, 'read', () => files.readFile(metadataPath))
  return {
    name,
    ...parsed,
    topicId: metadata === null ? null : parsePartitionMetadata(metadata.toString()),
    get holdsData(): boolean {
      // Looked up when it is asked for: for most directories the id decides.
      const inside = storageCall(path, 'list', () => files.list(path))
      return inside.some(entry => isData(files, path, entry))
    },
  }
}

function isData(files: Files, path: string, entry: DirectoryEntry): boolean {
  const stem = entry.name.replace(/\.tmp$/, '')
  if (entry.isDirectory) return true
  if (stem === fileNames.partitionMetadata || stem === 'leader-epoch-checkpoint') return false
  if (stem === 'segments.manifest') return false
  const segmentFile = parseSegmentFile(entry.name)
  if (segmentFile === null) return true
  if (segmentFile.suffix !== 'log') return false
  // Empty and further up: all was given up before it, and its name says which offset comes next.
  if (segmentFile.baseOffset > 0) return true
  return (files.stat(join(path, entry.name))?.sizeBytes ?? 0) > 0
}

/**
 * Makes a partition's directory with its `partition.metadata`, whose content is durable once this
 * resolves; the directory's own name needs a sync of the log directory. What a crash left of an
 * earlier try is completed.
 */
export async function makePartitionDirectory(
  files: Files,
  path: string,
  topicId: string,
): Promise<void> {
  if (files.stat(path) === null) storageCall(path, 'mkdir', () => files.makeDirectory(path))
  const metadataPath = join(path, fileNames.partitionMetadata)
  const content = formatPartitionMetadata(topicId)
  await storageWait(metadataPath, 'replace', () => replaceFile(files, metadataPath, content))
}

/** Gives the errno errors of a call the form that users see: a `StorageError` with path and operation. */
export function storageCall<T>(path: string, operation: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw asStorageError(error, path, operation)
  }
}

/** As `storageCall`, for calls that wait. */
export async function storageWait<T>(
  path: string,
  operation: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw asStorageError(error, path, operation)
  }
}

/** An errno error as a `StorageError`; everything else as it is. */
export function asStorageError(error: unknown, path: string, operation: string): unknown {
  const isErrno = error instanceof Error && 'code' in error && 'syscall' in error
  return isErrno ? new StorageError(path, operation, error) : error
}
