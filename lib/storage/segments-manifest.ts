/**
 * `segments.manifest`: what a partition knows of its segments beyond their bytes, so that opening
 * need not read them. Ours alone, and never needed to read data: a segment without a line is
 * unknown, not damaged. Text, one line a segment, in offset order, checksum last:
 *
 *     varve segments 1
 *     sealed 0 1200 1048000 1700000000000 1700000360000 89abcdef
 *     active 1200 1207 812 1700000360001 1700000361000 00c0ffee
 *     damage 1202 1203 1200 232 crc
 *     crc32 595305d9
 *
 * The fields are base offset, next offset (exclusive end), size in bytes, first and last append time
 * in ms, and the CRC-32 over the headers of the batches, `-` when that is not known. The active line is a statement about the
 * first `sizeBytes` bytes of that segment, made at a clean close.
 *
 * A `damage` line names offsets `[from, to)` that cannot be read, the base offset of the segment that
 * should hold them, the position where the trouble starts, and what it is. It turns into a `gap` line
 * when a repair has accepted the loss. Both are there to be remembered: data is read as if they were not.
 *
 * Once something was given up at the head of the log a line `start 900` comes before the others: the
 * log start. Kafka's `log-start-offset-checkpoint` says the same without a checksum, and a digit that is
 * wrong there must not delete what is good.
 */
import assert from 'node:assert/strict'

import type { CorruptReason } from '../errors.ts'
import { batchField, batchPrefixBytes } from '../record/batch-format.ts'
import { checkedText, withChecksum } from './checkpoint-file.ts'
import { crc32 } from './crc32.ts'

const title = 'varve segments 1'
const startForm = /^start (\d+)$/
const lineForm = /^(?:sealed|active) (\d+) (\d+) (\d+) (-1|\d+) (-1|\d+) (-|[0-9a-f]{8})$/

const damageForm = /^(damage|gap) (\d+) (\d+) (\d+) (\d+) ([a-z-]+)$/
const reasons: readonly CorruptReason[] = [
  'crc',
  'length',
  'magic',
  'offset-order',
  'record',
  'missing',
]

/** What is known of one segment. */
export interface SegmentFacts {
  readonly baseOffset: number
  /** Exclusive end. */
  readonly nextOffset: number
  readonly sizeBytes: number
  /** Engine time of the first append; -1 when there was none. */
  readonly firstAppendMs: number
  /** Engine time of the last append; -1 when there was none. */
  readonly lastAppendMs: number
  /** `headersCrc` over all batches, from 0; null when they were not all seen, as after a crash. */
  readonly headersCrc: number | null
}

/** Offsets `[from, to)` that cannot be read. */
export interface DamageLine {
  readonly from: number
  readonly to: number
  /** Of the segment that should hold them. */
  readonly baseOffset: number
  readonly position: number
  readonly reason: CorruptReason
  /** A `gap` line. */
  readonly isSettled: boolean
}

/**
 * What is said of a segment without a line: it was appended to no later than `nowMs`. Written down, that
 * time stays; counted anew at every opening, a segment of a log that is opened every day would never
 * get a day old.
 */
export function assumedFacts(
  segment: Pick<SegmentFacts, 'baseOffset' | 'nextOffset' | 'sizeBytes'>,
  nowMs: number,
): SegmentFacts {
  const { baseOffset, nextOffset, sizeBytes } = segment
  const times = { firstAppendMs: -1, lastAppendMs: nowMs }
  return { baseOffset, nextOffset, sizeBytes, ...times, headersCrc: null }
}

/** What is known of the segments of one partition. */
export interface Manifest {
  /** In offset order; segments may be missing. */
  readonly sealed: readonly SegmentFacts[]
  /** The active segment as the last clean close left it. */
  readonly active: SegmentFacts | null
  /** What cannot be read. @default nothing */
  readonly damage?: readonly DamageLine[] | undefined
  /** The log start; absent where nothing was ever given up. */
  readonly start?: number | undefined
}

/** The text of the file. */
export function formatManifest(manifest: Manifest): string {
  const { start } = manifest
  assert.ok(start === undefined || (Number.isSafeInteger(start) && start >= 0))
  const lines = start === undefined ? [] : [`start ${start}`]
  lines.push(...manifest.sealed.map(facts => formatLine('sealed', facts)))
  if (manifest.active !== null) lines.push(formatLine('active', manifest.active))
  lines.push(...(manifest.damage ?? []).map(formatDamage))
  return withChecksum([title, ...lines, ''].join('\n'))
}

function formatDamage(line: DamageLine): string {
  const { from, to, baseOffset, position, reason } = line
  const kind = line.isSettled ? 'gap' : 'damage'
  const text = `${kind} ${from} ${to} ${baseOffset} ${position} ${reason}`
  assert.ok(parseDamage(text) !== null, 'what is known of damage is consistent')
  return text
}

