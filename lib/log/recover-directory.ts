/**
 * Opening the directory of a log for writing, under its lock, in this order:
 *
 * 1. the clean marker is removed durably, before anything else is written;
 * 2. catalog, checkpoints and slots are read;
 * 3. deletions that a crash interrupted are taken up to where their names are free;
 * 4. directories that the catalog does not know are adopted, set aside or removed, missing ones are
 *    made, and the catalog is written when that changed it;
 * 5. the partitions are recovered, a few at a time.
 *
 * A failure anywhere rejects, and opening again starts over: every step may be repeated.
 */
import { dirname, join } from 'node:path'

import type { Files } from '../files/files.ts'
import { type ResolvedTopicConfig, resolveTopicConfig } from '../options.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import { tryParseOffsetCheckpoint } from '../storage/offset-checkpoints.ts'
import { newTopicId } from '../storage/partition-metadata.ts'
import { type RecoveredPartition, recoverPartition } from '../storage/recover-partition.ts'
import { partitionDirName } from '../storage/topic-name.ts'
import { WorkPace } from '../storage/work-pace.ts'
import type { Acks, PartitionRecovery, RecoveryReport, TopicConfig } from '../types.ts'
import { type DirectoryPlan, planDirectories } from './adopt-directories.ts'
import { forEachBounded } from './bounded.ts'
import {
  fileNames,
  inspectPartitionDirectory,
  listLogDirectory,
  makePartitionDirectory,
  type PartitionDirectory,
  parseSetAside,
  partitionPath,
  setAsideName,
  storageCall,
  storageWait,
  topicIdHex,
} from './directory-layout.ts'
import {
  type Catalog,
  type CatalogTopic,
  emptyCatalog,
  formatCatalog,
  parseCatalog,
} from './topic-catalog.ts'
import { removeEmptyPartition, setTopicAside } from './topic-deletion.ts'
import { parseSlots, type SlotTable, slotKey } from './visible-slots.ts'

/** Partitions recovered at the same time. */
const maxParallelRecoveries = 8

/** A topic as it was found. */
export interface RecoveredTopic {
  readonly topic: CatalogTopic
  /** By partition. */
  readonly partitions: readonly RecoveredPartition[]
}

/** All that opening found. */
export interface RecoveredDirectory {
  readonly catalog: Catalog
  readonly topics: readonly RecoveredTopic[]
  /** Generation of the slots that are to be written. */
  readonly slotGeneration: number
  readonly report: RecoveryReport
}

/** What recovering a directory needs to know. */
export interface RecoverDirectoryOptions {
  readonly environment: StorageEnvironment
  readonly dir: string
  readonly topicDefaults: TopicConfig
  readonly acks: Acks
  readonly signal: AbortSignal | null
}

/**
 * Recovers the directory.
 *
 * @throws {UnsupportedFormatError} when a newer version wrote it
 * @throws {StorageError} when the file system fails, also when that concerns a single partition: a log
 *   that opened without it could not tell its readers what is missing
 */
export async function recoverDirectory(
  options: RecoverDirectoryOptions,
): Promise<RecoveredDirectory> {
  const { environment, dir } = options
  const { files, clock } = environment
  const startMs = clock.monotonicMs()
  const before = readDirectoryState(files, dir)
  if (before.wasClean) await removeDurably(files, join(dir, fileNames.cleanMarker))
  // A catalog that a killed process had just renamed is read, and must not be another one after a
  // power cut.
  else await storageWait(dir, 'sync', () => files.syncDirectory(dir))
  const catalog = before.catalog ?? emptyCatalog
  for (const topic of catalog.deleting.values()) {
    await setTopicAside(files, dir, { ...topic, isNameTaken: catalog.topics.has(topic.name) })
  }
  const directories = partitionDirectories(files, dir)
  const plan = planDirectories(before.catalog, directories, newTopicId)
  const known = new Map(directories.map(directory => [directory.name, directory.topicId]))
  await clearAway(plan, files, dir)
  for (const { name } of [...plan.setAside, ...plan.remove]) known.delete(name)
  const adopted = await complete(plan, { known, before: before.catalog }, options)
  const topics = await recoverTopics(adopted, before, options)
  const reports: PartitionRecovery[] = []
  for (const { partitions } of topics) {
    for (const { report } of partitions) if (report !== null) reports.push(report)
  }
  const stray = [...plan.setAside.map(directory => directory.name), ...leftovers(before, catalog)]
  const isNew = before.catalog === null && adopted.topics.size === 0
  return {
    catalog: adopted,
    topics,
    slotGeneration: (before.slots?.generation ?? 0) + 1,
    report: {
      clean: (before.wasClean || isNew) && reports.length === 0 && plan.adopted.length === 0,
      durationMs: clock.monotonicMs() - startMs,
      partitions: reports,
      adoptedTopics: plan.adopted,
      strayDirectories: stray.sort(),
    },
  }
}

