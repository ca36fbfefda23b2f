/**
 * `cleaner-offset-checkpoint`: up to where each partition has been compacted, in Kafka's text form. It
 * is written when a pass is over, and never says more than was done: a line that is lost, or that no
 * longer fits the partition, means compacting from the start again.
 */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import type { DiskRoom } from '../storage/disk-room.ts'
import type { PartitionIdentity } from '../storage/environment.ts'
import { formatOffsetCheckpoint, parseOffsetCheckpoint } from '../storage/offset-checkpoints.ts'
import { parsePartitionDir, partitionDirName } from '../storage/topic-name.ts'
import { fileNames, storageCall, storageWait } from './directory-layout.ts'

/** The file of one log. Calls may overlap; one write runs at a time. */
export class CleanerCheckpoint {
  readonly #files: Files
  readonly #room: DiskRoom
  readonly #path: string
  /** Offsets by `<topic>-<partition>`. */
  readonly #offsets: Map<string, number>
  /** Ends with the last write that was asked for. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()

  /** Reads the file; one that is missing or damaged says nothing. */
  constructor(options: { readonly files: Files; readonly room: DiskRoom; readonly dir: string }) {
    this.#files = options.files
    this.#room = options.room
    this.#path = join(options.dir, fileNames.cleanerOffsets)
    const bytes = storageCall(this.#path, 'read', () => this.#files.readFile(this.#path))
    this.#offsets = parseOffsetCheckpoint(bytes?.toString() ?? '')
  }

  /** First offset that no compaction has looked at; 0 when nothing is known. */
  firstDirtyOffset({ topic, partition }: PartitionIdentity): number {
    return this.#offsets.get(partitionDirName(topic, partition)) ?? 0
  }

  /** Notes, durably, that everything below `offset` is clean. */
  async set({ topic, partition }: PartitionIdentity, offset: number): Promise<void> {
    const name = partitionDirName(topic, partition)
    if (this.#offsets.get(name) === offset) return
    this.#offsets.set(name, offset)
    await this.#write()
  }

  /**
   * Brings the line of a partition down to `offset`, durably, before its log is cut there: what is
   * appended to it afterwards at the same offsets is not clean. For the truncation of a replica.
   */
  async lower(partition: PartitionIdentity, offset: number): Promise<void> {
    const before = this.firstDirtyOffset(partition)
    if (before <= offset) return
    try {
      await this.set(partition, offset)
    } catch (error) {
      // Asked again, it must not take for durable what is not.
      this.#offsets.set(partitionDirName(partition.topic, partition.partition), before)
      throw error
    }
  }

  /**
   * Forgets a topic, durably, before its name is used again: what one topic has cleaned says nothing
   * about the next of that name.
   */
  async forget(topic: string): Promise<void> {
    const gone = [...this.#offsets.keys()].filter(name => parsePartitionDir(name)?.topic === topic)
    for (const name of gone) this.#offsets.delete(name)
    if (gone.length > 0) await this.#write()
  }

  /** As `forget`, for all topics that are none of these. */
  async keepOnly(topics: { has(name: string): boolean }): Promise<void> {
    const names = [...this.#offsets.keys()].map(name => parsePartitionDir(name)?.topic ?? '')
    for (const topic of new Set(names)) if (!topics.has(topic)) await this.forget(topic)
  }

  #write(): Promise<void> {
    const done = this.#tail.then(() => {
      const lines = [...this.#offsets].flatMap(([name, offset]) => {
        const identity = parsePartitionDir(name)
        return identity === null ? [] : [{ ...identity, offset }]
      })
      const text = formatOffsetCheckpoint(lines)
      const replace = (): Promise<void> => replaceFile(this.#files, this.#path, text)
      return this.#room.insist(() => storageWait(this.#path, 'replace', replace))
    })
    this.#tail = done.catch(() => undefined)
    return done
  }
}
