/**
 * The commits of one partition of `__consumer_offsets` on their way to the disk. While one write is under
 * way, what comes meanwhile waits, the last value of each key only, and goes with the next.
 */
import type { PartitionAccess } from '../log/topic-state.ts'
import type { RecordInput } from '../types.ts'
import {
  formatOffsetKey,
  formatOffsetValue,
  type OffsetKey,
  type OffsetValue,
} from './offset-format.ts'

/** Bytes of one append, with room to spare below the smallest sensible `maxBatchBytes`. */
const maxAppendBytes = 256 * 1024

/** One key and what becomes of it. */
export interface CommitEntry extends OffsetKey {
  /** `keyOf` its partition; whoever commits often has it at hand. */
  readonly key: string
  /** Null takes the commit back. */
  readonly value: OffsetValue | null
}

/** Hears what is durable, before those who wait for it do. */
export interface CommitListener {
  written(entries: readonly CommitEntry[]): void
  /** These may be found in the log later, or not. */
  uncertain(entries: readonly CommitEntry[]): void
}

interface Round {
  /** The last value of each key, by group and partition. */
  readonly entries: Map<string, Map<string, CommitEntry>>
  readonly done: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Calls may overlap. At most one append is under way, so the last value put is the last one written. */
export class CommitLane {
  readonly #partition: () => PartitionAccess
  readonly #listener: CommitListener
  readonly #maxBlockMs: number
  #next: Round | null = null
  #writing: Promise<void> | null = null

  /** `partition` is asked at each append: one that was recovered is another object. */
  constructor(
    partition: () => PartitionAccess,
    options: { readonly maxBlockMs: number; readonly listener: CommitListener },
  ) {
    this.#partition = partition
    this.#listener = options.listener
    this.#maxBlockMs = options.maxBlockMs
  }

  get isWriting(): boolean {
    return this.#writing !== null
  }

  /** Resolves when the entry, or a later one of its key, survives power loss. */
  put(entry: CommitEntry): Promise<void> {
    this.#next ??= newRound()
    const { entries, done } = this.#next
    const ofGroup = entries.get(entry.group)
    if (ofGroup === undefined) entries.set(entry.group, new Map([[entry.key, entry]]))
    else ofGroup.set(entry.key, entry)
    this.#writing ??= this.#write()
    return done
  }

  /** Takes back what waits and is not being written yet; those who wait for it hear of no failure. */
  drop(isUnwanted: (entry: CommitEntry) => boolean): void {
    for (const ofGroup of this.#next?.entries.values() ?? []) {
      for (const [key, entry] of ofGroup) if (isUnwanted(entry)) ofGroup.delete(key)
    }
  }

  /** Resolves when nothing waits and nothing is being written. */
  async settled(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  async #write(): Promise<void> {
    // The rest of this turn shares the round.
    await Promise.resolve()
    for (let round = this.#next; round !== null; round = this.#next) {
      this.#next = null
      try {
        const entries = [...round.entries.values()].flatMap(ofGroup => [...ofGroup.values()])
        for (const part of inParts(entries)) await this.#append(part)
        round.resolve()
      } catch (error) {
        round.reject(error)
      }
    }
    this.#writing = null
  }

  async #append(entries: readonly CommitEntry[]): Promise<void> {
    const records = entries.map(
      (entry): RecordInput => ({
        key: formatOffsetKey(entry),
        value: entry.value === null ? null : formatOffsetValue(entry.value),
      }),
    )
    try {
      // Durable whatever the topic says: what is committed must not come back after a power cut.
      await this.#partition().append(records, { acks: 'durable', maxBlockMs: this.#maxBlockMs })
    } catch (error) {
      this.#listener.uncertain(entries)
      throw error
    }
    this.#listener.written(entries)
  }
}

function newRound(): Round {
  let resolve = (): void => {}
  let reject = (_error: unknown): void => {}
  const done = new Promise<void>((onDone, onFailure) => {
    resolve = onDone
    reject = onFailure
  })
  // Everyone who asked has a promise of their own that follows this one.
  done.catch(() => {})
  return { entries: new Map(), done, resolve, reject }
}

function inParts(entries: readonly CommitEntry[]): readonly (readonly CommitEntry[])[] {
  const parts: CommitEntry[][] = []
  let sizeBytes = maxAppendBytes
  for (const entry of entries) {
    // Names and metadata are the bulk of a record; three bytes a character is the most that UTF-8 takes.
    const { group, topic, value } = entry
    const entryBytes = 64 + 3 * (group.length + topic.length + (value?.metadata.length ?? 0))
    if (sizeBytes + entryBytes > maxAppendBytes) {
      parts.push([])
      sizeBytes = 0
    }
    parts.at(-1)?.push(entry)
    sizeBytes += entryBytes
  }
  return parts
}
