/** Every option: what it takes, what it refuses and how, and which value holds in the end. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  builtInTopicDefaults,
  changedTopicConfig,
  checkTopicConfig,
  checkTopicConfigChanges,
  checkTopicOptions,
  resolveOpenOptions,
  resolveTopicConfig,
} from '../../lib/options.ts'
import type { OpenOptions, TopicConfig } from '../../lib/types.ts'

type Refused = readonly [string, unknown, typeof TypeError | typeof RangeError]

const refusedTopic: readonly Refused[] = [
  ['segmentBytes', 1023, RangeError],
  ['segmentBytes', 2 ** 31, RangeError],
  ['segmentBytes', -1, RangeError],
  ['segmentBytes', 4096.5, RangeError],
  ['segmentBytes', Number.NaN, RangeError],
  ['segmentBytes', '4096', TypeError],
  ['segmentBytes', null, TypeError],
  ['segmentBytes', 4096n, TypeError],
  ['segmentMs', 0, RangeError],
  ['segmentMs', -2, RangeError],
  ['flushRecords', 0, RangeError],
  ['flushMs', Number.POSITIVE_INFINITY, RangeError],
  ['flushBytes', 0, RangeError],
  ['maxBatchBytes', 67, RangeError],
  ['indexIntervalBytes', -1, RangeError],
  ['timestampAfterMaxMs', -2, RangeError],
  ['acks', 'all', RangeError],
  ['acks', 1, TypeError],
  ['compressionType', 'brotli', RangeError],
  ['timestampType', 'CreateTime', RangeError],
  ['timestampAfterMaxAction', 'ignore', RangeError],
  ['retentionMs', -2, RangeError],
  ['retentionBytes', 0.5, RangeError],
  ['retentionRecords', '10', TypeError],
  ['retentionBy', 'create', RangeError],
  ['retainUntilConsumed', 'billing', TypeError],
  ['cleanupPolicy', 'compact, delete', RangeError],
  ['cleanupPolicy', ['delete'], TypeError],
  ['deleteRetentionMs', -1, RangeError],
  ['minCleanableDirtyRatio', 1.01, RangeError],
  ['minCleanableDirtyRatio', -0.01, RangeError],
  ['minCleanableDirtyRatio', Number.NaN, RangeError],
  ['minCleanableDirtyRatio', '0.5', TypeError],
  ['minCompactionLagMs', -1, RangeError],
  ['maxCompactionLagMs', 0, RangeError],
]

const refusedGroups: readonly (readonly [string, readonly unknown[], string])[] = [
  ['an empty name', [''], 'RangeError'],
  ['a name of 256 characters', ['g'.repeat(256)], 'RangeError'],
  ['a line feed', ['a\nb'], 'RangeError'],
  ['a line separator', ['a\u2028b'], 'RangeError'],
  ['a number', ['a', 1], 'TypeError'],
  ['a hole', new Array(1), 'TypeError'],
  ['1001 names', Array.from({ length: 1001 }, (_, index) => `g${index}`), 'RangeError'],
]

const refusedOpen: readonly Refused[] = [
  ['readOnly', 'yes', TypeError],
  ['lockWaitMs', -2, RangeError],
  ['signal', {}, TypeError],
  ['topicDefaults', 'none', TypeError],
  ['topicDefaults', { segmentBytes: 1 }, RangeError],
  ['maxQueuedBytes', 0, RangeError],
  ['maxOpenFiles', 3, RangeError],
  ['maxParallelFlushes', 0, RangeError],
  ['sweepIntervalMs', 0, RangeError],
  ['maxTotalBytes', 0, RangeError],
  ['quarantineBytes', -2, RangeError],
  ['producerIdExpirationMs', 0, RangeError],
  ['onEvent', 'console', TypeError],
  ['files', {}, TypeError],
  ['clock', Date, TypeError],
]

describe('topic configuration', () => {
  for (const [name, value, error] of refusedTopic) {
    it(`${name}: ${String(value)} (${typeof value}) → ${error.name} that names it`, () => {
      const check = () => checkTopicConfig({ [name]: value } as TopicConfig)
      assert.throws(check, { name: error.name, message: new RegExp(`\`${name}\``) })
    })
  }

  it('a segment of 12 bytes → a message with the range, the value and its type', () => {
    assert.throws(() => checkTopicConfig({ segmentBytes: 12 }), {
      message:
        'expected `segmentBytes` to be an integer from 1024 to 2147483647, got `12` (number)',
    })
  })

  it('a name that is nearly an option → TypeError that names the option', () => {
    assert.throws(() => checkTopicConfig({ segmentByte: 4096 } as TopicConfig), {
      name: 'TypeError',
      message: '`segmentByte` is not an option of a topic, did you mean `segmentBytes`?',
    })
  })

  it('names of things that every object has → TypeError', () => {
    assert.throws(() => checkTopicConfig({ constructor: 1 } as unknown as TopicConfig), TypeError)
  })

  it('undefined → absent', () => {
    checkTopicConfig({ segmentBytes: undefined, acks: undefined })
    assert.deepEqual(checkTopicOptions({ segmentBytes: undefined }).config, {})
  })

  for (const [what, groups, name] of refusedGroups) {
    it(`retainUntilConsumed with ${what} → ${name} that says which`, () => {
      const check = () => checkTopicConfig({ retainUntilConsumed: groups } as TopicConfig)
      assert.throws(check, { name, message: /`retainUntilConsumed/ })
    })
  }

  it("'delete,compact' → 'compact,delete', wherever it was given", () => {
    const given = { cleanupPolicy: 'delete,compact' } as const
    assert.equal(checkTopicOptions(given).config.cleanupPolicy, 'compact,delete')
    const { topicDefaults } = resolveOpenOptions({ topicDefaults: given })
    assert.equal(topicDefaults.cleanupPolicy, 'compact,delete')
  })

  it('a list that its owner changes later, with a name twice → each once, as it was', () => {
    const groups = ['billing', 'mail', 'billing']
    const { config } = checkTopicOptions({ retainUntilConsumed: groups })
    groups.push('late')
    assert.deepEqual(config.retainUntilConsumed, ['billing', 'mail'])
  })

  it('the limits themselves, and -1 where it means no limit → taken', () => {
    checkTopicConfig({ segmentBytes: 1024, segmentMs: -1, flushMs: 0, timestampAfterMaxMs: -1 })
    checkTopicConfig({ segmentBytes: 2 ** 31 - 1, flushRecords: -1, flushBytes: -1 })
  })

  it('null in changes → taken, anywhere else → TypeError', () => {
    checkTopicConfigChanges({ segmentBytes: null })
    assert.throws(
      () => checkTopicConfig({ segmentBytes: null } as unknown as TopicConfig),
      TypeError,
    )
  })

  it('changes → values set, null takes back, undefined leaves', () => {
    const before = { segmentBytes: 4096, flushMs: 7, acks: 'written' } as const
    const changes = { segmentBytes: null, flushMs: undefined, flushBytes: 9 }
    assert.deepEqual(changedTopicConfig(before, changes), {
      acks: 'written',
      flushMs: 7,
      flushBytes: 9,
    })
  })
})

describe('resolveTopicConfig', () => {
  it('nothing given → what is built in, 128 MiB segments among it', () => {
    const { config, sources } = resolveTopicConfig({}, {}, 'durable')
    assert.deepEqual(config, builtInTopicDefaults)
    assert.equal(config.segmentBytes, 134_217_728)
    assert.ok(Object.values(sources).every(source => source === 'default'))
  })

  it('a value of the topic, one of the log → the topic’s, and each says where it is from', () => {
    const own = { segmentBytes: 4096 }
    const { config, sources } = resolveTopicConfig(
      own,
      { segmentBytes: 8192, flushMs: 3 },
      'written',
    )
    assert.deepEqual([config.segmentBytes, sources.segmentBytes], [4096, 'topic'])
    assert.deepEqual([config.flushMs, sources.flushMs], [3, 'log'])
    assert.deepEqual([config.acks, sources.acks], ['written', 'log'])
  })

  const flushes: readonly [string, TopicConfig, number][] = [
    ['flushRecords 1', { flushRecords: 1 }, -1],
    ['flushRecords 100', { flushRecords: 100 }, 1000],
    ['no limit of flushRecords', { flushRecords: -1 }, 1000],
    ['flushBytes', { flushBytes: 4096 }, 1000],
    ['flushRecords 100 and flushMs', { flushRecords: 100, flushMs: 20 }, 20],
    ['flushRecords 100 and no limit of flushMs', { flushRecords: 100, flushMs: -1 }, -1],
  ]
  for (const [what, given, flushMs] of flushes) {
    it(`${what} → flushMs ${flushMs}`, () => {
      assert.equal(resolveTopicConfig(given, {}, 'durable').config.flushMs, flushMs)
      assert.equal(resolveTopicConfig({}, given, 'durable').config.flushMs, flushMs)
    })
  }
})

describe('resolveOpenOptions', () => {
  for (const [name, value, error] of refusedOpen) {
    it(`${name}: ${String(value)} → ${error.name}`, () => {
      const given = { [name]: value } as unknown as OpenOptions
      assert.throws(() => resolveOpenOptions(given), { name: error.name })
    })
  }

  it('an unknown option → TypeError that names the nearest', () => {
    assert.throws(() => resolveOpenOptions({ readonly: true } as OpenOptions), {
      name: 'TypeError',
      message: /did you mean `readOnly`/,
    })
  })

  it('null instead of options → TypeError', () => {
    assert.throws(() => resolveOpenOptions(null as unknown as OpenOptions), TypeError)
  })

  it('nothing → the documented defaults', () => {
    const options = resolveOpenOptions(undefined)
    assert.equal(options.maxQueuedBytes, 32 * 1024 * 1024)
    assert.equal(options.maxUnflushedBytes, 128 * 1024 * 1024)
    assert.equal(options.maxBlockMs, 60_000)
    assert.equal(options.sweepIntervalMs, 300_000)
  })
})

describe('checkTopicOptions', () => {
  it('what belongs to the handle → kept out of the stored configuration', () => {
    const partitioner = () => 0
    const checked = checkTopicOptions({ partitions: 3, create: false, partitioner, flushMs: 5 })
    assert.deepEqual(checked.config, { flushMs: 5 })
    assert.deepEqual(
      [checked.partitions, checked.create, checked.partitioner],
      [3, false, partitioner],
    )
  })

  const refused: readonly Refused[] = [
    ['partitions', 0, RangeError],
    ['partitions', 1.5, RangeError],
    ['partitions', '2', TypeError],
    ['create', 1, TypeError],
    ['key', {}, TypeError],
    ['partitioner', 'sticky', TypeError],
    ['retention', 1, TypeError],
  ]
  for (const [name, value, error] of refused) {
    it(`${name}: ${String(value)} (${typeof value}) → ${error.name}`, () => {
      assert.throws(() => checkTopicOptions({ [name]: value }), { name: error.name })
    })
  }
})
