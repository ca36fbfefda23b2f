/** What descriptions and metrics show, from what is known in memory. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  type DescribedPartition,
  describePartition,
  describeTopic,
  metricsOf,
  totalSizeBytes,
} from '../../lib/log/describe.ts'
import { resolveTopicConfig, topicConfigKeys } from '../../lib/options.ts'
import type { PartitionState } from '../../lib/types.ts'
import { openPartition } from '../support/open-partition.ts'

/** A partition of which everything that is described differs. */
function partition(id: number, state: PartitionState = 'ok'): DescribedPartition {
  const described: Partial<DescribedPartition> = {
    identity: { topic: 'orders', partition: id },
    dir: `/log/orders-${id}`,
    state,
    leaderEpoch: 7,
    logStartOffset: 1,
    highWatermark: 2,
    recoveryPoint: 3,
    writtenOffset: 4,
    logEndOffset: 5,
    segmentCount: 6,
    sizeBytes: 100 + id,
  }
  return described as DescribedPartition
}

describe('describePartition', () => {
  it('a partition -> its place, its state and its offsets', () => {
    assert.deepEqual(describePartition(partition(3, 'damaged')), {
      partition: 3,
      dir: '/log/orders-3',
      state: 'damaged',
      leaderEpoch: 7,
      logStartOffset: 1,
      highWatermark: 2,
      recoveryPoint: 3,
      writtenOffset: 4,
      logEndOffset: 5,
      segmentCount: 6,
      sizeBytes: 103,
    })
  })
})

describe('describeTopic', () => {
  it('every configuration value -> shown with where it comes from, in one order', () => {
    const resolved = resolveTopicConfig({ segmentBytes: 2048 }, { flushMs: 5 }, 'written')
    const topic = { name: 'orders', id: 'x', resolved, partitions: [partition(0), partition(1)] }
    const { config, partitions } = describeTopic(topic)
    assert.deepEqual(Object.keys(config), topicConfigKeys)
    assert.deepEqual(config.segmentBytes, { value: 2048, source: 'topic' })
    assert.deepEqual(config.flushMs, { value: 5, source: 'log' })
    assert.deepEqual(config.acks, { value: 'written', source: 'log' })
    assert.deepEqual(config.flushRecords, { value: 1, source: 'default' })
    assert.deepEqual(
      partitions.map(each => each.partition),
      [0, 1],
    )
  })
})

describe('totalSizeBytes', () => {
  it('several topics -> the sum over all their partitions', () => {
    const resolved = resolveTopicConfig({}, {}, 'durable')
    const topic = (...partitions: readonly DescribedPartition[]) =>
      describeTopic({ name: 'orders', id: 'x', resolved, partitions })
    assert.equal(
      totalSizeBytes([topic(partition(0), partition(1)), topic(), topic(partition(2))]),
      303,
    )
    assert.equal(totalSizeBytes([]), 0)
  })
})

describe('metricsOf', () => {
  it('counters, budget and handles -> each under its own name', async () => {
    const { environment } = await openPartition()
    const { counters, budget, handles } = environment
    let next = 1
    for (const name of Object.keys(counters) as (keyof typeof counters)[]) {
      if (typeof counters[name] === 'number') Object.assign(counters, { [name]: next++ })
    }
    Object.assign(budget, { queuedBytes: 101, unflushedBytes: 102, waitingBytes: 103 })
    budget.waitingCount = 104
    const partitions = [partition(0), partition(1, 'failed'), partition(2, 'damaged')]
    const metrics = metricsOf(environment, { topics: 9, partitions, state: 'low' })
    for (const [name, value] of Object.entries(counters)) {
      assert.equal(metrics[name as keyof typeof metrics], value, name)
    }
    const { queuedBytes, unflushedBytes, waitingBytes, waitingAppends, openFiles } = metrics
    assert.deepEqual(
      [queuedBytes, unflushedBytes, waitingBytes, waitingAppends],
      [101, 102, 103, 104],
    )
    assert.equal(openFiles, handles.openCount)
    assert.deepEqual([metrics.topics, metrics.partitions, metrics.failedPartitions], [9, 3, 1])
    assert.deepEqual([metrics.state, metrics.flushMs], ['low', { p50: 0, p99: 0, max: 0 }])
  })
})
