/** Damage that was met once is on record: a close, a crash or another open does not forget it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { damageLines, isKnownDamage, rememberedDamage } from '../../lib/storage/damage.ts'
import {
  type DamageLine,
  formatManifest,
  parseManifest,
} from '../../lib/storage/segments-manifest.ts'
import {
  appendBatches,
  change,
  fileOf,
  flipAt,
  logDir,
  openVerified,
  type VerifiedLog,
  valuesOf,
} from '../support/verified-log.ts'

const line: DamageLine = {
  from: 80,
  to: 90,
  baseOffset: 40,
  position: 5000,
  reason: 'crc',
  isSettled: false,
}

describe('damage in the manifest', () => {
  it('damage and gaps -> read as they were written', () => {
    const damage = [line, { ...line, from: 100, to: 101, isSettled: true }]
    const manifest = { sealed: [], active: null, damage }
    assert.deepEqual(parseManifest(formatManifest(manifest)), manifest)
  })

  for (const [title, wrong] of [
    ['an empty range', { ...line, to: 80 }],
    ['a negative position', { ...line, position: -1 }],
    ['an unknown reason', { ...line, reason: 'because' as 'crc' }],
  ] as const) {
    it(`${title} -> is never written`, () => {
      assert.throws(() => formatManifest({ sealed: [], active: null, damage: [wrong] }), {
        code: 'ERR_ASSERTION',
      })
    })
  }

  it('what was met -> the same after it was remembered', () => {
    const met = { from: 80, to: 90, path: 'p-0/00000000000000000040.log', position: 5000 }
    const damage = { ...met, reason: 'crc' as const, isSettled: true }
    const within = { logStartOffset: 0, logEndOffset: 100 }
    assert.deepEqual(rememberedDamage('p-0', damageLines([damage]), within), [damage])
  })

  for (const [logStartOffset, logEndOffset, expected] of [
    [0, 100, [[80, 90]]],
    [85, 100, [[85, 90]]],
    [0, 85, [[80, 85]]],
    [90, 100, []],
    [0, 80, []],
  ] as const) {
    it(`a log of [${logStartOffset}, ${logEndOffset}) -> ${JSON.stringify(expected)} of [80, 90)`, () => {
      const found = rememberedDamage('p-0', [line], { logStartOffset, logEndOffset })
      assert.deepEqual(
        found.map(({ from, to }) => [from, to]),
        expected,
      )
    })
  }
})

describe('isKnownDamage', () => {
  const known = [{ from: 10, to: 20, path: 'a', position: 7, reason: 'crc' as const }]
  for (const [title, changes, expected] of [
    ['the same', {}, true],
    ['a part of it, met from elsewhere', { from: 12, to: 15, position: 9 }, true],
    ['the same place with another end', { to: 25 }, true],
    ['further than it, from elsewhere', { from: 15, to: 25, position: 9 }, false],
    ['another file', { from: 30, to: 40, path: 'b' }, false],
  ] as const) {
    it(`${title} -> ${expected ? 'known' : 'new'}`, () => {
      const [first] = known
      assert.ok(first !== undefined)
      assert.equal(isKnownDamage(known, { ...first, ...changes }), expected)
    })
  }
})

async function damaged(): Promise<VerifiedLog> {
  const opening = await openVerified()
  await appendBatches(opening.topic, 40)
  change(opening.files, fileOf(0, 'log'), flipAt(100))
  assert.equal((await valuesOf(opening.topic)).length, 78)
  return opening
}

const corruptions = ({ events }: VerifiedLog): number =>
  events.filter(event => event.type === 'corruption').length

describe('damage that a reader met', () => {
  it('after a close -> the partition is damaged from the start, without another event', async () => {
    const { files, log } = await damaged()
    await log.close()
    const again = await openVerified(files)
    assert.equal(again.topic.partition(0).state, 'damaged')
    assert.equal(corruptions(again), 0)
    assert.equal((await valuesOf(again.topic)).length, 78)
    assert.equal(corruptions(again), 0)
  })

  it('met after a clean open in which nothing was appended -> the next open is clean as well', async () => {
    const { files, log } = await openVerified()
    await appendBatches(await log.topic('orders'), 40)
    await log.close()
    const second = await openVerified(files)
    change(files, fileOf(0, 'log'), flipAt(100))
    assert.equal((await valuesOf(second.topic)).length, 78)
    const { leaderEpoch } = second.topic.partition(0)
    await second.log.close()
    const third = await openVerified(files)
    assert.equal(third.log.recovery.clean, true)
    assert.equal(third.topic.partition(0).state, 'damaged')
    assert.equal(third.topic.partition(0).leaderEpoch, leaderEpoch)
  })

  it('after a crash -> the partition is damaged from the start', async () => {
    const { files, log } = await damaged()
    await log.close()
    await files.remove(`${logDir}/.kafka_cleanshutdown`)
    const again = await openVerified(files)
    assert.equal(again.topic.partition(0).state, 'damaged')
    assert.equal((await valuesOf(again.topic)).length, 78)
  })

  it('a manifest that cannot be read -> it is met again', async () => {
    const { files, log } = await damaged()
    await log.close()
    change(files, '/log/orders-0/segments.manifest', flipAt(30))
    const again = await openVerified(files)
    assert.equal(again.topic.partition(0).state, 'ok')
    await valuesOf(again.topic)
    assert.equal(corruptions(again), 1)
  })
})

describe('damage that opening met', () => {
  it('opened once more -> told once', async () => {
    const { files, log } = await openVerified()
    await appendBatches(await log.topic('orders'), 40)
    await log.close()
    change(files, fileOf(0, 'log'), bytes => bytes.subarray(0, bytes.length - 9))
    const second = await openVerified(files)
    assert.equal(corruptions(second), 1)
    await second.log.close()
    const third = await openVerified(files)
    assert.equal(corruptions(third), 0)
    assert.equal(third.topic.partition(0).state, 'damaged')
  })
})