/** What the files of the log directory say. */
export interface DirectoryState {
  readonly wasClean: boolean
  /** Null when it is missing or damaged. */
  readonly catalog: Catalog | null
  /** Offsets by `<topic>-<partition>`; null when the file is missing or damaged. */
  readonly recoveryPoints: ReadonlyMap<string, number> | null
  readonly logStarts: ReadonlyMap<string, number> | null
  readonly slots: SlotTable | null
  readonly names: readonly string[]
}

/** Reads catalog, checkpoints, slots and the names in the directory; changes nothing. */
export function readDirectoryState(files: Files, dir: string): DirectoryState {
  const entries = listLogDirectory(files, dir)
  const catalogPath = join(dir, fileNames.catalog)
  const catalog = readSmallFile(files, catalogPath)
  const slotsPath = join(dir, fileNames.slots)
  const slots = readSmallFile(files, slotsPath)
  return {
    wasClean: entries.some(entry => entry.name === fileNames.cleanMarker),
    catalog: catalog === null ? null : parseCatalog(catalog.toString(), catalogPath),
    recoveryPoints: readCheckpoint(files, join(dir, fileNames.recoveryPoints)),
    logStarts: readCheckpoint(files, join(dir, fileNames.logStarts)),
    slots: slots === null ? null : parseSlots(slots, slotsPath),
    names: entries.filter(entry => entry.isDirectory).map(entry => entry.name),
  }
}

function readCheckpoint(files: Files, path: string): ReadonlyMap<string, number> | null {
  const bytes = readSmallFile(files, path)
  return bytes === null ? null : tryParseOffsetCheckpoint(bytes.toString())
}

function readSmallFile(files: Files, path: string): Buffer | null {
  return storageCall(path, 'read', () => files.readFile(path))
}

async function removeDurably(files: Files, path: string): Promise<void> {
  await storageWait(path, 'remove', () => files.remove(path))
  await storageWait(dirname(path), 'sync', () => files.syncDirectory(dirname(path)))
}

/** The directories whose names are those of partitions. */
export function partitionDirectories(files: Files, dir: string): readonly PartitionDirectory[] {
  const found: PartitionDirectory[] = []
  for (const { name, isDirectory } of storageCall(dir, 'list', () => files.list(dir))) {
    const directory = isDirectory ? inspectPartitionDirectory(files, dir, name) : null
    if (directory !== null) found.push(directory)
  }
  return found
}

/** Directories out of the way that no line of the catalog accounts for: they stay, and are named. */
function leftovers(before: DirectoryState, catalog: Catalog): readonly string[] {
  const deleting = new Set([...catalog.deleting.keys()].map(topicIdHex))
  return before.names.filter(name => {
    const found = parseSetAside(name)
    return found !== null && !(found.why === 'delete' && deleting.has(found.topicIdHex))
  })
}

