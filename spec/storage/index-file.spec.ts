/** Growth, truncation and search of the entries that both kinds of index are made of. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { IndexFile } from '../../lib/storage/index-file.ts'

function fileOf(count: number): IndexFile {
  const file = new IndexFile(4)
  for (let value = 0; value < count; value++) {
    // The buffer is asked for after `add`, which may have replaced it.
    const position = file.add()
    file.buffer.writeInt32BE(value * 10, position)
  }
  return file
}

describe('IndexFile', () => {
  it('no entry → no memory', () => {
    const file = new IndexFile(8)
    assert.equal(file.entryCount, 0)
    assert.equal(file.buffer.length, 0)
  })

  it('entries past every capacity → all kept, in order', () => {
    const file = fileOf(1000)
    assert.equal(file.entryCount, 1000)
    assert.equal(file.bytes().length, 4000)
    for (let value = 0; value < 1000; value++) {
      assert.equal(file.bytes().readInt32BE(value * 4), value * 10)
    }
  })

  it('a thousand entries → at most twice their memory', () => {
    assert.ok(fileOf(1000).buffer.length <= 8000)
  })

  it('given bytes → entries without a copy, and room for more', () => {
    const bytes = Buffer.from('0000000100000002', 'hex')
    const file = new IndexFile(4, bytes)
    assert.equal(file.buffer, bytes)
    const position = file.add()
    file.buffer.writeInt32BE(3, position)
    assert.equal(file.bytes().toString('hex'), '000000010000000200000003')
  })

  it('bytes that are no whole entries → a broken invariant', () => {
    assert.throws(() => new IndexFile(8, Buffer.alloc(12)), { name: 'AssertionError' })
  })

  it('truncated and added to → the new entry behind the kept ones', () => {
    const file = fileOf(5)
    file.truncate(2)
    file.buffer.writeInt32BE(77, file.add())
    assert.equal(file.bytes().toString('hex'), '000000000000000a0000004d')
  })

  it('truncated to more than there is → a broken invariant', () => {
    assert.throws(() => fileOf(5).truncate(6), { name: 'AssertionError' })
  })

  it('search → the first entry above, the count when there is none', () => {
    const file = fileOf(100)
    for (let target = -1; target <= 1000; target++) {
      const found = file.findFirst(at => file.buffer.readInt32BE(at) > target)
      assert.equal(found, Math.min(100, Math.floor(target / 10) + 1), `above ${target}`)
    }
  })
})
