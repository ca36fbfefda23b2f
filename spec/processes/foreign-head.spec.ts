/**
 * One process deletes and compacts, another reads beside it: a paused reader, one that begins anew, and
 * one that never stops. What is read is what was appended, the end of what is gone is typed, and
 * nothing is ever taken for damage.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import type { Log, Topic, TopicConfig } from '../../lib/types.ts'
import { type Program, startProgram } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Scene {
  readonly log: Log
  readonly topic: Topic
  readonly reader: Program
}

async function open(test: TestContext, config: TopicConfig): Promise<Scene> {
  const dir = tempDir(test)
  const log = await openLog(dir, { sweepIntervalMs: -1 })
  const topic = await log.createTopic('orders', { segmentBytes: 1024, ...config })
  await fill(topic, 40)
  const reader = startProgram(test, ['head-reader', dir])
  await reader.hear('open')
  return { log, topic, reader }
}

/** Records of five keys that say at which offset they lie; about ten in a segment. */
async function fill(topic: Topic, count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    const offset = topic.partition(0).logEndOffset
    await topic.append({ key: `k${offset % 5}`, value: `${offset} `.padEnd(30, '.') })
  }
}

async function end({ log, reader }: Scene): Promise<void> {
  reader.tell('close')
  const rest = await reader.rest()
  assert.deepEqual(rest, ['closed'], reader.errors)
  await reader.endedWell()
  await log.close()
}

function listed(line: string): number[] {
  return line.split(' ').filter(Boolean).map(Number)
}

async function offsetsOf(topic: Topic): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of topic.records()) offsets.push(offset)
  return offsets
}

describe('a process that reads what another one deletes', () => {
  it('it is paused in a segment that goes -> OffsetOutOfRangeError, and a new reader sees what is left', async t => {
    const scene = await open(t, {})
    const { topic, reader } = scene
    reader.tell('start orders throw')
    reader.tell('next 3')
    assert.equal(await reader.hear('saw'), '0 1 2')
    await topic.partition(0).deleteRecords(25)
    reader.tell('next 40')
    const [code, ...offsets] = (await reader.hear('ended')).split(' ')
    assert.equal(code, 'OFFSET_OUT_OF_RANGE')
    // It may have had some more in memory: those are the ones behind, without a gap.
    assert.deepEqual(
      offsets.map(Number),
      offsets.map((_, index) => 3 + index),
    )
    assert(3 + offsets.length < 25)
    reader.tell('all orders')
    assert.deepEqual(listed(await reader.hear('all')), await offsetsOf(topic))
    await end(scene)
  })

  it('it may jump -> it goes on with the first record that is left', async t => {
    const scene = await open(t, {})
    const { log, topic, reader } = scene
    reader.tell('start orders earliest')
    reader.tell('next 3')
    assert.equal(await reader.hear('saw'), '0 1 2')
    await topic.configure({ retentionRecords: 10 })
    const { deletedSegments } = await log.sweep()
    assert(deletedSegments > 1)
    reader.tell('next 40')
    const offsets = listed(await reader.hear('saw'))
    const left = await offsetsOf(topic)
    assert.deepEqual(offsets.slice(-left.length), left)
    await end(scene)
  })

  it('everything is deleted, and more is appended -> it sees that, at its offsets', async t => {
    const scene = await open(t, {})
    const { log, topic, reader } = scene
    await topic.configure({ retentionMs: 0 })
    await topic.partition(0).deleteRecords(40)
    await log.sweep()
    await topic.configure({ retentionMs: -1 })
    await fill(topic, 3)
    reader.tell('all orders')
    assert.deepEqual(listed(await reader.hear('all')), [40, 41, 42])
    await end(scene)
  })

  it('it never stops, beside appends and deletions -> every record is the one of its offset', async t => {
    const scene = await open(t, {})
    const { topic, reader } = scene
    reader.tell('loop orders')
    await reader.hear('looping')
    for (let round = 0; round < 40; round++) {
      await fill(topic, 12)
      await topic.partition(0).deleteRecords(topic.partition(0).logEndOffset - 25)
    }
    reader.tell('stop')
    assert.equal(await reader.nextLine(), 'stopped', reader.errors)
    await end(scene)
  })
})

describe('a process that reads what another one compacts', () => {
  it('it is paused meanwhile -> it goes on, and of every key the last record is read', async t => {
    const scene = await open(t, { cleanupPolicy: 'compact' })
    const { topic, reader } = scene
    reader.tell('start orders throw')
    reader.tell('next 3')
    assert.equal(await reader.hear('saw'), '0 1 2')
    await topic.compact()
    reader.tell('next 40')
    const offsets = listed(await reader.hear('saw'))
    assert.deepEqual(offsets.slice(-5), [35, 36, 37, 38, 39])
    await end(scene)
  })

  it('it never stops, beside appends and compactions -> no damage, and in the end what the writer sees', async t => {
    const scene = await open(t, { cleanupPolicy: 'compact' })
    const { topic, reader } = scene
    reader.tell('loop orders')
    await reader.hear('looping')
    for (let round = 0; round < 20; round++) {
      await fill(topic, 12)
      await topic.compact()
    }
    reader.tell('stop')
    assert.equal(await reader.nextLine(), 'stopped', reader.errors)
    reader.tell('all orders')
    const offsets = listed(await reader.hear('all'))
    assert.deepEqual(offsets.slice(-5), (await offsetsOf(topic)).slice(-5))
    await end(scene)
  })
})
