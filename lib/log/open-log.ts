/** A directory becomes a log. */
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type Clock, EngineTime, systemClock } from '../clock.ts'
import { ClosedError, LockedError } from '../errors.ts'
import { diskFiles } from '../files/disk-files.ts'
import type { DirectoryLock, Files } from '../files/files.ts'
import { memoryFiles } from '../files/memory-files.ts'
import { type ResolvedOpenOptions, resolveOpenOptions } from '../options.ts'
import { AppendBudget } from '../storage/append-budget.ts'
import { ChunkPool } from '../storage/chunk-pool.ts'
import { Counters } from '../storage/counters.ts'
import { DiskRoom } from '../storage/disk-room.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import { FileHandles } from '../storage/file-handles.ts'
import { FlushGate } from '../storage/flush-gate.ts'
import { IndexCache } from '../storage/index-cache.ts'
import { SyncIo } from '../storage/sync-io.ts'
import { TurnScheduler } from '../storage/turn-scheduler.ts'
import type { Log, OpenOptions } from '../types.ts'
import { firstFailure } from './bounded.ts'
import { Checkpointer } from './checkpointer.ts'
import { Compactor } from './compactor.ts'
import { ConsumedOffsets } from './consumed-offsets.ts'
import { corruptionEvent } from './corruption-event.ts'
import {
  asStorageError,
  fileNames,
  listLogDirectory,
  storageCall,
  storageWait,
} from './directory-layout.ts'
import { DiskWatch } from './disk-watch.ts'
import { EventHub } from './event-hub.ts'
import type { ExtendLog, ExtensibleLog, LogExtension } from './extension.ts'
import { WritableLog } from './log.ts'
import type { LogServices } from './log-services.ts'
import { OpenTopic } from './open-topic.ts'
import type { Opening } from './opening.ts'
import { openReadOnlyLog } from './read-only-log.ts'
import { type RecoveredDirectory, recoverDirectory } from './recover-directory.ts'
import { Sweeper } from './sweeper.ts'
import { TopicCatalog } from './topic-catalog.ts'
import { TopicChanges } from './topic-changes.ts'
import { type OwnedSlot, VisibleSlots } from './visible-slots.ts'

/** Memory for the indexes of sealed segments, log-wide. */
const indexCacheBytes = 16 * 1024 * 1024

/** How often a lock that another writer holds is tried again. */
const lockPollMs = 50

/** Where a log in memory has its directory; nobody else sees the file system that it is in. */
const memoryPath = '/log'

/**
 * Opens the log in a directory and gives it what `extend` makes for it; `openLog` in `lib/open.ts` is
 * what users call, and says the rest.
 */
export async function openExtendedLog(
  dir: string | URL | ':memory:',
  options: OpenOptions | undefined,
  extend: ExtendLog,
): Promise<Log> {
  const resolved = resolveOpenOptions(options)
  const place = placeOf(dir, resolved)
  resolved.signal?.throwIfAborted()
  const clock = resolved.clock ?? systemClock
  const environment = environmentOf(place.files, clock, resolved)
  const events = new EventHub(resolved.onEvent ?? null)
  const shared = { ...place, options: resolved, environment, events, extend }
  return await (resolved.readOnly ? openReadOnlyLog(shared) : openForWriting(shared))
}

function placeOf(
  dir: string | URL,
  options: ResolvedOpenOptions,
): Pick<Opening, 'name' | 'path' | 'files'> {
  if (dir === ':memory:') {
    if (options.readOnly && options.files === null) {
      throw new TypeError("expected a directory with `readOnly`: ':memory:' is a new, empty log")
    }
    return { name: dir, path: memoryPath, files: options.files ?? memoryFiles() }
  }
  if (typeof dir !== 'string' && !(dir instanceof URL)) {
    throw new TypeError(`expected the directory to be a path or a file: URL, got ${typeof dir}`)
  }
  if (dir === '') throw new TypeError('expected the directory to be a path, got an empty string')
  // A later change of the working directory must not move the log.
  const path = resolve(dir instanceof URL ? fileURLToPath(dir) : dir)
  return { name: path, path, files: options.files ?? diskFiles }
}

function environmentOf(
  files: Files,
  clock: Clock,
  options: ResolvedOpenOptions,
): StorageEnvironment {
  return {
    files,
    clock,
    time: new EngineTime(clock),
    handles: new FileHandles(files, options.maxOpenFiles),
    indexes: new IndexCache(indexCacheBytes),
    chunks: new ChunkPool(options.maxQueuedBytes),
    budget: new AppendBudget(options.maxQueuedBytes, options.maxUnflushedBytes),
    room: new DiskRoom(files),
    flushGate: new FlushGate(options.maxParallelFlushes),
    turns: new TurnScheduler(),
    counters: new Counters(),
    syncReads: new SyncIo(),
    syncWrites: new SyncIo(),
    quarantineBytes: options.quarantineBytes,
    producerIdExpirationMs: options.producerIdExpirationMs,
  }
}

