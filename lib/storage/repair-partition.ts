/**
 * Putting right what a verification of one partition has found. The batches in the log are the proof
 * and stay as they are, every one of them, at their offsets: indexes, manifest, epoch file and producer
 * snapshots are made anew from them.
 *
 * Damaged bytes stay where they are as well. They are copied to a `.quarantined` file, and the loss is
 * put on record as a gap, so that it is known over every close and crash; reads of it go on failing
 * typed, or passing it over. A segment is not written anew without them: as long as the rest can be
 * read, moving good bytes risks more than it gains.
 *
 * Each step leaves the old state or the new one:
 *
 * 1. the copy is synced under its name before the gap is on record;
 * 2. a manifest line goes durably before the index files of its segment are replaced, one file at a time
 *    by rename, and comes back when both are durable;
 * 3. epoch file, manifest and snapshots are replaced by rename.
 *
 * A crash between two steps leaves what another repair finds again.
 */
import type { Files } from '../files/files.ts'
import type { Finding } from '../verification.ts'
import { baseOffsetOf, isSettledDamage } from './damage.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from './environment.ts'
import { attempt } from './file-io.ts'
import { IndexesCheck } from './indexes-check.ts'
import type { LeaderEpochEntry } from './leader-epochs.ts'
import { quarantine } from './quarantine.ts'
import { rebuildIndexes } from './rebuild-indexes.ts'
import {
  dropMissing,
  type RestatedSegments,
  restateActive,
  restateDamage,
  restateSegment,
} from './restated-segments.ts'
import { segmentPath } from './segment.ts'
import type { SegmentSet } from './segment-set.ts'
import type { SegmentFacts } from './segments-manifest.ts'
import type { PartitionFindings, VerifiablePartition } from './verify-partition.ts'
import { type SegmentWalk, walkSegment } from './verify-segment.ts'
import type { WorkPace } from './work-pace.ts'

/** The parts of a partition that write the files. */
export interface RepairableFiles {
  readonly segments: SegmentSet
  /** Takes over the epochs that the batches up to `endOffset` have; false when that would be wrong. */
  rewriteEpochs(runs: readonly LeaderEpochEntry[], endOffset: number): Promise<boolean>
  /** Removes these snapshots and writes a new one when there are producers. */
  replaceSnapshots(paths: readonly string[]): Promise<void>
}

/** A partition of the log that this process writes. */
export interface RepairablePartition extends VerifiablePartition {
  readonly identity: PartitionIdentity
  readonly repairable: RepairableFiles
}

/** What became of the damaged bytes. */
export interface QuarantinedBytes {
  readonly damagedBytes: number
  readonly quarantinedBytes: number
}

/**
 * Repairs what `found` names, as far as that is possible. What it could do is for another verification
 * to say.
 *
 * @throws {StorageError} when a file cannot be read or written; the steps before it hold
 */
export function repairPartition(
  environment: StorageEnvironment,
  partition: RepairablePartition,
  request: { readonly found: PartitionFindings; readonly pace: WorkPace },
): Promise<QuarantinedBytes> {
  const { found, pace } = request
  return new PartitionRepair(environment, partition, { found, pace }).run()
}

class PartitionRepair {
  readonly #environment: StorageEnvironment
  readonly #files: Files
  readonly #partition: RepairablePartition
  readonly #found: PartitionFindings
  readonly #pace: WorkPace

  constructor(
    environment: StorageEnvironment,
    partition: RepairablePartition,
    request: { readonly found: PartitionFindings; readonly pace: WorkPace },
  ) {
    this.#environment = environment
    this.#files = environment.files
    this.#partition = partition
    this.#found = request.found
    this.#pace = request.pace
  }

  async run(): Promise<QuarantinedBytes> {
    const { repairable, dir } = this.#partition
    const kept = await this.#settleDamage()
    for (const baseOffset of this.#basesToRestate()) {
      await this.#pace.spent(0)
      await attempt({ path: dir, operation: 'repair' }, () => this.#restate(baseOffset))
    }
    await this.#pace.spent(0)
    await attempt({ path: dir, operation: 'repair' }, async () => {
      const { epochRuns, to } = this.#found
      if (this.#has('leader-epochs')) await repairable.rewriteEpochs(epochRuns, to)
      const snapshots = this.#of('producer-snapshot').map(finding => finding.path)
      if (snapshots.length > 0) await repairable.replaceSnapshots(snapshots)
    })
    return kept
  }

  get #restated(): RestatedSegments {
    const { dir, repairable } = this.#partition
    return { environment: this.#environment, dir, segments: repairable.segments }
  }

  #of(type: Finding['type']): readonly Finding[] {
    return this.#found.findings.filter(finding => finding.type === type)
  }

  #has(type: Finding['type']): boolean {
    return this.#of(type).length > 0
  }

