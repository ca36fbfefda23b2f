/**
 * `segments.manifest`: what a partition knows of its segments beyond their bytes, so that opening
 * need not read them. Ours alone, and never needed to read data: a segment without a line is
 * unknown, not damaged. Text, one line a segment, in offset order, checksum last:
 *
 *     varve segments 1
 *     sealed 0 1200 1048000 1700000000000 1700000360000 89abcdef
 *     active 1200 1207 812 1700000360001 1700000361000 00c0ffee
 *     crc32 595305d9
 *
 * The fields are base offset, next offset (exclusive end), size in bytes, first and last append time
 * in ms, and the CRC-32 over the headers of the batches, `-` when that is not known. The active line is a statement about the
 * first `sizeBytes` bytes of that segment, made at a clean close.
 */
import assert from 'node:assert/strict'

import { batchField, batchPrefixBytes } from '../record/batch-format.ts'
import { checkedText, withChecksum } from './checkpoint-file.ts'
import { crc32 } from './crc32.ts'

const title = 'varve segments 1'
const lineForm = /^(?:sealed|active) (\d+) (\d+) (\d+) (-1|\d+) (-1|\d+) (-|[0-9a-f]{8})$/

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

/** What is known of the segments of one partition. */
export interface Manifest {
  /** In offset order; segments may be missing. */
  readonly sealed: readonly SegmentFacts[]
  /** The active segment as the last clean close left it. */
  readonly active: SegmentFacts | null
}

/** The text of the file. */
export function formatManifest(manifest: Manifest): string {
  const lines = manifest.sealed.map(facts => formatLine('sealed', facts))
  if (manifest.active !== null) lines.push(formatLine('active', manifest.active))
  return withChecksum([title, ...lines, ''].join('\n'))
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
  let active: SegmentFacts | null = null
  let previousEnd = 0
  for (const line of lines) {
    const facts = parseLine(line)
    if (facts === null || facts.baseOffset < previousEnd || active !== null) return null
    if (line.startsWith('sealed ')) sealed.push(facts)
    else active = facts
    previousEnd = facts.nextOffset
  }
  return { sealed, active }
}

function parseLine(line: string): SegmentFacts | null {
  const fields = lineForm.exec(line) ?? []
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
  const { headersCrc: crc, ...numbers } = facts
  return (
    Object.values(numbers).every(Number.isSafeInteger) &&
    (crc === null || (Number.isSafeInteger(crc) && crc >= 0 && crc < 2 ** 32)) &&
    facts.baseOffset >= 0 &&
    facts.nextOffset >= facts.baseOffset &&
    facts.sizeBytes >= 0 &&
    facts.firstAppendMs >= -1 &&
    facts.lastAppendMs >= -1
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
  batch.copy(scratch, 0, position, position + batchPrefixBytes)
  batch.copy(scratch, batchPrefixBytes, crcPosition, crcPosition + crcBytes)
  return crc32(scratch, previous)
}
