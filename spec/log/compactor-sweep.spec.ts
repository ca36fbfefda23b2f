/** Which partitions the background compaction takes, and what it says of those that it cannot compact. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClosedError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import type { Checkpointer } from '../../lib/log/checkpointer.ts'
import { type CompactableTopic, Compactor } from '../../lib/log/compactor.ts'
import { EventHub } from '../../lib/log/event-hub.ts'
import { resolveOpenOptions } from '../../lib/options.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import { idle } from '../support/filling-disk.ts'
import { openPartition } from '../support/open-partition.ts'

/** A compacted topic with one partition, which always has something to compact. */
class ScriptedTopic {
  readonly name: string
  readonly resolvedConfig = {
    cleanupPolicy: 'compact',
    minCleanableDirtyRatio: 0,
    minCompactionLagMs: 0,
    maxCompactionLagMs: -1,
    deleteRetentionMs: 0,
  }
  isUsable = true
  state = 'ok'
  compactions = 0
  /** Why a compaction leaves the partition as it is; or how it fails. */
  outcome: string | null | (() => Error) = null
  readonly partitions: readonly object[]

  constructor(name: string) {
    this.name = name
    const state = (): string => this.state
    this.partitions = [
      {
        identity: { topic: name, partition: 0 },
        dir: `${name}-0`,
        get state() {
          return state()
        },
        compactablePart: () => ({ cleanBytes: 0, dirtyBytes: 1, oldestDirtyMs: 0 }),
        compact: async () => {
          this.compactions++
          if (typeof this.outcome === 'function') throw this.outcome()
          return { passes: 0, skipped: this.outcome }
        },
      },
    ]
  }
}

/** Sweeps the topics; resolves with what is said of that. */
async function sweeper(): Promise<(...topics: ScriptedTopic[]) => Promise<readonly LogEvent[]>> {
  const files = memoryFiles()
  const { environment } = await openPartition({ files })
  const events: LogEvent[] = []
  const compactor = new Compactor({
    dir: '.',
    options: resolveOpenOptions({}),
    environment,
    events: new EventHub(event => events.push(event)),
    checkpointer: { write: async () => {} } as unknown as Checkpointer,
  })
  return async (...topics) => {
    events.length = 0
    compactor.sweep(topics as unknown as readonly CompactableTopic[])
    await idle()
    return [...events]
  }
}

describe('the background compaction', () => {
  it('a partition has failed -> it is left alone without a word, and the others are compacted', async () => {
    const failed = new ScriptedTopic('failed')
    const good = new ScriptedTopic('good')
    failed.state = 'failed'
    const sweep = await sweeper()
    assert.deepEqual(await sweep(failed, good), [])
    assert.deepEqual([failed.compactions, good.compactions], [0, 1])
  })

  it('a partition is skipped for the same reason again and again -> that is said once', async () => {
    const topic = new ScriptedTopic('states')
    const other = new ScriptedTopic('other')
    topic.outcome = 'damage'
    const sweep = await sweeper()
    const skipped = { type: 'compactionSkipped', topic: 'states', partition: 0, reason: 'damage' }
    assert.deepEqual(await sweep(topic, other), [skipped])
    assert.deepEqual(await sweep(topic, other), [])
    assert.equal(topic.compactions, 2)
    topic.outcome = 'failed swap'
    assert.deepEqual(await sweep(topic, other), [{ ...skipped, reason: 'failed swap' }])
  })

  it('it is compacted in between -> that it is skipped is said anew', async () => {
    const topic = new ScriptedTopic('states')
    const sweep = await sweeper()
    const said: number[] = []
    for (const outcome of ['damage', null, 'damage', 'damage']) {
      topic.outcome = outcome
      said.push((await sweep(topic)).length)
    }
    assert.deepEqual(said, [1, 0, 1, 0])
  })

  it('a compaction fails -> that is said, and the next partition is compacted', async () => {
    const topic = new ScriptedTopic('states')
    const other = new ScriptedTopic('other')
    const error = new Error('no disk')
    topic.outcome = () => error
    const [event] = await (await sweeper())(topic, other)
    assert.equal(event?.type, 'backgroundFailed')
    assert.equal(event.what, 'compacting states-0')
    assert.equal(other.compactions, 1)
  })

  it('the topic ends meanwhile, or the log -> nothing is said to have failed', async () => {
    const sweep = await sweeper()
    const ended = new ScriptedTopic('ended')
    ended.outcome = () => {
      ended.isUsable = false
      return new Error('the file is gone')
    }
    assert.deepEqual(await sweep(ended), [])
    const closed = new ScriptedTopic('closed')
    closed.outcome = () => new ClosedError()
    assert.deepEqual(await sweep(closed), [])
    assert.deepEqual([ended.compactions, closed.compactions], [1, 1])
  })
})
