/**
 * Opening one partition: what is in its directory, made into a log that can be read and appended to.
 * After a clean close names and sizes are enough (`openClean`); otherwise the end of the log is
 * scanned (`recovery-scan.ts`) and everything above what was found is removed
 * (`recovery-cleanup.ts`). Recovering twice is the same as recovering once, also when the first time
 * was cut short by a crash.
 */
import { StorageError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { baseOffsetAt, leaderEpochAt } from '../record/batch-format.ts'
import { openClean } from './clean-open.ts'
import { damageFrom, isKnownDamage, rememberedDamage } from './damage.ts'
import type { Damage } from './environment.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { lastAppendMs, type PartitionFiles, readPartitionFiles } from './partition-files.ts'
import { ProducerReplay } from './producer-replay.ts'
import type { CutBytes } from './quarantine.ts'
import type { FoundPartition, RecoveredPartition, RecoverOptions } from './recovered-partition.ts'
import {
  type CutPlan,
  cleanUp,
  removeLeftovers,
  removeTemporary,
  surveyCut,
} from './recovery-cleanup.ts'
import { type LogScan, type ScannedSegment, scanLog } from './recovery-scan.ts'
import { listSealed } from './sealed-segments.ts'
import { type ActiveSegmentState, type SealedSegment, segmentPath } from './segment.ts'
import { finishSwaps } from './segment-swap.ts'
import { assumedFacts, type Manifest } from './segments-manifest.ts'

export type { RecoveredPartition, RecoverOptions } from './recovered-partition.ts'

/**
 * Recovers the partition. When it resolves, nothing in the log can be taken back by a crash.
 *
 * @throws {StorageError} when the file system fails; recovering again may succeed.
 */
export async function recoverPartition(options: RecoverOptions): Promise<RecoveredPartition> {
  try {
    return await options.environment.room.insist(() => recover(options))
  } catch (error) {
    if (error instanceof StorageError || !isErrno(error)) throw error
    throw new StorageError(error.path ?? options.dir, error.syscall ?? 'recover', error)
  }
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && !('generatedMessage' in error)
}

async function recover(options: RecoverOptions): Promise<RecoveredPartition> {
  const { files } = options.environment
  const listed = await settledFiles(files, options.dir)
  await removeTemporary(files, options.dir, listed.temporaryNames)
  const logStartOffset = logStartOf(options, listed)
  const found = await removeLeftovers(files, options.dir, { found: listed, logStartOffset })
  const partition = { options, found, logStartOffset }
  const recovered =
    (options.wasClean ? await openClean(partition) : null) ?? (await repair(partition))
  const remembered = rememberedDamage(options.dir, found.manifest.damage ?? [], recovered)
  const damage = recovered.damage.filter(it => !isKnownDamage(remembered, it))
  return { ...recovered, damage, remembered }
}

/** What the directory holds when a compaction that was interrupted has come to its end. */
async function settledFiles(files: Files, dir: string): Promise<PartitionFiles> {
  const listed = readPartitionFiles(files, dir)
  if (listed.swapNames.length === 0) return listed
  await finishSwaps(files, dir, listed)
  return readPartitionFiles(files, dir)
}

/**
 * Where the log begins. The manifest's word comes first: it has a checksum, and it is written before the
 * checkpoint, so that one which says more is wrong and one which says less is old. Without both the
 * slot, which has one as well, tells from where on nothing is missing.
 */
function logStartOf(options: RecoverOptions, listed: PartitionFiles): number {
  const stated = listed.manifest.start ?? options.checkpointedLogStart
  return stated ?? Math.max(guessLogStart(options, listed), options.slotLogStart ?? 0)
}

/**
 * Where the log begins when nothing says so: where its segments do, unless none of them is
 * connected with what is known to be durable. Then a crash took the names of those before them.
 */
function guessLogStart(options: RecoverOptions, { bases, manifest }: PartitionFiles): number {
  const firstBase = bases[0] ?? manifest.sealed[0]?.baseOffset ?? 0
  const recoveryPoint = options.checkpointedRecoveryPoint ?? firstBase
  const isApart = firstBase > Math.max(recoveryPoint, statedEnd(manifest))
  return Math.min(firstBase, manifest.sealed[0]?.baseOffset ?? (isApart ? 0 : firstBase))
}

/** What is decided before the scan. */
interface RepairPlan extends FoundPartition {
  /** Everything below needs no second write. */
  readonly recoveryPoint: number
  /** Nothing below is ever cut. */
  readonly durableEnd: number
  readonly producers: ProducerReplay
  readonly nowMs: number
}

async function repair(partition: FoundPartition): Promise<RecoveredPartition> {
  const { options, found, logStartOffset } = partition
  const { environment, dir } = options
  const recoveryPoint = Math.max(options.checkpointedRecoveryPoint ?? 0, logStartOffset)
  const producers = ProducerReplay.open(environment.files, dir, {
    snapshots: found.snapshots,
    recoveryPoint,
    logStartOffset,
  })
  const durableEnd = Math.max(recoveryPoint, statedEnd(found.manifest))
  const plan = {
    ...partition,
    recoveryPoint,
    durableEnd,
    producers,
    nowMs: environment.time.nowMs(),
  }
  // Without a record of the epochs the batches are all there is to tell which were used.
  const isEpochRecordLost =
    found.epochs === null || (found.epochs.latest < 0 && found.bases.length > 0)
  const scanFrom = isEpochRecordLost
    ? logStartOffset
    : Math.min(recoveryPoint, Math.max(producers.startOffset, logStartOffset))
  // The segment that ends at `scanFrom` is looked into as well: its last batch tells the epoch.
  const first = Math.max(
    0,
    found.bases.findLastIndex(base => base < scanFrom),
  )
  const isApart = (found.bases[0] ?? 0) > durableEnd
  const bases = isApart ? [] : found.bases.slice(first)
  const epochs = found.epochs ?? new LeaderEpochs()
  const scan = await scanEnd(plan, {
    bases,
    scanFrom,
    epochs: isEpochRecordLost ? epochs : null,
    knownLeaderEpoch: isEpochRecordLost ? null : epochs.latest,
  })
  const run = await listSealed({
    files: environment.files,
    dir,
    bases: isApart ? [] : found.bases.slice(0, first),
    endOffset: bases[0] ?? scan.logEndOffset,
    logStartOffset,
    manifest: found.manifest,
    indexIntervalBytes: options.indexIntervalBytes,
    nowMs: plan.nowMs,
  })
  const damage = [...run.damage, ...scan.damage].flatMap(it => damageFrom(it, logStartOffset))
  return settle(plan, { scan, epochs, isEpochRecordLost, unscanned: run.segments, damage })
}

/** The highest offset that the manifest says is in a synced segment. */
function statedEnd(manifest: Manifest): number {
  return Math.max(manifest.sealed.at(-1)?.nextOffset ?? 0, manifest.active?.nextOffset ?? 0)
}

async function scanEnd(
  plan: RepairPlan,
  at: {
    readonly bases: readonly number[]
    readonly scanFrom: number
    /** To be filled from the batches; null when they are known. */
    readonly epochs: LeaderEpochs | null
    readonly knownLeaderEpoch: number | null
  },
): Promise<LogScan> {
  const { options, found, recoveryPoint, durableEnd, producers, nowMs } = plan
  if (at.bases.length === 0) return emptyScan(plan)
  return scanLog({
    files: options.environment.files,
    dir: options.dir,
    bases: at.bases,
    scanFrom: at.scanFrom,
    recoveryPoint,
    durableEnd,
    knownLeaderEpoch: at.knownLeaderEpoch,
    knownFacts: found.manifest.active,
    indexIntervalBytes: options.indexIntervalBytes,
    nowMs,
    onBatch: (buffer, position) => {
      producers.note(buffer, position)
      if (at.epochs === null) return
      const leaderEpoch = leaderEpochAt(buffer, position)
      if (leaderEpoch > at.epochs.latest) {
        at.epochs.assign(leaderEpoch, baseOffsetAt(buffer, position))
      }
    },
  })
}

/** The scan of a partition without a segment; those that are there and not scanned have to go. */
function emptyScan({ logStartOffset, durableEnd, found }: RepairPlan): LogScan {
  return {
    segments: [],
    damage: [],
    logEndOffset: durableEnd,
    keptTo: logStartOffset,
    isCut: found.bases.length > 0,
    isRestart: true,
    leaderEpoch: -1,
    scannedBytes: 0,
  }
}

interface Findings {
  readonly scan: LogScan
  readonly epochs: LeaderEpochs
  readonly isEpochRecordLost: boolean
  /** The segments below the scanned ones. */
  readonly unscanned: readonly SealedSegment[]
  readonly damage: readonly Damage[]
}

/** Makes true on disk what was found, and puts it together. */
async function settle(plan: RepairPlan, findings: Findings): Promise<RecoveredPartition> {
  const { options, found, logStartOffset, recoveryPoint } = plan
  const { scan, epochs, unscanned, damage } = findings
  const { files, quarantineBytes } = options.environment
  const { logEndOffset } = scan
  const cut = await planCut(plan, scan)
  const usedEpoch = Math.max(epochs.latest, scan.leaderEpoch, cut?.survey.leaderEpoch ?? -1)
  const leaderEpoch = Math.min(usedEpoch + 1, largestEpoch)
  // Epochs that are dropped and not replaced in the same step could be given again after a crash.
  const isEpochDropped = epochs.truncateFromEnd(logEndOffset)
  epochs.truncateFromStart(logStartOffset)
  const epochIsSaved = isEpochDropped || cut !== null || findings.isEpochRecordLost
  if (epochIsSaved) epochs.assign(leaderEpoch, logEndOffset)
  const active = scan.isRestart ? undefined : scan.segments.at(-1)
  const sealed = scan.segments.filter(it => it !== active).map(it => sealScanned(plan, it))
  const toIndex = sealed.flatMap(it => (it.pendingIndexes === null ? [] : [it]))
  const { quarantinedBytes, unsavedIndexes } = await cleanUp(files, options.dir, {
    found,
    logEndOffset,
    cut,
    cutBaseOffset: cutBaseOffset(found.bases, scan),
    keptBases: new Set([...unscanned, ...sealed, ...(active ? [active.segment] : [])].map(baseOf)),
    damagedSnapshots: plan.producers.damagedSnapshots,
    epochs: epochIsSaved ? epochs : null,
    indexes: [
      ...toIndex.map(it => ({ baseOffset: it.baseOffset, indexes: it.pendingIndexes })),
      ...(active ? [active.segment] : []),
    ].flatMap(({ baseOffset, indexes }) => (indexes === null ? [] : [{ baseOffset, indexes }])),
    isDamaged: scan.damage.length > 0,
    quarantineBytes,
  })
  for (const it of toIndex) if (!unsavedIndexes.has(it.baseOffset)) it.pendingIndexes = null
  const cutBytes = cut?.bytes.reduce((sum, it) => sum + it.endPosition - it.position, 0) ?? 0
  const cutBatches = cut?.survey.batchCount ?? 0
  const cutTail = {
    cutBytes,
    quarantinedBytes,
    cutBatches,
    from: logEndOffset,
    to: cut?.survey.nextOffset ?? logEndOffset,
  }
  const report = {
    ...options.identity,
    keptFrom: recoveryPoint,
    keptTo: Math.max(recoveryPoint, scan.keptTo),
    scannedBytes: scan.scannedBytes,
    cutBytes,
    quarantinedBytes,
    cutBatches,
    damage,
  }
  const isNothing = found.bases.length === 0 && damage.length === 0
  return {
    logStartOffset,
    logEndOffset,
    epochs,
    leaderEpoch,
    epochIsSaved,
    sealed: [...unscanned, ...sealed],
    isListed: isNothing,
    active: active === undefined ? null : activeState(plan, active),
    producers: plan.producers.finish(logEndOffset),
    lastAppendMs: lastAppendMs(found.manifest),
    damage,
    remembered: [],
    cut: cutBytes > 0 ? cutTail : null,
    report: isNothing ? null : report,
  }
}

const largestEpoch = 2 ** 31 - 1

function baseOf({ baseOffset }: { readonly baseOffset: number }): number {
  return baseOffset
}

/** The bytes behind the good part of the last segment that stays, and all of those behind it. */
async function planCut({ options, found }: RepairPlan, scan: LogScan): Promise<CutPlan | null> {
  const last = scan.segments.at(-1)
  if (!scan.isCut) return null
  const { files } = options.environment
  const bytes: CutBytes[] = []
  const note = (baseOffset: number, position: number): void => {
    const path = segmentPath(options.dir, baseOffset, 'log')
    const endPosition = files.stat(path)?.sizeBytes ?? 0
    if (endPosition > position) bytes.push({ path, baseOffset, position, endPosition })
  }
  const lastBase = last?.segment.baseOffset ?? -1
  if (last !== undefined) note(lastBase, last.segment.sizeBytes)
  for (const base of found.bases) if (base > lastBase) note(base, 0)
  return surveyCut(files, bytes, scan.logEndOffset)
}

/** The first segment that loses bytes: it, and every later one, has nothing to say in the manifest. */
function cutBaseOffset(bases: readonly number[], scan: LogScan): number {
  const last = scan.segments.at(-1)
  if (last === undefined) return bases[0] ?? Number.POSITIVE_INFINITY
  const { baseOffset, sizeBytes } = last.segment
  if (last.fileBytes > sizeBytes) return baseOffset
  return bases.find(base => base > baseOffset) ?? Number.POSITIVE_INFINITY
}

/** A scanned segment that is not the last; its indexes are pending unless they are known to be synced. */
function sealScanned({ found, nowMs }: RepairPlan, scanned: ScannedSegment): SealedSegment {
  const sealed = scanned.segment.seal()
  const line = found.manifest.sealed.find(it => it.baseOffset === sealed.baseOffset)
  const isWhole = scanned.fileBytes === sealed.sizeBytes
  const isAgreed =
    line?.nextOffset === sealed.nextOffset && line.sizeBytes === sealed.sizeBytes && isWhole
  if (isAgreed) return { ...sealed, facts: line, pendingIndexes: null }
  const { active } = found.manifest
  // It was still active when the manifest was written last, and nothing was appended to it since.
  const isListed = active?.baseOffset === sealed.baseOffset && active.sizeBytes === sealed.sizeBytes
  const times = isListed ? active : assumedFacts(sealed, nowMs)
  const facts = { ...times, nextOffset: sealed.nextOffset, headersCrc: scanned.headersCrc }
  return { ...sealed, facts: isWhole ? facts : null }
}

function activeState(
  { found, nowMs }: RepairPlan,
  { segment, headersCrc }: ScannedSegment,
): ActiveSegmentState {
  const { baseOffset, nextOffset, sizeBytes, indexes, maxTimestamp, maxTimestampOffset } = segment
  const line = found.manifest.active?.baseOffset === baseOffset ? found.manifest.active : null
  // When the times of the appends are not known they count as late as possible: now.
  const firstAppendMs = line !== null && line.firstAppendMs >= 0 ? line.firstAppendMs : nowMs
  const isAsListed = line?.sizeBytes === sizeBytes && line.lastAppendMs >= 0
  return {
    baseOffset,
    nextOffset,
    sizeBytes,
    offsets: indexes.offsets,
    times: indexes.times,
    maxTimestamp,
    maxTimestampOffset,
    firstAppendMs: sizeBytes === 0 ? null : firstAppendMs,
    lastAppendMs: sizeBytes === 0 ? null : isAsListed ? line.lastAppendMs : nowMs,
    headersCrc: sizeBytes === 0 ? 0 : headersCrc,
  }
}
