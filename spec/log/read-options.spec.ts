/** Arguments of `records()` and `batches()` are refused at the call: wrong forms, numbers that are no offsets, unknown names. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { TopicHandle } from '../../lib/log/topic.ts'
import type { Partition, Topic } from '../../lib/types.ts'
import { ScriptedTopic } from '../support/scripted-topic.ts'

function topicOf(partitions: number): Topic {
  return new TopicHandle(new ScriptedTopic(partitions))
}

function partition(): Partition {
  return topicOf(1).partition(0)
}

describe("wrong options of a partition's readers", () => {
  for (const from of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    it(`from: ${from} → RangeError`, () => {
      assert.throws(() => partition().records({ from }), RangeError)
    })
  }
  for (const from of [
    'first',
    null,
    '3',
    true,
    {},
    { last: '1' },
    { offsets: {} },
    { last: 1, x: 1 },
  ]) {
    it(`from: ${JSON.stringify(from)} → TypeError`, () => {
      assert.throws(() => partition().records({ from: from as never }), TypeError)
    })
  }
  it('{ last: -1 } → RangeError', () => {
    assert.throws(() => partition().records({ from: { last: -1 } }), RangeError)
  })
  it('{ timestamp: NaN } → RangeError', () => {
    assert.throws(() => partition().records({ from: { timestamp: Number.NaN } }), RangeError)
  })
  for (const options of [
    { form: 1 },
    { live: 1 },
    { maxBytes: '1' },
    { signal: {} },
    { onCorruption: 1 },
    { checkCrcs: 'yes' },
    { reuseBuffers: 1 },
  ]) {
    it(`${JSON.stringify(options)} → TypeError`, () => {
      assert.throws(() => partition().batches(options as never), TypeError)
    })
  }
  it('maxBytes: 0 → RangeError', () => {
    assert.throws(() => partition().batches({ maxBytes: 0 }), RangeError)
  })
})

describe("wrong options of a topic's readers", () => {
  it('a bare offset for several partitions → TypeError that names { offsets }', () => {
    assert.throws(() => topicOf(2).records({ from: 3 }), { name: 'TypeError', message: /offsets/ })
  })
  it('a bare offset for one partition is fine', () => {
    assert.deepEqual(topicOf(1).records({ from: 0 }).position, { 0: 0 })
  })
  for (const offsets of [
    { 2: 0 },
    { '-1': 0 },
    { x: 0 },
    { 0: -1 },
    { 0: 0.5 },
    { 0: Number.NaN },
  ]) {
    it(`{ offsets: ${JSON.stringify(offsets)} } of two partitions → RangeError`, () => {
      assert.throws(() => topicOf(2).records({ from: { offsets } }), RangeError)
    })
  }
  for (const offsets of [null, 3, [1], { 0: '1' }]) {
    it(`{ offsets: ${JSON.stringify(offsets)} } → TypeError`, () => {
      const from = { offsets } as never
      assert.throws(() => topicOf(2).batches({ from }), TypeError)
    })
  }
})
