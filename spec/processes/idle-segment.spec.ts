/** `segmentMs` holds for a topic that nobody appends to, too: the sweep rolls its segment. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, Topic } from '../../lib/types.ts'
import { tempDir } from '../support/temp-dir.ts'

type Sealed = Extract<LogEvent, { type: 'segmentSealed' }>

interface Idle {
  readonly dir: string
  readonly clock: ManualClock
  readonly log: Log
  readonly topic: Topic
  readonly sealed: Sealed[]
}

/** A topic with two records, flushed, whose segment may be a minute old. The sweep comes every second. */
async function openIdle(test: TestContext): Promise<Idle> {
  const dir = tempDir(test)
  const clock = manualClock()
  const log = await openLog(dir, { clock, sweepIntervalMs: 1000 })
  const sealed: Sealed[] = []
  log.on('segmentSealed', event => sealed.push(event))
  const topic = await log.topic('idle', { segmentMs: 60_000 })
  await topic.append([{ value: 'a' }, { value: 'b' }])
  return { dir, clock, log, topic, sealed }
}

async function segmentCount(topic: Topic): Promise<number | undefined> {
  return (await topic.describe()).partitions[0]?.segmentCount
}

describe('a topic that nobody appends to', () => {
  it('its segment is younger than segmentMs -> stays as it is', async t => {
    const { clock, log, topic, sealed } = await openIdle(t)
    clock.advance(59_000)
    await topic.flush()
    assert.deepEqual([sealed, await segmentCount(topic)], [[], 1])
    await log.close()
  })

  it('its segment gets older than segmentMs -> sealed by the sweep, with its indexes on the disk', async t => {
    const { dir, clock, log, topic, sealed } = await openIdle(t)
    clock.advance(61_000)
    await log.sweep()
    await log.close()
    const path = (suffix: string) => join(dir, 'idle-0', `00000000000000000000.${suffix}`)
    const { sizeBytes, ...rest } = sealed[0] as Sealed
    const facts = { type: 'segmentSealed', topic: 'idle', partition: 0, baseOffset: 0 }
    assert.deepEqual(
      [rest, sealed.length],
      [{ ...facts, nextOffset: topic.partition(0).logEndOffset }, 1],
    )
    assert.equal(sizeBytes, statSync(path('log')).size)
    assert.equal(statSync(path('timeindex')).size, 12)
  })

  it('many more sweeps -> an empty segment is not rolled again', async t => {
    const { dir, clock, log, topic, sealed } = await openIdle(t)
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(61_000)
      await topic.flush()
    }
    assert.equal(await segmentCount(topic), 2)
    await log.close()
    assert.equal(sealed.length, 1)
    assert(existsSync(join(dir, 'idle-0', '00000000000000000002.log')))
  })

  it('appended to after that, closed and opened -> every record is there', async t => {
    const { dir, clock, log, topic } = await openIdle(t)
    clock.advance(61_000)
    await topic.append({ value: 'c' })
    await log.close()
    const again = await openLog(dir)
    const values: string[] = []
    for await (const { value } of (await again.topic('idle')).records()) values.push(String(value))
    assert.deepEqual([values, again.recovery.clean], [['a', 'b', 'c'], true])
    await again.close()
  })
})
