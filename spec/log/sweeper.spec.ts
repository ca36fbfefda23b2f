/** Which partitions a sweep looks at, and what it says when one fails or ends meanwhile. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { EngineTime } from '../../lib/clock.ts'
import { ClosedError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import { ConsumedOffsets } from '../../lib/log/consumed-offsets.ts'
import type { OpenTopic } from '../../lib/log/open-topic.ts'
import { Sweeper } from '../../lib/log/sweeper.ts'
import { manualClock } from '../../lib/testing/index.ts'

/** A topic with one partition, and what the sweep does with it. */
class ScriptedTopic {
  readonly name: string
  readonly config = { cleanupPolicy: 'delete', retainUntilConsumed: [] }
  isUsable = true
  isAdopted = false
  readonly done: string[] = []
  /** What retention of its partition does. */
  retain: () => Promise<readonly object[]> = async () => []
  readonly partitions: readonly object[]

  constructor(name: string) {
    this.name = name
    this.partitions = [
      {
        identity: { topic: name, partition: 0 },
        sizeBytes: 0,
        state: 'ok',
        takeImplausible: () => null,
        retention: {
          sealed: () => [],
          sweep: () => {
            this.done.push('retention')
            return this.retain()
          },
        },
        sweep: () => void this.done.push('roll'),
      },
    ]
  }

  async retentionRequest(): Promise<object> {
    return {}
  }
}

interface Scene {
  readonly sweeper: Sweeper
  readonly events: LogEvent[]
  readonly compacted: string[]
}

function scene(...topics: readonly ScriptedTopic[]): Scene {
  const clock = manualClock()
  const events: LogEvent[] = []
  const compacted: string[] = []
  const sweeper = new Sweeper({
    clock,
    time: new EngineTime(clock),
    options: { sweepIntervalMs: -1, maxTotalBytes: -1 },
    consumed: new ConsumedOffsets(),
    raise: async () => {},
    compact: due => void compacted.push(...[...due].map(({ name }) => name)),
    emit: event => void events.push(event),
    setOverLimit: () => {},
  })
  const byName = new Map(topics.map(topic => [topic.name, topic]))
  sweeper.sweeps(byName as unknown as ReadonlyMap<string, OpenTopic>)
  return { sweeper, events, compacted }
}

const both = ['retention', 'roll']

describe('a sweep', () => {
  it('a partition fails -> that is told and reported, and the others are swept', async () => {
    const bad = new ScriptedTopic('bad')
    const good = new ScriptedTopic('good')
    const failure = new Error('no disk')
    bad.retain = () => Promise.reject(failure)
    const { sweeper, events, compacted } = scene(bad, good)
    const { failures } = await sweeper.sweep()
    assert.deepEqual(failures, [{ topic: 'bad', partition: 0, error: failure }])
    const what = 'sweeping partition 0 of topic bad'
    assert.deepEqual(events, [{ type: 'backgroundFailed', what, error: failure }])
    assert.deepEqual([bad.done, good.done], [['retention'], both])
    assert.deepEqual(compacted, ['bad', 'good'])
  })

  it('a topic has ended before its turn -> it is neither swept nor compacted', async () => {
    const ended = new ScriptedTopic('ended')
    ended.isUsable = false
    const { sweeper, compacted } = scene(ended, new ScriptedTopic('good'))
    await sweeper.sweep()
    assert.deepEqual([ended.done, compacted], [[], ['good']])
  })

  it('a topic ends while it is swept -> nothing is said to have failed', async () => {
    const ending = new ScriptedTopic('ending')
    ending.retain = () => {
      ending.isUsable = false
      return Promise.reject(new ClosedError())
    }
    const { sweeper, events, compacted } = scene(ending)
    const { failures } = await sweeper.sweep()
    assert.deepEqual([failures, events, compacted], [[], [], []])
  })

  it('the log is closed while a partition is swept -> nothing is said to have failed, no other is swept', async () => {
    const topics = Array.from({ length: 5 }, (_, index) => new ScriptedTopic(`t${index}`))
    const { sweeper, events, compacted } = scene(...topics)
    const closed: Promise<void>[] = []
    for (const topic of topics) {
      topic.retain = () => {
        closed.push(sweeper.close())
        return Promise.reject(new ClosedError())
      }
    }
    const { failures } = await sweeper.sweep()
    await Promise.all(closed)
    assert.deepEqual([failures, events, compacted], [[], [], []])
    assert.deepEqual(topics.at(-1)?.done, [])
  })

  it('a topic is adopted -> it is not compacted', async () => {
    const adopted = new ScriptedTopic('adopted')
    adopted.isAdopted = true
    const { sweeper, compacted } = scene(adopted)
    await sweeper.sweep()
    assert.deepEqual(compacted, [])
  })
})
