/**
 * The steps of deleting a topic, each of which may be repeated after a crash:
 *
 * 1. the catalog's `deleting` line is the commit;
 * 2. the partitions' directories are renamed to `<topic>-<partition>.<32 hex>-delete`, durably: from
 *    here on the name is free;
 * 3. the files are removed one by one, then the directories, durably;
 * 4. the catalog's line goes.
 *
 * Nothing is removed without that line.
 */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { isDamagedTopicId } from '../storage/partition-metadata.ts'
import { partitionDirName } from '../storage/topic-name.ts'
import {
  inspectPartitionDirectory,
  parseSetAside,
  setAsideName,
  storageCall,
  storageWait,
  topicIdHex,
} from './directory-layout.ts'
import type { Catalog, DeletingTopic } from './topic-catalog.ts'

/** The catalog with the deletion of a topic decided. */
export function withDeleting(catalog: Catalog, name: string): Catalog {
  const topics = new Map(catalog.topics)
  const topic = topics.get(name)
  if (topic === undefined) return catalog
  topics.delete(name)
  const { id, partitions } = topic
  return { topics, deleting: new Map(catalog.deleting).set(id, { name, id, partitions }) }
}

/** The catalog without the line of a deletion that is finished. */
export function withoutDeleting(catalog: Catalog, id: string): Catalog {
  const deleting = new Map(catalog.deleting)
  deleting.delete(id)
  return { topics: catalog.topics, deleting }
}

/**
 * Renames the topic's directories out of the way and makes that durable. Directories of another topic
 * that has the name by now stay.
 */
export async function setTopicAside(
  files: Files,
  dir: string,
  topic: DeletingTopic & { readonly isNameTaken: boolean },
): Promise<void> {
  for (const name of directoriesOf(files, dir, topic)) {
    const found = inspectPartitionDirectory(files, dir, name)
    if (found === null) continue
    // Without a readable id it is the topic's own when nobody has had its name since, unless it is
    // empty: then it may be what is left of a creation that was never committed.
    const isUnreadable = found.topicId === null || isDamagedTopicId(found.topicId, topic.id)
    const isNameless = isUnreadable && !topic.isNameTaken && found.holdsData
    const isOurs = found.topicId === topic.id || isNameless
    if (!isOurs) continue
    const from = join(dir, name)
    const to = join(dir, setAsideName(found, topic.id, 'delete'))
    storageCall(from, 'rename', () => files.rename(from, to))
  }
  await storageWait(dir, 'sync', () => files.syncDirectory(dir))
}

// By the listing and not by counting up to `partitions`: a crash may have undone or kept any of them.
function directoriesOf(files: Files, dir: string, topic: DeletingTopic): readonly string[] {
  const names = new Set(storageCall(dir, 'list', () => files.list(dir)).map(entry => entry.name))
  const own: string[] = []
  for (let partition = 0; partition < topic.partitions; partition++) {
    const name = partitionDirName(topic.name, partition)
    if (names.has(name)) own.push(name)
  }
  return own
}

/**
 * Removes what `setTopicAside` renamed, durably. Gives up between two files when `signal` aborts;
 * says whether it came to the end.
 */
export async function removeSetAside(
  files: Files,
  dir: string,
  options: { readonly topicId: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const hex = topicIdHex(options.topicId)
  for (const { name } of storageCall(dir, 'list', () => files.list(dir))) {
    const found = parseSetAside(name)
    if (found?.why !== 'delete' || found.topicIdHex !== hex) continue
    if (!(await removeTree(files, join(dir, name), options.signal))) return false
  }
  await storageWait(dir, 'sync', () => files.syncDirectory(dir))
  return true
}

async function removeTree(files: Files, path: string, signal: AbortSignal): Promise<boolean> {
  for (const entry of storageCall(path, 'list', () => files.list(path))) {
    if (signal.aborted) return false
    const inside = join(path, entry.name)
    if (entry.isDirectory) {
      if (!(await removeTree(files, inside, signal))) return false
    } else {
      await storageWait(inside, 'remove', () => files.remove(inside))
    }
  }
  storageCall(path, 'remove', () => files.removeDirectory(path))
  return true
}

/** Removes a directory that holds no data, of a creation that was never committed. */
export async function removeEmptyPartition(files: Files, path: string): Promise<void> {
  await removeTree(files, path, new AbortController().signal)
}
