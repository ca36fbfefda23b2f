/**
 * Making the partitions of a topic: directories, ids and empty logs, and taking them away again when
 * not all of it can be had.
 */
import { join } from 'node:path'

import { DiskFullError, StorageError } from '../errors.ts'
import { isDiskFull } from '../storage/file-io.ts'
import { FlushGate } from '../storage/flush-gate.ts'
import { recoverPartition } from '../storage/recover-partition.ts'
import { isInternalTopic, partitionDirName } from '../storage/topic-name.ts'
import {
  asStorageError,
  inspectPartitionDirectory,
  makePartitionDirectory,
  partitionPath,
} from './directory-layout.ts'
import type { LogServices } from './log-services.ts'
import type { AttachablePartition, OpenTopic } from './open-topic.ts'
import type { Catalog } from './topic-catalog.ts'
import { removeEmptyPartition } from './topic-deletion.ts'

/** Creations that make directories at the same time. */
const maxParallelCreations = 8

/** Makes the partitions of one log. Calls may overlap, but not for one topic. */
export class PartitionCreation {
  readonly #services: LogServices
  readonly #creations = new FlushGate(maxParallelCreations)

  constructor(services: LogServices) {
    this.#services = services
  }

  /**
   * Makes partitions `[from, to)`, commits the change that names them and puts them into service. What a
   * crash before that leaves is in directories that the catalog does not name; the next open removes it.
   *
   * @throws {DiskFullError} when there is no room; nothing of it is left then
   * @throws {StorageError} when the file system fails; nothing of it is left then, unless it is not known
   *   whether the catalog names it
   */
  async create(
    topic: OpenTopic,
    range: { readonly from: number; readonly to: number },
    change: (catalog: Catalog) => Catalog,
  ): Promise<void> {
    const { slots, catalog, dir } = this.#services
    await this.#assertRoom(topic)
    await new Promise<void>(resolve => this.#creations.enter(resolve))
    const made: AttachablePartition[] = []
    try {
      for (let partition = range.from; partition < range.to; partition++) {
        made.push(await this.#makePartition(topic, partition))
      }
    } catch (error) {
      await this.#unmake(topic, range)
      const path = partitionPath(dir, topic.name, range.from + made.length)
      throw this.#creationFailure(error, path)
    } finally {
      this.#creations.leave()
    }
    try {
      await catalog.commit(change)
    } catch (error) {
      if (catalog.isUncertain) throw error
      await this.#unmake(topic, range)
      throw this.#creationFailure(error, dir)
    }
    for (const { log } of made) slots.add(topic.id, log.identity.partition, log)
    topic.attach(made)
  }

  /** For want of room the creation is refused as an append is; nothing of it is left. */
  #creationFailure(error: unknown, path: string): unknown {
    if (!isDiskFull(error)) return asStorageError(error, path, 'mkdir')
    this.#services.environment.room.refused(error)
    return error instanceof DiskFullError ? error : new DiskFullError(path, error)
  }

  /** A topic of a user takes no space that is kept back from appends. */
  async #assertRoom(topic: OpenTopic): Promise<void> {
    const { room } = this.#services.environment
    if (!room.isShut || isInternalTopic(topic.name)) return
    const refusal = await room.ask({ dir: this.#services.dir, isInternal: false })
    if (refusal !== null) throw refusal
  }

  async #makePartition(topic: OpenTopic, partition: number): Promise<AttachablePartition> {
    const { environment, dir } = this.#services
    const path = partitionPath(dir, topic.name, partition)
    this.#assertFree(topic, partition)
    await makePartitionDirectory(environment.files, path, topic.id)
    const recovered = await recoverPartition({
      environment,
      dir: path,
      identity: { topic: topic.name, partition },
      checkpointedRecoveryPoint: 0,
      checkpointedLogStart: null,
      wasClean: true,
      indexIntervalBytes: topic.config.indexIntervalBytes,
    })
    return topic.partitionLog(partition, recovered)
  }

  /** A directory with data that came here while the log was open is nobody's to take over. */
  #assertFree(topic: OpenTopic, partition: number): void {
    const { environment, dir } = this.#services
    const path = partitionPath(dir, topic.name, partition)
    if (environment.files.stat(path) === null) return
    const name = partitionDirName(topic.name, partition)
    const found = inspectPartitionDirectory(environment.files, dir, name)
    if (found?.holdsData !== true) return
    throw new StorageError(path, 'mkdir', new Error('it is there and holds data'), 'not-written')
  }

  /** Takes directories of a creation that failed away again; what cannot be is removed by the next open. */
  async #unmake(
    topic: OpenTopic,
    range: { readonly from: number; readonly to: number },
  ): Promise<void> {
    const { environment, dir } = this.#services
    for (let partition = range.from; partition < range.to; partition++) {
      const name = partitionDirName(topic.name, partition)
      try {
        const found = inspectPartitionDirectory(environment.files, dir, name)
        // Without an id it is of this creation as well: what was there before it has one, or data.
        const isOurs = found !== null && (found.topicId === topic.id || found.topicId === null)
        if (!isOurs || found.holdsData) continue
        await removeEmptyPartition(environment.files, join(dir, name))
      } catch {
        // The failure that led here is the one to report.
      }
    }
  }
}
