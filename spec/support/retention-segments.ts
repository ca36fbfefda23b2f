/** The segments that lie in a partition's directory, beside the limits that retention has. */
import assert from 'node:assert/strict'

import type { Files } from '../../lib/files/files.ts'
import type { RetainedPartitionModel } from './retention-model.ts'
import type { LossRules, PossibleRules } from './retention-records.ts'

/** A segment as the directory shows it. */
export interface SegmentOnDisk {
  readonly baseOffset: number
  readonly endOffset: number
  readonly sizeBytes: number
}

/**
 * Retention is no promise on paper: after a sweep the oldest segment that is there is within every
 * limit.
 */
export function assertSwept(
  partition: RetainedPartitionModel,
  of: {
    readonly dir: string
    readonly segments: readonly SegmentOnDisk[]
    readonly rules: LossRules
    readonly possible: PossibleRules
    readonly nowMs: number
  },
): void {
  const { dir, segments, rules, possible, nowMs } = of
  const [oldest] = segments
  const end = segments.at(-1)
  if (oldest === undefined || end === undefined || oldest.endOffset === oldest.baseOffset) return
  // Without room for a new segment the last one stays, below the log start, until there is some.
  if (oldest === end && oldest.endOffset === partition.logStartOffset) return
  const { retentionMs, retentionBytes, retentionRecords, retentionBy } = rules
  const what = `${dir}: the segment at ${oldest.baseOffset}`
  const restBytes = segments.slice(1).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  assert.ok(
    retentionBytes === -1 || restBytes < retentionBytes,
    `${what} stays, although ${restBytes} bytes lie behind it`,
  )
  const restRecords = end.endOffset - oldest.endOffset
  assert.ok(
    retentionRecords === -1 || restRecords < retentionRecords,
    `${what} stays, although ${restRecords} records lie behind it`,
  )
  const { baseOffset, endOffset } = oldest
  const newestMs =
    retentionBy === 'append'
      ? partition.newestAppendMs(baseOffset, endOffset)
      : partition.newestTimestamp(baseOffset, endOffset, possible)
  if (retentionMs === -1 || newestMs === null) return
  assert.ok(nowMs - newestMs <= retentionMs, `${what} stays at ${nowMs}, its age is of ${newestMs}`)
}

/** Lists them in offset order. */
export function segmentsOnDisk(files: Files, dir: string, logEndOffset: number): SegmentOnDisk[] {
  const logs = files.list(dir).filter(({ name }) => /^\d+\.log$/.test(name))
  const names = logs.map(({ name }) => name).sort()
  return names.map((name, index) => ({
    baseOffset: Number.parseInt(name, 10),
    endOffset: Number.parseInt(names[index + 1] ?? String(logEndOffset), 10),
    sizeBytes: files.stat(`${dir}/${name}`)?.sizeBytes ?? 0,
  }))
}
