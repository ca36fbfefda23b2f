/** A partition log by itself, without a log around it. */
import { EngineTime } from '../../lib/clock.ts'
import type { Files } from '../../lib/files/files.ts'
import { BatchView } from '../../lib/record/batch-reader.ts'
import { AppendBudget } from '../../lib/storage/append-budget.ts'
import type { AppendRequest } from '../../lib/storage/append-request.ts'
import { ChunkPool } from '../../lib/storage/chunk-pool.ts'
import { Counters } from '../../lib/storage/counters.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import type { Damage, PartitionConfig, StorageEnvironment } from '../../lib/storage/environment.ts'
import { FileHandles } from '../../lib/storage/file-handles.ts'
import { FlushGate } from '../../lib/storage/flush-gate.ts'
import { IndexCache } from '../../lib/storage/index-cache.ts'
import { PartitionLog } from '../../lib/storage/partition-log.ts'
import { recoverPartition } from '../../lib/storage/recover-partition.ts'
import { SyncIo } from '../../lib/storage/sync-io.ts'
import { TurnScheduler } from '../../lib/storage/turn-scheduler.ts'
import { type ManualClock, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import { type HeldFiles, heldFiles } from './held-files.ts'

/** Group commit, no limits of time. */
export const plainConfig: PartitionConfig = {
  acks: 'durable',
  flushRecords: 1,
  flushMs: -1,
  flushBytes: -1,
  maxBatchBytes: 1_048_588,
  compressionType: 'none',
  timestampType: 'create',
  timestampAfterMaxMs: -1,
  timestampAfterMaxAction: 'reject',
  segmentBytes: 1 << 20,
  segmentMs: -1,
  indexIntervalBytes: 4096,
}

/** Asks for durability and waits for room as long as it takes. */
export const durable: AppendRequest = { acks: 'durable', maxBlockMs: -1 }

/** What a partition under test is made of, and what it has told its log. */
export interface TestPartition {
  readonly partition: PartitionLog
  readonly environment: StorageEnvironment
  readonly files: HeldFiles
  readonly clock: ManualClock
  readonly dir: string
  readonly told: string[]
  readonly damage: Damage[]
}

/** Settings that a test changes. */
export interface TestPartitionOptions {
  readonly config?: Partial<PartitionConfig>
  readonly files?: Files
  readonly maxQueuedBytes?: number
  readonly maxUnflushedBytes?: number
  readonly maxOpenFiles?: number
  readonly producerIdExpirationMs?: number
  readonly recoveryPoint?: number | null
  readonly logStart?: number | null
  /** Its log: files, clock and limits are shared with that partition. */
  readonly beside?: TestPartition
  /** Number of the partition in the topic. */
  readonly partitionId?: number
}

/** Opens the partition in `p-0` of the given files, new or as it lies there. */
export async function openPartition(options: TestPartitionOptions = {}): Promise<TestPartition> {
  const { beside, partitionId = 0 } = options
  const files = beside?.files ?? heldFiles(options.files ?? memoryFiles())
  const clock = beside?.clock ?? manualClock(1_700_000_000_000)
  const dir = `p-${partitionId}`
  if (files.stat(dir) === null) files.makeDirectory(dir)
  const environment: StorageEnvironment = beside?.environment ?? {
    files,
    clock,
    time: new EngineTime(clock),
    handles: new FileHandles(files, options.maxOpenFiles ?? 16),
    indexes: new IndexCache(1 << 20),
    chunks: new ChunkPool(4 << 20),
    budget: new AppendBudget(
      options.maxQueuedBytes ?? 16 << 20,
      options.maxUnflushedBytes ?? 128 << 20,
    ),
    room: new DiskRoom(files),
    flushGate: new FlushGate(2),
    turns: new TurnScheduler(),
    counters: new Counters(),
    syncReads: new SyncIo(),
    syncWrites: new SyncIo(),
    quarantineBytes: 1 << 20,
    producerIdExpirationMs: options.producerIdExpirationMs ?? -1,
  }
  const config = { ...plainConfig, ...options.config }
  const identity = { topic: 'p', partition: partitionId }
  const recovered = await recoverPartition({
    environment,
    dir,
    identity,
    checkpointedRecoveryPoint: options.recoveryPoint ?? null,
    checkpointedLogStart: options.logStart ?? null,
    wasClean: false,
    indexIntervalBytes: config.indexIntervalBytes,
  })
  const told: string[] = []
  const damage: Damage[] = []
  const listener = {
    flushed: () => {},
    segmentSealed: (segment: { baseOffset: number; nextOffset: number }) =>
      void told.push(`sealed [${segment.baseOffset}, ${segment.nextOffset})`),
    logStartMoved: () => {},
    stateChanged: (state: string) => void told.push(`state ${state}`),
    flushFailed: () => void told.push('flush failed'),
    diskFull: () => void told.push('disk full'),
    corruption: (found: Damage) => void damage.push(found),
    backgroundFailed: (what: string, error: Error) =>
      void told.push(`background ${what}: ${error.message}`),
  }
  const partition = new PartitionLog({ environment, dir, identity, config, listener, recovered })
  return { partition, environment, files, clock, dir, told, damage }
}

/** All visible records as `offset:value`. */
export async function readValues(
  partition: PartitionLog,
  from: number = partition.logStartOffset,
): Promise<string[]> {
  const values: string[] = []
  for (const batch of await readBatches(partition, from)) {
    for (const record of batch)
      values.push(`${record.offset}:${record.valueBytes?.toString() ?? 'null'}`)
  }
  return values
}

/** All visible batches. */
export async function readBatches(partition: PartitionLog, from: number): Promise<BatchView[]> {
  const batches: BatchView[] = []
  let offset = from
  const context = { topic: 'p', partition: 0, key: null, value: null }
  while (offset < partition.highWatermark) {
    const chunk = await partition.readChunk({ from: offset, maxBytes: 1 << 20, checkCrcs: true })
    for (const position of chunk.positions)
      batches.push(new BatchView(context, { buffer: chunk.buffer, position }))
    offset = chunk.nextOffset
  }
  return batches
}

/** Resolves when the present turn of the event loop is over. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** What a promise has come to by the end of some turns. */
export async function stateOf(
  promise: Promise<unknown>,
): Promise<'pending' | 'fulfilled' | 'rejected'> {
  let state: 'pending' | 'fulfilled' | 'rejected' = 'pending'
  promise.then(
    () => {
      state = 'fulfilled'
    },
    () => {
      state = 'rejected'
    },
  )
  for (let count = 0; count < 5; count++) await turn()
  return state
}
