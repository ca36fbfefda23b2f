/**
 * What `log.verify()` finds. A log of several segments is left open while one of its files is changed
 * underneath; each kind of file has its rows. Sound logs, in all states that they get into, have no
 * finding.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import { sealBatch, stampBatch } from '../../lib/record/batch-format.ts'
import { changes } from '../support/changed-files.ts'
import {
  appendBatches,
  change,
  fileOf,
  flipAt,
  openVerified,
  segmentBases,
  type VerifiedLog,
} from '../support/verified-log.ts'

async function opened(): Promise<VerifiedLog> {
  const opened = await openVerified()
  await appendBatches(opened.topic, 40)
  await opened.log.close()
  return await openVerified(opened.files)
}

describe('log.verify() of a log in which was changed', () => {
  for (const { title, path, edit, types } of changes) {
    it(`${title} -> ${types.join(', ')}`, async () => {
      const { files, log, topic } = await opened()
      const second = segmentBases(files)[1] ?? 0
      change(files, typeof path === 'string' ? path : path(second), edit)
      const report = await log.verify()
      assert.equal(report.ok, false)
      assert.deepEqual(new Set(report.findings.map(finding => finding.type)), new Set(types))
      const isDamaged = types.includes('damage')
      assert.equal(topic.partition(0).state, isDamaged ? 'damaged' : 'ok')
    })
  }

  it('a byte of a value -> the offsets of its batch, the file and the position', async () => {
    const { files, log } = await opened()
    const [, second = 0, third = 0] = segmentBases(files)
    change(files, fileOf(second, 'log'), flipAt(100))
    const { findings } = await log.verify()
    const [{ from, to, path, position, topic, partition }] = findings as [(typeof findings)[0]]
    assert.deepEqual(
      { from, to, path, position, topic, partition },
      {
        from: second,
        to: second + 2,
        path: fileOf(second, 'log'),
        position: 0,
        topic: 'orders',
        partition: 0,
      },
    )
    assert.ok(to !== null && to < third)
  })

  it('records whose checksum holds -> nothing without `deep`, damage with it', async () => {
    const { files, log } = await opened()
    change(files, fileOf(0, 'log'), bytes => {
      const size = bytes.readInt32BE(8) + 12
      bytes.writeUInt8(0x7f, 61)
      sealBatch(bytes, 0, size)
      return bytes
    })
    // The manifest's checksum covers that of the batch.
    const types = async (deep: boolean): Promise<string[]> =>
      (await log.verify({ deep })).findings.map(finding => finding.type)
    assert.deepEqual(await types(false), ['manifest'])
    assert.deepEqual(await types(true), ['damage', 'manifest'])
  })

  it('a timestamp above that of its batch -> only `deep` finds it, and reads go on', async () => {
    const { files, log, topic } = await opened()
    const last = segmentBases(files).at(-1) ?? 0
    change(files, fileOf(last, 'log'), bytes => {
      const size = bytes.readInt32BE(8) + 12
      bytes.writeBigInt64BE(bytes.readBigInt64BE(27) + 9n, 27)
      sealBatch(bytes, 0, size)
      return bytes
    })
    const { findings } = await log.verify({ deep: true })
    assert.deepEqual(
      findings.map(finding => finding.type),
      ['timestamp'],
    )
    assert.equal(topic.partition(0).state, 'ok')
  })

  it('a missing segment in the middle -> the whole of it is damage', async () => {
    const { files, log } = await opened()
    const [, second = 0, third = 0] = segmentBases(files)
    change(files, fileOf(second, 'log'), () => null)
    const { findings } = await log.verify()
    const damage = findings.find(finding => finding.type === 'damage')
    assert.deepEqual([damage?.from, damage?.to], [second, third])
  })

  it('two batches -> a finding for each, and everything else is still counted', async () => {
    const { files, log } = await opened()
    const [, second = 0] = segmentBases(files)
    change(files, fileOf(second, 'log'), flipAt(100))
    change(files, fileOf(0, 'log'), flipAt(-5))
    const report = await log.verify()
    assert.equal(report.findings.length, 2)
    assert.equal(report.partitions[0]?.batches, 38)
    assert.equal(report.partitions[0]?.records, 76)
  })

  it('a batch that was renumbered -> that batch only', async () => {
    const { files, log } = await opened()
    const [, second = 0] = segmentBases(files)
    change(files, fileOf(second, 'log'), bytes => {
      const size = bytes.readInt32BE(8) + 12
      stampBatch(bytes, size, { baseOffset: second + 1000, leaderEpoch: 0 })
      return bytes
    })
    const { findings } = await log.verify()
    assert.deepEqual(
      findings.map(({ type, from, to }) => [type, from, to]),
      [['damage', second + 2, second + 4]],
    )
  })
})

describe('log.verify() and the event `corruption`', () => {
  const corruptions = ({ events }: VerifiedLog): number =>
    events.filter(event => event.type === 'corruption').length

  it('damage that is found twice -> one event, one change of state', async () => {
    const opening = await opened()
    change(opening.files, fileOf(0, 'log'), flipAt(100))
    await opening.log.verify()
    await opening.log.verify()
    assert.equal(corruptions(opening), 1)
    const states = opening.events.filter(event => event.type === 'partitionStateChanged')
    assert.deepEqual(
      states.map(event => event.state),
      ['damaged'],
    )
  })

  it('a reader that passes it over, and then verify -> one event', async () => {
    const opening = await opened()
    change(opening.files, fileOf(0, 'log'), flipAt(100))
    for (let count = 0; count < 2; count++) {
      let records = 0
      for await (const _ of opening.topic.records({ onCorruption: 'skip' })) records++
      assert.equal(records, 78)
    }
    await opening.log.verify()
    assert.equal(corruptions(opening), 1)
  })

  it('a read-only log in which it is read and verified -> one event', async () => {
    const { files, log } = await opened()
    change(files, fileOf(0, 'log'), flipAt(100))
    const reader = await openVerified(files, { readOnly: true })
    for await (const _ of reader.topic.records({ onCorruption: 'skip' }));
    const report = await reader.log.verify()
    assert.deepEqual(
      report.findings.map(finding => finding.type),
      ['damage'],
    )
    assert.equal(corruptions(reader), 1)
    assert.equal(reader.topic.partition(0).state, 'damaged')
    await log.close()
  })
})

describe('log.verify() of a sound log', () => {
  const assertSound = async ({ log }: VerifiedLog): Promise<void> => {
    const report = await log.verify({ deep: true })
    assert.deepEqual(report.findings, [])
    assert.equal(report.ok, true)
  }

  it('new and empty -> no finding', async () => {
    await assertSound(await openVerified())
  })

  it('open after appends and rolls -> no finding, every record counted', async () => {
    const opening = await openVerified()
    await appendBatches(opening.topic, 40)
    await assertSound(opening)
    const [partition] = (await opening.log.verify()).partitions
    assert.equal(partition?.records, 80)
    assert.equal(partition?.batches, 40)
    assert.equal(partition?.to, 80)
    const bytes = segmentBases(opening.files).map(base => opening.files.stat(fileOf(base, 'log')))
    assert.equal(
      partition?.bytes,
      bytes.reduce((sum, stat) => sum + (stat?.sizeBytes ?? 0), 0),
    )
  })

  it('closed and opened again, and appended to -> no finding', async () => {
    const again = await opened()
    await assertSound(again)
    await appendBatches(again.topic, 5)
    await assertSound(again)
  })

  for (const compressionType of ['gzip', 'none'] as const) {
    for (const timestampType of ['create', 'append'] as const) {
      it(`${compressionType}, timestamps of the ${timestampType} -> no finding`, async () => {
        const config = { segmentBytes: 2048, compressionType, timestampType }
        const opening = await openVerified(memoryFiles(), { config })
        await appendBatches(opening.topic, 40)
        await assertSound(opening)
      })
    }
  }

  it('with timestamps that jump to and fro -> no finding', async () => {
    const opening = await openVerified()
    for (let count = 0; count < 60; count++) {
      const timestamp = 1_700_000_000_000 + ((count * 7919) % 101) * 1000
      await opening.topic.append({ value: 'v'.repeat(100), timestamp })
    }
    await assertSound(opening)
  })

  it('with records that are written and not flushed -> they are not looked at', async () => {
    const config = { flushRecords: -1, flushMs: -1 }
    const opening = await openVerified(memoryFiles(), { config })
    const flushed = opening.topic.append({ value: 'flushed' })
    await opening.log.flush()
    await flushed
    await opening.topic.append({ value: 'written' }, { acks: 'written' })
    await assertSound(opening)
    assert.equal((await opening.log.verify()).partitions[0]?.records, 1)
  })

  it('beside appends that roll segments -> no finding', async () => {
    const opening = await openVerified()
    await appendBatches(opening.topic, 10)
    const appending = appendBatches(opening.topic, 200)
    for (let count = 0; count < 5; count++) await assertSound(opening)
    await appending
    await assertSound(opening)
  })

  it('read beside its writer -> no finding', async () => {
    const { files, topic } = await openVerified()
    await appendBatches(topic, 10)
    const reader = await openVerified(files, { readOnly: true })
    const appending = appendBatches(topic, 100)
    for (let count = 0; count < 5; count++) await assertSound(reader)
    await appending
    await assertSound(reader)
  })
})

describe('log.verify({ maxBytesPerSecond })', () => {
  it('a rate -> it waits for the clock; without a limit it does not', async () => {
    const { log, clock } = await opened()
    const { partitions } = await log.verify({ maxBytesPerSecond: -1 })
    const bytes = partitions[0]?.bytes ?? 0
    let isDone = false
    const slow = log.verify({ maxBytesPerSecond: 1000 }).then(report => {
      isDone = true
      return report
    })
    const startMs = clock.monotonicMs()
    while (!isDone) {
      clock.advance(10)
      for (let turns = 0; turns < 3; turns++) await new Promise(resolve => setImmediate(resolve))
    }
    assert.deepEqual((await slow).findings, [])
    const tookMs = clock.monotonicMs() - startMs
    assert.ok(tookMs >= bytes - 200, `${bytes} bytes took ${tookMs} ms`)
    assert.ok(tookMs <= bytes + 2000, `${bytes} bytes took ${tookMs} ms`)
  })

  it('an aborted signal while it waits -> rejects with the reason', async () => {
    const { log } = await opened()
    const abort = new AbortController()
    const slow = log.verify({ maxBytesPerSecond: 1, signal: abort.signal })
    const caught = assert.rejects(slow, /enough/)
    for (let turns = 0; turns < 5; turns++) await new Promise(resolve => setImmediate(resolve))
    abort.abort(new Error('enough'))
    await caught
  })

  it('the log is closed meanwhile -> rejects with ClosedError', async () => {
    const { log } = await opened()
    const verifying = assert.rejects(log.verify(), { code: 'LOG_CLOSED' })
    await log.close()
    await verifying
  })

  it('progress -> ends with all bytes read', async () => {
    const { log } = await opened()
    const seen: { checkedBytes: number; totalBytes: number }[] = []
    await log.verify({ onProgress: progress => seen.push(progress) })
    assert.ok(seen.length >= 3)
    assert.equal(seen.at(-1)?.checkedBytes, seen.at(-1)?.totalBytes)
  })

  it('a topic that is not there -> UnknownTopicOrPartitionError', async () => {
    const { log } = await opened()
    await assert.rejects(log.verify({ topic: 'none' }), { code: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })

  it('only one topic asked for -> the others are not looked at', async () => {
    const { log, files } = await opened()
    await log.topic('other')
    change(files, fileOf(0, 'log'), flipAt(100))
    assert.equal((await log.verify({ topic: 'other' })).ok, true)
    assert.equal((await log.verify({ topic: 'orders' })).ok, false)
  })

  it('options of the wrong type -> TypeError', async () => {
    const { log } = await opened()
    await assert.rejects(log.verify({ deep: 1 as unknown as boolean }), TypeError)
    await assert.rejects(log.verify({ maxBytesPerSecond: 0 }), RangeError)
  })
})
