/** What the partitions of one log share, and how they are configured. */
import type { Clock, EngineTime } from '../clock.ts'
import type { Files } from '../files/files.ts'
import type { Acks, CompressionType, PartitionState } from '../types.ts'
import type { AppendBudget } from './append-budget.ts'
import type { ChunkPool } from './chunk-pool.ts'
import type { Counters } from './counters.ts'
import type { DiskRoom } from './disk-room.ts'
import type { FileHandles } from './file-handles.ts'
import type { FlushGate } from './flush-gate.ts'
import type { IndexCache } from './index-cache.ts'
import type { SyncIo } from './sync-io.ts'
import type { TurnScheduler } from './turn-scheduler.ts'

/** Shared by all partitions of a log. */
export interface StorageEnvironment {
  readonly files: Files
  readonly clock: Clock
  readonly time: EngineTime
  readonly handles: FileHandles
  readonly indexes: IndexCache
  readonly chunks: ChunkPool
  readonly budget: AppendBudget
  readonly room: DiskRoom
  readonly flushGate: FlushGate
  readonly turns: TurnScheduler
  readonly counters: Counters
  readonly syncReads: SyncIo
  readonly syncWrites: SyncIo
  /** Bytes of cut tails kept per partition. */
  readonly quarantineBytes: number
  /** How long producers are remembered that are not heard of, in ms; -1: for ever. */
  readonly producerIdExpirationMs: number
}

/** A partition's name, for results, messages and events. */
export interface PartitionIdentity {
  readonly topic: string
  readonly partition: number
}

/** The part of a topic's configuration that its partitions need, every value present; -1 means no limit. */
export interface PartitionConfig {
  readonly acks: Acks
  readonly flushRecords: number
  readonly flushMs: number
  readonly flushBytes: number
  readonly maxBatchBytes: number
  readonly compressionType: CompressionType
  readonly timestampType: 'create' | 'append'
  readonly timestampAfterMaxMs: number
  readonly timestampAfterMaxAction: 'warn' | 'reject'
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly indexIntervalBytes: number
}

/** What a partition tells the log that owns it. All calls are synchronous and must not throw. */
export interface PartitionListener {
  /** The recovery point, and with it the high watermark, has moved by `flushedBytes`. */
  flushed(flushedBytes: number): void
  segmentSealed(segment: { baseOffset: number; nextOffset: number; sizeBytes: number }): void
  /** The log begins further up now, durably. */
  logStartMoved(): void
  stateChanged(state: PartitionState, error: Error | undefined): void
  flushFailed(error: Error): void
  diskFull(error: Error): void
  corruption(damage: Damage): void
  backgroundFailed(what: string, error: Error): void
}

/** Offsets `[from, to)` that cannot be read, and where the trouble starts. */
export interface Damage {
  readonly from: number
  readonly to: number
  readonly path: string
  readonly position: number
  readonly reason: 'crc' | 'length' | 'magic' | 'offset-order' | 'record' | 'missing'
  /** A repair has put the loss on record: it is known, and no finding any more. */
  readonly isSettled?: boolean | undefined
}
