/**
 * The rules of Kafka's leader epoch cache case by case, then random operations against a model that
 * keeps one epoch per offset. `SEED=<n>` replays a run.
 *
 * Worked example: epoch 0 from offset 0 on and epoch 2 from 100 on are the bytes
 * `0 LF 2 LF 0 0 LF 2 100 LF`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { LeaderEpochs } from '../../lib/storage/leader-epochs.ts'

const replay = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }

function epochsOf(...entries: readonly (readonly [number, number])[]): LeaderEpochs {
  const epochs = new LeaderEpochs()
  for (const [epoch, startOffset] of entries) epochs.assign(epoch, startOffset)
  return epochs
}

function pairs(epochs: LeaderEpochs): readonly (readonly [number, number])[] {
  return epochs.entries.map(({ epoch, startOffset }) => [epoch, startOffset])
}

describe('LeaderEpochs', () => {
  it('two epochs → the worked example, and back', () => {
    const text = '0\n2\n0 0\n2 100\n'
    assert.equal(epochsOf([0, 0], [2, 100]).format(), text)
    assert.deepEqual(pairs(LeaderEpochs.parse(text) ?? epochsOf()), [
      [0, 0],
      [2, 100],
    ])
  })

  it('an empty text → no epochs', () => {
    assert.deepEqual(LeaderEpochs.parse('')?.entries, [])
  })

  for (const [what, text] of [
    ['a wrong count', '0\n2\n0 0\n'],
    ['one field', '0\n1\n0\n'],
    ['three fields', '0\n1\n0 0 0\n'],
    ['a negative epoch', '0\n1\n-1 0\n'],
    ['an epoch beyond 2^31 - 1', '0\n1\n2147483648 0\n'],
    ['an epoch twice', '0\n2\n1 0\n1 5\n'],
    ['falling epochs', '0\n2\n2 0\n1 5\n'],
    ['a start offset twice', '0\n2\n1 5\n2 5\n'],
    ['falling start offsets', '0\n2\n1 5\n2 4\n'],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(LeaderEpochs.parse(text), null)
    })
  }

  it('latest → the highest epoch, -1 without any', () => {
    assert.equal(epochsOf().latest, -1)
    assert.equal(epochsOf([0, 0], [7, 3]).latest, 7)
  })
})

describe('LeaderEpochs.assign', () => {
  for (const [what, epoch, startOffset, expected] of [
    [
      'a higher epoch at a higher offset',
      5,
      30,
      [
        [1, 10],
        [3, 20],
        [5, 30],
      ],
    ],
    [
      'a higher epoch where the last one began',
      5,
      20,
      [
        [1, 10],
        [5, 20],
      ],
    ],
    ['a higher epoch before all others', 5, 0, [[5, 0]]],
    [
      'the latest epoch at a lower offset',
      3,
      15,
      [
        [1, 10],
        [3, 15],
      ],
    ],
    [
      'a lower epoch at a higher offset',
      2,
      30,
      [
        [1, 10],
        [2, 30],
      ],
    ],
    ['an earlier epoch again', 1, 30, [[1, 30]]],
    [
      'a lower epoch in between',
      2,
      15,
      [
        [1, 10],
        [2, 15],
      ],
    ],
  ] as const) {
    it(`${what} → added, contradicting ones dropped`, () => {
      const epochs = epochsOf([1, 10], [3, 20])
      assert.equal(epochs.assign(epoch, startOffset), true)
      assert.deepEqual(pairs(epochs), expected)
    })
  }

  for (const startOffset of [20, 25]) {
    it(`the latest epoch at ${startOffset}, no lower than it began → no change`, () => {
      const epochs = epochsOf([1, 10], [3, 20])
      assert.equal(epochs.assign(3, startOffset), false)
      assert.deepEqual(pairs(epochs), [
        [1, 10],
        [3, 20],
      ])
    })
  }

  for (const [epoch, startOffset] of [
    [-1, 0],
    [0, -1],
    [2 ** 31, 0],
    [0.5, 0],
    [0, 2 ** 53],
  ] as const) {
    it(`epoch ${epoch} at offset ${startOffset} → a broken invariant`, () => {
      assert.throws(() => epochsOf().assign(epoch, startOffset), { name: 'AssertionError' })
    })
  }
})

describe('LeaderEpochs.endOffsetFor', () => {
  const epochs = epochsOf([2, 10], [5, 20], [7, 30])
  for (const [what, epoch, expected] of [
    ['-1', -1, { epoch: -1, endOffset: -1 }],
    ['the latest', 7, { epoch: 7, endOffset: 42 }],
    ['an earlier one', 5, { epoch: 5, endOffset: 30 }],
    ['the first', 2, { epoch: 2, endOffset: 20 }],
    ['one between two known ones', 6, { epoch: 5, endOffset: 30 }],
    ['one below all', 1, { epoch: 1, endOffset: 10 }],
    ['one above all', 8, { epoch: -1, endOffset: -1 }],
  ] as const) {
    it(`${what} → epoch ${expected.epoch}, end ${expected.endOffset}`, () => {
      assert.deepEqual(epochs.endOffsetFor(epoch, 42), expected)
    })
  }

  it('nothing known → not known', () => {
    assert.deepEqual(epochsOf().endOffsetFor(0, 42), { epoch: -1, endOffset: -1 })
  })
})

describe('LeaderEpochs.truncateFromEnd', () => {
  for (const [offset, changed, expected] of [
    [
      31,
      false,
      [
        [2, 10],
        [5, 20],
        [7, 30],
      ],
    ],
    [
      30,
      true,
      [
        [2, 10],
        [5, 20],
      ],
    ],
    [15, true, [[2, 10]]],
    [0, true, []],
  ] as const) {
    it(`to ${offset} → ${expected.length} epochs`, () => {
      const epochs = epochsOf([2, 10], [5, 20], [7, 30])
      assert.equal(epochs.truncateFromEnd(offset), changed)
      assert.deepEqual(pairs(epochs), expected)
    })
  }
})

describe('LeaderEpochs.truncateFromStart', () => {
  for (const [offset, changed, expected] of [
    [
      5,
      false,
      [
        [2, 10],
        [5, 20],
        [7, 30],
      ],
    ],
    [
      10,
      false,
      [
        [2, 10],
        [5, 20],
        [7, 30],
      ],
    ],
    [
      11,
      true,
      [
        [2, 11],
        [5, 20],
        [7, 30],
      ],
    ],
    [
      20,
      true,
      [
        [5, 20],
        [7, 30],
      ],
    ],
    [
      25,
      true,
      [
        [5, 25],
        [7, 30],
      ],
    ],
    [99, true, [[7, 99]]],
  ] as const) {
    it(`to ${offset} → ${JSON.stringify(expected)}`, () => {
      const epochs = epochsOf([2, 10], [5, 20], [7, 30])
      assert.equal(epochs.truncateFromStart(offset), changed)
      assert.deepEqual(pairs(epochs), expected)
    })
  }
})

/** A log as the epoch of each of its offsets, from which every answer can be counted out. */
class ModelLog {
  start = 0
  epochs: number[] = []

