/** Errors made here are told apart by nothing from those that `node:fs` throws. */
import assert from 'node:assert/strict'
import { openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { errnoCode, errnoError } from '../../lib/files/errno.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What an error says, as far as it is the same on every call. */
function facts(error: unknown): unknown {
  assert.ok(error instanceof Error)
  return { ...error, message: error.message, name: error.name }
}

function thrownBy(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return assert.fail('it throws')
}

describe('errnoError', () => {
  it('a path -> the error of node:fs', t => {
    const path = join(tempDir(t), 'missing')
    const thrown = thrownBy(() => openSync(path, 'r'))
    assert.deepEqual(facts(errnoError('ENOENT', { syscall: 'open', path })), facts(thrown))
  })

  it('two paths -> the error of node:fs', t => {
    const dir = tempDir(t)
    const [path, dest] = [join(dir, 'missing'), join(dir, 'other')]
    const thrown = thrownBy(() => renameSync(path, dest))
    assert.deepEqual(facts(errnoError('ENOENT', { syscall: 'rename', path, dest })), facts(thrown))
  })

  it('no path -> none in the message, and no field', () => {
    const error = errnoError('EIO', { syscall: 'fdatasync' })
    assert.equal(error.message, 'EIO: i/o error, fdatasync')
    assert.equal('path' in error, false)
  })

  it('a note -> behind the rest, in parentheses', () => {
    const error = errnoError('ENOSPC', { syscall: 'write', note: 'seed 7' })
    assert.equal(error.message, 'ENOSPC: no space left on device, write (seed 7)')
  })

  it('a code that the system does not know -> kept, without a number', () => {
    const error = errnoError('ECRASHED', { syscall: 'write' })
    assert.equal(error.message, 'ECRASHED: storage fault, write')
    assert.deepEqual([error.code, 'errno' in error], ['ECRASHED', false])
  })
})

describe('errnoCode', () => {
  it('an errno error -> its code', () => {
    assert.equal(errnoCode(errnoError('EEXIST', { syscall: 'open' })), 'EEXIST')
  })

  for (const [what, value] of [
    ['an error without code', new Error('plain')],
    ['an error whose code is a number', Object.assign(new Error('plain'), { code: 5 })],
    ['an object with a code', { code: 'EEXIST' }],
    ['nothing', undefined],
  ] as const) {
    it(`${what} -> undefined`, () => assert.equal(errnoCode(value), undefined))
  }
})
