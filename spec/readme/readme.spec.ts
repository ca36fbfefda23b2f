/**
 * The README is true: its examples run, from the sources; its tables name every option with the
 * default that the code has; and the files that it links are there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { builtInTopicDefaults, resolveOpenOptions } from '../../lib/options.ts'
import { resolveProducerOptions } from '../../lib/producer/producer-options.ts'
import {
  exampleArguments,
  examples,
  readme,
  root,
  writeExample,
} from '../support/readme-examples.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What each example prints, in its own words, by what it stands under. */
const outputs: Readonly<Record<string, RegExp>> = {
  varve: /value: 'two apples'/,
  Bulk: /partition 0: offsets \[0, \d+\)[\s\S]*25000 warm readings/,
  Producers: /^the next one is \d+ of partition [0-3]$/m,
  Following: /^0 one\n1 two\n2 three\ntrue$/m,
  'Publish and subscribe': /^billing: two apples\nshipping: two apples$/m,
  Consumers: /^1 1$[\s\S]*^x 3$[\s\S]*^0$/m,
  'Event sourcing': /^OFFSET_MISMATCH 2$/m,
  'Testing your own program': /\[ 'jobs' \]/,
  'Several processes': /value: 'visible once it is durable'/,
  Retention: /^within time \d{4}-.*\n0 segments deleted$/m,
  Outbox: /^(?:3\nOFFSET_MISMATCH|OFFSET_MISMATCH\n3)\n4 4\n$/,
  'Offsets in your own database': /^power cut true\n36\n$/,
  'Fan-out': new RegExp(
    ['apples', 'pears', 'plums']
      .flatMap(what => [`mail about ${what}`, `${what} can be found`])
      .map(line => `(?=[^]*^${line}$)`)
      .join(''),
    'm',
  ),
  'Testing with a clock of your own': /^# pass 1$[\s\S]*^# fail 0$/m,
}

/** Runs until it is told to end, and has a spec of its own. */
const servers = ['A log behind HTTP']

describe('the examples of the README', () => {
  it('are those whose outputs are expected here', () => {
    const titles = examples.map(({ title }) => title)
    assert.deepEqual([...titles].sort(), [...Object.keys(outputs), ...servers].sort())
  })

  for (const [title, output] of Object.entries(outputs)) {
    it(`${title} -> runs in an empty directory and prints what it shows`, test => {
      const dir = tempDir(test)
      writeExample(dir, title)
      // A test runner that finds itself within another one reports to that one.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const run = spawnSync(process.execPath, exampleArguments, {
        cwd: dir,
        env,
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
