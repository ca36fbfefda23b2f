/**
 * `visible.slots`: how far each partition may be read, for processes that only read. One writer
 * overwrites a slot after each flush without syncing; readers read again until the CRC holds. A slot
 * is only ever written after the flush that it speaks of, so it is true however old it is, also
 * after a crash and whoever wrote it.
 *
 * The file begins with a page of 4096 bytes, of which the first 128 are used, followed by slots of
 * 128 bytes, so that none crosses a sector. Integers are big-endian.
 *
 *     position  bytes  header                      position  bytes  slot
 *     0         16     "varve slots" and zeros     0         8      sequence, one more each write
 *     16        4      format version, 1           8         16     topic id
 *     20        8      writer generation           24        4      partition
 *     28        96     zeros                       28        4      leader epoch
 *     124       4      CRC-32 of bytes [0, 124)    32        8      writer generation
 *                                                  40        8      log start offset
 *                                                  48        8      high watermark
 *                                                  56        8      recovery point
 *                                                  64        60     zeros
 *                                                  124       4      CRC-32 of bytes [0, 124)
 *
 * Worked example: slot 3 lies at position 4096 + 3 * 128 = 4480.
 */
import { DiskFullError, UnsupportedFormatError } from '../errors.ts'
import type { Files, OpenFile } from '../files/files.ts'
import { readInt64, writeInt64 } from '../record/int64.ts'
import { crc32 } from '../storage/crc32.ts'

/** Where the first slot begins. */
export const slotsStart = 4096

/** Size of a slot, and of the used part of the header. */
export const slotBytes = 128

const formatVersion = 1
const crcPosition = slotBytes - 4
const magic = Buffer.from('varve slots\0\0\0\0\0')

/** The offsets of a partition, of which a slot says the present values. */
export interface SlotSource {
  readonly leaderEpoch: number
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly recoveryPoint: number
}

/** A partition and the slot that it is to have. */
export interface OwnedSlot {
  readonly topicId: string
  readonly partition: number
  readonly source: SlotSource
}

/** What a slot says of a partition. */
export interface Slot extends SlotSource {
  readonly topicId: string
  readonly partition: number
  readonly sequence: number
  readonly generation: number
}

/** The key under which slots are looked up. */
export function slotKey(topicId: string, partition: number): string {
  return `${topicId}-${partition}`
}

/** What is written as one slot; the topic id as its 16 bytes. */
interface EncodableSlot {
  readonly sequence: number
  readonly generation: number
  readonly topicId: Buffer
  readonly partition: number
}

/** Writes all but the CRC of a slot into 128 bytes that hold zeros from byte 64 on. */
function encodeSlot(block: Buffer, slot: EncodableSlot, source: SlotSource): void {
  writeInt64(block, 0, slot.sequence)
  slot.topicId.copy(block, 8)
  block.writeInt32BE(slot.partition, 24)
  block.writeInt32BE(source.leaderEpoch, 28)
  writeInt64(block, 32, slot.generation)
  writeInt64(block, 40, source.logStartOffset)
  writeInt64(block, 48, source.highWatermark)
  writeInt64(block, 56, source.recoveryPoint)
}

/** The slot at `position`; null when its CRC does not hold or it says what cannot be. */
export function decodeSlot(buffer: Buffer, position: number): Slot | null {
  if (!isSealedBlock(buffer, position)) return null
  const slot: Slot = {
    sequence: readInt64(buffer, position),
    topicId: buffer.toString('base64url', position + 8, position + 24),
    partition: buffer.readInt32BE(position + 24),
    leaderEpoch: buffer.readInt32BE(position + 28),
    generation: readInt64(buffer, position + 32),
    logStartOffset: readInt64(buffer, position + 40),
    highWatermark: readInt64(buffer, position + 48),
    recoveryPoint: readInt64(buffer, position + 56),
  }
  const isOrdered =
    0 <= slot.logStartOffset &&
    slot.logStartOffset <= slot.highWatermark &&
    slot.highWatermark <= slot.recoveryPoint
  return isOrdered && slot.partition >= 0 && Number.isSafeInteger(slot.recoveryPoint) ? slot : null
}

function sealBlock(block: Buffer): void {
  block.writeUInt32BE(crc32(block.subarray(0, crcPosition)), crcPosition)
}

function isSealedBlock(buffer: Buffer, position: number): boolean {
  if (position + slotBytes > buffer.length) return false
  const sealed = buffer.subarray(position, position + crcPosition)
  return buffer.readUInt32BE(position + crcPosition) === crc32(sealed)
}

