/** Where records go, by every partitioner of a producer. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ProducerChooser } from '../../lib/producer/producer-chooser.ts'
import type { ProducerPartitioner } from '../../lib/producing.ts'
import { partitionForKey } from '../../lib/record/murmur2.ts'

const topic = { name: 'orders', id: 'AAECAwQFRgeICQoLDA0ODw' }

function chooser(partitioner: ProducerPartitioner, batchBytes = 100): ProducerChooser {
  return new ProducerChooser(topic, { partitioner, batchBytes })
}

/** The partitions of values of 40 bytes each, with these keys. */
function choices(of: ProducerChooser, keys: readonly (string | null)[], count = 4): number[] {
  return keys.map(key =>
    of.choose({ key: key === null ? null : Buffer.from(key), value: Buffer.alloc(40) }, count),
  )
}

const keys = ['a', 'b', 'foobar', 'abc', 'key']
const none = [null, null, null, null, null, null]

describe('ProducerChooser', () => {
  it('murmur2 with keys -> as the key says, every time', () => {
    const expected = keys.map(key => partitionForKey(Buffer.from(key), 4))
    assert.deepEqual(choices(chooser('murmur2'), keys), expected)
    assert.equal(new Set(expected).size > 1, true)
  })

  it('murmur2 without keys -> batchBytes to one partition, then the next', () => {
    const [first, ...rest] = choices(chooser('murmur2'), none)
    assert.ok(first !== undefined)
    const next = (first + 1) % 4
    assert.deepEqual(rest, [first, first, next, next, next])
  })

  it('sticky -> the same, whatever the keys', () => {
    assert.deepEqual(
      choices(chooser('sticky'), ['a', 'b', 'c', 'd', 'e', 'f']),
      choices(chooser('murmur2'), none),
    )
  })

  it('sticky with larger batches -> longer at one partition', () => {
    assert.equal(new Set(choices(chooser('sticky', 240), none)).size, 1)
  })

  it('round-robin -> the partitions in turn, whatever the keys', () => {
    assert.deepEqual(choices(chooser('round-robin'), ['a', 'a', null, 'a', null]), [0, 1, 2, 3, 0])
  })

  it('round-robin when partitions were added -> they have their turn', () => {
    const robin = chooser('round-robin')
    choices(robin, [null, null], 2)
    assert.deepEqual(choices(robin, [null, null], 4), [2, 3])
  })

  for (const partitioner of ['murmur2', 'sticky', 'round-robin', () => 3] as const) {
    it(`${partitioner} for a record that names its partition -> that one`, () => {
      const record = { key: Buffer.from('a'), value: Buffer.from('1'), partition: 2 }
      const named = chooser(partitioner)
      assert.equal(named.choose(record, 4), 2)
      assert.equal(named.choose(record, 4), 2)
      assert.throws(() => named.choose({ ...record, partition: 4 }, 4), {
        code: 'UNKNOWN_TOPIC_OR_PARTITION',
      })
    })
  }

  it('a function -> is asked with the key and the number of partitions', () => {
    const asked: unknown[] = []
    const own = chooser((record, count) => {
      asked.push([record.key?.toString() ?? null, count])
      return count - 1
    })
    assert.deepEqual(choices(own, ['a', null]), [3, 3])
    assert.deepEqual(asked, [
      ['a', 4],
      [null, 4],
    ])
  })

  for (const answer of [4, -1, 1.5, Number.NaN, '1', undefined]) {
    it(`a function that answers ${String(answer)} -> RangeError`, () => {
      const own = chooser(() => answer as number)
      assert.throws(() => choices(own, ['a']), { name: 'RangeError', message: /partitioner/ })
    })
  }
})
