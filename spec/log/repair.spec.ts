/**
 * What `log.repair()` puts right. Each kind of change that verifying finds is repaired and verified
 * again; no record that was good is lost; what was lost stays a known gap over every close.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CorruptRecordError } from '../../lib/errors.ts'
import { sealBatch } from '../../lib/record/batch-format.ts'
import { changes } from '../support/changed-files.ts'
import { filesOf, imageOf } from '../support/log-image.ts'
import {
  appendBatches,
  change,
  fileOf,
  flipAt,
  logDir,
  openVerified,
  partitionDir,
  segmentBases,
  type VerifiedLog,
  valuesOf,
} from '../support/verified-log.ts'

async function opened(): Promise<VerifiedLog> {
  const opened = await openVerified()
  await appendBatches(opened.topic, 40)
  await opened.log.close()
  return await openVerified(opened.files)
}

/** Findings that nothing can be done about: the log itself says something else than the epoch file. */
const lasting = ['a leader epoch', 'a negative leader epoch']

describe('log.repair() of a log in which was changed', () => {
  for (const { title, path, edit } of changes) {
    if (lasting.includes(title)) continue
    it(`${title} -> verified without a finding, now and when it is opened again`, async () => {
      const { files, log, topic } = await opened()
      const second = segmentBases(files)[1] ?? 0
      const where = typeof path === 'string' ? path : path(second)
      const before = await valuesOf(topic)
      change(files, where, edit)
      const found = await log.verify()
      const report = await log.repair()
      assert.deepEqual(report.left, [])
      assert.equal(report.ok, true)
      assert.deepEqual(report.repaired, found.findings)
      const lost = found.findings.flatMap(({ type, from, to }) =>
        type === 'damage' ? [[from, to]] : [],
      )
      assert.deepEqual(
        report.gaps.map(({ from, to }) => [from, to]),
        lost,
      )
      const isLost = (offset: number): boolean =>
        lost.some(([from = 0, to = 0]) => (from ?? 0) <= offset && offset < (to ?? 0))
      const kept = before.filter(value => !isLost(Number.parseInt(value, 10)))
      assert.deepEqual(await valuesOf(topic), kept)
      await log.close()
      const again = await openVerified(files)
      const verified = await again.log.verify()
      assert.deepEqual(verified.findings, [])
      assert.deepEqual(
        verified.gaps.map(({ from, to }) => [from, to]),
        lost,
      )
      assert.deepEqual(await valuesOf(again.topic), kept)
      await appendBatches(again.topic, 3)
      assert.equal((await valuesOf(again.topic)).length, kept.length + 6)
      assert.deepEqual((await again.log.verify()).findings, [])
    })
  }

  for (const title of lasting) {
    it(`${title} -> left, and every record is still read`, async () => {
      const { files, log, topic } = await opened()
      const row = changes.find(it => it.title === title)
      assert.ok(row !== undefined && typeof row.path === 'function')
      change(files, row.path(segmentBases(files)[1] ?? 0), row.edit)
      const report = await log.repair()
      assert.equal(report.ok, false)
      assert.deepEqual(
        report.left.map(finding => finding.type),
        ['leader-epochs'],
      )
      assert.equal((await valuesOf(topic)).length, 80)
    })
  }

  it('nothing -> nothing is repaired, and no file is written', async () => {
    const { files, log } = await opened()
    const names = files.list(partitionDir).map(({ name }) => name)
    const stats = names.map(name => files.stat(`${partitionDir}/${name}`))
    const report = await log.repair()
    assert.deepEqual([report.ok, report.repaired, report.gaps], [true, [], []])
    assert.deepEqual(
      names.map(name => files.stat(`${partitionDir}/${name}`)),
      stats,
    )
  })
})

describe('a gap that was repaired', () => {
  async function repaired(): Promise<VerifiedLog & { readonly second: number }> {
    const opening = await opened()
    const [, second = 0] = segmentBases(opening.files)
    change(opening.files, fileOf(second, 'log'), flipAt(100))
    await opening.log.repair()
    return { ...opening, second }
  }

  it('read -> CorruptRecordError with its offsets, before and after another open', async () => {
    const { files, log, topic, second } = await repaired()
    const isGap = (error: unknown): boolean =>
      error instanceof CorruptRecordError && error.from === second && error.to === second + 2
    await assert.rejects(topic.partition(0).read({ from: second }), isGap)
    await log.close()
    const again = await openVerified(files)
    await assert.rejects(again.topic.partition(0).read({ from: second }), isGap)
    assert.equal(again.topic.partition(0).state, 'damaged')
    assert.equal(
      (await again.topic.partition(0).read({ from: second + 2 })).nextOffset > second,
      true,
    )
  })

  it('the damaged bytes -> lie in a quarantined file, and where they were', async () => {
    const { files, second } = await repaired()
    const log = files.readFile(fileOf(second, 'log'))
    const size = (log?.readInt32BE(8) ?? 0) + 12
    const name = `${partitionDir}/${String(second).padStart(20, '0')}.0.quarantined`
    assert.deepEqual(files.readFile(name), log?.subarray(0, size))
  })

  it('repaired again -> nothing more is done', async () => {
    const { log } = await repaired()
    const report = await log.repair()
    assert.deepEqual([report.repaired, report.gaps.length, report.damagedBytes], [[], 1, 0])
  })

  it('wider damage at the same place -> is a finding', async () => {
    const { files, log, second } = await repaired()
    change(files, fileOf(second, 'log'), bytes =>
      flipAt((bytes.readInt32BE(8) + 12) * 2 - 3)(bytes),
    )
    const { findings } = await log.verify()
    assert.equal(findings[0]?.type, 'damage')
  })

  it('the file put back while the log was closed -> found, and taken off the record', async () => {
    const { files, log, second } = await repaired()
    await log.close()
    change(files, fileOf(second, 'log'), flipAt(100))
    const again = await openVerified(files)
    assert.equal((await valuesOf(again.topic)).length, 80)
    const { findings } = await again.log.verify()
    assert.deepEqual(
      findings.map(({ type, from, to }) => [type, from, to]),
      [['manifest', second, second + 2]],
    )
    const report = await again.log.repair()
    assert.deepEqual([report.ok, report.gaps], [true, []])
    assert.equal(again.topic.partition(0).state, 'ok')
  })

  it('a read-only log -> knows it, and has no finding', async () => {
    const { files, second } = await repaired()
    const reader = await openVerified(files, { readOnly: true })
    const report = await reader.log.verify()
    assert.deepEqual(report.findings, [])
    assert.deepEqual(
      report.gaps.map(({ from, to }) => [from, to]),
      [[second, second + 2]],
    )
  })
})

