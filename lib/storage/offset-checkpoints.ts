/**
 * The checkpoint files of a log directory that hold one offset per partition
 * (`recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`,
 * `replication-offset-checkpoint`): Kafka's checkpoint form with lines `topic partition offset`.
 */
import assert from 'node:assert/strict'

import { formatCheckpoint, parseCheckpoint, parseDecimal } from './checkpoint-file.ts'
import { partitionDirName } from './topic-name.ts'

/** One line of an offset checkpoint. */
export interface OffsetCheckpointEntry {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * The offsets by `<topic>-<partition>`. A text that is not an offset checkpoint counts as one
 * without entries, as in Kafka; `tryParseOffsetCheckpoint` tells the two apart.
 */
export function parseOffsetCheckpoint(text: string): Map<string, number> {
  return tryParseOffsetCheckpoint(text) ?? new Map()
}

/**
 * The offsets by `<topic>-<partition>`, or null when the text is not an offset checkpoint: wrong
 * form, a field that is not a number, or two lines for one partition.
 */
export function tryParseOffsetCheckpoint(text: string): Map<string, number> | null {
  const entries = parseCheckpoint(text)
  if (entries === null) return null
  const offsets = new Map<string, number>()
  for (const fields of entries) {
    const [topic, partitionText, offsetText] = fields
    if (fields.length !== 3 || topic === undefined) return null
    const partition = parseDecimal(partitionText ?? '')
    const offset = parseDecimal(offsetText ?? '')
    if (partition === null || offset === null) return null
    offsets.set(partitionDirName(topic, partition), offset)
  }
  return offsets.size === entries.length ? offsets : null
}

/** The text of an offset checkpoint, its lines in the order given. */
export function formatOffsetCheckpoint(entries: Iterable<OffsetCheckpointEntry>): string {
  const lines: string[] = []
  for (const { topic, partition, offset } of entries) {
    if (!Number.isSafeInteger(offset) || offset < 0) assert.fail('an offset is a count')
    lines.push(`${topic} ${partition} ${offset}`)
  }
  return formatCheckpoint(lines)
}
