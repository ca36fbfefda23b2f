/**
 * Checks the package as a user gets it: packs it, installs the tarball into empty directories with
 * install scripts and without, imports and requires it, type-checks a program that uses it, and runs
 * the first two examples of the README.
 *
 *     npm run build && node spec/package/check-tarball.mjs
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { examplesOf } from './readme-examples.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const nodeTypes = '/// <reference types="node" preserve="true" />'

/** What must be there at run time; everything else at the entry is an error class. */
const functions = { openLog: 'function', serde: 'object', LogError: 'function' }

/** A program of a user who leaves `types` unset: where Buffer is unknown it is `any`, and @ts-expect-error fails. */
const consumer = `
import { openLog, serde, LogError, type LogRecord, type Partition, type RecordInput } from 'varve'
import { memoryFiles } from 'varve/testing'

export function sizeOf(record: LogRecord): number {
  // @ts-expect-error a Buffer is no number
  const wrong: number = record.valueBytes
  // @ts-expect-error neither is the Buffer of a header
  const alsoWrong: number = record.header('trace')
  return (record.valueBytes?.byteLength ?? 0) + Number(wrong) + Number(alsoWrong)
}

export async function append(partition: Partition): Promise<number> {
  const record: RecordInput = { key: 'a', value: Buffer.from('b'), headers: { c: new Uint8Array(1) } }
  // @ts-expect-error a value is required
  const missing: RecordInput = { key: 'a' }
  return (await partition.append([record, missing])).baseOffset
}

export async function orders(): Promise<string> {
  const log = await openLog(':memory:', { files: memoryFiles() })
  const topic = await log.topic('orders', { value: serde.json<{ id: string }>() })
  await topic.append({ value: { id: 'a' } })
  // @ts-expect-error the serde fixes the type of the value
  await topic.append({ value: { id: 1 } })
  for await (const { value } of topic.records()) return value?.id ?? ''
  return ''
}

export function codeOf(error: unknown): string {
  return error instanceof LogError ? error.code : ''
}
`

const compilerOptions = {
  strict: true,
  target: 'ES2023',
  lib: ['ES2023', 'ESNext.Disposable'],
  module: 'NodeNext',
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
}

const scratch = mkdtempSync(join(tmpdir(), 'varve-package-'))
try {
  const tarball = pack()
  checkContents()
  for (const flags of [[], ['--ignore-scripts']]) {
    const dir = install(tarball, flags)
    importAndRequire(dir)
    if (flags.length === 0) typeCheck(dir)
    runExamples(dir)
    console.log(`✔ the package works, installed by npm install ${flags.join(' ')}`.trimEnd())
  }
} catch (error) {
  console.error(`✖ ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function run(cwd, command, args) {
  try {
    return execFileSync(command, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  } catch (error) {
    fail(`${command} ${args.join(' ')}\n${error.stdout ?? ''}${error.message}`)
  }
}

function fail(message) {
  throw new Error(message)
}

function pack() {
  const printed = run(root, 'npm', [
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    scratch,
  ])
  const [{ filename, files }] = JSON.parse(printed)
  const paths = new Set(files.map(({ path }) => path))
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'dist/index.js']) {
    if (!paths.has(path)) fail(`the tarball lacks ${path}`)
  }
  for (const path of paths) {
    const source = path.replace(/^dist/, 'lib').replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, '.ts')
    if (path.startsWith('dist/') && !paths.has(source)) fail(`${path} has no ${source} beside it`)
    if (!/^(?:dist|lib)\/|^[A-Za-z]+\.(?:md|json)$|^LICENSE$/.test(path)) {
      fail(`${path} does not belong in the tarball`)
    }
  }
  return join(scratch, filename)
}

/** Entry points bring the types of node along, and no declaration imports what only this repository has. */
function checkContents() {
  for (const entry of Object.values(manifest.exports)) {
    if (typeof entry === 'string') continue
    const text = readFileSync(join(root, entry.types), 'utf8')
    if (!text.startsWith(nodeTypes)) fail(`${entry.types} does not begin with ${nodeTypes}`)
  }
}

function install(tarball, flags) {
  const dir = join(scratch, flags.length === 0 ? 'with-scripts' : 'without-scripts')
  mkdirSync(dir)
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const types = `@types/node@${manifest.devDependencies['@types/node']}`
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  run(dir, 'npm', ['install', ...quiet, ...flags, tarball, types])
  return dir
}

function importAndRequire(dir) {
  const expected = JSON.stringify(functions)
  const check = `
    for (const [name, type] of Object.entries(${expected})) {
      if (typeof varve[name] !== type) throw new Error(name + ' is ' + typeof varve[name])
    }
    if (typeof testing.memoryFiles !== 'function') throw new Error('varve/testing lacks memoryFiles')`
  const imports = "import * as varve from 'varve'; import * as testing from 'varve/testing';"
  writeFileSync(join(dir, 'import.mjs'), `${imports}${check}`)
  run(dir, process.execPath, ['import.mjs'])
  const requires = "const varve = require('varve'); const testing = require('varve/testing');"
  writeFileSync(join(dir, 'require.cjs'), `${requires}${check}`)
  run(dir, process.execPath, ['--disable-warning=ExperimentalWarning', 'require.cjs'])
}

function typeCheck(dir) {
  writeFileSync(join(dir, 'consumer.ts'), consumer)
  const files = ['consumer.ts']
  for (const [index, { language, code }] of examplesOf(readme()).entries()) {
    if (language !== 'ts') continue
    files.push(`typed-example-${index}.ts`)
    writeFileSync(join(dir, `typed-example-${index}.ts`), code)
  }
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const tsc = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin',
    'tsc',
  )
  run(dir, process.execPath, [tsc, '-p', '.'])
}

/** Each example in a directory of its own, as a user would try it; TypeScript through tsx. */
function runExamples(dir) {
  const tsx = import.meta.resolve('tsx')
  for (const [index, { language, code }] of examplesOf(readme()).entries()) {
    const exampleDir = join(dir, `example-${index}`)
    mkdirSync(exampleDir)
    const name = language === 'ts' ? 'example.ts' : 'example.mjs'
    writeFileSync(join(exampleDir, name), code)
    const loader = language === 'ts' ? ['--import', tsx] : []
    execFileSync(process.execPath, [...loader, name], {
      cwd: exampleDir,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: 60_000,
    })
  }
}

function readme() {
  const path = join(root, 'README.md')
  if (!existsSync(path)) fail('there is no README.md')
  return readFileSync(path, 'utf8')
}
