/**
 * `topics.catalog`: which topics there are. UTF-8, LF after every line, the topics sorted by name:
 *
 *     varve catalog 1                                            format version
 *     topic orders AAECAwQFRgeICQoLDA0ODw 4 {"segmentBytes":4096}   name, id, partitions, overrides
 *     adopted found ICEiIyQlJicoKSorLC0uLw 1 {}                  as `topic`; found, and not configured since
 *     deleting old EBESExQVRheYGRobHB0eHw 1                      its directories are still to go
 *     crc32 533baf1e                                             CRC-32 of all bytes before this line
 *
 * Every version of the format keeps the first line and the last. The rename that replaces the file
 * is the commit of a creation, a change or a deletion.
 */
import { dirname } from 'node:path'

import { UnsupportedFormatError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { changedTopicConfig, checkTopicConfig } from '../options.ts'
import { checkedText, parseDecimal, replaceFile, withChecksum } from '../storage/checkpoint-file.ts'
import { parsePartitionMetadata } from '../storage/partition-metadata.ts'
import { parsePartitionDir } from '../storage/topic-name.ts'
import type { TopicConfig } from '../types.ts'
import { asStorageError } from './directory-layout.ts'

/** Version of the directory's format; a newer one is refused. */
export const formatVersion = 1

/** One topic of the catalog. */
export interface CatalogTopic {
  readonly name: string
  readonly id: string
  readonly partitions: number
  /** Its own configuration, without what the log or the package defaults. */
  readonly config: TopicConfig
  /**
   * Found on the disk without a line here, and not configured since: how long it is to be kept is not
   * known, so nothing of it is deleted or compacted. Absent: no.
   */
  readonly isAdopted?: boolean | undefined
}

/** A topic whose deletion is decided and not finished. */
export interface DeletingTopic {
  readonly name: string
  readonly id: string
  readonly partitions: number
}

/** What the file says. Values: a change makes another one. */
export interface Catalog {
  /** By name. */
  readonly topics: ReadonlyMap<string, CatalogTopic>
  /** By id: a name may be deleted again while its last deletion is under way. */
  readonly deleting: ReadonlyMap<string, DeletingTopic>
}

/** A catalog without topics. */
export const emptyCatalog: Catalog = { topics: new Map(), deleting: new Map() }

/** The text of the file. */
export function formatCatalog(catalog: Catalog): string {
  const topics = [...catalog.topics.values()].sort(byName).map(topic => {
    const config = JSON.stringify(changedTopicConfig({}, topic.config))
    const kind = topic.isAdopted === true ? 'adopted' : 'topic'
    return `${kind} ${topic.name} ${topic.id} ${topic.partitions} ${config}\n`
  })
  const deleting = [...catalog.deleting.values()]
    .sort((a, b) => byName(a, b) || (a.id < b.id ? -1 : 1))
    .map(({ name, id, partitions }) => `deleting ${name} ${id} ${partitions}\n`)
  return withChecksum([`varve catalog ${formatVersion}\n`, ...topics, ...deleting].join(''))
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/**
 * Reads what `formatCatalog` wrote; null when the file is damaged in any way. A sound file that this
 * version does not understand, be it another format version or an option that it does not know, is
 * refused: to drop what was not understood would change what a topic promises.
 *
 * @throws {UnsupportedFormatError} when the checksum holds and the content is not of this version
 */
export function parseCatalog(text: string, path: string): Catalog | null {
  const checked = checkedText(text)
  if (checked === null) return null
  const [first = '', ...lines] = checked.split('\n')
  const version = /^varve catalog (\S+)$/.exec(first)?.[1]
  if (version !== String(formatVersion)) throw unsupported(path, version ?? first)
  lines.pop()
  const topics = new Map<string, CatalogTopic>()
  const deleting = new Map<string, DeletingTopic>()
  for (const line of lines) {
    const parsed = parseTopicLine(line)
    if (parsed === null) throw unsupported(path, `${formatVersion} with the line "${line}"`)
    if (parsed.kind === 'topic') topics.set(parsed.topic.name, parsed.topic)
    else deleting.set(parsed.topic.id, parsed.topic)
  }
  if (topics.size + deleting.size !== lines.length) {
    throw unsupported(path, `${formatVersion} with two lines for one topic`)
  }
  return { topics, deleting }
}

function unsupported(path: string, found: string): UnsupportedFormatError {
  return new UnsupportedFormatError(path, found, String(formatVersion))
}

type Line =
  | { readonly kind: 'topic'; readonly topic: CatalogTopic }
  | { readonly kind: 'deleting'; readonly topic: DeletingTopic }

function parseTopicLine(line: string): Line | null {
  const [, kind, name = '', id = '', count = '', json] =
    /^(topic|adopted|deleting) (\S+) (\S{22}) (\d+)(?: (\{.*\}))?$/.exec(line) ?? []
  const partitions = parseDecimal(count)
  if (kind === undefined || partitions === null || partitions === 0) return null
  if (parsePartitionDir(`${name}-0`) === null) return null
  if (parsePartitionMetadata(`version: 0\ntopic_id: ${id}`) === null) return null
  const topic: DeletingTopic = { name, id, partitions }
  if (kind === 'deleting') return json === undefined ? { kind, topic } : null
  const config = json === undefined ? null : parseConfig(json)
  if (config === null) return null
  const isAdopted = kind === 'adopted' ? { isAdopted: true } : {}
  return { kind: 'topic', topic: { ...topic, config, ...isAdopted } }
}

function parseConfig(text: string): TopicConfig | null {
  try {
    const config: TopicConfig = JSON.parse(text)
    checkTopicConfig(config)
    return config
  } catch {
    return null
  }
}

interface Change {
  readonly apply: (catalog: Catalog) => Catalog
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The catalog of an open log. Changes that are asked for while the file is being written share the
 * next write, so creating thousands of topics at once takes a handful of them.
 */
export class TopicCatalog {
  readonly #files: Files
  readonly #path: string
  #current: Catalog
  #waiting: Change[] = []
  #isUncertain = false
  #writing: Promise<void> | null = null

  /** `current` is what the file says, or what is about to be committed. */
  constructor(files: Files, path: string, current: Catalog) {
    this.#files = files
    this.#path = path
    this.#current = current
  }

  /** What is committed. */
  get current(): Catalog {
    return this.#current
  }

  /**
   * True after a failed change of which a crash may show either side: the file was replaced, its
   * directory could not be synced, and it could not be put back. The next commit ends it.
   */
  get isUncertain(): boolean {
    return this.#isUncertain
  }

  /**
   * Commits a change; once resolved it survives power loss. `apply` gets the catalog as it will be
   * before this change and must not fail. What was made in the directory before the call is durable
   * before the change is.
   *
   * Rejects with `StorageError` when the file could not be written. Nothing has changed then, unless
   * `isUncertain` says so.
   */
  commit(apply: (catalog: Catalog) => Catalog): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ apply, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  async #writeAll(): Promise<void> {
    // One turn, so that what is asked for together is written together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const changes = this.#waiting
      this.#waiting = []
      const next = changes.reduce((catalog, change) => change.apply(catalog), this.#current)
      try {
        await this.#write(next)
        this.#current = next
        for (const change of changes) change.resolve()
      } catch (error) {
        for (const change of changes) change.reject(error)
      }
    }
    // In the same step in which nothing was found waiting: a change that comes later starts anew.
    this.#writing = null
  }

  async #write(next: Catalog): Promise<void> {
    try {
      // The directories of new topics come before the line that says that they are there.
      await this.#files.syncDirectory(dirname(this.#path))
      await replaceFile(this.#files, this.#path, formatCatalog(next))
      this.#isUncertain = false
    } catch (error) {
      this.#isUncertain = !(await this.#isUnchanged())
      throw asStorageError(error, this.#path, 'replace')
    }
  }

  /** Whether the old content is certain to be found after a crash: it was never replaced, or is back. */
  async #isUnchanged(): Promise<boolean> {
    try {
      const old = formatCatalog(this.#current)
      if (this.#files.readFile(this.#path)?.toString() === old) return true
      // The rename took place and its sync failed: only a new rename with a good sync tells.
      await replaceFile(this.#files, this.#path, old)
      return true
    } catch {
      return false
    }
  }
}