async function openForWriting(opening: Opening): Promise<Log> {
  const { files, path, environment, options, events } = opening
  await makeDirectories(files, path)
  // Before the lock, whose files must not be left in a directory that is somebody else's.
  listLogDirectory(files, path)
  const disk = new DiskWatch({
    files,
    dir: path,
    clock: environment.clock,
    room: environment.room,
    limits: options,
    emit: event => events.emit(event),
  })
  environment.room.keepWith(disk)
  // The ballast is there for a lock, too. It may be that of another writer, whom it does no harm to lose it.
  const lock = await environment.room.insist(() =>
    acquireLock(files, path, { clock: environment.clock, options }),
  )
  try {
    const recovered = await recoverDirectory({
      environment,
      dir: path,
      topicDefaults: options.topicDefaults,
      acks: options.acks,
      signal: options.signal,
    })
    return await assemble(opening, recovered, { lock, disk })
  } catch (error) {
    await disk.close()
    environment.handles.forgetAll('')
    // The error that made opening fail is the one to report.
    await lock.release().catch(() => undefined)
    throw error
  }
}

/**
 * Makes the directory and those above it; each name is durable before anything is put under it. One
 * that is there may be so only in memory, left by an opening that failed, unless it holds a catalog.
 */
async function makeDirectories(files: Files, path: string): Promise<void> {
  const catalogPath = join(path, fileNames.catalog)
  if (storageCall(catalogPath, 'stat', () => files.stat(catalogPath)) !== null) return
  await makeDurably(files, path)
}

async function makeDurably(files: Files, path: string): Promise<void> {
  const parent = dirname(path)
  if (parent === path) return
  await makeDurably(files, parent)
  const isThere = storageCall(path, 'stat', () => files.stat(path)) !== null
  if (!isThere) storageCall(path, 'mkdir', () => makeUnlessThere(files, path))
  try {
    await files.syncDirectory(parent)
  } catch (error) {
    // Where this process may not even look it has made nothing.
    if (!isThere || !isRefusal(error)) throw asStorageError(error, parent, 'sync')
  }
}

function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EACCES' || code === 'EPERM' || code === 'EINVAL'
}

function makeUnlessThere(files: Files, path: string): void {
  try {
    files.makeDirectory(path)
  } catch (error) {
    // Two processes may open a new log at the same time.
    if (files.stat(path)?.isDirectory !== true) throw error
  }
}

async function acquireLock(
  files: Files,
  path: string,
  wait: { readonly clock: Clock; readonly options: ResolvedOpenOptions },
): Promise<DirectoryLock> {
  const { clock, options } = wait
  const startMs = clock.monotonicMs()
  for (;;) {
    try {
      return await storageWait(path, 'lock', () => files.lock(path))
    } catch (error) {
      if (!(error instanceof LockedError)) throw error
      const leftMs = options.lockWaitMs - (clock.monotonicMs() - startMs)
      if (options.lockWaitMs !== -1 && leftMs <= 0) throw error
      const pauseMs = options.lockWaitMs === -1 ? lockPollMs : Math.min(lockPollMs, leftMs)
      await pause(clock, pauseMs, options.signal)
    }
  }
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolvePause, reject) => {
    const abort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const end = (): void => {
      signal?.removeEventListener('abort', abort)
      resolvePause()
    }
    const timer = clock.setTimer(delayMs, end, { keepAlive: true })
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted === true) abort()
  })
}

/** Puts together what was recovered. Slots and checkpoints say so before the first append. */
async function assemble(
  opening: Opening,
  recovered: RecoveredDirectory,
  held: { readonly lock: DirectoryLock; readonly disk: DiskWatch },
): Promise<Log> {
  const { files, path, environment, options, events } = opening
  const slotsPath = join(path, fileNames.slots)
  const slots = await environment.room.insist(async () =>
    storageCall(slotsPath, 'write', () =>
      VisibleSlots.open(files, slotsPath, {
        generation: recovered.slotGeneration,
        partitions: ownedSlots(recovered),
        onFailure: backgroundFailed(events, 'writing a slot for read-only processes'),
      }),
    ),
  )
  let services: LogServices | undefined
  let changes: TopicChanges | undefined
  try {
    services = servicesOf(opening, { slots, recovered, disk: held.disk })
    changes = new TopicChanges(services)
    services.sweeper.sweeps(changes.topics)
    for (const { topic, partitions } of recovered.topics) {
      const open = new OpenTopic(topic, services, changes)
      open.attach(partitions.map((found, partition) => open.partitionLog(partition, found)))
      changes.add(open)
    }
    await services.checkpointer.write()
    await services.compactor.cleaned.keepOnly(changes.topics)
    // Behind everything that may need the ballast of the last session, and before the first append.
    await held.disk.start()
    options.signal?.throwIfAborted()
    reportRecovery(events, recovered)
    const extension = await opening.extend(extensible(opening, changes, services))
    // Only now: with the checkpoints written no line of a deleted topic is left.
    await changes.followDeletions(forgetting(extension), recovered.catalog.deleting.values())
    return new WritableLog({
      name: opening.name,
      services,
      changes,
      extension,
      lock: held.lock,
      recovery: recovered.report,
    })
  } catch (error) {
    // The lock goes next: nothing of this opening may still write, now or by a timer.
    services?.checkpointer.close()
    changes?.stopRemoving()
    await changes?.close()
    const partitions = [...(changes?.topics.values() ?? [])].flatMap(topic => topic.partitions)
    await firstFailure(partitions.map(partition => partition.abandon(new ClosedError())))
    slots.close()
    throw error
  }
}

