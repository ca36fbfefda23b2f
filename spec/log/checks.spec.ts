/** What each check takes and refuses, with which error, and what the messages say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runInNewContext } from 'node:vm'

import {
  type Check,
  checkAcks,
  checkBoolean,
  checkedTimestamp,
  checkFunction,
  checkMs,
  checkName,
  checkOffset,
  checkOptions,
  checkSignal,
  integer,
  oneOf,
  shown,
  withMethods,
} from '../../lib/checks.ts'

/** A check, values that it takes, values of the wrong type, values out of its range. */
const table: readonly (readonly [string, Check, unknown[], unknown[], unknown[]])[] = [
  ['integer in a range', integer({ from: 2, to: 5 }), [2, 5], ['2', 2n, null], [1, 6, 2.5]],
  ['integer or no limit', integer({ from: 2, orNoLimit: true }), [-1, 2], [true], [0, 1, -2]],
  ['offset', checkOffset, [0, 2 ** 53 - 1], ['0', null], [-1, 0.5, Number.NaN, 2 ** 53]],
  ['milliseconds', checkMs, [-1, 0, 5], ['5'], [-2, 0.5, Number.POSITIVE_INFINITY]],
  ['word', oneOf('a', 'b'), ['a', 'b'], [1, null, ['a']], ['c', '', 'A']],
  ['acks', checkAcks, ['durable', 'written', 'queued'], [1], ['all']],
  ['boolean', checkBoolean, [true, false], [0, 'true', null], []],
  ['name', checkName, ['a', 'x'.repeat(255)], [5, null], ['', 'a\nb', 'x'.repeat(256)]],
  ['function', checkFunction, [() => {}, class {}], [{}, null], []],
  ['signal', checkSignal, [new AbortController().signal], [{}, null, { aborted: false }], []],
  ['methods', withMethods('a', 'b'), [{ a() {}, b() {} }], [{ a() {} }, null, () => {}], []],
]

describe('checks', () => {
  for (const [what, check, taken, ofWrongType, outOfRange] of table) {
    for (const value of taken) {
      it(`${what}: ${shown(value)} -> taken`, () => check('option', value))
    }
    for (const value of ofWrongType) {
      it(`${what}: ${shown(value)} -> TypeError that names the option`, () => {
        const error = { name: 'TypeError', message: /^expected `option` to be / }
        assert.throws(() => check('option', value), error)
      })
    }
    for (const value of outOfRange) {
      it(`${what}: ${shown(value)} -> RangeError that names the option`, () => {
        const error = { name: 'RangeError', message: /^expected `option` to be / }
        assert.throws(() => check('option', value), error)
      })
    }
  }

  it('a signal of another realm -> taken', () => {
    const foreign: unknown = runInNewContext('({ aborted: false, addEventListener() {} })')
    checkSignal('signal', foreign)
  })
})

describe('checkedTimestamp', () => {
  for (const value of [1_700_000_000_000, -5, new Date(1234)]) {
    it(`${String(value)} -> its milliseconds`, () => {
      assert.equal(checkedTimestamp('timestamp', value), Number(value))
    })
  }

  for (const [value, name] of [
    ['2024-01-01', 'TypeError'],
    [null, 'TypeError'],
    [1.5, 'RangeError'],
    [new Date(Number.NaN), 'RangeError'],
  ] as const) {
    it(`${String(value)} -> ${name}`, () => {
      assert.throws(() => checkedTimestamp('timestamp', value), { name, message: /`timestamp`/ })
    })
  }
})

describe('checkOptions', () => {
  const checks = { acks: checkAcks, maxBlockMs: checkMs }
  const check = (options: unknown): void => checkOptions('topic.append', options, { checks })

  it('known options, and undefined -> taken', () => {
    check({})
    check({ acks: 'written', maxBlockMs: undefined })
  })

  for (const options of ['acks', 5, null, [], () => {}]) {
    it(`${shown(options)} for the options -> TypeError that says whose`, () => {
      assert.throws(() => check(options), { name: 'TypeError', message: /topic\.append/ })
    })
  }

  it('nearly the name of an option -> TypeError that names the option', () => {
    assert.throws(() => check({ ack: 'written' }), {
      name: 'TypeError',
      message: '`ack` is not an option of topic.append, did you mean `acks`?',
    })
  })

  it('nothing like any option, also with the value undefined -> TypeError that lists them', () => {
    const message = '`compress` is not an option of topic.append; its options are acks, maxBlockMs'
    assert.throws(() => check({ compress: undefined }), { name: 'TypeError', message })
  })

  it('a name that every object has -> is no option', () => {
    assert.throws(() => check({ constructor: 'written' }), TypeError)
  })

  it('inherited -> checked as well', () => {
    assert.throws(() => check(Object.create({ acks: 'all' })), RangeError)
  })

  it('null -> refused, or taken where it takes something back', () => {
    assert.throws(() => check({ acks: null }), TypeError)
    checkOptions('a topic', { acks: null }, { checks, allowNull: true })
  })
})

describe('shown', () => {
  for (const [value, expected] of [
    [12, '`12` (number)'],
    ['12', '`12` (string)'],
    [null, '`null`'],
    [undefined, '`undefined` (undefined)'],
    [[1], 'an array'],
    [new Map(), 'an object'],
    [() => {}, 'a function'],
    [Symbol('s'), '`Symbol(s)` (symbol)'],
    ['x'.repeat(101), `\`${'x'.repeat(100)}…\` (string)`],
  ] as const) {
    it(`${String(value).slice(0, 20)} -> ${expected.slice(0, 30)}`, () => {
      assert.equal(shown(value), expected)
    })
  }
})