/** The header and all slots of a file. */
export interface SlotTable {
  readonly generation: number
  /** By `slotKey`; of two slots for one partition the later one. */
  readonly slots: ReadonlyMap<string, Slot>
}

/**
 * Reads a whole file. Slots that do not hold are left out; null when the header does not.
 *
 * @throws {UnsupportedFormatError} when the header holds and is of another version
 */
export function parseSlots(bytes: Buffer, path: string): SlotTable | null {
  if (bytes.length < slotBytes || !isSealedBlock(bytes, 0)) return null
  if (!bytes.subarray(0, magic.length).equals(magic)) return null
  const version = bytes.readInt32BE(16)
  if (version !== formatVersion) {
    throw new UnsupportedFormatError(path, String(version), String(formatVersion))
  }
  const slots = new Map<string, Slot>()
  for (let position = slotsStart; position + slotBytes <= bytes.length; position += slotBytes) {
    const slot = decodeSlot(bytes, position)
    if (slot === null) continue
    const key = slotKey(slot.topicId, slot.partition)
    const known = slots.get(key)
    if (known === undefined || isLater(slot, known)) slots.set(key, slot)
  }
  return { generation: readInt64(bytes, 20), slots }
}

function isLater(slot: Slot, other: Slot): boolean {
  if (slot.generation !== other.generation) return slot.generation > other.generation
  return slot.sequence > other.sequence
}

/** The content of a file that holds these slots and no other, in the order given. */
export function formatSlots(generation: number, slots: readonly OwnedSlot[]): Buffer {
  const bytes = Buffer.alloc(slotsStart + slots.length * slotBytes)
  magic.copy(bytes)
  bytes.writeInt32BE(formatVersion, 16)
  writeInt64(bytes, 20, generation)
  sealBlock(bytes.subarray(0, slotBytes))
  let topicId: Buffer = bytes
  for (const [index, slot] of slots.entries()) {
    const start = slotsStart + index * slotBytes
    const block = bytes.subarray(start, start + slotBytes)
    const { partition, source } = slot
    // The slots of a topic lie together.
    if (slot.topicId !== slots[index - 1]?.topicId) topicId = Buffer.from(slot.topicId, 'base64url')
    encodeSlot(block, { topicId, partition, sequence: 1, generation }, source)
    sealBlock(block)
  }
  return bytes
}

/** The slot of one partition, for its writer. */
export interface SlotHandle {
  /** Writes the present offsets. */
  write(): void
}

/** One slot as it is written; one for each partition, however many there are. */
class WritableSlot implements EncodableSlot, SlotHandle {
  readonly generation: number
  readonly topicId: Buffer
  readonly partition: number
  readonly #writeSlot: (slot: WritableSlot) => void
  /** Its place in the file; -1 once it is removed. */
  index: number
  sequence = 0
  source: SlotSource

  constructor(
    of: {
      readonly generation: number
      readonly topicId: Buffer
      readonly write: (slot: WritableSlot) => void
    },
    at: { readonly index: number; readonly partition: number; readonly source: SlotSource },
  ) {
    this.generation = of.generation
    this.topicId = of.topicId
    this.partition = at.partition
    this.#writeSlot = of.write
    this.index = at.index
    this.source = at.source
  }

  write(): void {
    this.#writeSlot(this)
  }
}

/** The slots of one topic. */
interface TopicSlots {
  readonly generation: number
  readonly topicId: Buffer
  readonly write: (slot: WritableSlot) => void
  /** By partition. */
  readonly slots: (WritableSlot | undefined)[]
  count: number
}

const noSlot: SlotHandle = { write: () => undefined }

/**
 * The writing side. Calls are synchronous. A write that fails leaves an older, true slot behind or one
 * whose CRC does not hold; `onFailure` hears of the first of a row of failures.
 */
export class VisibleSlots {
  readonly #generation: number
  readonly #onFailure: (error: Error) => void
  /** The slot that is being written, and the part of it that the CRC covers: made once, for this runs after every flush. */
  readonly #block = Buffer.alloc(slotBytes)
  readonly #sealed: Buffer = this.#block.subarray(0, crcPosition)
  readonly #free: number[] = []
  /** By topic id. */
  readonly #topics = new Map<string, TopicSlots>()
  readonly #file: OpenFile
  #slotCount = 0
  #isFailing = false
  #isClosed = false

