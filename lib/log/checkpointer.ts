/**
 * The checkpoints of a log directory: up to where recovery may trust each partition.
 *
 * They may lag behind the partitions and never lead them. So a value is taken before the partition
 * makes its indexes durable and before the file is written, and both happen off the path of the
 * acknowledgements: when 64 MiB or one second of flushed data lie above the last checkpoint, at a
 * roll and at close. `lower` brings them down before a partition is cut.
 *
 * `replication-offset-checkpoint` and `log-start-offset-checkpoint` are written for Kafka, which
 * takes a partition without a line to have its high watermark, or log start, where its files say.
 */
import { join } from 'node:path'

import type { Clock, Timer } from '../clock.ts'
import { UnknownTopicOrPartitionError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { replaceFile } from '../storage/checkpoint-file.ts'
import type { DiskRoom } from '../storage/disk-room.ts'
import type { PartitionIdentity } from '../storage/environment.ts'
import { formatOffsetCheckpoint } from '../storage/offset-checkpoints.ts'
import { partitionDirName } from '../storage/topic-name.ts'
import { forEachBounded } from './bounded.ts'
import { asStorageError, fileNames, storageCall, storageWait } from './directory-layout.ts'

/** A partition as the checkpoints see it. */
export interface CheckpointedPartition {
  readonly identity: PartitionIdentity
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly recoveryPoint: number
  /** Makes durable what recovery from the present recovery point needs. */
  checkpoint(): Promise<void>
}

/** How much may be flushed above the last checkpoint. */
const dueBytes = 64 * 1024 * 1024
const dueMs = 1000

/** How long a write that failed is put off at most; the first time it is `dueMs`, then twice as long each time. */
const maxRetryMs = 10_000

/** Partitions that prepare for a checkpoint at the same time; each syncs a few small files. */
const maxParallelPartitions = 2

/** Tells the checkpoints what happens in one partition. */
export interface CheckpointHandle {
  /** A flush has moved the recovery point. */
  flushed(flushedBytes: number): void
}

/** What the checkpoints say, or are to say, of one partition. */
class Entry implements CheckpointHandle {
  readonly partition: CheckpointedPartition
  readonly #onFlushed: (flushedBytes: number) => void
  /** Until the next flush the partition counts as no longer than this: it is being cut. */
  ceiling: number = Number.POSITIVE_INFINITY
  logStartOffset: number
  highWatermark: number
  recoveryPoint: number
  /** A log start that is to become durable before the partition shows it. */
  floor: number
  /** The log start that is in the file, durably. */
  durableLogStart = -1

  constructor(partition: CheckpointedPartition, onFlushed: (flushedBytes: number) => void) {
    this.partition = partition
    this.#onFlushed = onFlushed
    this.logStartOffset = partition.logStartOffset
    this.highWatermark = partition.highWatermark
    this.recoveryPoint = partition.recoveryPoint
    this.floor = partition.logStartOffset
  }

  flushed(flushedBytes: number): void {
    this.ceiling = Number.POSITIVE_INFINITY
    this.#onFlushed(flushedBytes)
  }

  /** The lines that hold by now. */
  present(): Pick<Entry, 'logStartOffset' | 'highWatermark' | 'recoveryPoint'> {
    const { partition, ceiling, floor } = this
    return {
      logStartOffset: Math.min(Math.max(partition.logStartOffset, floor), ceiling),
      highWatermark: Math.min(partition.highWatermark, ceiling),
      recoveryPoint: Math.min(partition.recoveryPoint, ceiling),
    }
  }
}

/** The options of a `Checkpointer`. */
export interface CheckpointerOptions {
  readonly files: Files
  readonly dir: string
  readonly clock: Clock
  readonly room: DiskRoom
  /** Hears of the first of a row of checkpoints that could not be written. */
  readonly onFailure: (error: Error) => void
}

/** Writes the checkpoints of one log. Calls may overlap; one write runs at a time. */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  readonly #entries = new Map<string, Entry>()
  /** What is known to be in each file, so that nothing is written to say the same again. */
  readonly #written = new Map<string, string>()
  #timer: Timer | null = null
  #bytesAbove = 0
  #isClosed = false
  /** When a write that fails now is tried again. */
  #retryMs = dueMs
  #isFailing = false
  /** Ends with the last piece of work that was asked for. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()
  /** A write that was asked for and has not begun: later callers share it. */
  #waitingWrite: Promise<void> | null = null

  constructor(options: CheckpointerOptions) {
    this.#options = options
    for (const name of [fileNames.recoveryPoints, fileNames.logStarts, fileNames.highWatermarks]) {
      const path = join(options.dir, name)
      const bytes = storageCall(path, 'read', () => options.files.readFile(path))
      if (bytes !== null) this.#written.set(name, bytes.toString())
    }
  }

  /** A partition whose present recovery point may be checkpointed; it replaces one of the same name. */
  add(partition: CheckpointedPartition): CheckpointHandle {
    const { topic, partition: id } = partition.identity
    const entry = new Entry(partition, this.#onFlushed)
    this.#entries.set(partitionDirName(topic, id), entry)
    return entry
  }

  /** The partition's line goes with the next write. */
  remove(identity: PartitionIdentity): void {
    this.#entries.delete(partitionDirName(identity.topic, identity.partition))
  }

  /** Starts a write that nobody waits for. */
  writeSoon(): void {
    if (this.#isClosed) return
    this.write().catch((error: Error) => {
      if (!this.#isFailing) this.#options.onFailure(error)
      this.#isFailing = true
    })
  }

  /** Resolves when a checkpoint that was taken after this call is durable. */
  write(): Promise<void> {
    this.#waitingWrite ??= this.#inTurn(() => {
      this.#waitingWrite = null
      this.#timer?.cancel()
      this.#timer = null
      this.#bytesAbove = 0
      return this.#takeAndWrite()
    })
    return this.#waitingWrite
  }

  /** As `write`, and writes every file anew, whatever it is known to hold. */
  rewrite(): Promise<void> {
    this.#written.clear()
    return this.write()
  }

  /**
   * Brings the partition's lines down to `offset` durably, before the log is cut there. They stay down
   * until the partition's next flush, so nothing may be flushed between this call and the cut. For the
   * truncation of a replica.
   */
  lower(identity: PartitionIdentity, offset: number): Promise<void> {
    return this.#inTurn(async () => {
      const entry = this.#entries.get(partitionDirName(identity.topic, identity.partition))
      if (entry === undefined) return
      entry.ceiling = offset
      entry.recoveryPoint = Math.min(entry.recoveryPoint, offset)
      entry.highWatermark = Math.min(entry.highWatermark, offset)
      entry.logStartOffset = Math.min(entry.logStartOffset, offset)
      await this.#options.room.insist(() => this.#writeFiles())
    })
  }

  /**
   * Makes durable that the partition begins at `offset`, which is not above its recovery point, before
   * it shows that and gives anything up. Many such calls share one write.
   *
   * @throws {StorageError} when that fails; the lines then say again where the partition begins
   * @throws {UnknownTopicOrPartitionError} when the partition is gone
   */
  async raiseLogStart(identity: PartitionIdentity, offset: number): Promise<void> {
    const { topic, partition } = identity
    const entry = this.#entries.get(partitionDirName(topic, partition))
    if (entry === undefined) throw new UnknownTopicOrPartitionError(topic, partition)
    const before = entry.floor
    entry.floor = Math.max(before, offset)
    try {
      await this.write()
    } catch (error) {
      // What another partition could not save is no reason to keep this one waiting.
      if (entry.durableLogStart >= offset) return
      entry.floor = before
      throw error
    }
  }

  /** Ends the timer. What is under way goes on; `write` may still be called. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
  }

  /** One function for all partitions. */
  readonly #onFlushed = (flushedBytes: number): void => {
    if (this.#isClosed) return
    this.#bytesAbove += flushedBytes
    if (this.#bytesAbove >= dueBytes) this.writeSoon()
    else this.#timer ??= this.#options.clock.setTimer(dueMs, () => this.writeSoon())
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => undefined)
    return done
  }

  async #takeAndWrite(): Promise<void> {
    try {
      await this.#options.room.insist(() => this.#takeAll())
      this.#retryMs = dueMs
      this.#isFailing = false
    } catch (error) {
      this.#retryLater()
      throw error
    }
  }

  /** By time, whoever asked: a log to which nothing more is appended would never come here again. */
  #retryLater(): void {
    if (this.#isClosed) return
    this.#timer ??= this.#options.clock.setTimer(this.#retryMs, () => this.writeSoon())
    this.#retryMs = Math.min(2 * this.#retryMs, maxRetryMs)
  }

  async #takeAll(): Promise<void> {
    const failures: unknown[] = []
    await forEachBounded([...this.#entries.values()], maxParallelPartitions, async entry => {
      const offsets = entry.present()
      const isSame =
        offsets.recoveryPoint === entry.recoveryPoint &&
        offsets.highWatermark === entry.highWatermark &&
        offsets.logStartOffset === entry.logStartOffset
      if (isSame) return
      try {
        await entry.partition.checkpoint()
        Object.assign(entry, offsets)
      } catch (error) {
        // Its old line stays true; those of the others can move on.
        const { topic, partition } = entry.partition.identity
        const path = join(this.#options.dir, partitionDirName(topic, partition))
        failures.push(asStorageError(error, path, 'checkpoint'))
      }
    })
    await this.#writeFiles()
    if (failures.length > 0) throw failures[0]
  }

  async #writeFiles(): Promise<void> {
    const { recoveryPoints, logStarts, highWatermarks } = fileNames
    // The log start goes first: a recovery point below a known log start is taken up to it, while a
    // log start below segments that are gone would look like damage.
    const stated = [...this.#entries.values()].map(entry => [entry, entry.logStartOffset] as const)
    await this.#replace(logStarts, entry => entry.logStartOffset || null)
    for (const [entry, logStartOffset] of stated) entry.durableLogStart = logStartOffset
    await this.#replace(recoveryPoints, entry => entry.recoveryPoint)
    await this.#replace(highWatermarks, entry => entry.highWatermark)
  }

  async #replace(name: string, offsetOf: (entry: Entry) => number | null): Promise<void> {
    const { files, dir } = this.#options
    const lines: { topic: string; partition: number; offset: number }[] = []
    for (const entry of this.#entries.values()) {
      const offset = offsetOf(entry)
      if (offset === null) continue
      const { topic, partition } = entry.partition.identity
      lines.push({ topic, partition, offset })
    }
    const text = formatOffsetCheckpoint(lines)
    if (this.#written.get(name) === text) return
    // That there are no recovery points yet is said as well: a file that is missing says nothing.
    const isNeeded = lines.length > 0 || name === fileNames.recoveryPoints
    if (!isNeeded && !this.#written.has(name)) return
    const path = join(dir, name)
    // What a failed replacement leaves is not known.
    this.#written.delete(name)
    await storageWait(path, 'replace', () => replaceFile(files, path, text))
    this.#written.set(name, text)
  }
}
