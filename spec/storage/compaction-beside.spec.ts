/** Compaction beside damage, readers, and whatever ends it early. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClosedError } from '../../lib/errors.ts'
import { batchField, batchSizeAt, sealBatch } from '../../lib/record/batch-format.ts'
import { sliceRecords, stepRecords } from '../../lib/storage/compaction-pace.ts'
import { type Files, faultyFiles } from '../../lib/testing/index.ts'
import {
  append,
  compact,
  logPath,
  put,
  readRecords,
  wholePartition,
} from '../support/compaction.ts'
import { countTurns } from '../support/loop-turns.ts'
import { openPartition, type TestPartition, turn } from '../support/open-partition.ts'
import { seeds } from '../support/random.ts'

const dir = 'p-0'

/** Changes bytes of a file that may be open. */
function overwrite(files: Files, path: string, at: { bytes: Buffer; position: number }): void {
  const file = files.open(path, 'write')
  file.writeSync(at.bytes, at.position)
  file.close()
}

describe('Damage', () => {
  async function threeSegments(): Promise<TestPartition> {
    const opened = await openPartition({ config: { segmentBytes: 400 } })
    for (let count = 0; count < 12; count++)
      await append(opened.partition, put('a', 'v'.repeat(30)))
    await opened.partition.roll()
    return opened
  }

  it('a batch with a wrong checksum -> skipped, the damage is known, and no segment is replaced', async () => {
    const { partition, files, damage } = await threeSegments()
    const logs = () => files.list(dir).filter(({ name }) => name.endsWith('.log'))
    const before = logs()
    overwrite(files, logPath(0), { bytes: Buffer.from('bad'), position: 190 })
    const { skipped, passes, droppedRecords } = await compact(partition)
    assert.deepEqual([skipped, passes, droppedRecords], ['damage', 1, 0])
    assert.equal(partition.state, 'damaged')
    assert.deepEqual(
      damage.map(({ from, reason }) => [from, reason]),
      [[1, 'crc']],
    )
    assert.deepEqual(logs(), before)
    const again = await compact(partition)
    assert.deepEqual([again.skipped, again.passes], ['damage', 0])
    assert.equal(damage.length, 1)
  })

  it('records that make no sense in a sound batch -> skipped, and that batch is the damage', async () => {
    const { partition, files, damage } = await threeSegments()
    const bytes = files.readFile(logPath(0)) ?? Buffer.alloc(0)
    const size = batchSizeAt(bytes, 0)
    bytes.writeInt32BE(0, size + batchField.recordCount)
    sealBatch(bytes, size, batchSizeAt(bytes, size))
    bytes.writeInt8(-128, size * 2 + 61)
    sealBatch(bytes, size * 2, batchSizeAt(bytes, size * 2))
    overwrite(files, logPath(0), { bytes, position: 0 })
    const { skipped } = await compact(partition)
    assert.equal(skipped, 'damage')
    assert.deepEqual(
      damage.map(({ from, to, reason }) => [from, to, reason]),
      [[2, 3, 'record']],
    )
  })

  it('damage above what can be compacted -> no hindrance', async () => {
    const { partition, files } = await threeSegments()
    await append(partition, put('b', 'in the active segment'))
    await append(partition, put('b', 'in the active segment'))
    overwrite(files, logPath(12), { bytes: Buffer.from('bad'), position: 70 })
    await partition.readChunk({ from: 12, maxBytes: 1, checkCrcs: true }).catch(() => {})
    assert.equal(partition.state, 'damaged')
    const signal = new AbortController().signal
    const { skipped, droppedRecords } = await partition.compact(wholePartition, signal)
    assert.deepEqual([skipped, droppedRecords], [null, 11])
  })
})

describe('Turns of the event loop', () => {
  /** Compacts `records` of one key, and tells how many turns of the event loop passed meanwhile. */
  async function turnsOf(
    records: number,
    batchRecords: number,
    msPerLook: number,
  ): Promise<number> {
    const { partition, clock } = await openPartition()
    for (let count = 0; count < records; count += batchRecords) {
      const batch = Array.from({ length: batchRecords }, (_, index) => put('a', `${index}`))
      await append(partition, ...batch)
    }
    const monotonicMs = clock.monotonicMs.bind(clock)
    let lookedMs = 0
    clock.monotonicMs = () => {
      lookedMs += msPerLook
      return monotonicMs() + lookedMs
    }
    const turns = countTurns()
    const { keptRecords } = await compact(partition)
    assert.equal(keptRecords, 1)
    return turns()
  }

  for (const [title, batchRecords] of [
    ['one batch of many records', 32 * stepRecords],
    ['many batches', stepRecords / 4],
  ] as const) {
    const records = 32 * stepRecords

    it(`${title}, no step takes any time -> one at least for each slice of both readings`, async () => {
      const turns = await turnsOf(records, batchRecords, 0)
      assert.ok(turns >= (2 * records) / sliceRecords, `${turns} turns`)
    })

    it(`${title}, each step takes long -> one for each step of both readings`, async () => {
      const turns = await turnsOf(records, batchRecords, 3)
      assert.ok(turns >= (2 * records) / stepRecords, `${turns} turns`)
    })
  }
})