/** Kept as long as the log is open: written where it is used, it would keep all that was recovered as well. */
function forgetting(extension: LogExtension): (topic: string) => Promise<void> {
  return topic => extension.forgetTopic(topic)
}

/** What the slots say of the partitions before anything is appended. */
function ownedSlots(recovered: RecoveredDirectory): readonly OwnedSlot[] {
  const owned: OwnedSlot[] = []
  for (const { topic, partitions } of recovered.topics) {
    for (const [partition, found] of partitions.entries()) {
      const { leaderEpoch, logStartOffset, logEndOffset } = found
      const source = { leaderEpoch, logStartOffset, highWatermark: logEndOffset }
      owned.push({
        topicId: topic.id,
        partition,
        source: { ...source, recoveryPoint: logEndOffset },
      })
    }
  }
  return owned
}

/** The log as the layers above see it. */
function extensible(
  { path, options, environment, events }: Opening,
  changes: TopicChanges,
  { consumed }: LogServices,
): ExtensibleLog {
  const { topics } = changes
  return {
    dir: path,
    isReadOnly: false,
    options,
    environment,
    events,
    topic: name => topics.get(name),
    topics: () => [...topics.values()],
    openTopic: async topic => (await changes.findOrCreate(topic)).topic,
    onTopicsChanged: callback => onTopicsChanged(events, changes, callback),
    largestProducerId: () => largestProducerId(topics.values()),
    useConsumedOffsets: source => consumed.use(source),
  }
}

function onTopicsChanged(
  events: EventHub,
  changes: TopicChanges,
  callback: () => void,
): () => void {
  const types = ['topicCreated', 'topicDeleted', 'partitionsAdded'] as const
  const stops = types.map(type => events.on(type, callback))
  stops.push(changes.onWithdrawn(callback))
  return () => {
    for (const stop of stops) stop()
  }
}

function largestProducerId(topics: Iterable<OpenTopic>): number {
  let largest = -1
  for (const { partitions } of topics) {
    for (const partition of partitions) largest = Math.max(largest, partition.largestProducerId)
  }
  return largest
}

function backgroundFailed(events: EventHub, what: string): (error: Error) => void {
  return error => events.emit({ type: 'backgroundFailed', what, error })
}

/** What the parts of the log share. */
function servicesOf(
  { files, path, environment, options, events }: Opening,
  parts: {
    readonly slots: VisibleSlots
    readonly recovered: RecoveredDirectory
    readonly disk: DiskWatch
  },
): LogServices {
  const { slots, recovered, disk } = parts
  const { clock, time, room } = environment
  const consumed = new ConsumedOffsets()
  const onFailure = backgroundFailed(events, 'writing the checkpoints')
  const checkpointer = new Checkpointer({ files, dir: path, clock, room, onFailure })
  const compactor = new Compactor({ dir: path, options, environment, events, checkpointer })
  const sweeper = new Sweeper({
    clock,
    time,
    options,
    consumed,
    raise: (identity, offset) => checkpointer.raiseLogStart(identity, offset),
    compact: topics => compactor.sweep(topics),
    emit: event => events.emit(event),
    setOverLimit: isOverLimit => disk.setOverLimit(isOverLimit),
  })
  disk.onLimitQuestion(() => sweeper.recheckLimit())
  const catalog = new TopicCatalog(files, join(path, fileNames.catalog), recovered.catalog)
  const shared = { dir: path, options, environment, events, disk, catalog, slots }
  return { ...shared, checkpointer, compactor, consumed, sweeper }
}

function reportRecovery(events: EventHub, { topics, report }: RecoveredDirectory): void {
  for (const { topic, partitions } of topics) {
    for (const [partition, { cut, damage }] of partitions.entries()) {
      const of = { topic: topic.name, partition }
      if (cut !== null) events.emit({ type: 'tailCut', ...of, ...cut })
      for (const found of damage) events.emit(corruptionEvent(of, found))
    }
  }
  events.emit({ type: 'recovered', report })
}
