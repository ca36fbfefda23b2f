/**
 * The sealed segments that recovery does not scan, judged by names, sizes and the manifest alone. A
 * segment on which the manifest and the file disagree is read, so that the damage can be named; of one
 * that the manifest does not know the end is read, so that its indexes are whole.
 */
import type { Files } from '../files/files.ts'
import type { Damage } from './environment.ts'
import { attempt } from './file-io.ts'
import type { SegmentIndexes } from './index-cache.ts'
import { type LogScan, scanLog } from './recovery-scan.ts'
import { type SealedSegment, segmentPath } from './segment.ts'
import { loadIndexes } from './segment-start.ts'
import { assumedFacts, type Manifest, type SegmentFacts } from './segments-manifest.ts'

/** A run of segments, as the directory and the manifest name them. */
export interface SealedPlan {
  readonly files: Files
  readonly dir: string
  /** Base offsets of the segments, ascending. */
  readonly bases: readonly number[]
  /** Where the segment behind the last of them begins. */
  readonly endOffset: number
  readonly logStartOffset: number
  readonly manifest: Manifest
  readonly indexIntervalBytes: number
  readonly nowMs: number
}

/** What the run is made of, and what is missing from it. */
export interface SealedRun {
  readonly segments: readonly SealedSegment[]
  readonly damage: readonly Damage[]
  /** The manifest has a line for each, which holds. */
  readonly isListed: boolean
}

/** Lists the run. Damage is found where a segment, or a part of its file, is missing. */
export async function listSealed(plan: SealedPlan): Promise<SealedRun> {
  const { bases } = plan
  const lines = plan.manifest.sealed
  let lineIndex = 0
  const segments: SealedSegment[] = []
  const damage: Damage[] = []
  let reached = plan.logStartOffset
  let isListed = true
  // Opening a log comes here for every segment: both lists are in order, and are walked side by side.
  for (let index = 0; index < bases.length; index++) {
    const baseOffset = bases[index] as number
    if (reached < baseOffset) noteMissing(damage, plan, { from: reached, to: baseOffset })
    const nextBase = bases[index + 1] ?? plan.endOffset
    while (lineIndex < lines.length && (lines[lineIndex] as SegmentFacts).baseOffset < baseOffset)
      lineIndex++
    const next = lines[lineIndex]
    const line = next?.baseOffset === baseOffset ? next : null
    const found = judge(plan, { baseOffset, nextBase, line })
    isListed &&= line !== null && found !== null
    if (found === null) {
      const inspected = await inspect(plan, { baseOffset, nextBase })
      segments.push(inspected.segment)
      damage.push(...inspected.damage)
      reached = nextBase
    } else {
      if (line === null) found.pendingIndexes = await unfinishedIndexes(plan, found)
      segments.push(found)
      reached = found.nextOffset
    }
  }
  noteMissing(damage, plan, { from: reached, to: plan.endOffset })
  return { segments, damage, isListed }
}

function noteMissing(
  damage: Damage[],
  plan: SealedPlan,
  range: { readonly from: number; readonly to: number },
): void {
  if (range.from >= range.to) return
  const path = segmentPath(plan.dir, range.from, 'log')
  damage.push({ ...range, path, position: 0, reason: 'missing' })
}

/** The segment, as far as that can be told without reading it; null when it cannot. */
function judge(
  plan: SealedPlan,
  at: {
    readonly baseOffset: number
    readonly nextBase: number
    readonly line: SegmentFacts | null
  },
): SealedSegment | null {
  const { baseOffset, nextBase, line } = at
  const sizeBytes = plan.files.stat(segmentPath(plan.dir, baseOffset, 'log'))?.sizeBytes ?? 0
  if (line === null) {
    // Another segment that only the manifest knows may have been between this one and the next.
    const lost = plan.manifest.sealed.find(it => it.baseOffset > baseOffset)
    const nextOffset = Math.min(nextBase, lost?.baseOffset ?? nextBase)
    if (sizeBytes === 0) return null
    const facts = assumedFacts({ baseOffset, nextOffset, sizeBytes }, plan.nowMs)
    return { baseOffset, nextOffset, sizeBytes, facts, pendingIndexes: null }
  }
  if (line.sizeBytes !== sizeBytes || line.nextOffset > nextBase) return null
  const { nextOffset } = line
  return { baseOffset, nextOffset, sizeBytes, facts: line, pendingIndexes: null }
}

/**
 * The indexes of a segment without a line, when its files do not say all that they must; null leaves
 * them as they are. A line says that both were synced whole. Without one they may be what was saved
 * while the segment was active, where the power went or the disk was full as it was finished: a time
 * index that ends early hides the records behind from lookups, and lets them pass for older than they
 * are. So the log is read from where both indexes vouch for it, which is its last few batches unless
 * its largest timestamp lies further up. Where both are missing reads make them anew, and behind damage
 * nothing is known that the files do not say.
 */
async function unfinishedIndexes(
  plan: SealedPlan,
  { baseOffset, nextOffset }: SealedSegment,
): Promise<SegmentIndexes | null> {
  const { files, dir } = plan
  const suffixes = ['index', 'timeindex'] as const
  if (suffixes.every(it => files.stat(segmentPath(dir, baseOffset, it)) === null)) return null
  const found = loadIndexes(files, dir, baseOffset)
  const scan = await scanOne(plan, { baseOffset, scanFrom: nextOffset, endOffset: nextOffset })
  const indexes = scan.segments[0]?.segment.seal().pendingIndexes ?? null
  if (indexes === null || scan.damage.length > 0) return null
  const isWhole =
    found !== null &&
    indexes.offsets.entryCount <= found.offsets.entryCount &&
    indexes.times.lastEntry?.offset === found.times.lastEntry?.offset
  return isWhole ? null : indexes
}

/** Reads the segment. It is not what it was, so nothing more is said of it than what can be read. */
async function inspect(
  plan: SealedPlan,
  { baseOffset, nextBase }: { readonly baseOffset: number; readonly nextBase: number },
): Promise<{ readonly segment: SealedSegment; readonly damage: readonly Damage[] }> {
  const scan = await scanOne(plan, { baseOffset, scanFrom: baseOffset, endOffset: nextBase })
  const segment = scan.segments[0]?.segment.seal()
  return {
    segment: {
      baseOffset,
      nextOffset: segment?.nextOffset ?? baseOffset,
      sizeBytes: segment?.sizeBytes ?? 0,
      facts: null,
      pendingIndexes: null,
    },
    damage: scan.damage,
  }
}

function scanOne(
  { files, dir, indexIntervalBytes, nowMs }: SealedPlan,
  at: { readonly baseOffset: number; readonly scanFrom: number; readonly endOffset: number },
): Promise<LogScan> {
  const { baseOffset, scanFrom, endOffset } = at
  const path = segmentPath(dir, baseOffset, 'log')
  return attempt({ path, operation: 'scan' }, () =>
    scanLog({
      files,
      dir,
      bases: [baseOffset],
      scanFrom,
      recoveryPoint: Number.POSITIVE_INFINITY,
      durableEnd: endOffset,
      limitOffset: endOffset,
      knownLeaderEpoch: null,
      knownFacts: null,
      indexIntervalBytes,
      nowMs,
      onBatch: () => {},
    }),
  )
}
