/**
 * Compression of batches: through every codec, from bytes that other clients write, and with packages
 * that are missing.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as zlib from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'

import { CorruptRecordError } from '../../lib/errors.ts'
import { checkBatch, decodeBatchHeader, sealBatch } from '../../lib/record/batch-format.ts'
import { loadFunctions } from '../../lib/record/codec.ts'
import { compressBatch, decompressRecords } from '../../lib/record/codecs.ts'
import { contentOf, encodeBatch, hex, readRecords } from '../support/batches.ts'

const batch = encodeBatch(
  Array.from({ length: 500 }, (_, index) => ({
    key: `key-${index}`,
    value: `the value of record ${index}, of which there are 500`,
    headers: { index: `${index}` },
  })),
  { baseOffset: 1000, leaderEpoch: 2, producerId: 77, isTransactional: true },
)
const section = batch.subarray(61)
const maxBytes = 2 ** 20

const codecs = ['gzip', 'snappy', 'lz4', 'zstd'] as const

/** Hides Node's own zstd and the package, as a preloaded module. */
const withoutZstd = `data:text/javascript,${encodeURIComponent(`
import Module, { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'
delete zlib.zstdCompress
delete zlib.zstdDecompress
syncBuiltinESMExports()
const resolve = Module._resolveFilename
Module._resolveFilename = (name, ...rest) => {
  if (name === '@bokuweb/zstd-wasm') throw Object.assign(new Error(name), { code: 'MODULE_NOT_FOUND' })
  return resolve(name, ...rest)
}`)}`

/** The batch with its records replaced by a blob in the given codec, under a right checksum. */
function batchAround(codecId: number, blob: Buffer): Buffer {
  const made = Buffer.concat([batch.subarray(0, 61), blob])
  made.writeInt32BE(made.length - 12, 8)
  made.writeInt16BE(codecId, 21)
  sealBatch(made, 0, made.length)
  return made
}

function corrupt(cause: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof CorruptRecordError)
    assert.equal(error.reason, 'record')
    assert.deepEqual([error.from, error.to], [1000, 1500])
    assert.match(String(error.cause), cause)
    return true
  }
}

describe('compressBatch', () => {
  for (const type of codecs) {
    it(`${type} → a smaller sound batch that differs in length, codec and checksum only`, async () => {
      const compressed = await compressBatch(batch, type)
      assert.ok(compressed.length < batch.length / 2)
      assert.equal(checkBatch(compressed, 0, { end: compressed.length, checkCrc: true }), 'ok')
      const { sizeBytes, crc, attributes, compressionType, ...rest } = decodeBatchHeader(batch, 0)
      assert.deepEqual(
        { ...decodeBatchHeader(compressed, 0), sizeBytes, crc, attributes, compressionType },
        { ...rest, sizeBytes, crc, attributes, compressionType },
      )
      assert.equal(decodeBatchHeader(compressed, 0).compressionType, type)
      assert.equal(decodeBatchHeader(compressed, 0).isTransactional, true)
    })

    it(`${type} of a batch that does not shrink → the same batch`, async () => {
      const small = encodeBatch([{ value: 'a' }])
      assert.equal(await compressBatch(small, type), small)
    })
  }

  it('none → the same batch', async () => {
    assert.equal(await compressBatch(batch, 'none'), batch)
  })

  it('snappy → xerial framing, blocks of 32 KiB', async () => {
    const large = encodeBatch([{ value: 'x'.repeat(100_000) }])
    const blob = (await compressBatch(large, 'snappy')).subarray(61)
    assert.deepEqual(blob.subarray(0, 16), hex('82534e4150505900 00000001 00000001'))
    let blocks = 0
    for (let position = 16; position < blob.length; blocks++) {
      position += 4 + blob.readInt32BE(position)
    }
    assert.equal(blocks, 4)
  })

  it("lz4 → a frame that Java's reader takes: version 1, independent blocks, 64 KiB to 4 MiB", async () => {
    const blob = (await compressBatch(batch, 'lz4')).subarray(61)
    assert.equal(blob.readUInt32LE(0), 0x184d2204)
    assert.equal(blob.readUInt8(4) & 0xe3, 0x60)
    assert.ok(blob.readUInt8(5) >>> 4 >= 4)
  })
})

