/**
 * The sealed segments that recovery does not scan, judged by names, sizes and the manifest alone. A
 * segment on which the manifest and the file disagree is read, so that the damage can be named.
 */
import type { Files } from '../files/files.ts'
import type { Damage } from './environment.ts'
import { attempt } from './file-io.ts'
import { scanLog } from './recovery-scan.ts'
import { type SealedSegment, segmentPath } from './segment.ts'
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

/** Reads the segment. It is not what it was, so nothing more is said of it than what can be read. */
async function inspect(
  plan: SealedPlan,
  at: { readonly baseOffset: number; readonly nextBase: number },
): Promise<{ readonly segment: SealedSegment; readonly damage: readonly Damage[] }> {
  const { files, dir, indexIntervalBytes, nowMs } = plan
  const path = segmentPath(dir, at.baseOffset, 'log')
  const scan = await attempt({ path, operation: 'scan' }, () =>
    scanLog({
      files,
      dir,
      bases: [at.baseOffset],
      scanFrom: at.baseOffset,
      recoveryPoint: Number.POSITIVE_INFINITY,
      durableEnd: at.nextBase,
      limitOffset: at.nextBase,
      knownLeaderEpoch: null,
      knownFacts: null,
      indexIntervalBytes,
      nowMs,
      onBatch: () => {},
    }),
  )
  const segment = scan.segments[0]?.segment.seal()
  const { baseOffset } = at
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
