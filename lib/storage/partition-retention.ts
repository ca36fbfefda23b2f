/**
 * Giving up the head of one partition: by the rules of retention, by `deleteRecords`, or because the log
 * as a whole takes too much room.
 *
 * The order is that of `SegmentSet.giveUp`; before it an active segment in which every record goes is
 * rolled, and the new, empty one is durable before the old one goes, so that the partition's offsets
 * go on where they were, whatever is left of it.
 */
import { OffsetOutOfRangeError, type StorageError } from '../errors.ts'
import type { DeletionReason, KeptBecause } from '../types.ts'
import type { Damage, PartitionIdentity } from './environment.ts'
import type { HeldSegment } from './held-segments.ts'
import type { PartitionOffsets } from './partition-offsets.ts'
import type { PartitionWriter } from './partition-writer.ts'
import {
  type GroupPosition,
  judgeSegments,
  type RetentionLimits,
  type SegmentVerdict,
} from './retention-rules.ts'
import type { SegmentSet } from './segment-set.ts'

/** Makes a log start durable before anything is given up. */
export type RaiseLogStart = (offset: number) => Promise<void>

/** What retention needs of its partition. */
export interface RetentionHost {
  readonly identity: PartitionIdentity
  readonly logStartOffset: number
  readonly highWatermark: number
  /** The present ones; recovery puts others in their place. */
  readonly offsets: PartitionOffsets
  readonly segments: SegmentSet
  /** Set when nothing more is written. */
  readonly failure: StorageError | null
  readonly isIdle: boolean
  /** Made by the first that asks for it. */
  readonly writer: PartitionWriter
  readonly damage: readonly Damage[]
  /** Runs when no truncation, recovery or other retention is under way; rejects once the partition ends. */
  exclusively<T>(work: () => Promise<T>): Promise<T>
  /** The largest timestamp of a sealed segment's records; -1 when they have none. */
  newestTimestamp(baseOffset: number): Promise<number>
  /** A new log start is durable: readers are to see it. */
  showLogStart(offset: number): void
  /** Segments are gone, and damage with them: what else belongs to them may go. Never rejects. */
  gaveUp(wasDamaged: boolean): Promise<void>
}

/** What to judge by. */
export interface RetentionRequest {
  readonly limits: RetentionLimits
  readonly positions: readonly GroupPosition[]
  readonly nowMs: number
}

/** A segment that was given up. */
export interface DeletedSegment {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
  readonly reason: DeletionReason
  /** What of it could not be read, or was missing behind it. */
  readonly damage: readonly Damage[]
}

/** A segment and what is to become of it. */
export interface JudgedSegment {
  readonly segment: HeldSegment
  readonly verdict: SegmentVerdict
}

const noneDeleted: readonly DeletedSegment[] = []

/** Retention of one partition. Calls may overlap: what changes something is done one after the other. */
export class PartitionRetention {
  readonly #host: RetentionHost
  /** Largest timestamps of sealed segments, which never change. */
  #timestamps: WeakMap<object, number> | null = null

  constructor(host: RetentionHost) {
    this.#host = host
  }

  /**
   * Gives up what the rules say. Costs nothing but the judgement when that is nothing.
   *
   * Rejects with StorageError when the file system fails; what has not been given up by then is kept.
   */
  async sweep(request: RetentionRequest, raise: RaiseLogStart): Promise<readonly DeletedSegment[]> {
    if (this.#host.failure !== null) return noneDeleted
    const { hasLeftovers } = this.#host.segments
    if (!hasLeftovers && goingOf(await this.judge(request)).length === 0) {
      if (request.limits.retentionMs !== -1) await this.#keepTimes()
      return noneDeleted
    }
    return await this.#host.exclusively(async () => {
      const going = goingOf(await this.judge(request))
      const active = going.findIndex(({ segment }) => segment.isActive)
      const isRolled = active === -1 || (await this.#rollActive())
      return await this.#giveUp(isRolled ? going : going.slice(0, active), raise)
    })
  }