describe('decompressRecords', () => {
  it('an uncompressed batch → a view of its records, whatever follows', async () => {
    const records = await decompressRecords(Buffer.concat([batch, batch]), { maxBytes: 1 })
    assert.deepEqual(records, section)
  })

  for (const type of codecs) {
    it(`${type} → the records that went in`, async () => {
      const compressed = await compressBatch(batch, type)
      const records = await decompressRecords(compressed, { maxBytes })
      assert.deepEqual(records, section)
      assert.deepEqual(
        readRecords(compressed, records).map(contentOf),
        readRecords(batch).map(contentOf),
      )
    })

    it(`${type} that takes more than maxBytes → CorruptRecordError, the cause says so`, async () => {
      const bomb = await compressBatch(encodeBatch([{ value: Buffer.alloc(2 ** 22) }]), type)
      await assert.rejects(decompressRecords(bomb, { maxBytes }), (error: unknown) => {
        assert.ok(error instanceof CorruptRecordError)
        assert.match(String(error.cause), /larger than|more than/)
        return true
      })
    })

    it(`${type}, cut at any of 40 places → CorruptRecordError`, async () => {
      const compressed = await compressBatch(batch, type)
      const codecId = decodeBatchHeader(compressed, 0).attributes & 7
      for (let part = 1; part <= 40; part++) {
        const end = 61 + Math.floor(((compressed.length - 61) * part) / 41)
        const cut = batchAround(codecId, compressed.subarray(61, end))
        await assert.rejects(decompressRecords(cut, { maxBytes }), corrupt(/./))
      }
    })

    it(`${type} of noise → CorruptRecordError`, async () => {
      const codecId = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].indexOf(type)
      const noise = Buffer.from(
        Array.from({ length: 300 }, (_, index) => ((index * 151) & 0xff) | 0x80),
      )
      await assert.rejects(
        decompressRecords(batchAround(codecId, noise), { maxBytes }),
        corrupt(/./),
      )
    })

    it(`${type} without any bytes → no records`, async () => {
      const codecId = ['none', 'gzip', 'snappy', 'lz4', 'zstd'].indexOf(type)
      const empty = batchAround(codecId, Buffer.alloc(0))
      assert.equal((await decompressRecords(empty, { maxBytes })).length, 0)
    })
  }

  it('gzip in several members → all of them', async () => {
    const members = Buffer.concat([
      zlib.gzipSync(section.subarray(0, 99)),
      zlib.gzipSync(section.subarray(99)),
    ])
    assert.deepEqual(await decompressRecords(batchAround(1, members), { maxBytes }), section)
  })

  it('one raw snappy block without framing, as librdkafka writes it → read', async () => {
    // Size 5, then a literal of five bytes.
    const records = await decompressRecords(batchAround(2, hex('05 10 68656c6c6f')), { maxBytes })
    assert.equal(records.toString(), 'hello')
  })

  it('a xerial block that declares more bytes than there are → CorruptRecordError', async () => {
    const framed = hex('82534e4150505900 00000001 00000001 00000008 05 10 68656c6c6f')
    await assert.rejects(
      decompressRecords(batchAround(2, framed), { maxBytes }),
      corrupt(/past the end/),
    )
  })

  it('a snappy block that declares gigabytes → refused before it is decompressed', async () => {
    const bomb = batchAround(2, hex('ffffffff0f 10 68656c6c6f'))
    await assert.rejects(decompressRecords(bomb, { maxBytes }), corrupt(/more than 1048576/))
  })

  it('a second LZ4 frame behind the first → CorruptRecordError', async () => {
    const frame = compressFrameSync(section)
    const two = batchAround(3, Buffer.concat([frame, frame]))
    await assert.rejects(decompressRecords(two, { maxBytes }), corrupt(/does not end/))
  })

  it('an LZ4 frame with checksums → read', async () => {
    const frame = compressFrameSync(section, { contentChecksum: true, blockChecksums: true })
    assert.deepEqual(await decompressRecords(batchAround(3, frame), { maxBytes }), section)
  })

  it('the error → the file and position that it was given', async () => {
    await assert.rejects(
      decompressRecords(batchAround(1, hex('00')), { maxBytes, path: 'x.log', position: 99 }),
      { path: 'x.log', position: 99, from: 1000, to: 1500 },
    )
  })
})

describe('loadFunctions', () => {
  it('a package that is not there, or lacks a function → null', () => {
    assert.equal(loadFunctions('no-such-package-of-anybody', []), null)
    assert.equal(loadFunctions('snappyjs', ['compress', 'compressFrame']), null)
    assert.notEqual(loadFunctions('snappyjs', ['compress']), null)
  })
})

describe('zstd from the command line', () => {
  const text = 'hello zstd, hello zstd, hello zstd'
  const frames: readonly (readonly [string, string])[] = [
    ['of a file', '28b52ffd24229500006068656c6c6f207a7374642c200100574a1281630a62'],
    [
      'of a pipe, its size unknown',
      '28b52ffd04589500006068656c6c6f207a7374642c200100574a1281630a62',
    ],
    ['without a checksum', '28b52ffd00589500006068656c6c6f207a7374642c200100574a12'],
  ]
  for (const [what, bytes] of frames) {
    it(`${what} → read`, async () => {
      const records = await decompressRecords(batchAround(4, hex(bytes)), { maxBytes })
      assert.equal(records.toString(), text)
    })
  }

  it('two frames with one to be skipped between → read as one', async () => {
    const [first = '', second = ''] = frames.map(([, bytes]) => bytes)
    const blob = hex(`${first} 502a4d18 03000000 010203 ${second}`)
    const records = await decompressRecords(batchAround(4, blob), { maxBytes })
    assert.equal(records.toString(), text + text)
  })
})

describe('zstd on a Node that has none, without its package', () => {
  for (const call of ['compress', 'decompress']) {
    it(`${call} → CodecMissingError that names the package`, () => {
      const child = new URL('../support/processes/missing-codec.ts', import.meta.url)
      const out = execFileSync(
        process.execPath,
        ['--import', 'tsx', '--import', withoutZstd, fileURLToPath(child), call],
        { encoding: 'utf8' },
      )
      assert.deepEqual(JSON.parse(out), {
        name: 'CodecMissingError',
        codec: 'zstd',
        package: '@bokuweb/zstd-wasm',
      })
    })
  }
})
