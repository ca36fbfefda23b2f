/** Indexes are loaded once, kept up to a bound in bytes, and the least recently used goes first. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { IndexCache, type SegmentIndexes } from '../../lib/storage/index-cache.ts'
import { OffsetIndex } from '../../lib/storage/offset-index.ts'
import { TimeIndex } from '../../lib/storage/time-index.ts'

/** 20 bytes an entry of both indexes. */
function indexes(entryCount: number): SegmentIndexes {
  const [offsets, times] = [new OffsetIndex(0), new TimeIndex(0)]
  for (let entry = 0; entry < entryCount; entry++) {
    offsets.append(entry, entry)
    times.append(entry, entry)
  }
  return { offsets, times }
}

/** A cache, and the paths that were loaded through `get`, in order. */
function cacheOf(maxBytes: number): {
  cache: IndexCache
  loaded: string[]
  get: (path: string, entryCount?: number) => SegmentIndexes
} {
  const cache = new IndexCache(maxBytes)
  const loaded: string[] = []
  const get = (path: string, entryCount = 1): SegmentIndexes =>
    cache.get(path, () => {
      loaded.push(path)
      return indexes(entryCount)
    })
  return { cache, loaded, get }
}

describe('IndexCache', () => {
  it('asked twice -> loaded once, the same both times', () => {
    const { loaded, get } = cacheOf(100)
    assert.equal(get('a'), get('a'))
    assert.deepEqual(loaded, ['a'])
  })

  it('up to the bound -> all stay', () => {
    const { loaded, get } = cacheOf(60)
    for (const path of ['a', 'b', 'c', 'a', 'b', 'c']) get(path)
    assert.deepEqual(loaded, ['a', 'b', 'c'])
  })

  it('past the bound -> the least recently used goes', () => {
    const { loaded, get } = cacheOf(40)
    for (const path of ['a', 'b', 'a', 'c']) get(path)
    loaded.length = 0
    for (const path of ['a', 'c', 'b']) get(path)
    assert.deepEqual(loaded, ['b'])
  })

  it('one large index -> as many go as it takes', () => {
    const { loaded, get } = cacheOf(60)
    for (const path of ['a', 'b', 'c']) get(path)
    get('large', 2)
    loaded.length = 0
    get('c')
    assert.deepEqual(loaded, [])
    get('a')
    assert.deepEqual(loaded, ['a'])
  })

  it('larger than the bound by itself -> kept until another comes', () => {
    const { loaded, get } = cacheOf(40)
    get('large', 5)
    get('large', 5)
    assert.deepEqual(loaded, ['large'])
    get('a')
    get('large', 5)
    assert.deepEqual(loaded, ['large', 'a', 'large'])
  })

  it('forgotten -> loaded anew, and its bytes are free', () => {
    const { cache, loaded, get } = cacheOf(40)
    for (const path of ['a', 'b']) get(path)
    cache.forget('a')
    cache.forget('a')
    get('c')
    loaded.length = 0
    for (const path of ['b', 'c']) get(path)
    assert.deepEqual(loaded, [])
    get('a')
    assert.deepEqual(loaded, ['a'])
  })

  it('loading throws -> passes through, and the next call loads again', () => {
    const { cache, loaded, get } = cacheOf(40)
    assert.throws(() => {
      cache.get('a', () => {
        throw new Error('no such file')
      })
    }, /no such file/)
    get('a')
    assert.deepEqual(loaded, ['a'])
  })
})