  /** Age goes on over a crash: what is flushed of the active segment is put on record with its times. */
  async #keepTimes(): Promise<void> {
    const { isIdle, offsets, segments } = this.#host
    if (!isIdle || offsets.writtenOffset !== offsets.recoveryPoint) return
    await segments.listActive()
  }

  /** Gives up the sealed segments that end at or below `offset`, whatever the rules say. */
  giveUpBelow(
    offset: number,
    reason: DeletionReason,
    raise: RaiseLogStart,
  ): Promise<readonly DeletedSegment[]> {
    return this.#host.exclusively(async () => {
      const verdict: SegmentVerdict = { goes: reason, keptBecause: null, deletableAt: 0 }
      const below = this.sealed().filter(segment => segment.endOffset <= offset)
      return await this.#giveUp(
        below.map(segment => ({ segment, verdict })),
        raise,
      )
    })
  }

  /**
   * Moves the log start to `offset` and gives up the segments
   * below. Does nothing when the log begins there or above.
   *
   * Rejects with OffsetOutOfRangeError above the high watermark and with StorageError when the file
   * system fails.
   */
  deleteRecords(offset: number, raise: RaiseLogStart): Promise<readonly DeletedSegment[]> {
    return this.#host.exclusively(async () => {
      const { failure, segments, identity, logStartOffset, highWatermark } = this.#host
      if (failure !== null) throw failure
      if (offset > highWatermark) {
        throw new OffsetOutOfRangeError({ ...identity, offset }, logStartOffset, highWatermark)
      }
      if (offset <= logStartOffset) return noneDeleted
      const verdict: SegmentVerdict = { goes: 'log start', keptBecause: null, deletableAt: 0 }
      const below = segments.list.held().filter(segment => segment.endOffset <= offset)
      const going = below.filter(({ isActive }) => !isActive).map(segment => ({ segment, verdict }))
      return await this.#giveUpTo(offset, going, raise)
    })
  }

  /** The segments that appends do not go to and that are flushed, oldest first. */
  sealed(): readonly HeldSegment[] {
    const { segments, highWatermark } = this.#host
    return segments.list
      .held()
      .filter(({ isActive, endOffset }) => !isActive && endOffset <= highWatermark)
  }

  /** What the rules say of each segment. */
  async judge(request: RetentionRequest): Promise<readonly JudgedSegment[]> {
    const { logStartOffset, highWatermark } = this.#host
    const { limits, positions, nowMs } = request
    const held = this.#host.segments.list.held()
    const isByRecord = limits.retentionBy === 'record' && limits.retentionMs !== -1
    const segments = []
    for (const segment of held) {
      const maxTimestamp = isByRecord ? await this.newestTimestamp(segment) : -1
      segments.push({ ...segment, maxTimestamp })
    }
    const partition = { segments, logStartOffset, highWatermark, nowMs, positions }
    const verdicts = judgeSegments(partition, limits)
    return held.map((segment, index) => {
      const verdict = verdicts[index] as SegmentVerdict
      return { segment, verdict: this.#host.failure === null ? verdict : keptByFailure }
    })
  }

  /** The largest timestamp of the segment's records; -1 when they have none. */
  async newestTimestamp(segment: HeldSegment): Promise<number> {
    if (segment.maxTimestamp !== null) return segment.maxTimestamp
    const known = this.#timestamps?.get(segment.identity)
    if (known !== undefined) return known
    const timestamp = await this.#host.newestTimestamp(segment.baseOffset)
    this.#timestamps ??= new WeakMap()
    this.#timestamps.set(segment.identity, timestamp)
    return timestamp
  }

  /** False when appends are under way: they go on, and the segment is rolled another time. */
  async #rollActive(): Promise<boolean> {
    const { segments } = this.#host
    const { pipeline } = this.#host.writer
    const { active } = segments
    pipeline.rollIdle()
    if (segments.active === active) {
      segments.output.sealWithNextWrite()
      return false
    }
    await pipeline.whenQuiet()
    await segments.whenFinished()
    if (pipeline.failure !== null) throw pipeline.failure
    return segments.active !== null
  }

  async #giveUp(
    going: readonly JudgedSegment[],
    raise: RaiseLogStart,
  ): Promise<readonly DeletedSegment[]> {
    const { logStartOffset } = this.#host
    const endOffset = going.at(-1)?.segment.endOffset ?? logStartOffset
    return await this.#giveUpTo(Math.max(endOffset, logStartOffset), going, raise)
  }

  async #giveUpTo(
    offset: number,
    going: readonly JudgedSegment[],
    raise: RaiseLogStart,
  ): Promise<readonly DeletedSegment[]> {
    const host = this.#host
    const damage = [...host.damage]
    const isHigher = offset > host.logStartOffset
    const gone = await host.segments.giveUp(offset, async () => {
      if (!isHigher) return
      await raise(offset)
      host.showLogStart(offset)
    })
    await host.gaveUp(damage.length > 0)
    const deleted: DeletedSegment[] = []
    for (const { baseOffset, nextOffset, sizeBytes } of gone) {
      const judged = going.find(({ segment }) => segment.baseOffset === baseOffset)
      const endOffset = judged?.segment.endOffset ?? nextOffset
      const reason = judged?.verdict.goes ?? 'log start'
      const lost = damage.filter(({ from, to }) => from < endOffset && to > baseOffset)
      deleted.push({ baseOffset, nextOffset, sizeBytes, reason, damage: lost })
    }
    return deleted
  }
}

const failedPartition: KeptBecause = 'partition failed'
const keptByFailure: SegmentVerdict = {
  goes: null,
  keptBecause: failedPartition,
  deletableAt: null,
}

function goingOf(judged: readonly JudgedSegment[]): readonly JudgedSegment[] {
  return judged.filter(({ verdict }) => verdict.goes !== null)
}
