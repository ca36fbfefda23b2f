/** Where the leader epoch of this session begins, made durable in `leader-epoch-checkpoint`. */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { replaceFile } from './checkpoint-file.ts'
import type { FlushGate } from './flush-gate.ts'
import { type LeaderEpochEntry, LeaderEpochs } from './leader-epochs.ts'

/**
 * The record of one session. It is durable before the first write of its epoch, so that no record of
 * an epoch is ever found that the checkpoint does not know.
 */
export class EpochRecord {
  readonly #files: Files
  readonly #gate: FlushGate
  readonly #dir: string
  #epochs: LeaderEpochs
  readonly #leaderEpoch: number
  #isSaved: boolean
  /** Ends with the last write that was asked for; never rejects. */
  #writing: Promise<void> = Promise.resolve()

  constructor(
    environment: { readonly files: Files; readonly flushGate: FlushGate },
    dir: string,
    of: {
      readonly epochs: LeaderEpochs
      readonly leaderEpoch: number
      readonly isEpochSaved: boolean
    },
  ) {
    this.#files = environment.files
    this.#gate = environment.flushGate
    this.#dir = dir
    this.#epochs = of.epochs
    this.#leaderEpoch = of.leaderEpoch
    this.#isSaved = of.isEpochSaved
  }

  /** The epoch and where it begins are durable. */
  get isSaved(): boolean {
    return this.#isSaved
  }

  /** Makes it durable that the epoch begins at `offset`. One call at a time. */
  save(offset: number): Promise<void> {
    this.#epochs.assign(this.#leaderEpoch, offset)
    return this.#write().then(() => {
      this.#isSaved = true
    })
  }

  /** Forgets the epochs that end at or below `offset`, the log start, as Kafka does. */
  async trimBelow(offset: number): Promise<void> {
    const isChanged = this.#epochs.truncateFromStart(offset)
    // What is not saved yet is written as a whole with the first record of the session.
    if (isChanged && this.#isSaved) await this.#write()
  }

  #write(epochs?: LeaderEpochs): Promise<void> {
    const path = join(this.#dir, 'leader-epoch-checkpoint')
    const written = this.#writing.then(() =>
      this.#inGate(() => replaceFile(this.#files, path, (epochs ?? this.#epochs).format())),
    )
    this.#writing = written.catch(() => {})
    return written
  }

  /** A thousand partitions that begin at once must not have a thousand files open and synced. */
  async #inGate(work: () => Promise<void>): Promise<void> {
    await new Promise<void>(resolve => this.#gate.enter(resolve))
    try {
      await work()
    } finally {
      this.#gate.leave()
    }
  }

  /**
   * Writes the file anew, from the epochs that the batches up to `endOffset` have; the latest one on
   * record stays the latest. False, and nothing is done, when the batches contradict each other. Not
   * beside `save`.
   */
  async restate(runs: readonly LeaderEpochEntry[], endOffset: number): Promise<boolean> {
    const latest = this.#epochs.entries.at(-1)
    if (latest === undefined) return false
    const epochs = LeaderEpochs.ofRuns(runs, { latest, endOffset })
    if (epochs === null) return false
    await this.#write(epochs)
    this.#epochs = epochs
    return true
  }

  /**
   * Before a clean end at `offset`: an epoch that was raised and not used is not forgotten either. The
   * one before it may have been given to records above the log end that a crash took away.
   */
  async finish(offset: number): Promise<void> {
    if (this.#isSaved || this.#epochs.latest < 0) return
    await this.save(offset)
  }
}
