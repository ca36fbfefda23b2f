/**
 * In which order `maxTotalBytes` takes segments, and when it gives up: with partitions that do as they
 * are told, or do not.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ConsumedOffsets } from '../../lib/log/consumed-offsets.ts'
import type { OpenTopic } from '../../lib/log/open-topic.ts'
import { TotalSize } from '../../lib/log/total-size.ts'
import type { PartitionLog } from '../../lib/storage/partition-log.ts'

/** A partition of segments with one record and 100 bytes each, which were appended to at these times. */
class ScriptedPartition {
  readonly identity: { readonly topic: string; readonly partition: number }
  readonly state = 'ok'
  readonly asked: number[] = []
  #segments: readonly { readonly endOffset: number; readonly lastAppendMs: number }[]
  readonly #outcome: 'gives' | 'keeps' | 'fails'

  constructor(topic: string, appendMs: readonly number[], outcome: 'gives' | 'keeps' | 'fails') {
    this.identity = { topic, partition: 0 }
    this.#segments = appendMs.map((lastAppendMs, index) => ({ endOffset: index + 1, lastAppendMs }))
    this.#outcome = outcome
  }

  get sizeBytes(): number {
    return this.#segments.length * 100
  }

  /** As much of `PartitionRetention` as is used here. */
  readonly retention = {
    sealed: (): readonly object[] => this.#segments.map(it => ({ ...it, sizeBytes: 100 })),
    giveUpBelow: async (offset: number): Promise<readonly object[]> => {
      this.asked.push(offset)
      if (this.#outcome === 'fails') throw new Error('no')
      if (this.#outcome === 'keeps') return []
      const gone = this.#segments.filter(({ endOffset }) => endOffset <= offset)
      this.#segments = this.#segments.slice(gone.length)
      return gone
    },
  }
}

interface Scene {
  readonly totalSize: TotalSize
  readonly isOverLimit: boolean[]
  readonly failures: string[]
}

function scene(
  maxTotalBytes: number,
  partitions: readonly ScriptedPartition[],
  retainUntilConsumed: readonly string[] = [],
): Scene {
  const config = { cleanupPolicy: 'delete', retainUntilConsumed }
  const topics = partitions.map(partition => ({
    name: partition.identity.topic,
    config,
    isAdopted: false,
    partitions: [partition],
  }))
  const isOverLimit: boolean[] = []
  const failures: string[] = []
  const consumed = new ConsumedOffsets()
  consumed.use((_, { topic }) => {
    if (topic === 'unknown') throw new Error('the group cannot be asked')
    return 100
  })
  const totalSize = new TotalSize({
    maxTotalBytes,
    topics: () => topics as unknown as readonly OpenTopic[],
    consumed,
    raise: () => async () => {},
    deleted: () => {},
    failed: ({ identity }: PartitionLog) => void failures.push(identity.topic),
    setOverLimit: isOver => void isOverLimit.push(isOver),
  })
  return { totalSize, isOverLimit, failures }
}

/** Says that it is over only when it would go on for ever. */
function goesOn(): () => boolean {
  let calls = 0
  return () => ++calls > 100
}

describe('TotalSize', () => {
  it('a segment seems younger than those behind it -> they wait for it, and others go first', async () => {
    // After a loss of the manifest the first segment counts as appended to when the log was opened.
    const first = new ScriptedPartition('first', [50, 10, 20], 'gives')
    const second = new ScriptedPartition('second', [30, 40], 'gives')
    await scene(400, [first, second]).totalSize.enforce(goesOn())
    assert.deepEqual([first.asked, second.asked], [[], [1]])
    await scene(100, [first, second]).totalSize.enforce(goesOn())
    assert.deepEqual([first.asked, second.asked], [[2], [1, 2]])
  })

  for (const outcome of ['keeps', 'fails'] as const) {
    it(`a partition ${outcome} what it should give up -> it is asked once, others go in its place`, async () => {
      const stuck = new ScriptedPartition('stuck', [1, 2, 3], outcome)
      const other = new ScriptedPartition('other', [4, 5, 6], 'gives')
      const { totalSize, isOverLimit, failures } = scene(400, [stuck, other])
      await totalSize.enforce(goesOn())
      assert.deepEqual([stuck.asked, other.asked], [[2], [2]])
      assert.deepEqual(failures, outcome === 'fails' ? ['stuck'] : [])
      assert.deepEqual(isOverLimit, [false])
    })

    it(`every partition ${outcome} what it should give up -> the limit is exceeded`, async () => {
      const stuck = new ScriptedPartition('stuck', [1, 2, 3], outcome)
      const { totalSize, isOverLimit } = scene(200, [stuck])
      await totalSize.enforce(goesOn())
      assert.deepEqual([stuck.asked, isOverLimit], [[1], [true]])
    })
  }

  it('how far a group is cannot be learned -> all that it may hold stays, and others go', async () => {
    const held = new ScriptedPartition('unknown', [1, 2, 3], 'gives')
    const other = new ScriptedPartition('other', [4, 5, 6], 'gives')
    const { totalSize, failures } = scene(500, [held, other], ['billing'])
    await totalSize.enforce(goesOn())
    assert.deepEqual([held.asked, other.asked, failures], [[], [1], ['unknown']])
  })

  it('it is over between two partitions -> the next one is not asked, and nothing is said', async () => {
    const first = new ScriptedPartition('first', [1, 3], 'gives')
    const second = new ScriptedPartition('second', [2, 4], 'gives')
    const { totalSize, isOverLimit } = scene(100, [first, second])
    await totalSize.enforce(() => first.asked.length > 0)
    assert.deepEqual([first.asked, second.asked, isOverLimit], [[2], [], []])
  })
})
