/** What lies beside the segments of all partitions: catalog, checkpoints, and whose each directory is. */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { tryParseOffsetCheckpoint } from '../storage/offset-checkpoints.ts'
import { parsePartitionMetadata } from '../storage/partition-metadata.ts'
import { partitionDirName } from '../storage/topic-name.ts'
import { unreadable, type VerifiablePartition } from '../storage/verify-partition.ts'
import type { WorkPace } from '../storage/work-pace.ts'
import type { Finding } from '../verification.ts'
import { fileNames, storageCall } from './directory-layout.ts'
import { parseCatalog } from './topic-catalog.ts'

/** A topic whose partitions can be verified. */
export interface VerifiableTopic {
  readonly name: string
  readonly id: string
  readonly partitions: readonly VerifiablePartition[]
}

/** Where the log lies. */
export interface VerifiedDirectory {
  readonly files: Files
  readonly dir: string
  /** Learns how far the partitions are by now, where another process writes them. */
  refresh(): void
}

/**
 * Looks at the small files once.
 *
 * @throws {UnsupportedFormatError} when a newer version wrote the catalog
 * @throws {StorageError} when one of them cannot be read
 */
export async function lookAtDirectory(
  directory: VerifiedDirectory,
  topics: readonly VerifiableTopic[],
  pace: WorkPace,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  noteCatalog(findings, directory)
  await pace.spent(0)
  for (const name of [fileNames.recoveryPoints, fileNames.logStarts, fileNames.highWatermarks]) {
    noteCheckpoint(findings, directory, { name, topics })
    await pace.spent(0)
  }
  for (const topic of topics) {
    for (const partition of topic.partitions) {
      noteMetadata(findings, directory, { topic, partition })
      await pace.spent(0)
    }
  }
  return findings
}

const ofLog = { topic: null, partition: null, from: null, to: null, position: 0 }

function noteCatalog(findings: Finding[], directory: VerifiedDirectory): void {
  const path = join(directory.dir, fileNames.catalog)
  const bytes = read(directory.files, path)
  const isReadable = bytes !== null && parseCatalog(bytes.toString(), path) !== null
  if (isReadable) return
  const what = bytes === null ? 'the file is missing' : unreadable
  findings.push({ type: 'catalog', ...ofLog, path, what })
}

function noteCheckpoint(
  findings: Finding[],
  directory: VerifiedDirectory,
  of: { readonly name: string; readonly topics: readonly VerifiableTopic[] },
): void {
  const path = join(directory.dir, of.name)
  const bytes = read(directory.files, path)
  if (bytes === null) return
  const offsets = tryParseOffsetCheckpoint(bytes.toString())
  if (offsets === null) {
    findings.push({ type: 'checkpoint', ...ofLog, path, what: unreadable })
    return
  }
  // Only now: a checkpoint may lag behind the partitions, and they may go on meanwhile.
  directory.refresh()
  for (const { name, partitions } of of.topics) {
    for (const { identity, recoveryPoint } of partitions) {
      const offset = offsets.get(partitionDirName(name, identity.partition))
      if (offset === undefined || offset <= recoveryPoint) continue
      const what = `it has ${offset} for ${name}-${identity.partition}, whose recovery point is ${recoveryPoint}`
      const range = { from: recoveryPoint, to: offset }
      findings.push({ type: 'checkpoint', ...identity, ...range, path, position: 0, what })
    }
  }
}

function noteMetadata(
  findings: Finding[],
  { files }: VerifiedDirectory,
  of: { readonly topic: VerifiableTopic; readonly partition: VerifiablePartition },
): void {
  const { identity, dir } = of.partition
  const path = join(dir, fileNames.partitionMetadata)
  const bytes = read(files, path)
  const topicId = bytes === null ? null : parsePartitionMetadata(bytes.toString())
  if (topicId === of.topic.id) return
  const isMissing = bytes === null ? 'the file is missing' : unreadable
  const what = topicId === null ? isMissing : `it names the topic ${topicId}, not ${of.topic.id}`
  const at = { from: null, to: null, path, position: 0 }
  findings.push({ type: 'metadata', ...identity, ...at, what })
}

function read(files: Files, path: string): Buffer | null {
  return storageCall(path, 'read', () => files.readFile(path))
}
