/**
 * The writing side of one partition: what accepts appends, writes and flushes them, and answers their
 * callers. Most partitions of a large log are not written for hours, so it is made when the first
 * append, or something else that only it can do, comes.
 */
import type { DiskFullError, StorageError } from '../errors.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { AppendAcceptor } from './append-acceptor.ts'
import type {
  PartitionConfig,
  PartitionIdentity,
  PartitionListener,
  StorageEnvironment,
} from './environment.ts'
import type { PartitionParts } from './partition-parts.ts'
import type { PipelineHost } from './pipeline-host.ts'
import { isInternalTopic } from './topic-name.ts'
import { WritePipeline } from './write-pipeline.ts'

/** What the writing side is given. */
export interface PartitionWriterOptions {
  readonly dir: string
  readonly identity: PartitionIdentity
  readonly config: PartitionConfig
  readonly listener: PartitionListener
  readonly parts: PartitionParts
  /** Hears that the high watermark has moved, before anybody is answered. */
  readonly onVisible: () => void
}

/** Joins the accepting and the writing half of one partition. */
export class PartitionWriter implements PipelineHost {
  readonly appends: AppendAcceptor
  readonly #environment: StorageEnvironment
  readonly #dir: string
  readonly #identity: PartitionIdentity
  readonly #listener: PartitionListener
  readonly #onVisible: () => void
  readonly #acks: Acknowledgements
  #parts: PartitionParts
  #pipeline: WritePipeline

  constructor(environment: StorageEnvironment, options: PartitionWriterOptions) {
    const { dir, identity, config, parts } = options
    this.#environment = environment
    this.#dir = dir
    this.#identity = identity
    this.#listener = options.listener
    this.#onVisible = options.onVisible
    this.#acks = new Acknowledgements(identity, parts.leaderEpoch)
    this.#parts = parts
    this.#pipeline = this.#makePipeline(parts)
    this.appends = new AppendAcceptor(environment, {
      dir,
      isInternal: isInternalTopic(identity.topic),
      config,
      acks: this.#acks,
      into: { pipeline: this.#pipeline, producers: parts.producers },
    })
  }

  /** The present one; it is another one behind `takeOver`. */
  get pipeline(): WritePipeline {
    return this.#pipeline
  }

  get config(): PartitionConfig {
    return this.appends.config
  }

  /** New settings hold from the next append and the next roll on. */
  configure(config: PartitionConfig): void {
    this.appends.config = config
    this.#pipeline.flusher.flushIfDue()
  }

  /** What was recovered takes the place of what was stopped, and appends are accepted again. */
  takeOver(parts: PartitionParts): void {
    this.#parts = parts
    this.#pipeline = this.#makePipeline(parts)
    this.appends.resume({ pipeline: this.#pipeline, producers: parts.producers })
  }

  // ---- what the pipeline tells

  scheduleTurn(): void {
    this.appends.scheduleTurn()
  }

  completeBatches(): void {
    this.appends.completeBatches()
  }

  flushed(recoveryPoint: number, flushedBytes: number): void {
    this.#parts.producers.commit(recoveryPoint)
    this.#listener.flushed(flushedBytes)
    this.#onVisible()
  }

  flushFailed(error: Error): void {
    this.#listener.flushFailed(error)
  }

  fellBack(error: DiskFullError, lostCount: number): void {
    this.appends.fellBack(error, lostCount)
    this.#listener.diskFull(error)
  }

  failed(failure: StorageError, submittedOffset: number): void {
    this.appends.failed(failure, submittedOffset)
    this.#listener.stateChanged('failed', failure)
  }

  #makePipeline(parts: PartitionParts): WritePipeline {
    const of = { dir: this.#dir, identity: this.#identity, acks: this.#acks, host: this }
    return new WritePipeline(this.#environment, of, parts)
  }
}
