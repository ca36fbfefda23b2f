/**
 * Random appends, tombstones, compactions with too little memory, rolls, clocks and reopenings, against
 * a plain list of everything that was appended. A failure is replayed by SEED.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type Files, memoryFiles } from '../../lib/testing/index.ts'
import type { CompressionType, RecordInput } from '../../lib/types.ts'
import {
  assertCompacted,
  assertGapless,
  compact,
  type KnownRecord,
  latestByKey,
  readRecords,
} from '../support/compaction.ts'
import { durable, openPartition, type TestPartition } from '../support/open-partition.ts'
import { forEachSeed, type SeededRandom } from '../support/random.ts'

const deleteRetentionMs = 1000

class Model {
  readonly #random: SeededRandom
  readonly #files: Files = memoryFiles()
  readonly #config
  readonly appended: KnownRecord[] = []
  opened: TestPartition | null = null
  firstDirtyOffset = 0

  constructor(random: SeededRandom) {
    this.#random = random
    this.#config = {
      segmentBytes: random.pick([1024, 3000, 20_000]),
      indexIntervalBytes: random.pick([0, 200, 4096]),
      compressionType: random.pick<CompressionType>(['none', 'none', 'gzip']),
    }
  }

  get partition(): TestPartition['partition'] {
    assert.ok(this.opened !== null)
    return this.opened.partition
  }

  async open(): Promise<void> {
    const recoveryPoint = this.appended.length
    this.opened = await openPartition({ files: this.#files, config: this.#config, recoveryPoint })
    assert.equal(this.partition.logEndOffset, this.appended.length)
  }

  async reopen(): Promise<void> {
    await this.partition.close()
    await this.open()
  }

  #record(): { key: string | null; value: string | null } {
    const random = this.#random
    const key = random.chance(0.05) ? null : `key${random.below(random.pick([3, 30]))}`
    const value =
      key !== null && random.chance(0.15)
        ? null
        : `${this.appended.length}`.repeat(random.below(20))
    return { key, value }
  }

  async append(): Promise<void> {
    const records = Array.from({ length: 1 + this.#random.below(12) }, () => this.#record())
    const input: RecordInput[] = records
    const { baseOffset, timestamp } = await this.partition.append(input, durable)
    for (const [index, { key, value }] of records.entries()) {
      this.appended.push({ offset: baseOffset + index, key, value, timestamp })
    }
    this.opened?.clock.advance(this.#random.below(200))
  }

  async compact(): Promise<void> {
    const mapBytes = this.#random.pick([40, 200, 1 << 20])
    const { skipped, firstDirtyOffset } = await compact(this.partition, {
      firstDirtyOffset: this.firstDirtyOffset,
      deleteRetentionMs,
      mapBytes,
    })
    assert.equal(skipped, null)
    // A checkpoint that is lost means beginning anew.
    this.firstDirtyOffset = this.#random.chance(0.2) ? 0 : firstDirtyOffset
  }

  async check(): Promise<void> {
    const found = await readRecords(this.partition)
    assertCompacted(found, this.appended)
    assert.equal(this.partition.state, 'ok')
    assert.equal(this.partition.logEndOffset, this.appended.length)
    assertGapless(this.#files, 'p-0')
    const from = this.#random.below(this.appended.length + 1)
    const rest = found.filter(({ offset }) => offset >= from)
    assert.deepEqual(await readRecords(this.partition, from), rest)
    const timestamp = (this.appended.at(from)?.timestamp ?? 0) + this.#random.below(2)
    const first = found.find(record => record.timestamp >= timestamp)
    assert.equal(await this.partition.offsetForTimestamp(timestamp), first?.offset ?? null)
  }

  /** Behind two passes over everything, with time for tombstones between them, nothing more can go. */
  async finish(): Promise<void> {
    await compact(this.partition, { firstDirtyOffset: 0, deleteRetentionMs })
    // Behind a reopening the clock of these tests is where it began.
    this.opened?.clock.advance(1_000_000)
    await compact(this.partition, { firstDirtyOffset: 0, deleteRetentionMs })
    const found = await readRecords(this.partition)
    const keyed = found.filter(({ key }) => key !== null)
    const expected = [...latestByKey(this.appended).values()].sort((a, b) => a.offset - b.offset)
    assert.deepEqual(keyed, expected)
    await this.check()
  }
}

describe('A partition that is compacted', () => {
  it('any history -> of each key the last record, at its offset, and nothing that was not appended', async () => {
    await forEachSeed(30, async random => {
      const model = new Model(random)
      await model.open()
      await model.append()
      for (let step = 0; step < 40; step++) {
        const what = random.below(100)
        if (what < 70) await model.append()
        else if (what < 85) await model.compact()
        else if (what < 93) await model.reopen()
        else await model.check()
      }
      await model.check()
      await model.finish()
      await model.reopen()
      await model.check()
    })
  })
})
