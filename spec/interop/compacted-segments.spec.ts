/**
 * Compacted segments as kafkajs reads them: every batch decodes, those without records too, offsets
 * and timestamps are those of the records that are left, and the walk leads to the end of the log.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/open.ts'
import type { CompressionType } from '../../lib/types.ts'
import { tempDir } from '../support/temp-dir.ts'

const require = createRequire(import.meta.url)
const Decoder = require('kafkajs/src/protocol/decoder') as new (
  bytes: Buffer,
) => {
  canReadBytes(count: number): boolean
}
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: InstanceType<typeof Decoder>,
) => Promise<{
  readonly firstOffset: string
  readonly lastOffsetDelta: number
  readonly records: readonly {
    readonly offset: string
    readonly timestamp: string
    readonly key: Buffer | null
    readonly value: Buffer | null
  }[]
}>

for (const compressionType of ['none', 'gzip'] satisfies CompressionType[]) {
  describe(`Compacted segments, compression ${compressionType}`, () => {
    it('kafkajs decodes them -> the same records, and every offset is accounted for', async t => {
      const dir = tempDir(t)
      const log = await openLog(dir, { compactionBytesPerSecond: -1 })
      const topic = await log.topic('table', {
        cleanupPolicy: 'compact',
        segmentBytes: 4096,
        compressionType,
      })
      for (let round = 0; round < 60; round++) {
        await topic.append(
          Array.from({ length: 5 }, (_, index) => ({
            key: `k${(round * 5 + index) % 13}`,
            value: index === 3 ? null : `${round}${'.'.repeat(40)}`,
            timestamp: 1_700_000_000_000 + round * 7 - index,
          })),
        )
      }
      await topic.compact()
      const expected: unknown[] = []
      for await (const { offset, timestamp, keyBytes, valueBytes } of topic.records()) {
        expected.push([offset, timestamp, keyBytes?.toString(), valueBytes?.toString()])
      }
      await log.close()
      const found: unknown[] = []
      let reached = 0
      const partition = join(dir, 'table-0')
      for (const name of readdirSync(partition)
        .filter(it => it.endsWith('.log'))
        .sort()) {
        assert.equal(Number(name.slice(0, 20)), reached)
        const decoder = new Decoder(readFileSync(join(partition, name)))
        while (decoder.canReadBytes(1)) {
          const batch = await decodeBatch(decoder)
          assert.equal(Number(batch.firstOffset), reached)
          reached += batch.lastOffsetDelta + 1
          for (const { offset, timestamp, key, value } of batch.records) {
            found.push([Number(offset), Number(timestamp), key?.toString(), value?.toString()])
          }
        }
      }
      assert.equal(reached, 300)
      assert.ok(expected.length >= 13 && expected.length < 40)
      assert.deepEqual(found, expected)
    })
  })
}