/** Renames and removes what the plan says. */
async function clearAway(plan: DirectoryPlan, files: Files, dir: string): Promise<void> {
  for (const directory of plan.setAside) {
    const from = join(dir, directory.name)
    // Only a directory that tells its topic's id is set aside.
    const to = join(dir, setAsideName(directory, directory.topicId ?? newTopicId(), 'stray'))
    storageCall(from, 'rename', () => files.rename(from, to))
  }
  for (const { name } of plan.remove) await removeEmptyPartition(files, join(dir, name))
  // Before directories of the same names are made: a crash must not bring the old ones back.
  if (plan.setAside.length + plan.remove.length === 0) return
  await storageWait(dir, 'sync', () => files.syncDirectory(dir))
}

/** Makes the directories that are missing and the ids that cannot be read, and commits the catalog. */
async function complete(
  plan: DirectoryPlan,
  found: { readonly known: ReadonlyMap<string, string | null>; readonly before: Catalog | null },
  options: RecoverDirectoryOptions,
): Promise<Catalog> {
  const { dir } = options
  const { files } = options.environment
  let isChanged = false
  for (const topic of plan.topics.values()) {
    for (let partition = 0; partition < topic.partitions; partition++) {
      if (found.known.get(partitionDirName(topic.name, partition)) === topic.id) continue
      await makePartitionDirectory(files, partitionPath(dir, topic.name, partition), topic.id)
      isChanged = true
    }
  }
  if (isChanged) await storageWait(dir, 'sync', () => files.syncDirectory(dir))
  const deleting = found.before?.deleting ?? new Map()
  const catalog: Catalog = { topics: plan.topics, deleting }
  if (found.before === null || plan.adopted.length > 0) {
    const path = join(dir, fileNames.catalog)
    await storageWait(path, 'replace', () => replaceFile(files, path, formatCatalog(catalog)))
  }
  return catalog
}

async function recoverTopics(
  catalog: Catalog,
  before: DirectoryState,
  options: RecoverDirectoryOptions,
): Promise<readonly RecoveredTopic[]> {
  const work: (RecoverOne & { readonly into: RecoveredPartition[] })[] = []
  const topics: RecoveredTopic[] = []
  for (const topic of catalog.topics.values()) {
    const into: RecoveredPartition[] = []
    topics.push({ topic, partitions: into })
    const { config } = resolveTopicConfig(topic.config, options.topicDefaults, options.acks)
    for (let partition = 0; partition < topic.partitions; partition++) {
      work.push({ topic, partition, config, into })
    }
  }
  const { clock } = options.environment
  const pace = new WorkPace(clock, { maxBytesPerSecond: -1, signal: options.signal })
  await forEachBounded(work, maxParallelRecoveries, async ({ into, ...one }) => {
    // Opening what was closed cleanly waits for nothing, and there may be thousands.
    await pace.spent(0)
    into[one.partition] = await recoverOne(one, before, options)
  })
  return topics
}

interface RecoverOne {
  readonly topic: CatalogTopic
  readonly partition: number
  readonly config: ResolvedTopicConfig
}

function recoverOne(
  of: RecoverOne,
  before: DirectoryState,
  options: RecoverDirectoryOptions,
): Promise<RecoveredPartition> {
  const { topic, partition } = of
  const key = partitionDirName(topic.name, partition)
  const checkpointed = before.recoveryPoints?.get(key) ?? null
  const slot = before.slots?.slots.get(slotKey(topic.id, partition))
  // A topic of our own without a line has not been checkpointed yet, for the file is always there.
  const isOwn = before.catalog?.topics.get(topic.name)?.id === topic.id
  const least = isOwn && before.recoveryPoints !== null ? 0 : null
  const known = [checkpointed, slot?.recoveryPoint ?? null, least].filter(point => point !== null)
  return recoverPartition({
    environment: options.environment,
    dir: partitionPath(options.dir, topic.name, partition),
    identity: { topic: topic.name, partition },
    checkpointedRecoveryPoint: known.length === 0 ? null : Math.max(...known),
    checkpointedLogStart: before.logStarts?.get(key) ?? null,
    slotLogStart: slot?.logStartOffset,
    wasClean: before.wasClean,
    indexIntervalBytes: of.config.indexIntervalBytes,
  })
}