  private constructor(file: OpenFile, generation: number, onFailure: (error: Error) => void) {
    this.#file = file
    this.#generation = generation
    this.#onFailure = onFailure
  }

  /**
   * Rewrites the file under a new generation with one slot for each source, before the first append:
   * from then on no slot of an earlier writer is left. Errors of the file system pass through.
   */
  static open(
    files: Files,
    path: string,
    options: {
      readonly generation: number
      readonly partitions: readonly OwnedSlot[]
      readonly onFailure: (error: Error) => void
    },
  ): VisibleSlots {
    const file = files.open(path, files.stat(path) === null ? 'create' : 'write')
    const slots = new VisibleSlots(file, options.generation, options.onFailure)
    try {
      const bytes = formatSlots(options.generation, options.partitions)
      for (let position = 0; position < bytes.length; ) {
        const count = file.writeSync(bytes.subarray(position), position)
        if (count === 0) throw new DiskFullError(path)
        position += count
      }
      file.truncate(bytes.length)
      for (const { topicId, partition, source } of options.partitions) {
        slots.#claim({ topicId, partition, source }).sequence = 1
      }
      return slots
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** The slot of a partition that is new; it is written at once. */
  add(topicId: string, partition: number, source: SlotSource): void {
    this.#claim({ topicId, partition, source }).write()
  }

  /** What writes the partition's slot after a flush; from now on with the offsets of `source`. */
  handle(topicId: string, partition: number, source: SlotSource): SlotHandle {
    const slot = this.#slotOf(topicId, partition)
    if (slot === undefined) return noSlot
    slot.source = source
    return slot
  }

  /** The partition is gone; its place is cleared, and used again. */
  remove(topicId: string, partition: number): void {
    const topic = this.#topics.get(topicId)
    const slot = topic?.slots[partition]
    if (topic === undefined || slot === undefined) return
    topic.slots[partition] = undefined
    topic.count--
    if (topic.count === 0) this.#topics.delete(topicId)
    this.#block.fill(0)
    this.#writeBlock(slot.index)
    this.#free.push(slot.index)
    // Handles of the slot that are still held must not write into its next owner.
    slot.index = -1
  }

  /**
   * Lowers a slot durably, before the log is cut: without the sync the higher one could be found after
   * a power cut. Errors of the file system pass through. For the truncation of a replica.
   */
  async lower(topicId: string, partition: number, offset: number): Promise<void> {
    const slot = this.#slotOf(topicId, partition)
    if (slot === undefined) return
    const { leaderEpoch, logStartOffset, highWatermark, recoveryPoint } = slot.source
    this.#encode(slot, {
      leaderEpoch,
      logStartOffset: Math.min(logStartOffset, offset),
      highWatermark: Math.min(highWatermark, offset),
      recoveryPoint: Math.min(recoveryPoint, offset),
    })
    this.#writeWhole(slot.index)
    await this.#file.syncData()
  }

  /** Gives the file up; later writes do nothing. Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#file.close()
  }

  #slotOf(topicId: string, partition: number): WritableSlot | undefined {
    return this.#topics.get(topicId)?.slots[partition]
  }

  #claim({ topicId, partition, source }: OwnedSlot): WritableSlot {
    let topic = this.#topics.get(topicId)
    if (topic === undefined) {
      topic = {
        generation: this.#generation,
        topicId: Buffer.from(topicId, 'base64url'),
        write: slot => this.#write(slot),
        slots: [],
        count: 0,
      }
      this.#topics.set(topicId, topic)
    }
    const index = this.#free.pop() ?? this.#slotCount++
    const slot = new WritableSlot(topic, { index, partition, source })
    if (topic.slots[partition] === undefined) topic.count++
    topic.slots[partition] = slot
    return slot
  }

  #write(slot: WritableSlot): void {
    if (slot.index === -1) return
    this.#encode(slot, slot.source)
    this.#writeBlock(slot.index)
  }

  #encode(slot: WritableSlot, source: SlotSource): void {
    slot.sequence++
    encodeSlot(this.#block, slot, source)
    this.#block.writeUInt32BE(crc32(this.#sealed), crcPosition)
  }

  #writeBlock(index: number): void {
    if (this.#isClosed) return
    try {
      this.#writeWhole(index)
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) this.#onFailure(error as Error)
      this.#isFailing = true
    }
  }

  #writeWhole(index: number): void {
    const count = this.#file.writeSync(this.#block, slotsStart + index * slotBytes)
    if (count !== slotBytes) throw new DiskFullError(this.#file.path)
  }
}
