/** Which partition a record goes to, by its own word, by its key, by a function, or by none of these. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { UnknownTopicOrPartitionError } from '../../lib/errors.ts'
import { PartitionChooser, stickyBytes } from '../../lib/log/partitioner.ts'
import { partitionForKey } from '../../lib/record/murmur2.ts'
import type { Partitioner } from '../../lib/types.ts'

const topic = { name: 'orders', id: 'AAAAAAAAAAAAAAAAAAAAAA' }

function chooser(partitioner?: Partitioner): PartitionChooser {
  return new PartitionChooser(topic, partitioner)
}

describe('a record that names its partition', () => {
  it('goes there, whatever its key', () => {
    assert.equal(chooser(() => 0).choose({ key: 'k', value: 'v', partition: 2 }, 3), 2)
  })
  for (const partition of [3, -1, 1.5, Number.NaN]) {
    it(`${partition} of three → UnknownTopicOrPartitionError`, () => {
      const choose = (): number => chooser().choose({ value: 'v', partition }, 3)
      assert.throws(choose, UnknownTopicOrPartitionError)
    })
  }
  it("'1' → TypeError", () => {
    const record = { value: 'v', partition: '1' as never }
    assert.throws(() => chooser().choose(record, 3), TypeError)
  })
})

describe('a record with a key', () => {
  it("goes where Kafka's Java client sends it, as a string and as bytes", () => {
    for (const key of ['a', 'order-4711', 'ключ', '', '\u20ac'.repeat(85), 'x'.repeat(86), 'b']) {
      const expected = partitionForKey(Buffer.from(key), 7)
      assert.equal(chooser().choose({ key, value: null }, 7), expected)
      assert.equal(chooser().choose({ key: Buffer.from(key), value: null }, 7), expected)
      assert.equal(
        chooser().choose({ key: new TextEncoder().encode(key), value: null }, 7),
        expected,
      )
    }
  })
})

describe('records without a key', () => {
  it('of one call stay together', () => {
    const it = chooser()
    const value = Buffer.alloc(stickyBytes)
    const chosen = [1, 2, 3].map(() => it.choose({ value }, 5))
    assert.equal(new Set(chosen).size, 1)
  })

  it('go round after every 16 KiB or so', () => {
    const it = chooser()
    const chosen: number[] = []
    for (let call = 0; call < 40; call++) {
      chosen.push(it.choose({ value: Buffer.alloc(4096) }, 5))
      it.endOfCall()
    }
    const turns = chosen.filter((_, index) => index % 4 === 0)
    assert.deepEqual(turns.slice(0, 5).sort(), [0, 1, 2, 3, 4])
    assert.deepEqual(turns.slice(5), turns.slice(0, 5))
    assert.equal(chosen[0], chosen[3])
  })

  it('of a small call stay where the call before was', () => {
    const it = chooser()
    const first = it.choose({ value: 'a' }, 5)
    it.endOfCall()
    assert.equal(it.choose({ value: 'b' }, 5), first)
  })

  it('start at a partition that follows from the topic id', () => {
    const starts = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'].map(id =>
      new PartitionChooser({ name: 'orders', id }).choose({ value: null }, 100),
    )
    const again = new PartitionChooser({ name: 'other', id: 'A' }).choose({ value: null }, 100)
    assert.equal(starts[0], again)
    assert.ok(new Set(starts).size > 4)
  })
})

describe("a handle's own partitioner", () => {
  it('gets the key as a Buffer, or null, and the number of partitions', () => {
    const asked: unknown[] = []
    const it = chooser((record, count) => {
      asked.push([record.key, count])
      return 1
    })
    assert.equal(it.choose({ key: 'k', value: null }, 3), 1)
    assert.equal(it.choose({ value: null }, 3), 1)
    assert.deepEqual(asked, [
      [Buffer.from('k'), 3],
      [null, 3],
    ])
  })
  for (const answer of [3, -1, 0.5, Number.NaN, '1', undefined]) {
    it(`that answers ${answer} of three → RangeError`, () => {
      const it = chooser(() => answer as number)
      assert.throws(() => it.choose({ value: null }, 3), RangeError)
    })
  }
})
