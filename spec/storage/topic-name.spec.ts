/**
 * Tables of names that are valid and that are not, both for topics and for what lies on disk.
 *
 * Worked example: partition 10 of `a.b-c` lies in `a.b-c-10`, and its segment that begins at offset
 * 4711 in `00000000000000004711.log`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  checkTopicName,
  collidesWith,
  parsePartitionDir,
  parseSegmentFile,
  partitionDirName,
  segmentFileName,
} from '../../lib/storage/topic-name.ts'

describe('checkTopicName', () => {
  for (const name of [
    'a',
    'orders',
    'Orders_2.eu-west',
    '__consumer_offsets',
    '...a',
    '-',
    '0',
    'console',
    'com',
    'com10',
    'a.con',
    'x'.repeat(249),
  ]) {
    it(`${name.slice(0, 30)} → accepted`, () => {
      assert.doesNotThrow(() => checkTopicName(name))
    })
  }

  for (const name of [
    '',
    '.',
    '..',
    'a b',
    'a/b',
    'a\\b',
    'a:b',
    'a\n',
    'größe',
    'x'.repeat(250),
    'a.',
    '...',
    'CON',
    'con',
    'Nul',
    'aux.log',
    'prn',
    'COM1',
    'com0.x',
    'lpt9',
  ]) {
    it(`${JSON.stringify(name.slice(0, 30))} → INVALID_TOPIC with that name`, () => {
      assert.throws(() => checkTopicName(name), { code: 'INVALID_TOPIC', topic: name })
    })
  }

  it('a number → a TypeError', () => {
    assert.throws(() => checkTopicName(7 as unknown as string), { name: 'TypeError' })
  })
})

describe('collidesWith', () => {
  for (const [a, b, expected] of [
    ['orders', 'orders', true],
    ['orders', 'Orders', true],
    ['a.b', 'a_b', true],
    ['A.b_c', 'a_B.c', true],
    ['orders', 'order', false],
    ['a-b', 'a_b', false],
    ['a-b', 'a.b', false],
  ] as const) {
    it(`${a} and ${b} → ${expected}`, () => {
      assert.equal(collidesWith(a, b), expected)
      assert.equal(collidesWith(b, a), expected)
    })
  }
})

describe('partition directories', () => {
  for (const [topic, partition, name] of [
    ['orders', 0, 'orders-0'],
    ['a.b-c', 10, 'a.b-c-10'],
    ['a-1', 2, 'a-1-2'],
    ['-', 0, '--0'],
    ['con', 3, 'con-3'],
    ['a', 2 ** 31 - 1, 'a-2147483647'],
  ] as const) {
    it(`${name} ↔ partition ${partition} of ${topic}`, () => {
      assert.equal(partitionDirName(topic, partition), name)
      assert.deepEqual(parsePartitionDir(name), { topic, partition })
    })
  }

  for (const name of [
    '',
    'orders',
    'orders-',
    '-0',
    'orders-x',
    'orders-01',
    'orders-+1',
    'orders-1 ',
    'orders-2147483648',
    'a b-0',
    '..-0',
    `${'x'.repeat(250)}-0`,
    'orders-0.0123456789abcdef0123456789abcdef-delete',
    'orders-0.0123456789abcdef0123456789abcdef-future',
    'orders-0-stray',
  ]) {
    it(`${JSON.stringify(name.slice(0, 50))} → not a partition`, () => {
      assert.equal(parsePartitionDir(name), null)
    })
  }

  for (const partition of [-1, 0.5, Number.NaN]) {
    it(`partition ${partition} → a broken invariant`, () => {
      assert.throws(() => partitionDirName('a', partition), { name: 'AssertionError' })
    })
  }
})

describe('segment files', () => {
  for (const [baseOffset, suffix, name] of [
    [0, 'log', '00000000000000000000.log'],
    [4711, 'index', '00000000000000004711.index'],
    [4711, 'timeindex', '00000000000000004711.timeindex'],
    [2 ** 53 - 1, 'snapshot', '00009007199254740991.snapshot'],
  ] as const) {
    it(`${name} ↔ the ${suffix} of ${baseOffset}`, () => {
      assert.equal(segmentFileName(baseOffset, suffix), name)
      assert.deepEqual(parseSegmentFile(name), { baseOffset, suffix })
    })
  }

  for (const name of [
    '',
    '0.log',
    '00000000000000000000',
    '00000000000000000000.',
    '000000000000000000000.log',
    '00000000000000000000.log.deleted',
    '00000000000000000000.log.swap',
    '00000000000000000000.txnindex',
    '00000000000000000000.logs',
    '00000000000000000000.LOG',
    '-0000000000000000001.log',
    '00009007199254740992.log',
    ' 00000000000000000000.log',
    'leader-epoch-checkpoint',
  ]) {
    it(`${JSON.stringify(name)} → not a segment's`, () => {
      assert.equal(parseSegmentFile(name), null)
    })
  }

  for (const baseOffset of [-1, 0.5, 2 ** 53]) {
    it(`base offset ${baseOffset} → a broken invariant`, () => {
      assert.throws(() => segmentFileName(baseOffset, 'log'), { name: 'AssertionError' })
    })
  }
})