  get end(): number {
    return this.start + this.epochs.length
  }

  entries(): readonly (readonly [number, number])[] {
    return this.epochs.flatMap((epoch, index) =>
      epoch === this.epochs[index - 1] ? [] : [[epoch, this.start + index] as const],
    )
  }

  endOffsetFor(epoch: number): { epoch: number; endOffset: number } {
    const latest = this.epochs.at(-1) ?? -1
    if (epoch < 0 || epoch > latest) return { epoch: -1, endOffset: -1 }
    const atMost = this.epochs.filter(known => known <= epoch)
    return { epoch: atMost.at(-1) ?? epoch, endOffset: this.start + atMost.length }
  }
}

describe('LeaderEpochs against a log that keeps one epoch per offset', () => {
  it('any appends and truncations → the same entries, ends and file', () => {
    const operation = fc.record({
      kind: fc.constantFrom('append', 'append', 'append', 'fromEnd', 'fromStart'),
      epochStep: fc.constantFrom(0, 0, 1, 3),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), operations => {
        const log = new ModelLog()
        const epochs = new LeaderEpochs()
        for (const { kind, epochStep, share } of operations) {
          const offset = log.start + Math.round(share * log.epochs.length)
          if (kind === 'append') {
            const epoch = Math.max(0, log.epochs.at(-1) ?? 0) + epochStep
            epochs.assign(epoch, log.end)
            log.epochs.push(epoch)
          } else if (kind === 'fromEnd') {
            log.epochs.length = offset - log.start
            epochs.truncateFromEnd(offset)
          } else if (offset < log.end) {
            log.epochs.splice(0, offset - log.start)
            log.start = offset
            epochs.truncateFromStart(offset)
          }
          assert.deepEqual(pairs(epochs), log.entries())
          for (let epoch = -1; epoch <= epochs.latest + 1; epoch++) {
            assert.deepEqual(epochs.endOffsetFor(epoch, log.end), log.endOffsetFor(epoch))
          }
        }
        assert.deepEqual(LeaderEpochs.parse(epochs.format())?.entries, epochs.entries)
      }),
      replay,
    )
  })
})
