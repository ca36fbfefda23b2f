/**
 * `npm start` as a person runs it: a child process with files or standard input, judged by what it
 * prints, how it ends, and what is in the log afterwards.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { openLog } from '../../lib/index.ts'
import { tempDir } from '../support/temp-dir.ts'

const loader = import.meta.resolve('tsx')
const program = fileURLToPath(new URL('../../lib/cli/start.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(dir: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ['--import', loader, program, ...args], { cwd: dir })
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const text = { stdout: '', stderr: '' }
  child.stdout?.on('data', chunk => {
    text.stdout += chunk
  })
  child.stderr?.on('data', chunk => {
    text.stderr += chunk
  })
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, ...text }
}

async function run(
  dir: string,
  args: readonly string[],
  input = Buffer.alloc(0),
): Promise<Outcome> {
  const child = start(dir, args)
  // A child that does not read its input may be gone before all is written.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  return await outcomeOf(child)
}

/** A directory with these files in it. */
function withFiles(test: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const dir = tempDir(test)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), content)
  }
  return dir
}

/** Key and value of every record as latin1, so that each byte shows, by partition. */
async function recordsIn(dir: string): Promise<readonly (readonly (readonly string[])[])[]> {
  const log = await openLog(dir)
  assert.ok(log.recovery.clean)
  const topic = await log.topic('lines', { create: false })
  const partitions = topic.partitions.map((): string[][] => [])
  for await (const { partition, keyBytes, valueBytes } of topic.records()) {
    partitions[partition]?.push([String(keyBytes), valueBytes?.toString('latin1') ?? 'null'])
  }
  await log.close()
  return partitions
}

async function valuesIn(dir: string): Promise<readonly string[]> {
  return (await recordsIn(dir)).flat().map(([, value]) => value ?? '')
}

describe('npm start with input', () => {
  it('one file -> its lines keyed by first words, verified, in four partitions', async t => {
    const dir = withFiles(t, { 'a.log': 'x one\ny two\nx three\n' })
    const { code, stdout } = await run(dir, ['a.log'])
    assert.equal(code, 0)
    assert.match(stdout, /3 lines of a\.log → topic lines, 4 partitions/)
    assert.match(stdout, /verified {2}3 records/)
    assert.ok(stdout.includes(`in ${join(dir, '.varve-demo')}, such as lines-`), stdout)
    const partitions = await recordsIn(join(dir, '.varve-demo'))
    assert.equal(partitions.length, 4)
    const records = partitions.find(those => those.some(([key]) => key === 'x'))
    assert.deepEqual(
      records?.filter(([key]) => key === 'x').map(([, value]) => value),
      ['x one', 'x three'],
    )
  })

  it("several files -> each file's lines in order, keyed by its name", async t => {
    const lines = (name: string): string[] => Array.from({ length: 5000 }, (_, n) => `${name} ${n}`)
    const names = ['a.txt', 'b.txt', 'sub/c.txt']
    const dir = withFiles(t, Object.fromEntries(names.map(name => [name, lines(name).join('\n')])))
    const { code, stdout } = await run(dir, ['--partitions', '2', ...names])
    assert.equal(code, 0)
    assert.match(stdout, /15,000 lines of 3 files → topic lines, 2 partitions/)
    const records = (await recordsIn(join(dir, '.varve-demo'))).flat()
    for (const name of names) {
      const own = records.filter(([key]) => key === name).map(([, value]) => value)
      assert.deepEqual(own, lines(name))
    }
  })

  it('any bytes -> lines end at newlines only, and every other byte is kept', async t => {
    const dir = withFiles(t, {
      'any.bin': Buffer.from('a\r\n\n\0\xff\xfe x\n\n tail', 'latin1'),
    })
    assert.equal((await run(dir, ['any.bin', '--partitions', '1'])).code, 0)
    const values = await valuesIn(join(dir, '.varve-demo'))
    assert.deepEqual(values, ['a\r', '', '\0\xff\xfe x', '', ' tail'])
  })

  it('lines across the blocks that are read -> whole', async t => {
    const lines = Array.from({ length: 40 }, (_, n) => `${n} ${String(n % 10).repeat(100_000)}`)
    const dir = withFiles(t, { 'wide.txt': lines.join('\n') })
    assert.equal((await run(dir, ['wide.txt', '--partitions', '1'])).code, 0)
    assert.deepEqual(await valuesIn(join(dir, '.varve-demo')), lines)
  })

  it('standard input -> like a file', async t => {
    const lines = Array.from({ length: 20_000 }, (_, n) => `word${n % 50} line ${n}`)
    const dir = tempDir(t)
    const { code, stdout } = await run(dir, ['-'], Buffer.from(lines.join('\n')))
    assert.equal(code, 0)
    assert.match(stdout, /20,000 lines of standard input/)
    assert.deepEqual([...(await valuesIn(join(dir, '.varve-demo')))].sort(), [...lines].sort())
  })

  it('an empty file, empty standard input -> no records, verified', async t => {
    const dir = withFiles(t, { 'empty.txt': '' })
    for (const input of ['empty.txt', '-']) {
      const { code, stdout } = await run(dir, [input])
      assert.equal(code, 0)
      assert.match(stdout, /verified {2}0 records/)
    }
  })

  it('nothing -> the text files of the project', async t => {
    const { code, stdout } = await run(tempDir(t), [])
    assert.equal(code, 0)
    assert.match(stdout, /lines of [\d,]+ files[\s\S]*verified/)
  })
})