describe('log.repair()', () => {
  it('records that do not decode, with `deep` -> a gap', async () => {
    const { files, log } = await opened()
    change(files, fileOf(0, 'log'), bytes => {
      const size = bytes.readInt32BE(8) + 12
      bytes.writeUInt8(0x7f, 61)
      sealBatch(bytes, 0, size)
      return bytes
    })
    const report = await log.repair({ deep: true })
    assert.equal(report.ok, true)
    assert.equal(report.gaps.length, 1)
    assert.deepEqual((await log.verify({ deep: true })).findings, [])
    assert.deepEqual((await log.verify()).findings, [])
  })

  it('of the active segment, beside appends -> they go on, and nothing is found behind', async () => {
    const { files, log, topic } = await opened()
    await appendBatches(topic, 2)
    const last = segmentBases(files).at(-1) ?? 0
    change(files, fileOf(last, 'log'), flipAt(100))
    change(files, fileOf(last, 'index'), () => Buffer.from('wrong'))
    const appending = appendBatches(topic, 30)
    const report = await log.repair()
    await appending
    assert.equal(report.gaps.length, 1)
    assert.deepEqual((await log.verify()).findings, [])
    await log.close()
    const again = await openVerified(files)
    assert.deepEqual((await again.log.verify()).findings, [])
    assert.equal((await valuesOf(again.topic)).length, 2 * 72 - 2)
  })

  it('of the active segment -> the gap is on record without a close', async () => {
    const { files, log } = await opened()
    const last = segmentBases(files).at(-1) ?? 0
    change(files, fileOf(last, 'log'), flipAt(100))
    await log.repair()
    const left = filesOf(imageOf(files), { '/log/.lock.pid': null })
    const again = await openVerified(left)
    const report = await again.log.verify()
    assert.deepEqual(report.findings, [])
    assert.deepEqual(
      report.gaps.map(({ from, to }) => [from, to]),
      [[last, last + 2]],
    )
  })

  it('without room for the copy -> the gap is on record all the same', async () => {
    const { files, log } = await opened()
    await log.close()
    change(files, fileOf(0, 'log'), flipAt(100))
    const again = await openVerified(files, { quarantineBytes: 0 })
    const report = await again.log.repair()
    assert.equal(report.ok, true)
    assert.equal(report.quarantinedBytes, 0)
    assert.ok(report.damagedBytes > 100)
  })

  it('a snapshot that cannot be read -> is removed', async () => {
    const { files, log } = await opened()
    const path = `${partitionDir}/00000000000000000010.snapshot`
    const file = files.open(path, 'create')
    file.writeSync(Buffer.from('no snapshot'), 0)
    file.close()
    assert.deepEqual(
      (await log.verify()).findings.map(finding => finding.type),
      ['producer-snapshot'],
    )
    assert.equal((await log.repair()).ok, true)
    assert.equal(files.stat(path), null)
  })

  it('two at the same time -> one after the other', async () => {
    const { files, log } = await opened()
    change(files, fileOf(0, 'log'), flipAt(100))
    const reports = await Promise.all([log.repair(), log.repair()])
    assert.deepEqual(
      reports.map(report => report.repaired.length),
      [1, 0],
    )
  })

  it('a read-only log -> ReadOnlyError', async () => {
    const { files } = await opened()
    const reader = await openVerified(files, { readOnly: true })
    await assert.rejects(reader.log.repair(), { code: 'READ_ONLY' })
  })

  it('an aborted signal -> rejects with its reason', async () => {
    const { log } = await opened()
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(log.repair({ signal }), /enough/)
  })

  it('a checkpoint that leads -> is written anew at once', async () => {
    const { files, log } = await opened()
    const path = `${logDir}/recovery-point-offset-checkpoint`
    const before = files.readFile(path)
    change(files, path, () => Buffer.from('0\n1\norders 0 81\n'))
    await log.repair()
    assert.deepEqual(files.readFile(path), before)
  })
})
