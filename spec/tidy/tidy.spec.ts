/**
 * What keeps the architecture true, checked over every source file: see rules.ts for each rule, and
 * for the exceptions that it makes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import {
  defaultExports,
  fileSystemImports,
  hiddenInputs,
  importCycles,
  leftOverNotes,
  strayPackages,
  topLevelAwaits,
  uncheckedTypes,
  undocumentedExports,
  upwardImports,
} from './rules.ts'
import { readSources, root } from './source.ts'

const lib = readSources('lib')
const everything = [...lib, ...readSources('spec'), ...readSources('bench')]

describe('the sources of lib', () => {
  it('are found', () => {
    assert.ok(lib.length >= 6)
    assert.ok(lib.some(({ path }) => path === 'lib/errors.ts'))
  })

  it('import from their own layer and from lower ones only', () => {
    assert.deepEqual(upwardImports(lib), [])
  })

  it('import one another without a cycle', () => {
    assert.deepEqual(importCycles(lib), [])
  })

  it('touch the file system under lib/files only', () => {
    assert.deepEqual(fileSystemImports(lib), [])
  })

  it('load packages in lib/files/natives.ts only', () => {
    assert.deepEqual(strayPackages(lib), [])
  })

  it('take time and randomness from what they are handed', () => {
    assert.deepEqual(hiddenInputs(lib), [])
  })

  it('have named exports only', () => {
    assert.deepEqual(defaultExports(lib), [])
  })

  it('use no unchecked types', () => {
    assert.deepEqual(uncheckedTypes(lib), [])
  })

  it('await nothing while they are loaded', () => {
    assert.deepEqual(topLevelAwaits(lib), [])
  })

  it('document every export', () => {
    assert.deepEqual(undocumentedExports(lib), [])
  })

  it('bring the types of node along at every entry of the package', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { types: string }>
    }
    const entries = Object.values(exports).filter(entry => typeof entry !== 'string')
    assert.ok(entries.length > 0)
    for (const { types } of entries) {
      const path = types.replace('./dist/', 'lib/').replace(/\.d\.ts$/, '.ts')
      const [firstLine] = readFileSync(join(root, path), 'utf8').split('\n')
      assert.equal(firstLine, '/// <reference types="node" preserve="true" />', path)
    }
  })
})

describe('all sources', () => {
  it('hold no notes about work left to do', () => {
    assert.deepEqual(leftOverNotes(everything), [])
  })
})
