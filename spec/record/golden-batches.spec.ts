/**
 * Bytes that other implementations wrote (spec/fixtures/batches/README.md), or that are known from
 * Kafka: they read right, and the same records encode to the same bytes. And the other way round:
 * kafkajs's decoder reads what is written here.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'

import { checkBatch, decodeBatchHeader } from '../../lib/record/batch-format.ts'
import { compressBatch, decompressRecords } from '../../lib/record/codecs.ts'
import {
  baseTimestamp,
  contentOf,
  encodeAgain,
  encodeBatch,
  hex,
  readRecords,
  viewOf,
} from '../support/batches.ts'

const require = createRequire(import.meta.url)

interface KafkajsBatch {
  readonly firstOffset: string
  readonly records: readonly {
    readonly offset: string
    readonly timestamp: string
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Record<string, Buffer>
  }[]
}
const KafkajsDecoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
const decodeByKafkajs = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<KafkajsBatch>

const golden = hex(`
  0000000000000000 00000057 00000000 02 2b6b5459 0000 00000002 0000018bcfe56800 0000018bcfe56805
  ffffffffffffffff ffff ffffffff 00000003
  1c 00 00 00 04 6b31 04 7631 02 02 68 02 78
  1a 00 0a 02 01 0e 76616c75652d32 00
  10 00 06 04 04 6b31 01 00`)

const commitMarker = hex(`
  0000000000000007 00000042 00000003 02 3bb58958 0030 00000000 0000018bcfe56800 0000018bcfe56800
  00000000000003e9 0004 ffffffff 00000001
  20 00 00 00 08 00000001 0c 000000000009 00`)

function fixture(name: string): Buffer {
  return readFileSync(new URL(`../fixtures/batches/${name}.bin`, import.meta.url))
}

function check(batch: Buffer): string {
  return checkBatch(batch, 0, { end: batch.length, checkCrc: true })
}

type Row = readonly [string | null, string | null, number, (readonly [string, string])[]?]

/** Records from offset 1000 on, as contentOf shows them. */
function rows(...given: Row[]): unknown[] {
  return given.map(([key, value, delta, headers = []], index) => {
    return { offset: 1000 + index, timestamp: baseTimestamp + delta, key, value, headers }
  })
}

describe('the golden batch', () => {
  it('read → three records', () => {
    assert.equal(check(golden), 'ok')
    assert.deepEqual(readRecords(golden).map(contentOf), [
      { offset: 0, timestamp: baseTimestamp, key: 'k1', value: 'v1', headers: [['h', 'x']] },
      { offset: 1, timestamp: baseTimestamp + 5, key: null, value: 'value-2', headers: [] },
      { offset: 2, timestamp: baseTimestamp + 3, key: 'k1', value: null, headers: [] },
    ])
  })

  it('its records encoded → its bytes', () => {
    const batch = encodeBatch([
      { key: 'k1', value: 'v1', headers: { h: 'x' } },
      { value: 'value-2', timestamp: baseTimestamp + 5 },
      { key: 'k1', value: null, timestamp: baseTimestamp + 3 },
    ])
    assert.equal(batch.toString('hex'), golden.toString('hex'))
  })
})

describe('the golden COMMIT marker', () => {
  it('read → a sound control batch without records to show', () => {
    assert.equal(check(commitMarker), 'ok')
    const batch = viewOf(commitMarker)
    assert.equal(batch.isControl, true)
    assert.equal(batch.baseOffset, 7)
    assert.equal(batch.nextOffset, 8)
    assert.deepEqual([...batch], [])
  })

  it('encoded → its bytes', () => {
    const batch = encodeBatch([{ key: hex('00000001'), value: hex('000000000009') }], {
      baseOffset: 7,
      leaderEpoch: 3,
      producerId: 1001,
      producerEpoch: 4,
      isTransactional: true,
      isControl: true,
    })
    assert.equal(batch.toString('hex'), commitMarker.toString('hex'))
  })
})

const fixtures: Readonly<Record<string, unknown[]>> = {
  plain: rows(['k1', 'v1', 0], ['k2', 'value two', 1], ['k3', 'x'.repeat(200), 2]),
  headers: rows(
    [
      'k',
      'v',
      0,
      [
        ['type', 'created'],
        ['trace', 'a'],
        ['trace', 'b'],
        ['empty', ''],
      ],
    ],
    ['ключ', 'значение', 1, [['имя', 'ε']]],
  ),
  nulls: rows([null, 'no key', 0], ['tombstone', null, 1], [null, null, 2], ['', '', 3]),
  'negative-deltas': rows(
    ['a', '1', 0],
    ['b', '2', -1],
    ['c', '3', -64],
    ['d', '4', -65],
    ['e', '5', -10_000_000_000],
    ['f', '6', 10_000_000_000],
  ),
}

describe('batches of kafkajs', () => {
  for (const [name, expected] of Object.entries(fixtures)) {
    it(`${name}, read → the records that went in`, () => {
      const batch = fixture(name)
      assert.equal(check(batch), 'ok')
      assert.deepEqual(readRecords(batch).map(contentOf), expected)
    })

    it(`${name}, encoded again → the same bytes`, () => {
      const batch = fixture(name)
      assert.equal(encodeAgain(batch).toString('hex'), batch.toString('hex'))
    })
  }

  it('the header → as it was given', () => {
    const header = decodeBatchHeader(fixture('plain'), 0)
    assert.deepEqual(
      [header.baseOffset, header.leaderEpoch, header.producerId, header.producerEpoch],
      [1000, 7, 4000000000, 3],
    )
    assert.deepEqual([header.baseSequence, header.maxTimestamp], [11, baseTimestamp + 2])
  })

  it('gzip, decompressed → the records that went in', async () => {
    const batch = fixture('gzip')
    assert.equal(check(batch), 'ok')
    const records = await decompressRecords(batch, { maxBytes: 100_000 })
    assert.deepEqual(
      readRecords(batch, records).map(contentOf),
      rows(
        ...Array.from({ length: 50 }, (_, index): Row => {
          return [`k${index}`, 'value '.repeat(20), index, [['n', `${index}`]]]
        }),
      ),
    )
  })
})

describe('batches for kafkajs', () => {
  const batch = encodeBatch(
    Array.from({ length: 40 }, (_, index) => ({
      key: index % 3 === 0 ? null : `key-${index}`,
      value: index % 5 === 0 ? null : `значение ${index}`,
      headers: { h: `${index}` },
      timestamp: baseTimestamp - index,
    })),
    { baseOffset: 70 },
  )

  for (const type of ['none', 'gzip'] as const) {
    it(`${type}, decoded by kafkajs → the records that went in`, async () => {
      const written = await compressBatch(batch, type)
      assert.equal(decodeBatchHeader(written, 0).compressionType, type)
      const decoded = await decodeByKafkajs(new KafkajsDecoder(written))
      assert.equal(decoded.firstOffset, '70')
      assert.deepEqual(
        decoded.records.map(({ offset, timestamp, key, value, headers }) => ({
          offset: Number(offset),
          timestamp: Number(timestamp),
          key: key?.toString() ?? null,
          value: value?.toString() ?? null,
          headers: Object.entries(headers).map(([name, bytes]) => [name, bytes.toString()]),
        })),
        readRecords(batch).map(contentOf),
      )
    })
  }
})