describe('Readers and ends', () => {
  it('a reader with a position in an old segment -> goes on at its offset', async () => {
    const { partition } = await openPartition({ config: { segmentBytes: 500 } })
    for (let count = 0; count < 40; count++)
      await append(partition, put(`k${count % 9}`, `${count}`))
    const first = await partition.readChunk({ from: 0, maxBytes: 300, checkCrcs: true })
    await compact(partition)
    const hinted = { from: first.nextOffset, maxBytes: 300, checkCrcs: true, hint: first.hint }
    const next = await partition.readChunk(hinted)
    assert.ok(next.nextOffset > first.nextOffset)
    assert.equal(partition.state, 'ok')
  })

  const sizes = [
    {
      segmentBytes: 700,
      indexIntervalBytes: 100,
      keys: 7,
      valueBytes: 50,
      title: 'small segments',
    },
    // Nothing but a walk of many steps finds an offset here, and every compaction moves it.
    {
      segmentBytes: 90_000,
      indexIntervalBytes: 1 << 20,
      keys: 90,
      valueBytes: 3000,
      title: 'large segments',
    },
  ]
  for (const { title, keys, valueBytes, ...config } of sizes) {
    it(`${title}, reads beside compactions -> none fails, none finds damage`, async () => {
      for (const seed of seeds(2)) {
        const files = faultyFiles({ seed })
        const { partition, damage, environment, clock } = await openPartition({ files, config })
        const startMs = clock.wallMs()
        let filled = 0
        const fill = async (count: number): Promise<void> => {
          for (const end = filled + count; filled < end; filled++) {
            await append(
              partition,
              put(`k${filled % keys}`, 'v'.repeat((filled * 71) % valueBytes)),
            )
            clock.advance(10)
          }
        }
        await fill(100)
        let isOver = false
        const compacting = (async () => {
          for (let round = 0; round < 10; round++) {
            await compact(partition)
            await fill(7)
          }
          isOver = true
        })()
        const read = async (from: number): Promise<void> => {
          while (!isOver) {
            // Reads that wait for the disk have files taken away from under them.
            environment.syncReads.note(1000)
            const chunk = await partition.readChunk({ from, maxBytes: 1, checkCrcs: true })
            assert.ok(chunk.nextOffset > from)
            const found = await partition.offsetForTimestamp(startMs + from * 10)
            assert.ok(found !== null && found >= from)
          }
        }
        await Promise.all([0, 13, 26, 39, 52, 65, 78, 91, 99].map(read))
        await compacting
        assert.deepEqual(damage, [])
      }
    })
  }

  it('closed meanwhile -> ClosedError, and closing waits for it', async () => {
    const { partition, files } = await openPartition({ config: { segmentBytes: 500 } })
    for (let count = 0; count < 100; count++)
      await append(partition, put(`k${count % 9}`, `${count}`))
    await partition.roll()
    const compacting = assert.rejects(compact(partition), ClosedError)
    await turn()
    await partition.close()
    await compacting
    const { partition: again } = await openPartition({ files, recoveryPoint: 100 })
    assert.equal((await readRecords(again)).at(-1)?.offset, 99)
  })

  it('cut meanwhile -> the compaction ends, and the log ends where it was cut', async () => {
    const { partition } = await openPartition({ config: { segmentBytes: 500 } })
    for (let count = 0; count < 100; count++)
      await append(partition, put(`k${count % 9}`, `${count}`))
    await partition.roll()
    const compacting = assert.rejects(compact(partition), ClosedError)
    await turn()
    await partition.truncateTo(50, async () => {})
    await compacting
    assert.equal(partition.logEndOffset, 50)
    const { skipped } = await compact(partition)
    assert.equal(skipped, null)
    assert.equal((await readRecords(partition)).length, 9)
  })

  it('a second one meanwhile -> refused', async () => {
    const { partition } = await openPartition()
    await append(partition, put('a', '1'))
    await partition.roll()
    const signal = new AbortController().signal
    const first = partition.compact(wholePartition, signal)
    await assert.rejects(partition.compact(wholePartition, signal), /under way/)
    await first
  })

  it('a signal that has aborted -> rejects with its reason', async () => {
    const { partition } = await openPartition()
    await append(partition, put('a', '1'))
    await append(partition, put('a', '2'))
    await partition.roll()
    const reason = new Error('enough')
    await assert.rejects(partition.compact(wholePartition, AbortSignal.abort(reason)), reason)
    assert.equal((await readRecords(partition)).length, 2)
  })
})
