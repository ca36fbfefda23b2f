/**
 * The README is true: its examples run, from the sources; its tables name every option with the
 * default that the code has; and the files that it links are there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { builtInTopicDefaults, resolveOpenOptions } from '../../lib/options.ts'
import { resolveProducerOptions } from '../../lib/producer/producer-options.ts'
import { tempDir } from '../support/temp-dir.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const loader = import.meta.resolve('tsx')

const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(found => found[1] ?? '')

/** What each example prints, in its own words; every example of the README has a line here. */
const outputs = [
  /value: 'two apples'/,
  /partition 0: offsets \[0, \d+\)[\s\S]*25000 warm readings/,
  /^the next one is \d+ of partition [0-3]$/m,
  /^0 one\n1 two\n2 three\ntrue$/m,
  /^billing: two apples\nshipping: two apples$/m,
  /^1 1$[\s\S]*^x 3$[\s\S]*^0$/m,
  /^OFFSET_MISMATCH 1$/m,
  /\[ 'jobs' \]/,
  /value: 'visible once it is durable'/,
  /^within time \d{4}-.*\n0 segments deleted$/m,
]

describe('the examples of the README', () => {
  it('are as many as the outputs expected here', () => {
    assert.equal(examples.length, outputs.length)
  })

  for (const [index, output] of outputs.entries()) {
    it(`example ${index + 1} -> runs in an empty directory and prints what it shows`, test => {
      const dir = tempDir(test)
      const library = (name: string): string => pathToFileURL(join(root, 'lib', name)).href
      const code = (examples[index] ?? '')
        .replaceAll("'varve'", `'${library('index.ts')}'`)
        .replaceAll("'varve/testing'", `'${library('testing/index.ts')}'`)
      writeFileSync(join(dir, 'example.mjs'), code)
      const run = spawnSync(process.execPath, ['--import', loader, 'example.mjs'], {
        cwd: dir,
        encoding: 'utf8',
        timeout: 60_000,
      })
      assert.equal(run.status, 0, run.stderr)
      assert.match(run.stdout, output)
    })
  }
})

describe('the tables of the README', () => {
  const rows = readme.split('\n').filter(line => line.startsWith('|'))
  const cellsOf = (name: string): readonly string[] =>
    rows
      .map(row => row.split('|').map(cell => cell.trim()))
      .find(cells => cells[2] === `\`${name}\``) ?? []

  for (const [name, value] of Object.entries(builtInTopicDefaults)) {
    it(`${name} -> has the default of the code`, () => {
      const shown = typeof value === 'string' ? `'${value}'` : JSON.stringify(value)
      assert.equal((cellsOf(name)[3] ?? '').split(';')[0], `\`${shown}\``)
    })
  }

  const open = Object.entries(resolveOpenOptions(undefined))
  for (const [name, value] of open.filter(([, given]) => /number|boolean/.test(typeof given))) {
    it(`${name} of openLog -> has the default of the code`, () => {
      const isOfTheMachine = name === 'maxParallelFlushes'
      assert.equal(
        cellsOf(name)[3],
        isOfTheMachine ? "threads of libuv's pool less two, at least 1" : `\`${value}\``,
      )
    })
  }
})

describe('the table of producers in the README', () => {
  const from = readme.indexOf('Of a producer, in')
  const table = readme.slice(from, readme.indexOf('\nOf ', from)).split('\n')
  const maxBlockMs = resolveOpenOptions(undefined).maxBlockMs
  for (const [name, value] of Object.entries(resolveProducerOptions(undefined, { maxBlockMs }))) {
    it(`${name} -> has a row, and the default of the code`, () => {
      const cells = table.map(row => row.split('|').map(cell => cell.trim()))
      const shown = cells.find(row => row[2] === `\`${name}\``)?.[3] ?? ''
      assert.notEqual(shown, '')
      const isElsewhere = value === undefined || name === 'maxBlockMs'
      if (!isElsewhere) assert.equal(shown.split(/[;:]/)[0], `\`${value}\``)
    })
  }
})

describe('the links of the README', () => {
  for (const [, target] of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
    it(`${target} -> is there`, () => {
      assert.ok(existsSync(join(root, target ?? '')))
    })
  }
})