function formatLine(kind: 'sealed' | 'active', facts: SegmentFacts): string {
  assert.ok(isSound(facts), 'the facts of a segment are consistent')
  const { baseOffset, nextOffset, sizeBytes, firstAppendMs, lastAppendMs } = facts
  const crc = facts.headersCrc?.toString(16).padStart(8, '0') ?? '-'
  return `${kind} ${baseOffset} ${nextOffset} ${sizeBytes} ${firstAppendMs} ${lastAppendMs} ${crc}`
}

/**
 * Reads what `formatManifest` wrote. Null when the checksum, the version, the form of a line or the
 * order of the segments is wrong: then nothing is known of any segment.
 */
export function parseManifest(text: string): Manifest | null {
  const lines = checkedText(text)?.split('\n') ?? []
  if (lines.pop() !== '' || lines.shift() !== title) return null
  const sealed: SegmentFacts[] = []
  const stated = startForm.exec(lines[0] ?? '')?.[1]
  const start = stated === undefined ? undefined : Number(stated)
  if (start !== undefined) lines.shift()
  if (start !== undefined && !Number.isSafeInteger(start)) return null
  let active: SegmentFacts | null = null
  const damage: DamageLine[] = []
  let previousEnd = 0
  for (const line of lines) {
    if (line.startsWith('damage ') || line.startsWith('gap ')) {
      const damaged = parseDamage(line)
      if (damaged === null) return null
      damage.push(damaged)
      continue
    }
    const facts = parseLine(line)
    const isInOrder = active === null && damage.length === 0
    if (facts === null || facts.baseOffset < previousEnd || !isInOrder) return null
    if (line.startsWith('sealed ')) sealed.push(facts)
    else active = facts
    previousEnd = facts.nextOffset
  }
  return {
    sealed,
    active,
    ...(damage.length === 0 ? {} : { damage }),
    ...(start === undefined ? {} : { start }),
  }
}

function parseDamage(line: string): DamageLine | null {
  const fields = damageForm.exec(line) ?? []
  const [from, to, baseOffset, position] = fields.slice(2, 6).map(Number)
  if (from === undefined || to === undefined) return null
  if (baseOffset === undefined || position === undefined) return null
  const isSound = [from, to, baseOffset, position].every(Number.isSafeInteger) && from < to
  const isSettled = fields[1] === 'gap'
  const reason = reasons.find(it => it === fields[6])
  return isSound && reason ? { from, to, baseOffset, position, reason, isSettled } : null
}

function parseLine(line: string): SegmentFacts | null {
  const fields = lineForm.exec(line)
  if (fields === null) return null
  const facts = {
    baseOffset: Number(fields[1]),
    nextOffset: Number(fields[2]),
    sizeBytes: Number(fields[3]),
    firstAppendMs: Number(fields[4]),
    lastAppendMs: Number(fields[5]),
    headersCrc: fields[6] === '-' ? null : Number.parseInt(fields[6] ?? '', 16),
  }
  return isSound(facts) ? facts : null
}

function isSound(facts: SegmentFacts): boolean {
  const { baseOffset, nextOffset, sizeBytes, firstAppendMs, lastAppendMs, headersCrc: crc } = facts
  // A NaN or a fraction is no safe integer; written out, for opening a log asks it of every segment.
  return (
    Number.isSafeInteger(baseOffset) &&
    Number.isSafeInteger(nextOffset) &&
    Number.isSafeInteger(sizeBytes) &&
    Number.isSafeInteger(firstAppendMs) &&
    Number.isSafeInteger(lastAppendMs) &&
    (crc === null || (Number.isSafeInteger(crc) && crc >= 0 && crc < 2 ** 32)) &&
    baseOffset >= 0 &&
    nextOffset >= baseOffset &&
    sizeBytes >= 0 &&
    firstAppendMs >= -1 &&
    lastAppendMs >= -1
  )
}

const crcBytes = 4
const scratch = Buffer.alloc(batchPrefixBytes + crcBytes)

/**
 * The CRC-32 over base offset, length and CRC of the batches so far: `previous`, 0 at first, carried
 * on with the batch that lies at `position`. It changes when a batch is exchanged for another
 * sound one, which the batches' own CRCs would not show.
 */
export function headersCrc(previous: number, batch: Buffer, position: number): number {
  const crcPosition = position + batchField.crc
  // Two calls of `copy` take longer than the checksum.
  for (let at = 0; at < batchPrefixBytes; at++) scratch[at] = batch[position + at] as number
  for (let at = 0; at < crcBytes; at++) {
    scratch[batchPrefixBytes + at] = batch[crcPosition + at] as number
  }
  return crc32(scratch, previous)
}
