/** The map of keys against a plain one, and where its memory ends. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type KeyPlace, OffsetMap, offsetMapSlotBytes } from '../../lib/storage/offset-map.ts'
import { forEachSeed } from '../support/random.ts'

function placeOf(key: string): KeyPlace {
  const bytes = Buffer.from(`..${key}..`)
  return { bytes, keyPosition: 2, keySizeBytes: bytes.length - 4 }
}

describe('OffsetMap', () => {
  it('random keys and offsets -> what a plain map says', async () => {
    await forEachSeed(20, random => {
      const startOffset = random.pick([0, 5, 2 ** 40])
      const map = new OffsetMap({ maxBytes: 1 << 16, expectedKeys: 300, startOffset })
      const plain = new Map<string, number>()
      let offset = startOffset
      for (let count = 0; count < 1000; count++) {
        const key = `k${random.below(200)}`
        offset += random.below(1000)
        assert.ok(map.put(placeOf(key), offset))
        plain.set(key, offset)
      }
      assert.equal(map.keyCount, plain.size)
      for (const [key, latest] of plain) assert.equal(map.latest(placeOf(key)), latest)
      assert.equal(map.latest(placeOf('never')), -1)
    })
  })

  it('no room for another key -> refused, while known keys still move on', () => {
    const map = new OffsetMap({
      maxBytes: 10 * offsetMapSlotBytes,
      expectedKeys: 99,
      startOffset: 0,
    })
    let offset = 0
    while (map.put(placeOf(`k${offset}`), offset)) offset++
    assert.equal(map.keyCount, 9)
    assert.equal(map.latest(placeOf('k9')), -1)
    assert.ok(map.put(placeOf('k0'), 100))
    assert.equal(map.latest(placeOf('k0')), 100)
  })

  it('an offset farther from the start than a slot can tell -> refused', () => {
    const map = new OffsetMap({ maxBytes: 1024, expectedKeys: 9, startOffset: 7 })
    assert.ok(map.put(placeOf('a'), 7 + 2 ** 32 - 3))
    assert.equal(map.latest(placeOf('a')), 7 + 2 ** 32 - 3)
    assert.ok(!map.put(placeOf('a'), 7 + 2 ** 32 - 2))
  })

  it('nothing noted -> no key is known, the empty one neither', () => {
    const map = new OffsetMap({ maxBytes: 0, expectedKeys: 0, startOffset: 0 })
    assert.equal(map.latest(placeOf('')), -1)
    assert.ok(map.put(placeOf(''), 0))
    assert.equal(map.latest(placeOf('')), 0)
  })
})
