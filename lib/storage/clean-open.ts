/**
 * Opening a partition that was closed cleanly: no batch is read but the last few headers. Everything
 * must fit together; what does not is handled as after a crash, which costs a scan and is always
 * right.
 */
import type { Files } from '../files/files.ts'
import { batchHeaderBytes, batchSizeAt, leaderEpochAt } from '../record/batch-format.ts'
import { lastAppendMs } from './partition-files.ts'
import { ProducerState } from './producer-state.ts'
import type { FoundPartition, RecoveredPartition } from './recovered-partition.ts'
import { listSealed } from './sealed-segments.ts'
import { type ActiveSegmentState, emptySegmentState, segmentPath } from './segment.ts'
import { loadIndexes } from './segment-start.ts'

/** The partition as it was closed; null when something does not fit. */
export async function openClean(partition: FoundPartition): Promise<RecoveredPartition | null> {
  const { options, found, logStartOffset } = partition
  const { environment, dir } = options
  const { epochs, manifest } = found
  const logEndOffset = options.checkpointedRecoveryPoint
  if (logEndOffset === null || logEndOffset < logStartOffset || epochs === null) return null
  if ((epochs.entries.at(-1)?.startOffset ?? 0) > logEndOffset) return null
  const stated = manifest.sealed.at(-1)?.nextOffset ?? 0
  if (stated > logEndOffset) return null
  const lastBase = found.bases.at(-1)
  const active = lastBase === undefined ? null : openActive(partition, lastBase, logEndOffset)
  // Without a segment the log must be empty; with segments it must have an epoch, and an end.
  if (active === null && (lastBase !== undefined || logEndOffset > logStartOffset)) return null
  if (lastBase !== undefined && epochs.latest < 0 && logEndOffset > 0) return null
  const producers = openProducers(partition, logEndOffset)
  if (producers === null) return null
  const run = await listSealed({
    files: environment.files,
    dir,
    bases: found.bases.slice(0, -1),
    endOffset: lastBase ?? logEndOffset,
    logStartOffset: lastBase === undefined ? logEndOffset : logStartOffset,
    manifest,
    indexIntervalBytes: options.indexIntervalBytes,
    nowMs: environment.time.nowMs(),
  })
  epochs.truncateFromStart(logStartOffset)
  return {
    logStartOffset,
    logEndOffset,
    epochs,
    leaderEpoch: Math.max(epochs.latest, 0),
    epochIsSaved: epochs.latest >= 0,
    sealed: run.segments,
    isListed: run.isListed,
    active,
    producers,
    lastAppendMs: lastAppendMs(manifest),
    damage: run.damage,
    remembered: [],
    cut: null,
    report: null,
  }
}

function openActive(
  { options, found }: FoundPartition,
  baseOffset: number,
  logEndOffset: number,
): ActiveSegmentState | null {
  const { environment, dir } = options
  const { files } = environment
  const path = segmentPath(dir, baseOffset, 'log')
  const sizeBytes = files.stat(path)?.sizeBytes ?? 0
  if (sizeBytes === 0) return baseOffset === logEndOffset ? emptySegmentState(baseOffset) : null
  const facts = found.manifest.active
  const isKnown =
    facts?.baseOffset === baseOffset &&
    facts.sizeBytes === sizeBytes &&
    facts.nextOffset === logEndOffset
  if (!isKnown) return null
  const indexes = loadIndexes(files, dir, baseOffset)
  const lastTime = indexes?.times.lastEntry ?? null
  if (indexes === null || lastTime === null || lastTime.offset >= logEndOffset) return null
  const { offsets, times } = indexes
  const entry = offsets.entryCount === 0 ? null : offsets.entryAt(offsets.entryCount - 1)
  if (entry !== null && (entry.offset >= logEndOffset || entry.position >= sizeBytes)) return null
  // The epoch file has no checksum, and a session in too low an epoch would write batches that
  // every later scan refuses.
  const leaderEpoch = lastLeaderEpoch(files, path, { from: entry?.position ?? 0, to: sizeBytes })
  if (leaderEpoch === null || leaderEpoch > (found.epochs?.latest ?? -1)) return null
  return {
    ...facts,
    offsets,
    times,
    maxTimestamp: lastTime.timestamp,
    maxTimestampOffset: lastTime.offset,
  }
}

/** The epoch of the last batch, found by walking the headers; null when they do not lead to the end. */
function lastLeaderEpoch(
  files: Files,
  path: string,
  range: { readonly from: number; readonly to: number },
): number | null {
  const file = files.open(path, 'read')
  try {
    const header = Buffer.allocUnsafe(batchHeaderBytes)
    let leaderEpoch = -1
    let position = range.from
    while (position < range.to) {
      if (file.readSync(header, position) < header.length) return null
      const sizeBytes = batchSizeAt(header, 0)
      if (sizeBytes < batchHeaderBytes) return null
      leaderEpoch = leaderEpochAt(header, 0)
      position += sizeBytes
    }
    return position === range.to ? leaderEpoch : null
  } finally {
    file.close()
  }
}

/** The producers that a clean close left; null when the snapshot that should be there is not. */
function openProducers(
  { options, found }: FoundPartition,
  logEndOffset: number,
): ProducerState | null {
  if (found.snapshots.length === 0) return new ProducerState()
  if (found.snapshots.at(-1) !== logEndOffset) return null
  const path = segmentPath(options.dir, logEndOffset, 'snapshot')
  const bytes = options.environment.files.readFile(path)
  const state = bytes === null ? null : ProducerState.load(bytes)
  state?.commit(logEndOffset)
  return state
}
