/**
 * The runner behind `npm test` must not report success for a suite that did not run: it is started
 * here on made-up suites in a directory of their own.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('../support/run-specs.mjs', import.meta.url))
const floor = 'spec/support/test-floor.json'
const dirs: string[] = []

after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** A spec file of one passing test for each name. */
function passing(...names: readonly string[]): string {
  return `import { it } from 'node:test'\n${names.map(name => `it('${name}', () => {})\n`).join('')}`
}

/** A directory that holds these files, with a floor of two tests unless they say otherwise. */
function makeSuite(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-runner-'))
  dirs.push(dir)
  for (const [path, content] of Object.entries({ [floor]: '{ "tests": 2 }', ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), content)
  }
  return dir
}

/** Runs the runner there; `lastLine` is what a person looks at first. */
function run(dir: string, args: readonly string[] = [], ci = 'false') {
  const { status, stdout } = spawnSync(process.execPath, [runner, ...args], {
    cwd: dir,
    env: { ...process.env, CI: ci },
    encoding: 'utf8',
  })
  return { status, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) }
}

describe('npm test', () => {
  it('a suite of which every test passes → succeeds and counts them', () => {
    const dir = makeSuite({ 'spec/a/a.spec.ts': passing('one', 'two') })
    const { status, lastLine } = run(dir)
    assert.deepEqual({ status, lastLine }, { status: 0, lastLine: '2 passed, 0 failed' })
  })

  it('no spec file at all → fails', () => {
    const { status, stdout } = run(makeSuite({}))
    assert.equal(status, 1)
    assert.match(stdout, /0 tests ran, the suite has at least 2/)
  })

  it('fewer tests than the floor → fails', () => {
    const { status, stdout } = run(makeSuite({ 'spec/a/a.spec.ts': passing('one') }))
    assert.equal(status, 1)
    assert.match(stdout, /1 tests ran, the suite has at least 2/)
  })

  it('a spec file that runs nothing beside one that does → fails and names it', () => {
    const files = { 'spec/a/a.spec.ts': passing('one', 'two'), 'spec/b/b.spec.ts': 'export {}' }
    const { status, stdout } = run(makeSuite(files))
    assert.equal(status, 1)
    assert.match(stdout, /spec\/b\/b\.spec\.ts ran no test/)
  })

  it('a spec file that ends before all of its tests ran → fails and names it', () => {
    const early = "import { it } from 'node:test'\nconst isDone = true\n"
    const hidden = `${early}it('one', () => {})\nit('two', () => {})\nif (!isDone) {\n  it('three', () => {})\n}`
    const { status, stdout } = run(makeSuite({ 'spec/a/a.spec.ts': hidden }))
    assert.equal(status, 1)
    assert.match(stdout, /spec\/a\/a\.spec\.ts ran 2 tests, 3 are written/)
  })

  it('a spec file where the runner would not look → fails and names it', () => {
    const files = { 'spec/a/a.spec.ts': passing('one', 'two'), 'spec/b.spec.ts': passing('three') }
    const { status, stdout } = run(makeSuite(files))
    assert.equal(status, 1)
    assert.match(stdout, /spec\/b\.spec\.ts lies outside/)
  })

  it('a failing test, or a process that dies → fails', () => {
    const failing = `${passing('one', 'two')}it('three', () => { throw new Error('no') })`
    const dying = 'process.exit(3)'
    const dir = makeSuite({ 'spec/a/a.spec.ts': failing, 'spec/b/b.spec.ts': dying })
    const { status, lastLine } = run(dir)
    assert.deepEqual({ status, lastLine }, { status: 1, lastLine: '2 passed, 2 failed' })
  })

  it('a skipped test → is named with its reason, and fails under CI=true only', () => {
    const skipping = `${passing('one', 'two')}it('three', { skip: 'needs Windows' }, () => {})`
    const dir = makeSuite({ 'spec/a/a.spec.ts': skipping })
    const here = run(dir)
    assert.equal(here.status, 0)
    assert.match(here.stdout, /three \(needs Windows\)/)
    assert.equal(here.lastLine, '2 passed, 0 failed, 1 skipped')
    assert.equal(run(dir, [], 'true').status, 1)
  })

  it('--only → runs a part without the floor and says so, but not nothing', () => {
    const files = { 'spec/a/a.spec.ts': passing('one'), 'spec/b/b.spec.ts': passing('two') }
    const dir = makeSuite(files)
    const part = run(dir, ['--only', 'spec/b'])
    assert.deepEqual([part.status, part.lastLine], [0, '1 passed, 0 failed'])
    assert.match(part.stdout, /A part of the suite/)
    assert.equal(run(dir, ['--only', 'spec/c']).status, 1)
  })

  it('--raise-floor → writes a grown suite down, never a shrunken one', () => {
    const dir = makeSuite({ 'spec/a/a.spec.ts': passing('one', 'two', 'three') })
    assert.equal(run(dir, ['--raise-floor']).status, 0)
    assert.deepEqual(JSON.parse(readFileSync(join(dir, floor), 'utf8')), { tests: 3 })
    writeFileSync(join(dir, 'spec/a/a.spec.ts'), passing('one'))
    assert.equal(run(dir, ['--raise-floor']).status, 1)
    assert.deepEqual(JSON.parse(readFileSync(join(dir, floor), 'utf8')), { tests: 3 })
  })
})