describe('npm start and what is there already', () => {
  it('run again -> the last run is replaced, or kept with --keep', async t => {
    const dir = withFiles(t, { 'a.txt': 'one\n' })
    const demo = join(dir, '.varve-demo')
    for (const [args, count] of [
      [[], 1],
      [[], 1],
      [['--keep'], 2],
    ] as const) {
      const { code, stdout } = await run(dir, ['a.txt', ...args])
      assert.equal(code, 0)
      assert.match(stdout, /verified {2}1 record /)
      assert.equal((await valuesIn(demo)).length, count)
    }
  })

  it('--dir -> the lines go behind those that are there', async t => {
    const dir = withFiles(t, { 'a.txt': 'one\n' })
    for (const count of [1, 2]) {
      assert.equal((await run(dir, ['--dir', 'mine', 'a.txt'])).code, 0)
      assert.equal((await valuesIn(join(dir, 'mine'))).length, count)
    }
  })

  it('a directory of something else -> 1, and it is as before', async t => {
    const dir = withFiles(t, { 'a.txt': 'one\n', 'mine/notes.txt': '' })
    const { code, stderr } = await run(dir, ['--dir', 'mine', 'a.txt'])
    assert.equal(code, 1)
    assert.match(stderr, /neither empty nor a log/)
    assert.ok(!existsSync(join(dir, 'mine', 'topics.catalog')))
  })
})

describe('npm start that cannot go on', () => {
  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a file that is not there', ['a.txt', 'gone.txt'], /^there is no file gone\.txt$/m],
    ['a directory', ['.'], /\. is a directory/],
    ['an unknown option', ['--fast'], /Unknown option '--fast'/],
    ['no number of partitions', ['--partitions', '0', 'a.txt'], /expected --partitions/],
    ['standard input twice', ['-', '-'], /can be read once only/],
    ['no name of a topic', ['--topic', 'a/b', 'a.txt'], /"a\/b" is not a topic name/],
  ]
  for (const [what, args, message] of wrong) {
    it(`${what} -> 2, said in one line, nothing published`, async t => {
      const dir = withFiles(t, { 'a.txt': 'one\n' })
      const { code, stdout, stderr } = await run(dir, args)
      assert.equal(code, 2)
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /\n +at /)
      assert.equal(stdout, '')
      assert.ok(!existsSync(join(dir, '.varve-demo', 'lines-0')))
    })
  }

  it('a line larger than a batch -> 2, names file and line, and what came before stays', async t => {
    const dir = withFiles(t, { 'wide.txt': `one\ntwo\n${'x'.repeat(1_100_000)}\nfour\n` })
    const { code, stderr } = await run(dir, ['wide.txt'])
    assert.equal(code, 2)
    assert.match(stderr, /wide\.txt: line 3 is longer than \d+ bytes/)
    assert.match(stderr, /holds \d records?, all durable/)
    const values = await valuesIn(join(dir, '.varve-demo'))
    assert.ok(values.every(value => value === 'one' || value === 'two'))
  })

  it('Ctrl-C while it waits for input -> 130, and the log is closed cleanly', async t => {
    const dir = tempDir(t)
    const child = start(dir, ['-'])
    const ended = outcomeOf(child)
    child.stdin?.write('one\ntwo\n')
    const demo = join(dir, '.varve-demo')
    while (!existsSync(join(demo, 'lines-0')) && child.exitCode === null) {
      await new Promise(setImmediate)
    }
    child.kill('SIGINT')
    const { code, stderr } = await ended
    assert.equal(code, 130)
    assert.match(stderr, /interrupted/)
    assert.ok(existsSync(join(demo, '.kafka_cleanshutdown')))
  })
})

describe('npm start -- --help', () => {
  it('prints the usage and touches nothing', async t => {
    const dir = tempDir(t)
    const { code, stdout } = await run(dir, ['--help'])
    assert.equal(code, 0)
    assert.match(stdout, /npm start -- access\.log/)
    assert.ok(!existsSync(join(dir, '.varve-demo')))
  })
})
