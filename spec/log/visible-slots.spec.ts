/**
 * The slots' format against bytes that were written down by hand, its refusal of everything else, and
 * what a reader finds while and after a writer uses the file.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'

import { UnsupportedFormatError } from '../../lib/errors.ts'
import {
  decodeSlot,
  formatSlots,
  parseSlots,
  slotBytes,
  slotKey,
  slotsStart,
  VisibleSlots,
} from '../../lib/log/visible-slots.ts'
import { faultyFiles, memoryFiles } from '../../lib/testing/index.ts'

const topicId = 'AAECAwQFRgeICQoLDA0ODw'
const otherId = 'EBESExQVRheYGRobHB0eHw'
const source = { leaderEpoch: 2, logStartOffset: 3, highWatermark: 70_000, recoveryPoint: 70_001 }
const path = 'visible.slots'

const slotHex = [
  '0000000000000001',
  '000102030405460788090a0b0c0d0e0f',
  '00000007',
  '00000002',
  '0000000000000009',
  '0000000000000003',
  '0000000000011170',
  '0000000000011171',
  '00'.repeat(60),
].join('')

function withCrc(hex: string): string {
  return hex + crc32(Buffer.from(hex, 'hex')).toString(16).padStart(8, '0')
}

describe('the format of slots', () => {
  it('a header and one slot → the golden bytes', () => {
    const bytes = formatSlots(9, [{ topicId, partition: 7, source }])
    const magic = Buffer.from('varve slots').toString('hex').padEnd(32, '0')
    const header = withCrc(`${magic}000000010000000000000009${'00'.repeat(96)}`)
    assert.equal(bytes.subarray(0, slotBytes).toString('hex'), header)
    assert.equal(bytes.subarray(slotsStart).toString('hex'), withCrc(slotHex))
  })

  it('the golden bytes → the slot', () => {
    const slot = decodeSlot(Buffer.from(withCrc(slotHex), 'hex'), 0)
    assert.deepEqual(slot, { ...source, topicId, partition: 7, sequence: 1, generation: 9 })
  })

  it('any one bit of a slot flipped → not believed', () => {
    const bytes = Buffer.from(withCrc(slotHex), 'hex')
    for (let bit = 0; bit < slotBytes * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(decodeSlot(flipped, 0), null, `bit ${bit}`)
    }
  })

  it('any one bit of the header flipped → no table', () => {
    const bytes = formatSlots(9, [{ topicId, partition: 7, source }])
    for (let bit = 0; bit < slotBytes * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(parseSlots(flipped, path), null, `bit ${bit}`)
    }
  })

  it('any prefix of the file → the slots that are whole, no other', () => {
    const slots = [0, 1, 2].map(partition => ({ topicId, partition, source }))
    const bytes = formatSlots(9, slots)
    for (let length = 0; length <= bytes.length; length++) {
      const table = parseSlots(bytes.subarray(0, length), path)
      const whole = Math.max(0, Math.floor((length - slotsStart) / slotBytes))
      assert.equal(table?.slots.size, length < slotBytes ? undefined : whole, `${length} bytes`)
    }
  })

  it('zeros, as a file system leaves them behind a grown size → no slot', () => {
    assert.equal(decodeSlot(Buffer.alloc(slotBytes), 0), null)
  })

  it('a high watermark above the recovery point under a sound CRC → not believed', () => {
    const bytes = formatSlots(9, [
      { topicId, partition: 0, source: { ...source, highWatermark: 70_002 } },
    ])
    assert.equal(decodeSlot(bytes, slotsStart), null)
  })

  it('a newer format version → UnsupportedFormatError', () => {
    const bytes = formatSlots(9, [])
    bytes.writeInt32BE(2, 16)
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 124)), 124)
    assert.throws(() => parseSlots(bytes, path), UnsupportedFormatError)
  })

  it('two slots of one partition → the later one counts', () => {
    const older = formatSlots(8, [{ topicId, partition: 0, source }])
    const newer = formatSlots(9, [
      { topicId, partition: 0, source: { ...source, logStartOffset: 5 } },
    ])
    const both = Buffer.concat([newer, older.subarray(slotsStart)])
    assert.equal(parseSlots(both, path)?.slots.get(slotKey(topicId, 0))?.logStartOffset, 5)
  })
})

describe('VisibleSlots', () => {
  const noFailure = (error: Error): never => {
    throw error
  }

  function table(files: { readFile(path: string): Buffer | null }) {
    return parseSlots(files.readFile(path) ?? Buffer.alloc(0), path)
  }

  it('a flush → the slot has the offsets of its partition and the next sequence', () => {
    const files = memoryFiles()
    const moving = { ...source }
    const partitions = [{ topicId, partition: 0, source }]
    const slots = VisibleSlots.open(files, path, {
      generation: 4,
      partitions,
      onFailure: noFailure,
    })
    const handle = slots.handle(topicId, 0, moving)
    moving.highWatermark = 80_000
    moving.recoveryPoint = 80_000
    handle.write()
    const slot = table(files)?.slots.get(slotKey(topicId, 0))
    assert.deepEqual(slot, { ...moving, topicId, partition: 0, sequence: 2, generation: 4 })
  })

  it('the place of a removed partition → used again, and its old handle writes nothing', () => {
    const files = memoryFiles()
    const slots = VisibleSlots.open(files, path, {
      generation: 1,
      partitions: [0, 1].map(partition => ({ topicId, partition, source })),
      onFailure: noFailure,
    })
    const sizeBytes = files.stat(path)?.sizeBytes
    const stale = slots.handle(topicId, 0, source)
    slots.remove(topicId, 0)
    assert.deepEqual([...(table(files)?.slots.keys() ?? [])], [slotKey(topicId, 1)])
    slots.add(otherId, 0, source)
    stale.write()
    const keys = [...(table(files)?.slots.keys() ?? [])].sort()
    assert.deepEqual(keys, [slotKey(topicId, 1), slotKey(otherId, 0)].sort())
    assert.equal(files.stat(path)?.sizeBytes, sizeBytes)
  })

  it('opening over an older file → none of its slots is left', () => {
    const files = memoryFiles()
    const many = [0, 1, 2].map(partition => ({ topicId, partition, source }))
    const first = { generation: 1, partitions: many, onFailure: noFailure }
    VisibleSlots.open(files, path, first).close()
    const one = [{ topicId: otherId, partition: 0, source }]
    const second = { generation: 2, partitions: one, onFailure: noFailure }
    VisibleSlots.open(files, path, second).close()
    assert.deepEqual([...(table(files)?.slots.keys() ?? [])], [slotKey(otherId, 0)])
    assert.equal(table(files)?.generation, 2)
  })

  it('writes that fail in a row → told once, and again after one that succeeded', () => {
    const files = faultyFiles({ seed: 1 })
    const failures: Error[] = []
    const slots = VisibleSlots.open(files, path, {
      generation: 1,
      partitions: [{ topicId, partition: 0, source }],
      onFailure: error => failures.push(error),
    })
    const handle = slots.handle(topicId, 0, source)
    files.failAt({ operation: 1, kind: 'ENOSPC', on: 'write', sticky: true })
    handle.write()
    handle.write()
    assert.equal(failures.length, 1)
    files.clearFaults()
    handle.write()
    files.failAt({ operation: 1, kind: 'ENOSPC', on: 'write' })
    handle.write()
    assert.equal(failures.length, 2)
  })

  it('lowered → no crash brings the higher slot back', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const files = faultyFiles({ seed })
      const partitions = [{ topicId, partition: 0, source }]
      const slots = VisibleSlots.open(files, path, {
        generation: 1,
        partitions,
        onFailure: noFailure,
      })
      await files.syncDirectory('.')
      await slots.lower(topicId, 0, 10)
      files.crash()
      const found = table(files)?.slots.get(slotKey(topicId, 0))
      assert.equal(found?.recoveryPoint, 10, `seed ${seed}`)
    }
  })
})
