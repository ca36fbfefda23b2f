/** Logs in which single bits are flipped, and what may come of it. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

import { LogError } from '../../lib/errors.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import {
  filesOf,
  type Image,
  imageDir,
  imageOf,
  makeSmallImage,
  openImage,
  readThrough,
  type SmallImage,
} from './log-image.ts'
import { checkSmall } from './tail-cuts.ts'

const segmentPath = `${imageDir}/orders-0/00000000000000000000.log`

/** A log whose only segment was flushed, and its values in order. */
interface FlippedLog {
  readonly image: Image
  readonly values: readonly string[]
  /** By batch: where it lies, and the offsets of its records. */
  readonly batches: readonly {
    readonly position: number
    readonly endPosition: number
    readonly baseOffset: number
    readonly nextOffset: number
  }[]
}

/** How the log was left. `unflushed`: nothing says that any of it was synced. */
export type Left = 'clean' | 'flushed' | 'unflushed'

async function makeLog(
  left: Left,
  of: { readonly sizeBytes: number; readonly valueBytes?: number | undefined },
): Promise<FlippedLog> {
  const { sizeBytes, valueBytes = 90 } = of
  const files = memoryFiles()
  const log = await openImage(files)
  const isUnflushed = left === 'unflushed'
  const topic = await log.createTopic('orders', {
    indexIntervalBytes: 600,
    ...(isUnflushed ? { flushRecords: -1, flushMs: -1 } : {}),
  })
  const values: string[] = []
  const batches: {
    position: number
    endPosition: number
    baseOffset: number
    nextOffset: number
  }[] = []
  let endPosition = 0
  while (endPosition < sizeBytes) {
    const recordCount = 1 + (batches.length % 3)
    const own = Array.from({ length: recordCount }, (_, index) =>
      `${values.length + index}|`.padEnd(valueBytes, 'v'),
    )
    const acks = isUnflushed ? 'written' : 'durable'
    const records = own.map(value => ({ key: value.slice(0, 4), value, headers: { h: 'header' } }))
    const { baseOffset, nextOffset } = await topic.partition(0).append(records, { acks })
    values.push(...own)
    const position = endPosition
    endPosition = files.stat(segmentPath)?.sizeBytes ?? 0
    batches.push({ position, endPosition, baseOffset, nextOffset })
  }
  const image = imageOf(files)
  if (left === 'unflushed') return { image, values, batches }
  await log.close()
  const closed = imageOf(files)
  if (left === 'clean') return { image: closed, values, batches }
  closed.delete(`${imageDir}/.kafka_cleanshutdown`)
  closed.delete(`${imageDir}/orders-0/segments.manifest`)
  return { image: closed, values, batches }
}

/**
 * Flips each bit of the segment. No reader gets a wrong record; what was flushed is reported when it
 * cannot be read, and only the batch with the flipped bit is missing; what was not is cut.
 */
export async function flipSegment(
  left: Left,
  of: {
    readonly sizeBytes: number
    /** @default 90 */
    readonly valueBytes?: number
    readonly bits: readonly number[]
    readonly step: number
  },
): Promise<number> {
  const flipped = await makeLog(left, of)
  const whole = flipped.image.get(segmentPath)
  assert.ok(whole !== undefined)
  let flips = 0
  for (let position = 0; position < whole.length; position += of.step) {
    for (const bit of of.bits) {
      const segment = Buffer.from(whole)
      segment.writeUInt8(segment.readUInt8(position) ^ (1 << bit), position)
      try {
        await checkFlip(left, flipped, { segment, position })
      } catch (error) {
        const what = `bit ${bit} of byte ${position}, ${left}`
        throw new Error(`${what}\n${inspect(error)}`, { cause: error })
      }
      flips++
    }
  }
  return flips
}

async function checkFlip(
  left: Left,
  { image, values, batches }: FlippedLog,
  at: { readonly segment: Buffer; readonly position: number },
): Promise<void> {
  const hit = batches.find(it => at.position < it.endPosition)
  assert.ok(hit !== undefined)
  const log = await openImage(filesOf(image, { [segmentPath]: at.segment }))
  const partition = (await log.topic('orders')).partition(0)
  const found = await readThrough(partition)
  for (const [offset, value] of found.values) assert.equal(value, values[offset], `at ${offset}`)
  // The leader epoch lies outside the checksum and says nothing of the records.
  const isEpoch = at.position - hit.position >= 12 && at.position - hit.position < 16
  if (isEpoch && found.values.size === values.length) return
  if (left === 'unflushed') {
    assert.equal(partition.logEndOffset, hit.baseOffset, 'the log is cut before the bad batch')
    assert.equal(found.values.size, hit.baseOffset)
    return
  }
  // A base offset that is too high lies outside the checksum, too: offsets that were seen stay used.
  assert.ok(partition.logEndOffset >= values.length, 'what was flushed is not cut')
  const { baseOffset, nextOffset } = hit
  assert.ok(found.gaps.length > 0, 'damage is reported')
  for (const [from, to] of found.gaps) {
    assert.ok(from >= baseOffset, `nothing before the bad batch is missing, ${from} is`)
    const isLast = hit === batches.at(-1)
    const limit = left === 'clean' || isLast ? partition.logEndOffset : nextOffset
    assert.ok(
      to <= limit,
      `${from} to ${to} are missing, damaged is ${baseOffset} to ${nextOffset}`,
    )
  }
  for (const [offset] of values.entries()) {
    const isReported = found.gaps.some(([from, to]) => from <= offset && offset < to)
    assert.ok(found.values.has(offset) !== isReported, `${offset} is either read or reported`)
  }
}

/** Flips bits in each byte of each file but the segments: every record is there, or the log is refused. */
export async function flipSideFiles(
  kind: SmallImage['kind'],
  bits: readonly number[],
): Promise<{ readonly flips: number; readonly refused: number }> {
  const small = await makeSmallImage(kind)
  let flips = 0
  let refused = 0
  for (const [path, content] of small.image) {
    if (path.endsWith('.log') || path.endsWith('/')) continue
    for (let position = 0; position < content.length; position++) {
      const isZero = content.readUInt8(position) === 0
      if (path.endsWith('visible.slots') && isZero && position % 61 !== 0) continue
      for (const bit of bits) {
        const changed = Buffer.from(content)
        changed.writeUInt8(changed.readUInt8(position) ^ (1 << bit), position)
        flips++
        try {
          await checkSmall(small, { [path]: changed }, `${path}, bit ${bit} of byte ${position}`)
        } catch (error) {
          if (!isRefusal(error)) throw error
          refused++
        }
      }
    }
  }
  return { flips, refused }
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof LogError && cause.code === 'UNSUPPORTED_FORMAT'
}
