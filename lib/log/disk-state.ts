/**
 * How full the disk is, as a state. The thresholds are numbers of free bytes, not percentages: a tenth
 * of a large disk is no shortage, and a log that refuses work on a developer's machine for the sake
 * of one helps nobody. Only the defaults give way where a file system is so small that they would
 * leave nothing of it.
 */
import type { DiskSpace } from '../files/files.ts'

/** How the disk stands. */
export type DiskState = 'ok' | 'low' | 'read-only'

/** Free bytes below which the disk counts as low, and below which nothing is appended; 0: never. */
export interface DiskThresholds {
  readonly lowBytes: number
  readonly reserveBytes: number
}

/** What was asked for; null where the default holds. */
export interface DiskLimits {
  readonly diskLowBytes: number | null
  readonly diskReserveBytes: number | null
  readonly ballastBytes: number
}

const defaultLowBytes = 1024 * 1024 * 1024

/** More than `maxQueuedBytes`: what was accepted before the state changed can still be written. */
const defaultReserveBytes = 64 * 1024 * 1024

/** The part of a file system that a default may take. */
const largestShare = 16

/** The part that the ballast may take: of a very small file system a sixteenth is not a block for each file. */
const largestBallastShare = 8

/** What is pending is written to a segment in pieces of up to this size. */
const largestWriteBytes = 1024 * 1024

/** Space in files comes in pages and blocks of this size, as a rule. */
const blockBytes = 4096

/** The thresholds for a file system of that size. */
export function thresholdsFor(limits: DiskLimits, { totalBytes }: DiskSpace): DiskThresholds {
  const share = Math.floor(totalBytes / largestShare)
  return {
    lowBytes: limits.diskLowBytes ?? Math.min(defaultLowBytes, share),
    reserveBytes: limits.diskReserveBytes ?? Math.min(defaultReserveBytes, share),
  }
}

/**
 * The state that follows: down at a threshold, up again only with a quarter more, so that a disk that
 * stands at a threshold does not change the state with every record.
 */
export function nextDiskState(
  state: DiskState,
  freeBytes: number,
  { lowBytes, reserveBytes }: DiskThresholds,
): DiskState {
  const isReadOnly = freeBytes < (state === 'read-only' ? withMargin(reserveBytes) : reserveBytes)
  if (isReadOnly) return 'read-only'
  return freeBytes < (state === 'ok' ? lowBytes : withMargin(lowBytes)) ? 'low' : 'ok'
}

function withMargin(bytes: number): number {
  return bytes + Math.floor(bytes / 4)
}

/**
 * How many bytes may be written before the disk is looked at again: a quarter of the way to the next
 * threshold, but never less than a quarter of the reserve, so that a look costs nothing and the reserve
 * is not used up unseen.
 */
export function bytesUntilLook(freeBytes: number, thresholds: DiskThresholds): number {
  const { lowBytes, reserveBytes } = thresholds
  const next = freeBytes >= lowBytes && lowBytes > reserveBytes ? lowBytes : reserveBytes
  return Math.max(Math.floor((freeBytes - next) / 4), Math.floor(reserveBytes / 4), blockBytes)
}

/**
 * How much is written to see whether there is room where the file system refused some: as much as one
 * write to a segment takes at most, and no more of a small file system than what is kept back.
 */
export function probeSize({ totalBytes }: DiskSpace): number {
  const share = Math.floor(totalBytes / largestShare)
  return Math.max(blockBytes, Math.min(largestWriteBytes, share - (share % blockBytes)))
}

/**
 * How large the ballast is to be: what was asked for or an eighth of the file system, and no more
 * than half of what is free. 0 where it would not be worth a block, or where space has no limit.
 */
export function ballastSize(limits: DiskLimits, { freeBytes, totalBytes }: DiskSpace): number {
  if (totalBytes === Number.MAX_SAFE_INTEGER) return 0
  const wanted = Math.min(limits.ballastBytes, Math.floor(totalBytes / largestBallastShare))
  const affordable = Math.min(wanted, Math.floor(freeBytes / 2))
  return affordable - (affordable % blockBytes)
}
