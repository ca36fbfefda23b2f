/**
 * The compaction of one partition as its owner asks for it: one at a time, and none that outlives what
 * it works on. Most partitions never have any. What is done is in `partition-compaction.ts`.
 */
import { ClosedError, CorruptRecordError } from '../errors.ts'
import type { CompactionRange } from './compaction-plan.ts'
import { CompactionSlot } from './compaction-slot.ts'
import type { DamageMet } from './compaction-work.ts'
import type { Damage, PartitionConfig, StorageEnvironment } from './environment.ts'
import {
  type CompactedPartition,
  type CompactionLimits,
  type CompactionRequest,
  type CompactionResult,
  compactablePart,
  compactPartition,
} from './partition-compaction.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import type { ProducerState } from './producer-state.ts'
import type { ChunkRequest, LogChunk } from './readable.ts'
import type { SegmentSet } from './segment-set.ts'

/** What compaction needs of its partition, each of it looked at anew every time. */
export interface CompactorHost {
  readonly dir: string
  readonly config: PartitionConfig
  readonly segments: SegmentSet
  readonly offsets: PartitionOffsets
  readonly producers: ProducerState
  /** Why nothing is appended, and so nothing compacted. */
  readonly refusal: Error | null
  readonly isEnding: boolean
  /** When the partition was opened: the latest that an append of unknown time can have been. */
  readonly openedMs: number
  readChunk(request: ChunkRequest): Promise<LogChunk>
  noteDamage(damage: Damage): void
}

/** Calls may overlap: a second compaction is refused while one is under way. */
export class PartitionCompactor {
  readonly #environment: StorageEnvironment
  readonly #host: CompactorHost
  readonly #slot = new CompactionSlot()

  constructor(environment: StorageEnvironment, host: CompactorHost) {
    this.#environment = environment
    this.#host = host
  }

  /** What a compaction would work at. */
  part(limits: CompactionLimits): CompactionRange {
    return compactablePart(this.#environment, this.#compacted(), limits)
  }

  /** See `PartitionLog.compact`. */
  compact(request: CompactionRequest, signal: AbortSignal): Promise<CompactionResult> {
    const { refusal, isEnding, segments } = this.#host
    if (refusal !== null) return Promise.reject(refusal)
    if (isEnding) return Promise.reject(new ClosedError())
    return this.#slot.run(signal, async inner => {
      // What an earlier one left behind goes first; where it stays this one is skipped, and says why.
      await segments.settle()
      const own = { ...request, signal: inner }
      return await compactPartition(this.#environment, this.#compacted(), own)
    })
  }

  /** Ends what runs; resolves when it touches nothing any more. */
  stop(): Promise<void> {
    return this.#slot.stop()
  }

  #compacted(): CompactedPartition {
    const { dir, segments, offsets, producers, openedMs } = this.#host
    const { segmentBytes, indexIntervalBytes } = this.#host.config
    return {
      dir,
      segments,
      producers,
      logStartOffset: offsets.logStartOffset,
      highWatermark: offsets.highWatermark,
      segmentBytes,
      indexIntervalBytes,
      openedMs,
      metDamage: met => this.#metDamage(met),
    }
  }

  async #metDamage({ damagedAt, damage }: DamageMet): Promise<void> {
    if (damage !== null) {
      this.#host.noteDamage(damage)
      return
    }
    try {
      await this.#host.readChunk({ from: damagedAt, maxBytes: 1, checkCrcs: true })
    } catch (error) {
      // It is known by now.
      if (!(error instanceof CorruptRecordError)) throw error
    }
  }
}
