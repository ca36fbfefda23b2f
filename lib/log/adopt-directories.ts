/**
 * What becomes of each partition directory when a log is opened, by what the catalog says of it:
 *
 *     the directory's topic and id                     holds data        holds none
 *     catalog names partition, id equal or unreadable  kept              kept
 *     id of a topic that is being deleted              goes on           goes on
 *     catalog names topic, id equal, partition beyond  adopted           removed
 *     catalog names topic, id another one              set aside         removed
 *     topic unknown, catalog read                      adopted           removed
 *     topic unknown, catalog lost                      adopted           adopted
 *
 * An empty directory beyond the catalog is what a crash leaves of a creation that was not committed.
 * An id that differs from the expected one in a few characters only counts as unreadable: it is
 * damaged, for ids are random. The file is written anew then.
 *
 * Where several directories of an unknown topic have different ids, the lowest partition with data
 * decides and the others are set aside.
 */
import { isDamagedTopicId } from '../storage/partition-metadata.ts'
import type { PartitionDirectory } from './directory-layout.ts'
import type { Catalog, CatalogTopic } from './topic-catalog.ts'

/** What is to be done; the directories by their names. */
export interface DirectoryPlan {
  readonly topics: ReadonlyMap<string, CatalogTopic>
  /** Topics that came or grew by what was found. */
  readonly adopted: readonly string[]
  readonly setAside: readonly PartitionDirectory[]
  readonly remove: readonly PartitionDirectory[]
}

/** Decides. Pure: `newId` gives an id to adopted topics that have none. */
export function planDirectories(
  catalog: Catalog | null,
  directories: readonly PartitionDirectory[],
  newId: () => string,
): DirectoryPlan {
  const topics = new Map(catalog?.topics)
  const adopted: string[] = []
  const setAside: PartitionDirectory[] = []
  const remove: PartitionDirectory[] = []
  const live = directories.filter(found => !isBeingDeleted(found, catalog))
  for (const [name, found] of byTopic(live)) {
    const known = topics.get(name)
    const id = known?.id ?? adoptedId(found) ?? newId()
    let partitions = known?.partitions ?? 0
    for (const directory of found) {
      const isOwn = directory.topicId === id || isUnreadable(directory, id)
      if (isOwn && directory.partition < partitions) continue
      if (isOwn && (directory.holdsData || catalog === null)) partitions = directory.partition + 1
      else if (directory.holdsData) setAside.push(directory)
      else remove.push(directory)
    }
    if (partitions === (known?.partitions ?? 0)) continue
    topics.set(name, { ...(known ?? { config: {}, isAdopted: true }), name, id, partitions })
    adopted.push(name)
  }
  return { topics, adopted: adopted.sort(), setAside, remove }
}

function isBeingDeleted(found: PartitionDirectory, catalog: Catalog | null): boolean {
  if (catalog === null) return false
  if (found.topicId !== null && catalog.deleting.has(found.topicId)) return true
  if (catalog.topics.has(found.topic) || !found.holdsData) return false
  return [...catalog.deleting.values()].some(
    topic => topic.name === found.topic && isUnreadable(found, topic.id),
  )
}

function isUnreadable({ topicId }: PartitionDirectory, expectedId: string): boolean {
  return topicId === null || isDamagedTopicId(topicId, expectedId)
}

/** The directories of each topic, by partition. */
function byTopic(
  directories: readonly PartitionDirectory[],
): ReadonlyMap<string, PartitionDirectory[]> {
  const topics = new Map<string, PartitionDirectory[]>()
  for (const directory of directories) {
    const found = topics.get(directory.topic) ?? []
    topics.set(directory.topic, found)
    found.push(directory)
  }
  for (const found of topics.values()) found.sort((a, b) => a.partition - b.partition)
  return topics
}

function adoptedId(found: readonly PartitionDirectory[]): string | null {
  const named = found.filter(directory => directory.topicId !== null)
  return (named.find(directory => directory.holdsData) ?? named[0])?.topicId ?? null
}