  /** Keeps a copy of what is damaged, and puts the loss on record; also what turned out not to be lost. */
  async #settleDamage(): Promise<QuarantinedBytes> {
    const { damaged, stale } = this.#found
    const { dir, repairable } = this.#partition
    let damagedBytes = 0
    const cuts = damaged.flatMap(({ path, position, endPosition }) => {
      damagedBytes += endPosition - position
      const cut = { path, baseOffset: baseOffsetOf(path), position, endPosition }
      return endPosition > position ? [cut] : []
    })
    const { quarantineBytes } = this.#environment
    const quarantinedBytes = await quarantine(this.#files, dir, { cuts, quarantineBytes })
    if (quarantinedBytes > 0) {
      await attempt({ path: dir, operation: 'sync' }, () => this.#files.syncDirectory(dir))
    }
    const isManifestWrong = this.#of('manifest').some(finding => finding.from === null)
    if (damaged.length + stale.length > 0 || isManifestWrong) {
      await attempt({ path: dir, operation: 'repair' }, () =>
        restateDamage(repairable.segments, known => withGaps(known, { damaged, stale })),
      )
    }
    return { damagedBytes, quarantinedBytes }
  }

  /** Segments whose indexes or manifest line are wrong, or whose indexes must lead behind damage. */
  #basesToRestate(): readonly number[] {
    const bases = this.#partition.verifiableSegments().map(segment => segment.baseOffset)
    const { dir } = this.#partition
    return bases.filter(baseOffset =>
      this.#found.findings.some(({ type, path, from }) => {
        if (type === 'manifest') return from === baseOffset
        return (['log', 'index', 'timeindex'] as const).some(
          suffix => path === segmentPath(dir, baseOffset, suffix),
        )
      }),
    )
  }

  async #restate(baseOffset: number): Promise<void> {
    const { segments } = this.#partition.repairable
    const readable = segments.list.readable()
    const index = readable.findIndex(it => it.baseOffset === baseOffset)
    const segment = readable[index]
    if (segment === undefined) return
    if (segments.active?.baseOffset === baseOffset) {
      await restateActive(this.#restated)
      return
    }
    const seen = segments.list.sealedAt(baseOffset)
    if (seen === null) return
    const path = segmentPath(this.#partition.dir, baseOffset, 'log')
    const fileBytes = this.#files.stat(path)?.sizeBytes ?? null
    if (fileBytes === null) {
      await dropMissing(segments, seen)
      return
    }
    const endOffset = readable[index + 1]?.baseOffset ?? this.#partition.recoveryPoint
    const pin = this.#environment.handles.pin(path, 'read')
    try {
      const walk = await this.#walk(pin.file, { baseOffset, endOffset, fileBytes })
      const indexes = await rebuildIndexes(pin.file, {
        baseOffset,
        nextOffset: endOffset,
        endPosition: fileBytes,
      })
      const facts = factsOf(seen.facts, { walk, fileBytes })
      await restateSegment(this.#restated, seen, { indexes, facts })
    } finally {
      pin.release()
    }
  }

  #walk(
    file: Parameters<typeof rebuildIndexes>[0],
    of: { readonly baseOffset: number; readonly endOffset: number; readonly fileBytes: number },
  ): Promise<SegmentWalk> {
    return walkSegment({
      file,
      baseOffset: of.baseOffset,
      endPosition: of.fileBytes,
      endOffset: of.endOffset,
      isLast: false,
      logStartOffset: 0,
      indexes: new IndexesCheck(of.baseOffset, { offsets: null, times: null }, false),
      epochs: null,
      deep: false,
      pace: this.#pace,
      onChecked: () => {},
    })
  }
}

/** The known damage with what was found as settled, and without what can be read after all. */
function withGaps(
  known: readonly Damage[],
  of: { readonly damaged: readonly Damage[]; readonly stale: readonly Damage[] },
): readonly Damage[] {
  const gaps = of.damaged.map(({ from, to, path, position, reason }) => ({
    from,
    to,
    path,
    position,
    reason,
    isSettled: true,
  }))
  const kept = known.filter(it => !of.stale.includes(it) && !isSettledDamage(gaps, it))
  return [...kept, ...gaps].sort((a, b) => a.from - b.from)
}

/** The line of a segment as its batches have it; append times can only be told by the line before. */
function factsOf(
  before: SegmentFacts | null,
  { walk, fileBytes }: { readonly walk: SegmentWalk; readonly fileBytes: number },
): SegmentFacts | null {
  if (before === null) return null
  const { nextOffset, headersCrc } = walk
  const firstAppendMs = Math.min(before.firstAppendMs, before.lastAppendMs)
  return { ...before, nextOffset, headersCrc, sizeBytes: fileBytes, firstAppendMs }
}
