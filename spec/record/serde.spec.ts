/** The serdes that come with the package, and schemas of any Standard Schema library. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { InvalidRecordError } from '../../lib/errors.ts'
import { type StandardResult, type StandardSchema, serde } from '../../lib/record/serde.ts'

function schemaOf<T>(
  validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>,
): StandardSchema<T> {
  return { '~standard': { version: 1, vendor: 'spec', validate } }
}

const order = schemaOf<{ id: number }>(value => {
  const id: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'id') : 0
  return typeof id === 'number'
    ? { value: { id } }
    : { issues: [{ message: 'no number', path: ['order', { key: 'id' }] }, { message: 'bad' }] }
})

describe('serde.bytes', () => {
  it('a Buffer → the same Buffer, both ways', () => {
    const bytes = Buffer.from('abc')
    assert.equal(serde.bytes.serialize(bytes), bytes)
    assert.equal(serde.bytes.deserialize(bytes), bytes)
  })
})

describe('serde.string', () => {
  it('text → UTF-8, and back', () => {
    assert.equal(serde.string.deserialize(Buffer.from(serde.string.serialize('é😀'))), 'é😀')
  })
})

describe('serde.json', () => {
  it('a value → JSON text, and back', () => {
    const json = serde.json<{ a: number[] }>()
    const text = json.serialize({ a: [1, 2] })
    assert.equal(text, '{"a":[1,2]}')
    assert.deepEqual(json.deserialize(Buffer.from(text)), { a: [1, 2] })
  })

  it('a value without a form in JSON → TypeError', () => {
    assert.throws(() => serde.json().serialize(undefined), TypeError)
    assert.throws(() => serde.json().serialize(() => 1), TypeError)
    assert.throws(() => serde.json().serialize(1n), TypeError)
  })

  it('text that is no JSON → a SyntaxError for the reader to wrap', () => {
    assert.throws(() => serde.json().deserialize(Buffer.from('{')), SyntaxError)
  })

  it('a schema → its result is written, and read', () => {
    const json = serde.json(order)
    const text = json.serialize({ id: 5, extra: true } as { id: number })
    assert.equal(text, '{"id":5}')
    assert.deepEqual(json.deserialize(Buffer.from('{"id":6,"extra":1}')), { id: 6 })
  })

  it('a value that the schema refuses → InvalidRecordError with every issue and its path', () => {
    const value = { id: 'five' } as unknown as { id: number }
    assert.throws(
      () => serde.json(order).serialize(value),
      (error: unknown) => {
        assert.ok(error instanceof InvalidRecordError)
        assert.match(error.message, /order\.id: no number; bad/)
        assert.deepEqual(error.issues, [
          { message: 'no number', path: ['order', { key: 'id' }] },
          { message: 'bad' },
        ])
        return true
      },
    )
  })

  it('stored JSON that the schema refuses → an error with the issues for the reader to wrap', () => {
    const read = () => serde.json(order).deserialize(Buffer.from('{"id":null}'))
    assert.throws(read, (error: unknown) => {
      assert.ok(error instanceof InvalidRecordError)
      assert.equal(error.issues.length, 2)
      return /order\.id/.test(error.message)
    })
  })

  it('a schema that validates with a promise → TypeError, its rejection unheard', () => {
    const json = serde.json(schemaOf<number>(() => Promise.reject(new Error('late'))))
    assert.throws(() => json.serialize(1), { name: 'TypeError', message: /promise/ })
    assert.throws(() => json.deserialize(Buffer.from('1')), { name: 'TypeError' })
  })

  it('a schema that validates with a promise of its own kind → TypeError, both ways', () => {
    const late = Promise.reject(new Error('late'))
    class OwnPromise {
      // biome-ignore lint/suspicious/noThenProperty: it is what the test is about
      readonly then = late.then.bind(late)
    }
    const json = serde.json(schemaOf<number>(() => new OwnPromise() as Promise<never>))
    assert.throws(() => json.serialize(1), { name: 'TypeError', message: /promise/ })
    assert.throws(() => json.deserialize(Buffer.from('1')), { name: 'TypeError' })
  })

  for (const result of [undefined, null, true]) {
    it(`a schema that gives ${result} → TypeError`, () => {
      const json = serde.json(schemaOf<number>(() => result as never))
      assert.throws(() => json.serialize(1), { name: 'TypeError', message: /to give a result/ })
    })
  }

  it('a schema that is a function → taken', () => {
    const callable = Object.assign(
      () => {},
      schemaOf<number>(() => ({ value: 7 })),
    )
    assert.equal(serde.json(callable).serialize(1), '7')
  })

  for (const bad of [null, 5, {}, { '~standard': {} }, { parse: () => 1 }]) {
    it(`${JSON.stringify(bad)} as the schema → TypeError at once`, () => {
      assert.throws(() => serde.json(bad as never), { name: 'TypeError', message: /Standard/ })
    })
  }
})
